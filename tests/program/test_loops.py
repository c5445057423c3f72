"""Repetitions as loops: the same integers from a smaller file."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from initial import calibrated, initial
from operation_cases import CASES, RECIPES

from aqtaudio.program import flatbuffer
from aqtaudio.program import program as programs
from aqtaudio.program.cost import cost
from aqtaudio.program.execute import Executor
from aqtaudio.program.interpreters import running
from aqtaudio.program.joined import joined
from aqtaudio.program.loops import looped, loops
from aqtaudio.program.program import Program
from aqtaudio.program.tflite import to_tflite
from aqtaudio.vocabulary.recording import record

pytestmark = pytest.mark.optimized(False)

SLOW = [
    ("gru", "w8a8"),
    ("gru", "w4a8"),
    ("gru_bands", "w8a8"),
    ("lstm", "w8a8"),
    ("lstm", "memory_16"),
]
BANDS = "gru_bands", "w8a16"
REPEATED = [BANDS, *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)]
SINGLE = ("gru_reverse", pytest.param("gru_last", marks=pytest.mark.slow), "dense")
"""Rows from the last, a result of the last row alone, and no rows."""


@functools.cache
def recorded(name: str, precision: str) -> Program:
    case = CASES[name]
    x = np.random.default_rng(0).normal(size=(8, *case.features)).astype(np.float32)
    rng = np.random.default_rng(5)
    params = jax.tree.map(
        lambda p: p + 0.1 * rng.normal(size=p.shape).astype(np.float32),
        initial(case.model, x)["params"],
    )
    ranges = calibrated(case.model, params, [x], RECIPES[precision])
    variables = {"params": params, "ranges": ranges}
    return record(case.model, variables, case.features, RECIPES[precision])


@functools.cache
def files(name: str, precision: str) -> tuple[bytes, bytes]:
    """With loops and without."""
    before = recorded(name, precision)
    return to_tflite(looped(before)), to_tflite(before)


def codes_of(program: Program) -> np.ndarray:
    """Every code, at random."""
    edge = program.edges[program.inputs[0]]
    grid = edge.grid
    return (
        np.random.default_rng(0)
        .integers(grid.lowest, grid.highest + 1, (9, *edge.shape))
        .astype(edge.dtype)
    )


@pytest.mark.parametrize(("name", "precision"), REPEATED)
def test_integers_stay(name: str, precision: str):
    """In JAX, in TFLite Micro and in LiteRT."""
    before = recorded(name, precision)
    after, codes = looped(before), codes_of(before)
    assert after.loops
    expected = Executor(before)(codes)
    np.testing.assert_array_equal(Executor(after)(codes), expected)
    assert np.ptp(expected.astype(int), axis=0).max() > 20
    small, large = files(name, precision)
    for runtime in ("micro", "litert"):
        with running(small, runtime) as one, running(large, runtime) as other:
            np.testing.assert_array_equal(one.invoke(codes)[0], other.invoke(codes)[0])
            if runtime == "micro":
                np.testing.assert_array_equal(one.invoke(codes)[0], expected)


@pytest.mark.parametrize(("name", "precision"), REPEATED[:2])
def test_an_operation_is_in_the_file_once(name: str, precision: str):
    before = recorded(name, precision)
    rows = before.edges[before.outputs[0]].shape[-2]
    for file, times in zip(files(name, precision), (1, rows), strict=True):
        model = flatbuffer.read(file)
        names = [flatbuffer.operator_name(model, o) for g in model.subgraphs for o in g.operators]
        assert names.count("TANH") == times


def test_edges_inside_are_still_seen():
    """By those who ask for every edge."""
    before = recorded(*BANDS)
    codes = codes_of(before)
    found, expected = (Executor(p).edges(codes) for p in (looped(before), before))
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


def test_costs_are_those_of_all_repetitions():
    before = recorded(*BANDS)
    assert cost(looped(before)) == cost(before)


@pytest.mark.parametrize("name", SINGLE)
def test_what_does_not_repeat_stays(name: str):
    before = recorded(name, "w8a8")
    assert looped(before) == before


def test_rows_that_differ_are_no_loop():
    """In a weight, in a grid, or by somebody else who reads them."""
    before = recorded(*BANDS)
    (name,) = looped(before).loops
    loop = loops(looped(before))[name]
    place = [op.output for op in before.operations].index(loop.result)
    weighted = next(op for op in loop.body if "weights" in op.constants)
    other = dataclasses.replace(
        weighted, constants=dict(weighted.constants) | {"bias": weighted.constants["bias"] + 1}
    )
    edge = before.edges[loop.result]
    changed = [
        dataclasses.replace(
            before, operations=tuple(other if op is weighted else op for op in before.operations)
        ),
        dataclasses.replace(
            before,
            edges=dict(before.edges) | {edge.name: dataclasses.replace(edge, scale=edge.scale * 2)},
        ),
        dataclasses.replace(before, outputs=(*before.outputs, before.operations[place].output)),
    ]
    for program in changed:
        assert not looped(program).loops


def test_they_are_kept(tmp_path):
    program = looped(recorded(*BANDS))
    programs.save(program, tmp_path / "program.npz")
    assert programs.load(tmp_path / "program.npz").loops == program.loops
    unlooped = recorded(*BANDS)
    programs.save(unlooped, tmp_path / "unlooped.npz")
    assert "loops" not in (tmp_path / "unlooped.json").read_text()


def test_two_programs_in_one_have_the_loops_of_both():
    first = looped(recorded(*BANDS))
    given, taken = first.edges[first.outputs[0]], first.edges[first.inputs[0]]
    width = dataclasses.replace(taken, shape=given.shape, scale=given.scale, zero_point=0)
    second = dataclasses.replace(first, edges=dict(first.edges) | {taken.name: width})
    both = joined(first, second)
    assert [loop.output for loop in loops(both).values()] == list(both.loops)
    assert len(both.loops) == 2
