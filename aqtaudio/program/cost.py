"""What a program costs, per operation: parameters, MACs, bit-operations, bytes of weights.

Bit-operations = MACs * weight bits * activation bits (Abdolrashidi et al., "Pareto-Optimal
Quantized ResNet Is Mostly 4-bit", arXiv:2105.03536). File and arena bytes are properties of the
exported file and are measured on it (`program.check`).
"""

import dataclasses
import math
from typing import Any

from rich.console import Console
from rich.table import Table

from aqtaudio.program.program import Operation, Program


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
        totals = {key: self.total(key) for key in ("params", "macs", "bitops", "weight_bytes")}
        return totals | {
            "activation_bytes": self.activation_bytes,
            "state_bytes": self.state_bytes,
            "operations": [dataclasses.asdict(op) for op in self.operations],
        }


def cost(program: Program) -> Cost:
    """The cost table of a program."""
    edges = program.edges
    live = max(
        sum(math.prod(edges[name].shape) for name in (*op.inputs, op.output))
        for op in program.operations
    )
    return Cost(tuple(_operation_cost(program, op) for op in program.operations), live)


def _operation_cost(program: Program, op: Operation) -> OperationCost:
    source, target = program.edges[op.inputs[0]], program.edges[op.output]
    bits = op.attributes.get("weight_bits")
    weights = op.constants["weights"].size if bits else 0
    channels = op.constants["bias"].size if bits else 0
    macs = _macs(op, target.shape)
    return OperationCost(
        name=op.name,
        kind=op.kind,
        output_shape=target.shape,
        weight_bits=bits,
        activation_bits=source.bits,
        params=weights + channels,
        macs=macs,
        bitops=macs * (bits or 0) * source.bits,
        # Codes packed, bias int32.
        weight_bytes=-(-weights * (bits or 0) // 8) + 4 * channels,
    )


def _macs(op: Operation, output_shape: tuple[int, ...]) -> int:
    if op.kind not in ("conv2d", "depthwise_conv2d", "dense"):
        return 0
    weights = op.constants["weights"]
    per_output = weights.size // weights.shape[-1]
    return math.prod(output_shape) * per_output


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
