"""Costs against numbers worked out by hand."""

import math

import numpy as np
import programs
import pytest
from cases import PUBLISHED

from aqtaudio.program.cost import OperationCost, cost, table
from aqtaudio.program.program import Edge, Operation, Program

pytestmark = pytest.mark.optimized("slow")


def ds_cnn_s(**options) -> Program:
    return programs.ds_cnn(classes=12, **options)


def test_ds_cnn_s():
    """25 x 5 positions: 40 MACs per channel, then four blocks of 9 and 64, then 64 x 12."""
    costs = cost(ds_cnn_s())
    positions = 25 * 5
    macs = positions * 64 * (40 + 4 * (9 + 64)) + 64 * 12
    assert costs.total("macs") == macs == PUBLISHED[0].macs == 2_656_768
    assert costs.total("params") == PUBLISHED[0].params == 22_604
    biases = 9 * 64 + 12
    assert costs.total("weight_bytes") == (22_604 - biases) + 4 * biases
    assert costs.activation_bytes == 2 * positions * 64
    assert costs.state_bytes == 0


def test_rows_name_every_operation():
    program = ds_cnn_s()
    rows = {row.name: row for row in cost(program).operations}
    assert list(rows) == [op.name for op in program.operations]
    stem = rows["stem"]
    assert (stem.kind, stem.output_shape) == ("conv2d", (25, 5, 64))
    assert (stem.params, stem.macs) == (10 * 4 * 64 + 64, 125 * 64 * 40)
    depthwise = rows["block0/depthwise"]
    assert (depthwise.params, depthwise.macs) == (9 * 64 + 64, 125 * 64 * 9)
    assert (rows["pool"].params, rows["pool"].macs, rows["pool"].bitops) == (0, 0, 0)
    assert rows["logits"].macs == 64 * 12


@pytest.mark.parametrize(("weight_bits", "activation_bits"), [(8, 8), (4, 8), (4, 4)])
def test_bit_operations(weight_bits: int, activation_bits: int):
    """MACs times the bits of what is multiplied; the input edge always has 8."""
    costs = cost(ds_cnn_s(weight_bits=weight_bits, activation_bits=activation_bits))
    stem = 125 * 64 * 40
    expected = weight_bits * (stem * 8 + (2_656_768 - stem) * activation_bits)
    assert costs.total("bitops") == expected
    assert costs.total("macs") == 2_656_768


@pytest.mark.parametrize(("bits", "width"), [((8, 8), 8), ((4, 8), 8), ((2, 4), 4), ((3, 3), 4)])
def test_the_linear_cost_counts_the_wider_operand(bits: tuple[int, int], width: int):
    costs = cost(ds_cnn_s(weight_bits=bits[0], activation_bits=bits[1]))
    stem = 125 * 64 * 40
    assert costs.total("linear_cost") == stem * 8 + (2_656_768 - stem) * width


def test_int4_weights_are_packed():
    program = programs.ds_cnn(shape=(13, 6, 1), width=7, blocks=1, classes=3, weight_bits=4)
    rows = {row.name: row for row in cost(program).operations}
    assert rows["logits"].weight_bytes == math.ceil(7 * 3 / 2) + 4 * 3
    assert rows["block0/depthwise"].weight_bytes == math.ceil(9 * 7 / 2) + 4 * 7


def test_low_rank_is_cheaper():
    full, thin = cost(ds_cnn_s()), cost(ds_cnn_s(rank=16))
    saved = 4 * 125 * 64 * (64 - 2 * 16)
    assert full.total("macs") - thin.total("macs") == saved
    # Both factors have a bias in the file.
    assert full.total("params") - thin.total("params") == 4 * (64 * 64 - 2 * 64 * 16 - 16)


def test_json_has_the_totals_and_the_rows():
    costs = cost(ds_cnn_s())
    found = costs.to_json()
    rows = found["operations"]
    for key in ("params", "macs", "bitops", "linear_cost", "weight_bytes"):
        assert found[key] == sum(row[key] for row in rows) == costs.total(key)
    assert found["state_bytes"] == 0


def test_the_table_is_readable(capsys: pytest.CaptureFixture):
    table(cost(ds_cnn_s(weight_bits={"block1/pointwise": 4})))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(ds_cnn_s().operations)
    row = next(line for line in lines if "block1/pointwise" in line)
    assert "4/8" in row and "512,000" in row and "25x5x64" in row
    assert max(map(len, lines)) <= 110


