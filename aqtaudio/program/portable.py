"""A program in a form that computes the same integers on every kernel library.

TFLite Micro's reference kernels and CMSIS-NN agree on most operations and shapes, not on all
(`docs/operations.md`). Where they don't, there is another form with the same integers: this module
puts it in. What has none (a 4-bit depthwise convolution of some shapes) is decided before, in the
quantized reading (`kernel_libraries.four_bits_everywhere`).
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from aqtaudio.program import kernels, support
from aqtaudio.program.kernel_libraries import (
    difference_is_one,
    four_bits_everywhere,
    slopes_are_one,
)
from aqtaudio.program.kernels.call import Call, Engine
from aqtaudio.program.kernels.weighted import integer_dot
from aqtaudio.program.program import FRAME, Edge, Operation, Program

MOST_JOINED = 10
"""Inputs of a concatenation (tflite-micro, concatenation.cc: kMaxInputNum)."""
LAYOUT_AXES = 3
"""After the batch, that every kernel library transposes."""
Rewrite = Callable[["Building", Operation], None]
Rule = Callable[[Program, Operation], Rewrite | None]


def portable(program: Program) -> Program:
    """The same integers at the same edges, in operations that are right on all kernels."""
    return rewritten(program, _rewrite)


def rewritten(program: Program, rule: Rule) -> Program:
    """A program with what `rule` puts in the place of each operation; None: it stays."""
    building = Building(program)
    for op in program.operations:
        rewrite = rule(program, op)
        if rewrite is None:
            building.append(op)
        else:
            rewrite(building, op)
    return building.program()


def changes(program: Program) -> Iterator[tuple[str, str]]:
    """(operation, what becomes of it) where `portable` changes anything."""
    texts: dict[Rewrite, str] = {
        _split_groups: "one convolution per group: CMSIS-NN has none of 16x8 or 4 bits",
        as_convolution: "a 1x1 convolution: CMSIS-NN refuses 16x8 dense layers of many scales",
        _fewer_axes: "fewer axes: CMSIS-NN transposes at most four",
        as_sum: "a sum: releases of TFLite Micro differ in SUB's multipliers",
        _as_prelu: "a PReLU: releases of TFLite Micro differ in 16-bit RELU's multipliers",
        as_bytes: "8-bit storage: CMSIS-NN and LiteRT compute some 4-bit ones wrong",
    }
    for op in program.operations:
        rewrite = _rewrite(program, op)
        if rewrite is not None:
            yield op.name, texts[rewrite]


def _rewrite(program: Program, op: Operation) -> Rewrite | None:
    if op.kind in support.SOURCES:
        return None
    source, target = program.edges[op.inputs[0]], program.edges[op.output]
    wide = target.bits == 16
    if op.kind == "conv2d" and "groups" in op.attributes:
        return _split_groups if wide or op.attributes["weight_bits"] == 4 else None
    if op.kind == "dense" and wide and op.constants["weight_scale"].size > 1:
        return as_convolution
    if op.kind == "transpose" and len(source.shape) > LAYOUT_AXES:
        return _fewer_axes
    if op.kind == "sub":
        a, b = (program.edges[name].scale for name in op.inputs)
        return None if difference_is_one(a, b, target.scale, wide) else as_sum
    if op.kind in ("relu", "leaky_relu") and wide:
        alpha = op.attributes.get("alpha", 1.0)
        return None if slopes_are_one(source.scale, target.scale, alpha) else _as_prelu
    if op.kind == "depthwise_conv2d" and op.attributes["weight_bits"] == 4:
        dilated = op.attributes["dilation"] != (1, 1)
        right = four_bits_everywhere(op.kind, source.shape[-1], target.shape[-1], dilated)
        return None if right else as_bytes
    return None


def _part(output: str, name: str) -> str:
    """The name of an edge inside of what makes `output`; a frame's number stays at the end."""
    frame = FRAME.search(output)
    return f"{output}/{name}" if frame is None else f"{output[: frame.start()]}/{name}{frame[0]}"


