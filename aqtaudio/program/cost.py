"""What a program costs, per operation: parameters, MACs, bit-operations, bytes of weights.

Bit-operations = MACs * weight bits * activation bits (Abdolrashidi et al., "Pareto-Optimal
Quantized ResNet Is Mostly 4-bit", arXiv:2105.03536); of a product of two activations, MACs * the
bits of both. The linear cost of the same paper = MACs * the wider operand's bits, rounded up to
what a multiplier is built for (4, 8, 16; 32 for float). File and arena bytes are properties of the
exported file and are measured on it (`program.check`).

The frames of an unrolled recurrent layer share its weights, which are counted at the first.
"""

import dataclasses
import math
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from aqtaudio.program.program import FRAME, Edge, Operation, Program
from aqtaudio.program.support import WEIGHTED


@dataclasses.dataclass(frozen=True)
class OperationCost:
    """One row of the cost table; sizes exclude the batch axis."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    weight_bits: int | None
    activation_bits: int
    params: int
    macs: int
    bitops: int
    linear_cost: int
    weight_bytes: int


@dataclasses.dataclass(frozen=True)
class Cost:
    """A program's costs; `activation_bytes` is the largest sum of an operation's edges."""

    operations: tuple[OperationCost, ...]
    activation_bytes: int
    state_bytes: int = 0

    def total(self, field: str) -> int:
        """Sum of a column."""
        return sum(getattr(op, field) for op in self.operations)

    def to_json(self) -> dict[str, Any]:
        """Totals and rows."""
        totals = ("params", "macs", "bitops", "linear_cost", "weight_bytes")
        return {key: self.total(key) for key in totals} | {
            "activation_bytes": self.activation_bytes,
            "state_bytes": self.state_bytes,
            "operations": [dataclasses.asdict(op) for op in self.operations],
        }


def cost(program: Program) -> Cost:
    """The cost table of a program."""
    in_flash = {op.output for op in program.operations if op.kind == "constant"}
    live = max(
        sum(program.edges[name].bytes for name in {*op.inputs, op.output} - in_flash)
        for op in program.operations
    )
    known: dict[str, Operation] = {}
    rows = []
    for op in program.operations:
        first = known.setdefault(FRAME.sub("", op.name), op)
        rows.append(_operation_cost(program, op, is_shared=op is not first and _same(op, first)))
    return Cost(tuple(rows), live, program.state_bytes)


def _same(a: Operation, b: Operation) -> bool:
    return "weights" in a.constants and np.array_equal(
        a.constants["weights"], b.constants.get("weights", ())
    )


def _operation_cost(program: Program, op: Operation, is_shared: bool) -> OperationCost:
    target = program.edges[op.output]
    inputs = [program.edges[name] for name in op.inputs]
    macs = _macs(op, inputs, target.shape)
    weight_bits = op.attributes.get("weight_bits")
    if op.kind == "batch_matmul":
        weight_bits = inputs[1].bits
    activation_bits = (inputs or [target])[0].bits
    params, stored = (0, 0) if is_shared else _stored(op, target)
    return OperationCost(
        name=op.name,
        kind=op.kind,
        output_shape=target.shape,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        params=params,
        macs=macs,
        bitops=macs * (weight_bits or 0) * activation_bits,
        linear_cost=macs * multiplier_bits(max(weight_bits or 0, activation_bits)),
        weight_bytes=stored,
    )


def multiplier_bits(bits: int) -> int:
    """The narrowest multiplier that takes operands of so many bits."""
    return next(width for width in (4, 8, 16, 32) if bits <= width)


def _stored(op: Operation, target: Edge) -> tuple[int, int]:
    """Numbers that an operation keeps, and their bytes."""
    if op.kind == "constant":
        size = op.constants["codes"].size
        return size if op.attributes.get("trained", True) else 0, target.bytes
    if op.kind not in WEIGHTED:
        return 0, 0
    weights, channels = op.constants["weights"].size, op.constants["bias"].size
    # Codes packed; biases int32, among int16 activations int64.
    packed = -(-weights * op.attributes["weight_bits"] // 8)
    return weights + channels, packed + (8 if target.bits == 16 else 4) * channels


def _macs(op: Operation, inputs: list[Edge], output_shape: tuple[int, ...]) -> int:
    if op.kind == "batch_matmul":
        depth = inputs[0].shape[-2 if op.attributes["transpose_a"] else -1]
    elif op.kind in WEIGHTED:
        weights = op.constants["weights"]
        depth = weights.size // weights.shape[-1]
    else:
        return 0
    return math.prod(output_shape) * depth


def table(costs: Cost) -> None:
    """Prints the cost table, an operation per row."""
    columns = (
        "operation",
        "kind",
        "output",
        "bits w/a",
        "params",
        "MACs",
        "bit-operations",
        "bytes",
    )
    grid = Table(*columns, box=None, header_style="bold")
    for column in grid.columns[3:]:
        column.justify = "right"
    for op in costs.operations:
        shape = "x".join(map(str, op.output_shape))
        bits = f"{op.weight_bits}/{op.activation_bits}" if op.weight_bits else ""
        counts = (op.params, op.macs, op.bitops, op.weight_bytes)
        grid.add_row(op.name, op.kind, shape, bits, *(f"{n:,}" if n else "" for n in counts))
    Console(width=110).print(grid)