def weights(*shape: int, fill: int = 1) -> dict[str, np.ndarray]:
    return {
        "weights": np.full(shape, fill, np.int8),
        "bias": np.zeros(shape[-1], np.int32),
        "weight_scale": np.ones(shape[-1], np.float32),
    }


def rows(edges: dict[str, tuple[int, ...]], *operations: Operation, bits: int = 8):
    """By name, the costs of a program whose input is the first edge; and its activation bytes."""
    grids = {name: Edge(name, shape, 1.0, 0, bits) for name, shape in edges.items()}
    first = next(iter(edges))
    found = cost(Program(grids, operations, (first,), (operations[-1].output,)))
    return {row.name: row for row in found.operations}, found.activation_bytes


def operation(kind: str, name: str, *inputs: str, **attributes) -> Operation:
    constants = attributes.pop("constants", {})
    return Operation(kind, name, inputs, name, attributes, constants)


def test_grouped_and_multiplied_convolutions():
    """A group sees its own input channels; a depthwise filter sees one."""
    found, _ = rows(
        {"input": (5, 4, 6), "grouped": (5, 4, 8), "depthwise": (5, 4, 16)},
        operation("conv2d", "grouped", "input", weight_bits=8, constants=weights(3, 3, 2, 8)),
        operation("depthwise_conv2d", "depthwise", "grouped", weight_bits=4,
                  constants=weights(3, 1, 16)),
    )  # fmt: skip
    assert found["grouped"].macs == 20 * 8 * 9 * 2
    assert found["depthwise"].macs == 20 * 16 * 3
    assert found["depthwise"].weight_bytes == 3 * 16 // 2 + 4 * 16


@pytest.mark.parametrize("transposed", [False, True])
def test_products_of_activations(transposed: bool):
    """Multiply as a dense layer does, and keep nothing."""
    shape = (2, 7, 5) if transposed else (2, 5, 7)
    flags = {"transpose_a": transposed, "transpose_b": False}
    found, live = rows(
        {"a": shape, "b": (2, 7, 3), "product": (2, 5, 3)},
        operation("batch_matmul", "product", "a", "b", **flags),
    )
    row = found["product"]
    assert (row.macs, row.bitops) == (2 * 5 * 3 * 7, 2 * 5 * 3 * 7 * 64)
    assert (row.params, row.weight_bytes) == (0, 0)
    assert live == 70 + 42 + 30


@pytest.mark.parametrize("bits", [8, 16])
def test_wide_activations(bits: int):
    """int16 tensors have two bytes a code, and biases of eight."""
    scale = np.ones(6, np.int16)
    found, live = rows(
        {"input": (4, 5), "dense": (4, 6), "scale": (6,), "scaled": (4, 6)},
        operation("dense", "dense", "input", weight_bits=8, constants=weights(5, 6)),
        operation("constant", "scale", constants={"codes": scale}),
        operation("mul", "scaled", "dense", "scale"),
        bits=bits,
    )
    assert found["dense"].weight_bytes == 30 + 6 * (8 if bits == 16 else 4)
    assert found["dense"].bitops == 4 * 30 * 8 * bits
    assert (found["scale"].params, found["scale"].weight_bytes) == (6, 6 * bits // 8)
    assert live == 2 * 24 * bits // 8  # constants are in flash


def test_frames_share_weights():
    """Every frame of a recurrent layer multiplies; its weights are stored once."""

    def frame(number: int, fill: int) -> Operation:
        name = f"gru/cell/recurrent_kernel/t{number}"
        constants = weights(3, 9, fill=fill)
        return operation("dense", name, "input", weight_bits=8, constants=constants)

    def costs(*fills: int) -> list[OperationCost]:
        frames = [frame(number, fill) for number, fill in enumerate(fills)]
        return list(rows({"input": (1, 3)} | {f.name: (1, 9) for f in frames}, *frames)[0].values())

    assert [row.macs for row in costs(1, 1, 1)] == [27] * 3
    assert [row.params for row in costs(1, 1, 1)] == [36, 0, 0]
    assert [row.weight_bytes for row in costs(1, 2)] == [27 + 36] * 2  # not frames of one layer
