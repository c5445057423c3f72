"""Repetitions in a program: the bands of a recurrent layer, say, which are unrolled in it.

A program lists every operation. Where the same operations, with the same weights and grids, run
once per row of an edge, with states from one row to the next, they may be kept as a loop: a file
holds them once (`program.legalize`: WHILE), and the executor traces them once. Every integer stays.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping

import numpy as np

from aqtaudio.program.program import FRAME, Operation, Program

LEAST_ROWS = 3
"""With fewer a loop is no smaller than what it stands for."""


@dataclasses.dataclass(frozen=True)
class Carried:
    """A state: edges before the first row; before a row, as the body reads it; after it."""

    start: str
    before: str
    after: str


@dataclasses.dataclass(frozen=True)
class Loop:
    """Operations that run once per row, in order.

    Attributes:
      output: the edge in which the results of all rows lie one after the other.
      source: the edge whose rows are taken.
      axis: of the rows in both, after the batch.
      row: a row of the source in the body.
      body: the operations of one row, constants among them; names are those of row 1.
      carried: states.
      result: what the body makes of a row.
      inside: outputs of all operations that the loop stands for.
    """

    output: str
    source: str
    axis: int
    row: str
    body: tuple[Operation, ...]
    carried: tuple[Carried, ...]
    result: str
    inside: frozenset[str]


def looped(program: Program) -> Program:
    """The same program, in which every repetition is marked as a loop."""
    names = tuple(
        op.output for op in program.operations if op.kind == "concat" and _find(program, op.output)
    )
    return dataclasses.replace(program, loops=names)


def loops(program: Program) -> dict[str, Loop]:
    """The program's loops by their outputs. Raises ValueError where one isn't there."""
    found = {name: _find(program, name) for name in program.loops}
    missing = [name for name, loop in found.items() if loop is None]
    if missing:
        raise ValueError(f"no loop makes {missing[0]!r}")
    return {name: loop for name, loop in found.items() if loop}


def _find(program: Program, name: str) -> Loop | None:
    """The loop whose results are gathered in an edge; None: there is none."""
    makers = {op.output: op for op in program.operations}
    axis = makers[name].attributes["axis"]
    gathers, results = _gathered(makers, name, axis)
    is_row = all(program.edges[edge].shape[axis] == 1 for edge in results)
    if len(results) < LEAST_ROWS or not is_row:
        return None
    if [_frame(edge) for edge in results] != list(range(len(results))):
        return None
    steps = [_step(makers, result) for result in results]
    starts = _starts(program, steps)
    taken = _taken(program, steps, axis)
    if starts is None or taken is None:
        return None
    inside = {op.output for op in itertools.chain(*steps)}.union(gathers) - set(starts.values())
    outside = {edge for op in program.operations if op.output not in inside for edge in op.inputs}
    if outside.union(program.outputs) & (inside - {name}):
        return None
    body = tuple(op for op in steps[1] if op.output != taken.output)
    carried = tuple(Carried(starts[edge], edge, _shown(edge, 1)) for edge in starts)
    return Loop(
        name, taken.inputs[0], axis, taken.output, body, carried, results[1], frozenset(inside)
    )


def _frame(name: str) -> int | None:
    found = FRAME.search(name)
    return None if found is None else int(found[0].removeprefix("/t"))


def _shown(name: str, frame: int) -> str:
    """The same edge of another row."""
    return FRAME.sub(f"/t{frame}", name)


def _gathered(makers: Mapping[str, Operation], name: str, axis: int) -> tuple[set[str], list[str]]:
    """Concatenations that end in an edge, and what they put together."""
    op = makers.get(name)
    if op is None or op.kind != "concat" or op.attributes["axis"] != axis or FRAME.search(name):
        return set(), [name]
    parts = [_gathered(makers, part, axis) for part in op.inputs]
    names = {name}.union(*(inner for inner, _ in parts))
    return names, list(itertools.chain(*(edges for _, edges in parts)))


def _step(makers: Mapping[str, Operation], result: str) -> list[Operation]:
    """The operations of a row that its result is made of, in an order in which they can run."""
    frame, order = _frame(result), {}

    def visit(name: str) -> None:
        if name in order or _frame(name) != frame or name not in makers:
            return
        for source in makers[name].inputs:
            visit(source)
        order[name] = makers[name]

    visit(result)
    return list(order.values())


def _starts(program: Program, steps: list[list[Operation]]) -> dict[str, str] | None:
    """Where a state begins, by what row 1 reads; None: the rows are not alike."""
    made = {op.output for op in steps[1]}
    starts: dict[str, str] = {}
    for frame, step in enumerate(steps):
        by_name = {_shown(op.output, 1): op for op in step}
        for model in steps[1]:
            op = by_name.pop(model.output, None)
            if op is None or not _alike(program, op, model):
                return None
            for edge, expected in zip(op.inputs, model.inputs, strict=True):
                if _frame(expected) == 0 and _shown(expected, 1) in made:
                    if frame == 0:
                        if starts.setdefault(expected, edge) != edge:
                            return None
                    elif edge != _shown(expected, frame - 1):
                        return None
                elif edge != (_shown(expected, frame) if expected in made else expected):
                    return None
        rest = set(by_name) - {_shown(edge, 1) for edge in starts.values()}
        if rest if frame == 0 else by_name:
            return None
    return starts


def _alike(program: Program, op: Operation, model: Operation) -> bool:
    """Whether two operations are the same one, on other rows."""
    if op.kind != model.kind or len(op.inputs) != len(model.inputs):
        return False
    if op.constants.keys() != model.constants.keys():
        return False
    pairs = ((op.output, model.output), *zip(op.inputs, model.inputs, strict=True))
    for one, other in pairs:
        a, b = program.edges[one], program.edges[other]
        if a.grid != b.grid or a.shape != b.shape:
            return False
    same = all(np.array_equal(op.constants[key], model.constants[key]) for key in op.constants)
    moves = op.kind == "slice" and _frame(op.inputs[0]) is None  # `_taken` looks at it
    return same and (moves or dict(op.attributes) == dict(model.attributes))


def _taken(program: Program, steps: list[list[Operation]], axis: int) -> Operation | None:
    """What takes row 1 of the source; None: rows are not taken one by one, or of two edges."""
    takes = [list(_outer(step)) for step in steps]
    if any(len(found) != 1 for found in takes):
        return None
    for frame, (op,) in enumerate(takes):
        sizes = program.edges[op.inputs[0]].shape
        begin, end = [0] * len(sizes), list(sizes)
        begin[axis], end[axis] = frame, frame + 1
        asked = {"begin": tuple(begin), "end": tuple(end), "strides": (1,) * len(sizes)}
        if op.kind != "slice" or dict(op.attributes) != asked or sizes[axis] != len(steps):
            return None
    return takes[1][0]


def _outer(step: list[Operation]) -> Iterator[Operation]:
    """Operations of a row that read what is of no row."""
    return (op for op in step if any(_frame(edge) is None for edge in op.inputs))
