"""The first layers of a program in stripes of frames, so that their maps are never whole.

Convolutions and pools at the beginning of a program need the arena: what goes into one and what
comes out of it lie there together. In stripes they take turns: some frames of the input go through
all of these layers before the next ones do, and only what the last layer makes is kept. Frames at
the border of two stripes are computed in both. Every integer stays (Burrello et al., DORY,
arXiv:2008.07127, tile like this; Lin et al., MCUNetV2, arXiv:2110.15352, in patches).
"""

import dataclasses
from collections.abc import Iterator

from aqtaudio.errors import BadInput
from aqtaudio.program import linear
from aqtaudio.program.program import Edge, Operation, Program

WINDOWED = ("conv2d", "depthwise_conv2d", "max_pool", "average_pool")
Rows = tuple[int, int]
"""The first, and the one behind the last."""


def depth_first(program: Program, last: str, stripes: int) -> Program:
    """The same integers at the outputs; operations up to `last` run in so many stripes of frames.

    Args:
      program: whose operations up to `last` are a chain of convolutions and pools [T, F, C].
      last: the name of the operation whose output is whole again.
      stripes: as even as its frames allow; 1: the program as it is.

    Raises:
      BadInput: no such operation, others before it, or too many stripes.
    """
    if stripes == 1:
        return program
    chain = _chain(program, last)
    target = program.edges[last]
    if not 1 < stripes <= target.shape[0]:
        raise BadInput(f"{stripes} stripes of {last}; allowed: 1 to {target.shape[0]}, its frames")
    edges = {name: program.edges[name] for name in program.inputs}
    operations: list[Operation] = []
    bounds = [target.shape[0] * n // stripes for n in range(stripes + 1)]
    for number, rows in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
        for op, edge in _stripe(program, chain, rows, f"t{number}"):
            operations.append(op)
            edges[op.output] = edge
    parts = tuple(f"{last}/t{number}" for number in range(stripes))
    rest = program.operations[len(chain) :]
    joined = Operation("concat", last, parts, last, {"axis": 0})
    edges |= {op.output: program.edges[op.output] for op in (joined, *rest)}
    return Program(edges, (*operations, joined, *rest), program.inputs, program.outputs)


def _chain(program: Program, last: str) -> list[Operation]:
    """The operations up to `last`."""
    names = [op.output for op in program.operations]
    if last not in names:
        raise BadInput(f"no operation {last!r} to run in stripes up to; it has {', '.join(names)}")
    chain = list(program.operations[: names.index(last) + 1])
    before = program.inputs[0]
    for op in chain:
        if op.kind not in WINDOWED or op.inputs != (before,):
            raise BadInput(
                f"up to {last} is {op.name}, a {op.kind}; allowed in stripes: a chain of "
                f"{', '.join(WINDOWED)} from the input"
            )
        before = op.output
    inside = {op.output for op in chain[:-1]}
    for op in program.operations[len(chain) :]:
        if found := inside & set(op.inputs):
            raise BadInput(f"{op.name} needs all of {found.pop()}: not in stripes up to {last}")
    return chain


def _stripe(
    program: Program, chain: list[Operation], rows: Rows, name: str
) -> Iterator[tuple[Operation, Edge]]:
    """Operations, and the edges that they make, from the input to some rows of the last one."""
    needed = [rows]
    for op in reversed(chain):
        needed.insert(0, _seen(program, op, needed[0])[0])
    source = program.edges[chain[0].inputs[0]]
    first, end = needed[0]
    sizes = source.shape[1:]
    cut = dataclasses.replace(source, name=f"{source.name}/{name}", shape=(end - first, *sizes))
    attributes = {
        "begin": (first, *(0 for _ in sizes)),
        "end": (end, *sizes),
        "strides": (1, *(1 for _ in sizes)),
    }
    yield Operation("slice", cut.name, (source.name,), cut.name, attributes), cut
    before = cut
    for op, made in zip(chain, needed[1:], strict=True):
        for step, edge in _windowed(program, op, made, before, name):
            yield step, edge
            before = edge


def _windowed(
    program: Program, op: Operation, rows: Rows, before: Edge, name: str
) -> Iterator[tuple[Operation, Edge]]:
    """An operation for some rows of its output; zeros where the map ends, none between stripes."""
    _, up_and_down, across = _seen(program, op, rows)
    if any(up_and_down + across):
        height, width, channels = before.shape
        shape = (height + sum(up_and_down), width + sum(across), channels)
        padded = dataclasses.replace(before, name=f"{op.output}/padded/{name}", shape=shape)
        widths = (up_and_down, across, (0, 0))
        yield (
            Operation("pad", padded.name, (before.name,), padded.name, {"widths": widths}),
            padded,
        )
        before = padded
    whole = program.edges[op.output]
    made = dataclasses.replace(
        whole, name=f"{op.output}/{name}", shape=(rows[1] - rows[0], *whole.shape[1:])
    )
    attributes = dict(op.attributes)
    if "padding" in attributes:
        attributes["padding"] = "VALID"
    yield Operation(op.kind, made.name, (before.name,), made.name, attributes, op.constants), made


def _seen(program: Program, op: Operation, rows: Rows) -> tuple[Rows, Rows, Rows]:
    """Rows of the input that an operation sees for some rows of its output; zeros around them.

    (rows, (above, below), (left, right)).
    """
    height, width = program.edges[op.inputs[0]].shape[:2]
    kernel = op.attributes["window"] if "window" in op.attributes else op.constants["weights"].shape
    size, strides = (kernel[0], kernel[1]), op.attributes["strides"]
    dilation = op.attributes.get("dilation", (1, 1))
    padding = op.attributes.get("padding", "VALID")
    above, across = linear.pad_widths((height, width), size, strides, dilation, padding)
    first = rows[0] * strides[0] - above[0]
    end = (rows[1] - 1) * strides[0] - above[0] + (size[0] - 1) * dilation[0] + 1
    inside = max(first, 0), min(end, height)
    return inside, (inside[0] - first, end - inside[1]), across
