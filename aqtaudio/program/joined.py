"""Two programs as one: what the first puts out, the second takes. An encoder and a head, say."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from aqtaudio.program.program import Operation, Program

PREFIX = "head/"
"""Of names of the second program that the first has too."""


def joined(first: Program, second: Program) -> Program:
    """Both, in one: names of the second program that the first has too get a prefix.

    Where shapes differ (one has an axis of size 1 more, say) values are reshaped in between.

    Raises ValueError where the second's input is on another grid than the first's output, or holds
    another number of values.
    """
    given, taken = first.edges[first.outputs[0]], second.edges[second.inputs[0]]
    if given.grid != taken.grid:
        raise ValueError(f"edge {taken.name!r} is on another grid than {given.name!r}")
    if given.bytes != taken.bytes:
        raise ValueError(f"edge {taken.name!r} is {taken.shape}, {given.name!r} {given.shape}")
    rename = _renaming(first)
    names = {taken.name: given.name}
    between: tuple[Operation, ...] = ()
    edges = dict(first.edges)
    if given.shape != taken.shape:
        names[taken.name] = rename(taken.name)
        attributes = {"shape": taken.shape}
        name = names[taken.name]
        between = (Operation("reshape", name, (given.name,), name, attributes),)
    for edge in second.edges.values():
        name = names.setdefault(edge.name, rename(edge.name))
        if name not in edges:
            edges[name] = dataclasses.replace(edge, name=name)
    operations = tuple(_renamed(op, names, rename) for op in second.operations)
    outputs = tuple(names[name] for name in second.outputs)
    loops = (*first.loops, *(names[name] for name in second.loops))
    steps = (*first.operations, *between, *operations)
    return Program(edges, steps, first.inputs, outputs, loops)


def _renaming(first: Program) -> Callable[[str], str]:
    """Names that the first program does not use for edges, operations or states."""
    used = {*first.edges, *(op.name for op in first.operations)}
    used |= {op.attributes["state"] for op in first.states}

    def renamed(name: str) -> str:
        while name in used:  # the first may itself have been joined
            name = PREFIX + name
        return name

    return renamed


def _renamed(op: Operation, names: Mapping[str, str], rename: Callable[[str], str]) -> Operation:
    attributes: dict[str, Any] = dict(op.attributes)
    if "state" in attributes:
        attributes["state"] = rename(attributes["state"])
    inputs = tuple(names[name] for name in op.inputs)
    return dataclasses.replace(
        op, name=rename(op.name), inputs=inputs, output=names[op.output], attributes=attributes
    )
