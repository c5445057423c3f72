"""Forms for all kernels: the same integers, and nothing left that a library gets wrong."""

import dataclasses
import functools
import itertools
import math

import jax
import numpy as np
import pytest
from board_kernels import CmsisNN, needed
from hypothesis import given, settings
from hypothesis import strategies as st
from initial import calibrated, initial
from operation_cases import Net, op
from operation_programs import codes

from aqtaudio.errors import BadInput
from aqtaudio.program import execute, inspection, portable, support
from aqtaudio.program.execute import Executor
from aqtaudio.program.kernel_libraries import difference_is_one
from aqtaudio.program.litert import LiteRT
from aqtaudio.program.micro import Micro
from aqtaudio.program.program import Program
from aqtaudio.program.tflite import to_tflite
from aqtaudio.recipe import Recipe, Rule
from aqtaudio.vocabulary import layers as L
from aqtaudio.vocabulary.recording import record, require_recordable

BARE = {"relu": False, "norm": False}
WIDE = Recipe(rules=(Rule(activation_bits=16, calibration="max"),))
FOUR = Recipe(rules=(Rule(weight_bits=4, calibration="max"),))
EIGHT = Recipe(rules=(Rule(calibration="max"),))


def _difference(x):
    a, b = L.Dense(5, name="a")(x), L.Dense(5, relu=True, name="b")(x)
    return L.Sub(name="op")(a, b)


# name: recipe, shape of an input, body, what is said of it
CASES = {
    "grouped": (WIDE, (6, 5, 24), op(L.Conv2D, 36, (3, 1), groups=12, **BARE), "per group"),
    "grouped, 4 bits": (FOUR, (6, 5, 8), op(L.Conv2D, 12, (3, 1), groups=4, **BARE), "per group"),
    "dense": (WIDE, (4, 7), op(L.Dense, 5), "1x1 convolution"),
    "transpose": (EIGHT, (3, 2, 4, 5), op(L.Transpose, (3, 1, 0, 2)), "fewer axes"),
    "transpose of one frame": (EIGHT, (1, 5, 4, 6), op(L.Transpose, (0, 2, 1, 3)), "fewer axes"),
    "sub": (EIGHT, (4, 6), _difference, ""),
    "sub, wide": (WIDE, (4, 6), _difference, "1x1 convolution"),
    "relu, wide": (WIDE, (4, 6), op(L.Relu), ""),
    "leaky relu, wide": (WIDE, (4, 6), op(L.LeakyRelu, 0.2), ""),
    "depthwise of one channel": (
        FOUR,
        (6, 5, 1),
        op(L.DepthwiseConv2D, multiplier=4, **BARE),
        "8 bits",
    ),
    "depthwise of 12": (FOUR, (6, 5, 12), op(L.DepthwiseConv2D, **BARE), "8 bits"),
    "dilated depthwise": (
        FOUR,
        (9, 5, 8),
        op(L.DepthwiseConv2D, dilation=(2, 1), **BARE),
        "8 bits",
    ),
}

FAST = (
    "grouped, 4 bits",
    "dense",
    "transpose",
    "sub",
    "sub, wide",
    "relu, wide",
    "depthwise of 12",
)
"""Each form once."""


@functools.cache
def made(name: str, kernels: str):
    """Model, variables, shape and recipe."""
    recipe, shape, body, _ = CASES[name]
    recipe, model = dataclasses.replace(recipe, kernels=kernels), Net(shape, body)
    x = np.random.default_rng(0).normal(size=(4, *shape)).astype(np.float32)
    params = initial(model, x).get("params", {})
    noise = np.random.default_rng(1)
    params = jax.tree.map(lambda p: p + 0.1 * noise.normal(size=p.shape).astype("f"), params)
    ranges = calibrated(model, params, [x], recipe)
    return model, {"params": params, "ranges": ranges}, shape, recipe


