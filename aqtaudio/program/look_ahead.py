"""How far a program looks ahead: frames that it has to wait for after the frame it speaks of.

A row of an edge sees input frames up to some latest one. Where frames are still apart, the last row
speaks of the clip's last frame; what it would see beyond that, a clip fills with zeros and a device
has to wait for. A causal model waits for nothing, a layer that reads backwards for a whole clip.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from aqtaudio.program import linear
from aqtaudio.program.program import FRAME, Operation, Program


@dataclasses.dataclass(frozen=True)
class Rows:
    """The frames of an edge.

    Attributes:
      axis: of the edge's shape (without the batch) that counts rows.
      step: input frames from one row to the next.
      latest: the last input frame that row 0 sees; row r sees `step * r` more.
      keys: of scores, how many rows after its own the last key lies that a row sees.
    """

    axis: int
    step: int
    latest: int
    keys: int = 0


def look_ahead_frames(program: Program) -> int:
    """Input frames after the clip's end that its last row would see.

    At most the clip's frames but one: then something reads the whole clip backwards.
    """
    frames = program.edges[program.inputs[0]].shape[0]
    ends = [
        rows.latest + rows.step * (program.edges[name].shape[rows.axis] - 1)
        for name, rows in rows_of(program).items()
        if not rows.keys  # a mask may follow
    ]
    return min(max(0, max(ends) - (frames - 1)), frames - 1)


def rows_of(program: Program) -> dict[str, Rows]:
    """The edges that have rows of frames."""
    found = {program.inputs[0]: Rows(0, 1, 0)}
    for op in program.operations:
        rows = _after(program, op, found)
        if rows is not None and program.edges[op.output].shape[rows.axis : rows.axis + 1]:
            found[op.output] = rows
    return found


def _after(program: Program, op: Operation, found: dict[str, Rows]) -> Rows | None:
    """The rows of an operation's output; None where frames are not apart any more."""
    inputs = [found[name] for name in op.inputs if name in found]
    if not inputs:
        return None
    rows, shape = inputs[0], program.edges[op.inputs[0]].shape
    if op.kind in ("conv2d", "depthwise_conv2d"):
        return _windowed(op, rows, shape)
    if op.kind in ("average_pool", "max_pool"):
        return _pooled(op, rows, shape)
    if op.kind in ("mean", "sum"):
        if rows.axis in op.attributes["axes"]:
            return None
        gone = [] if op.attributes["keep"] else op.attributes["axes"]
        return dataclasses.replace(rows, axis=rows.axis - sum(a < rows.axis for a in gone))
    if op.kind == "reshape":
        return _reshaped(rows, shape, op.attributes["shape"])
    if op.kind == "transpose":
        return dataclasses.replace(rows, axis=op.attributes["permutation"].index(rows.axis))
    if op.kind == "slice":
        first, step = (op.attributes[name][rows.axis] for name in ("begin", "strides"))
        return _moved(rows, rows.step * first, step)
    if op.kind == "pad":
        return _moved(rows, -rows.step * op.attributes["widths"][rows.axis][0])
    if op.kind == "concat":
        return _joined(program, op, found)
    if op.kind == "batch_matmul":
        return _product(program, op, inputs)
    if op.kind == "add" and rows.keys and len(inputs) < len(op.inputs):
        return _masked(program, op, rows)
    return dataclasses.replace(rows, latest=max(other.latest for other in inputs))


def _moved(rows: Rows, frames: int, step: int = 1) -> Rows:
    return dataclasses.replace(rows, latest=rows.latest + frames, step=rows.step * step)


def _windowed(op: Operation, rows: Rows, shape: Sequence[int]) -> Rows:
    kernel = op.constants["weights"].shape[:2]
    strides, dilation = op.attributes["strides"], op.attributes["dilation"]
    image = shape[0], shape[1]
    before = linear.pad_widths(image, kernel, strides, dilation, op.attributes["padding"])[0][0]
    reach = (kernel[0] - 1) * dilation[0]
    return _moved(rows, rows.step * (reach - before), strides[0])


def _pooled(op: Operation, rows: Rows, shape: Sequence[int]) -> Rows | None:
    window, strides = op.attributes["window"][0], op.attributes["strides"][0]
    if window == shape[0] > 1 and not FRAME.search(op.output):  # of a stripe it is not all
        return None
    return _moved(rows, rows.step * (window - 1), strides)


def _reshaped(rows: Rows, before: Sequence[int], after: Sequence[int]) -> Rows | None:
    """The axis of as many rows behind as many numbers."""
    outer, count = math.prod(before[: rows.axis]), before[rows.axis]
    for axis, size in enumerate(after):
        if size == count and math.prod(after[:axis]) == outer:
            return dataclasses.replace(rows, axis=axis)
    return None


def _joined(program: Program, op: Operation, found: dict[str, Rows]) -> Rows | None:
    """Parts side by side; or rows one after the other, each counted from where it comes to lie."""
    parts = [(found.get(name), program.edges[name].shape) for name in op.inputs]
    known = [rows for rows, _ in parts if rows is not None]
    if op.attributes["axis"] != known[0].axis:
        return dataclasses.replace(known[0], latest=max(rows.latest for rows in known))
    place, latest = 0, []
    for rows, shape in parts:
        if rows is not None:
            latest.append(rows.latest - known[0].step * place)
        place += shape[known[0].axis]
    return dataclasses.replace(known[0], latest=max(latest))


def _product(program: Program, op: Operation, inputs: list[Rows]) -> Rows | None:
    """Scores of queries and keys, or what queries make of values."""
    if len(inputs) < 2:
        return inputs[0]
    query, other = inputs
    shape = program.edges[op.inputs[1]].shape
    if query.axis != len(shape) - 2:
        return None
    count = shape[other.axis]
    if op.attributes["transpose_b"]:  # scores: unmasked, the first query sees the last key
        return dataclasses.replace(query, keys=count - 1)
    latest = max(query.latest, other.latest + other.step * query.keys)
    return dataclasses.replace(query, latest=latest, keys=0)


def _masked(program: Program, op: Operation, rows: Rows) -> Rows:
    """A mask's lowest value hides."""
    producers = {made.output: made for made in program.operations}
    masks = [producers[name] for name in op.inputs if producers.get(name, op).kind == "constant"]
    if not masks:
        return rows
    codes = masks[0].constants["codes"]
    queries, keys = np.nonzero(codes > codes.min())
    return dataclasses.replace(rows, keys=max(0, int(np.max(keys - queries, initial=0))))