class Building:
    """A program in the making."""

    def __init__(self, old: Program):
        self.old = old
        self.edges: dict[str, Edge] = {name: old.edges[name] for name in old.inputs}
        self.operations: list[Operation] = []

    def append(self, op: Operation, edge: Edge | None = None) -> str:
        """Adds an operation whose output edge is `edge`, or the old program's; its edge's name."""
        self.edges[op.output] = edge or self.old.edges[op.output]
        self.operations.append(op)
        return op.output

    def add(
        self, kind: str, inputs: Sequence[str], edge: Edge, constants: Any = None, **attributes: Any
    ) -> str:
        """Adds a new operation, called as its edge, with the constants that follow from grids."""
        op = Operation(kind, edge.name, tuple(inputs), edge.name, attributes, constants or {})
        return self.append(dataclasses.replace(op, constants=self._prepared(op, edge)), edge)

    def _prepared(self, op: Operation, edge: Edge) -> dict[str, Any]:
        if op.kind in support.SOURCES:
            return dict(op.constants)
        grids = tuple(self.edges[name].grid for name in op.inputs)
        call = Call(op.kind, (), grids, edge.grid, op.attributes, op.constants, Engine(integer_dot))
        return dict(op.constants) | {k: np.asarray(v) for k, v in kernels.prepare(call).items()}

    def program(self) -> Program:
        """The finished program, edges in the order in which they are made."""
        return Program(self.edges, tuple(self.operations), self.old.inputs, self.old.outputs)


def _split_groups(building: Building, op: Operation) -> None:
    """A grouped convolution: slices, a convolution each, and their outputs side by side."""
    source, target = building.edges[op.inputs[0]], building.old.edges[op.output]
    groups = op.attributes["groups"]
    attributes = {key: value for key, value in op.attributes.items() if key != "groups"}
    depth, width = source.shape[-1] // groups, target.shape[-1] // groups
    parts = []
    for group in range(groups):
        name = _part(op.output, f"group_{group}")
        given = dataclasses.replace(
            source, name=_part(op.output, f"group_{group}_in"), shape=(*source.shape[:2], depth)
        )
        begin, end = (0, 0, group * depth), (*source.shape[:2], (group + 1) * depth)
        building.add("slice", op.inputs, given, begin=begin, end=end, strides=(1, 1, 1))
        channels = slice(group * width, (group + 1) * width)
        constants = {
            key: array if array.size == 1 else array[..., channels]
            for key, array in op.constants.items()
        }
        made = dataclasses.replace(target, name=name, shape=(*target.shape[:2], width))
        part = Operation("conv2d", name, (given.name,), name, attributes, constants)
        parts.append(building.append(part, made))
    _join(building, parts, target, axis=2)


def _join(building: Building, parts: list[str], target: Edge, axis: int) -> None:
    """A concatenation, in stages where there are many parts."""
    stage = 0
    while len(parts) > MOST_JOINED:
        stage += 1
        batches = [parts[i : i + MOST_JOINED] for i in range(0, len(parts), MOST_JOINED)]
        parts = [
            _joined(building, batch, _part(target.name, f"join_{stage}_{number}"), target, axis)
            for number, batch in enumerate(batches)
        ]
    _joined(building, parts, target.name, target, axis)


def _joined(building: Building, parts: list[str], name: str, target: Edge, axis: int) -> str:
    size = sum(building.edges[part].shape[axis] for part in parts)
    shape = (*target.shape[:axis], size, *target.shape[axis + 1 :])
    return building.add(
        "concat", parts, dataclasses.replace(target, name=name, shape=shape), axis=axis
    )


def as_convolution(building: Building, op: Operation) -> None:
    """A dense layer as a 1x1 convolution over its rows."""
    source, target = building.edges[op.inputs[0]], building.old.edges[op.output]
    *lead, depth = source.shape
    rows = math.prod(lead)
    image = dataclasses.replace(source, name=_part(op.output, "image"), shape=(rows, 1, depth))
    made = dataclasses.replace(
        target, name=_part(op.output, "conv"), shape=(rows, 1, target.shape[-1])
    )
    building.add("reshape", op.inputs, image, shape=image.shape)
    window = {"strides": (1, 1), "dilation": (1, 1), "padding": "VALID"}
    constants = dict(op.constants) | {"weights": op.constants["weights"][None, None]}
    convolution = Operation(
        "conv2d", made.name, (image.name,), made.name, dict(op.attributes) | window, constants
    )
    building.append(convolution, made)
    building.add("reshape", (made.name,), target, shape=target.shape)


