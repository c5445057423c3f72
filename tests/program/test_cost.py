"""Costs against numbers worked out by hand."""

import math

import programs
import pytest
from cases import PUBLISHED

from aqtaudio.program.cost import cost, table
from aqtaudio.program.program import Program


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
    for key in ("params", "macs", "bitops", "weight_bytes"):
        assert found[key] == sum(row[key] for row in rows) == costs.total(key)
    assert found["state_bytes"] == 0


def test_the_table_is_readable(capsys: pytest.CaptureFixture):
    table(cost(ds_cnn_s(weight_bits={"block1/pointwise": 4})))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(ds_cnn_s().operations)
    row = next(line for line in lines if "block1/pointwise" in line)
    assert "4/8" in row and "512,000" in row and "25x5x64" in row
    assert max(map(len, lines)) <= 110