def wrong_on(model: bytes) -> dict[str, list[str]]:
    return inspection.inspect_file(model)["kernel_reasons"]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in CASES]
)
def test_the_same_integers_in_operations_that_are_right_everywhere(name: str):
    old = record(*made(name, "reference"))
    new = portable.portable(old)
    support.require(new)
    assert list(portable.changes(new)) == [] and new != old
    assert any(wrong_on(to_tflite(old)).values())
    blob, inputs = to_tflite(new), codes(old, 40)
    assert wrong_on(blob) == {"reference": [], "cmsis-nn": [], "litert": []}
    before = Executor(old)(inputs)
    np.testing.assert_array_equal(before, Executor(new)(inputs))
    with Micro(blob) as micro:
        np.testing.assert_array_equal(before, micro.invoke(inputs)[0])


@needed
@pytest.mark.parametrize("name", CASES)
def test_cmsis_nn_computes_them(name: str):
    program = record(*made(name, "everywhere"))
    inputs = codes(program, 200)
    with CmsisNN(to_tflite(program)) as board:
        np.testing.assert_array_equal(Executor(program)(inputs), board.invoke(inputs)[0])


@pytest.mark.parametrize("name", CASES)
def test_what_is_replaced_is_said_before_training(name: str):
    told = require_recordable(*made(name, "everywhere"))
    expected = CASES[name][-1]
    assert all("recipe.kernels reference" in line for line in told)
    assert any(expected in line for line in told) if expected else told == []
    assert require_recordable(*made(name, "reference")) == []


@pytest.mark.parametrize("name", ["depthwise of 12", "dilated depthwise"])
def test_what_litert_computes_wrong_is_refused(name: str, monkeypatch: pytest.MonkeyPatch):
    program = record(*made(name, "reference"))
    inputs = codes(program, 40)
    with pytest.raises(BadInput, match="op: LiteRT computes this 4-bit depthwise .* wrong; use 8"):
        Executor(program, target="litert")
    monkeypatch.setattr(execute, "require_litert", lambda program: None)
    with LiteRT(to_tflite(program)) as litert:
        assert (litert.invoke(inputs)[0] != Executor(program, target="litert")(inputs)).any()


def test_layers_that_must_have_8_bits_use_them():
    """Not 4-bit codes in an 8-bit tensor."""
    program = record(*made("depthwise of 12", "everywhere"))
    (layer,) = (op for op in program.operations if op.kind == "depthwise_conv2d")
    assert layer.attributes["weight_bits"] == 8 and np.abs(layer.constants["weights"]).max() == 127


def edges_between(program: Program) -> set[str]:
    return {name for op in program.operations for name in op.inputs}


def test_edges_are_made_before_they_are_read():
    program = portable.portable(record(*made("grouped", "reference")))
    seen = set(program.inputs)
    for operation in program.operations:
        assert set(operation.inputs) <= seen
        seen.add(operation.output)
    assert seen == set(program.edges) and edges_between(program) <= seen


shapes = st.lists(st.integers(1, 4), min_size=1, max_size=6)


@settings(deadline=None, derandomize=True, database=None)
@given(shapes.flatmap(lambda s: st.tuples(st.just(s), st.permutations(range(len(s))))))
def test_any_transpose_is_some_of_three_axes(case):
    shape, permutation = map(tuple, case)
    x = np.arange(math.prod(shape)).reshape(shape)
    y = x
    for size, order in portable._steps(shape, permutation):
        assert len(size) <= portable.LAYOUT_AXES
        y = y.reshape(size).transpose(order)
    np.testing.assert_array_equal(y.ravel(), x.transpose(permutation).ravel())


@pytest.mark.parametrize("wide", [False, True])
def test_powers_of_two_apart_every_release_derives_the_same_multipliers(wide: bool):
    powers = [2.0**-n for n in (3, 5, 9)]
    assert all(
        difference_is_one(3 * a, 3 * b, 3 * y, wide)
        for a, b, y in itertools.product(powers, repeat=3)
    )
    assert not difference_is_one(0.1, 0.07, 0.05, wide)


def test_frames_share_weights_in_this_form_too():
    """A frame's number stays at the end of names: costs count shared weights once by it."""
    assert portable._part("gru/cell/t12", "conv") == "gru/cell/conv/t12"
    assert portable._part("gru/t1x", "conv") == "gru/t1x/conv"