def _fewer_axes(building: Building, op: Operation) -> None:
    """A transpose as some of at most `LAYOUT_AXES` axes, between reshapes."""
    source, target = building.edges[op.inputs[0]], building.old.edges[op.output]
    last = op.inputs[0]
    for number, (shape, permutation) in enumerate(
        _steps(source.shape, op.attributes["permutation"])
    ):
        stem = _part(op.output, f"step_{number}")
        given = dataclasses.replace(source, name=_part(op.output, f"step_{number}_in"), shape=shape)
        made = dataclasses.replace(
            source, name=stem, shape=tuple(shape[axis] for axis in permutation)
        )
        building.add("reshape", (last,), given, shape=shape)
        last = building.add("transpose", (given.name,), made, permutation=permutation)
    building.add("reshape", (last,), target, shape=target.shape)


def _steps(
    shape: tuple[int, ...], permutation: tuple[int, ...]
) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Transposes (shape, permutation) of at most `LAYOUT_AXES` axes that make up one of more.

    Axes of one element are nowhere in particular; axes that stay neighbours are one. What is left
    is sorted by exchanging neighbouring blocks, the first ones or the last ones.
    """
    order = tuple(axis for axis in permutation if shape[axis] > 1)
    sizes = {axis: shape[axis] for axis in order}
    start = tuple(sorted(order))
    direct = _merged(start, order, sizes)
    if len(direct[0]) <= LAYOUT_AXES:
        return [direct] if order != start else []
    found: dict[tuple[int, ...], list] = {start: []}
    queue = [start]
    while order not in found:
        now = queue.pop(0)
        for new in _exchanges(now):
            step = _merged(now, new, sizes)
            if new not in found and len(step[0]) <= LAYOUT_AXES:
                found[new] = [*found[now], step]
                queue.append(new)
    return found[order]


def _exchanges(order: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """All orders that come of exchanging two neighbouring blocks."""
    for a, b, c in itertools.combinations(range(len(order) + 1), 3):
        yield order[:a] + order[b:c] + order[a:b] + order[c:]


def _merged(
    now: tuple[int, ...], new: tuple[int, ...], sizes: dict[int, int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape and permutation of the transpose from one order to another, of runs of axes."""
    runs: list[list[int]] = []
    for axis in new:
        if runs and now.index(axis) == now.index(runs[-1][-1]) + 1:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    ordered = sorted(runs, key=lambda run: now.index(run[0]))
    shape = tuple(math.prod(sizes[axis] for axis in run) for run in ordered)
    return shape, tuple(ordered.index(run) for run in runs)


def as_sum(building: Building, op: Operation) -> None:
    """a - b as a + (-b).

    Releases of TFLite Micro form the ratios of SUB's scales in float32 or in float64, those of ADD
    in float64 (tflite-micro#3271). The negative is exact: code q becomes -1 - q on a grid whose
    zero point is that of -1; in int16, where zero points are 0, the quantized reading keeps -32768
    away.
    """
    a, b = op.inputs
    edge = building.edges[b]
    wide = edge.bits == 16
    # Not 1 * -1: int16 products need an output scale above the product of the inputs' scales.
    one = Edge(_part(op.output, "minus_one"), (1,) * len(edge.shape), 0.5, 0, 16 if wide else 8)
    codes = np.full(one.shape, -2, one.dtype)
    building.add("constant", (), one, {"codes": codes}, trained=False)
    name, zero_point = _part(op.output, "negative"), 0 if wide else -1 - edge.zero_point
    negative = dataclasses.replace(edge, name=name, zero_point=zero_point, bits=16 if wide else 8)
    lowest, highest = negative.grid.lowest, negative.grid.highest
    building.add("mul", (b, one.name), negative, low=lowest, high=highest)
    building.add("add", (a, name), building.old.edges[op.output], **op.attributes)


def _as_prelu(building: Building, op: Operation) -> None:
    """A relu with a constant slope below zero, 0 or `alpha`.

    As with SUB, releases form the ratios of RELU and LEAKY_RELU in float32 or in float64, those of
    PRELU in float64. In int8 the difference is too small to be seen.
    """
    (x,) = op.inputs
    alpha = np.float32(op.attributes.get("alpha", 0.0))
    shape = (1,) * len(building.edges[x].shape)
    slope = Edge(_part(op.output, "slope"), shape, float(alpha) or 1.0, 0, 8)
    codes = np.full(shape, 1 if alpha else 0, np.int8)
    building.add("constant", (), slope, {"codes": codes}, trained=False)
    building.add("prelu", (x, slope.name), building.old.edges[op.output])


def as_bytes(building: Building, op: Operation) -> None:
    """4-bit weights in an 8-bit tensor: the same codes on the same grid."""
    attributes = dict(op.attributes) | {"weight_bits": 8}
    building.append(dataclasses.replace(op, attributes=attributes))
