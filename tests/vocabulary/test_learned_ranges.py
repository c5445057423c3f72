"""Learned step sizes: LSQ's gradient at every edge, and the device's integers all the same."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import RECIPES, SMALL
from flax.traverse_util import flatten_dict
from initial import calibrated, initial
from trained import (
    Quant,
    cross_entropy,
    folded,
    random_classes,
    random_features,
    training_step,
)

from aqtaudio.experiment import Experiment
from aqtaudio.program.compiler import compiled
from aqtaudio.program.execute import Executor
from aqtaudio.recipe import Recipe, Rule
from aqtaudio.settings import overlay
from aqtaudio.training.learned_ranges import changed, logarithmic, replaced, trained
from aqtaudio.training.phases import quantized_phase
from aqtaudio.vocabulary.aqt_arithmetic import weight_codes
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.layers import GRU, Add, Attention, Conv2D, Dense, Input, Reshape
from aqtaudio.vocabulary.quantized import Quantized
from aqtaudio.vocabulary.signal import start

pytestmark = pytest.mark.optimized("slow")

FEATURES = (9,)


class Net(nn.Module):
    """Every way by which a kernel makes an edge of its own: dot, element-wise, input."""

    @nn.compact
    def __call__(self, x):
        x = Input(FEATURES, name="input")(x)
        a = Dense(6, relu=True, name="a")(x)
        b = Dense(6, name="b")(x)
        return Dense(3, name="out")(Add(name="sum")(a, b))


def recipe_of(bits: int) -> Recipe:
    return Recipe(rules=(Rule(activation_bits=bits, calibration="max"),), learn_ranges=True)


def net(bits: int, shrink: dict[str, float] | None = None):
    """(variables, features): calibrated, then ranges changed by the factors in `shrink`."""
    rng = np.random.default_rng(0)
    features = jnp.float32(rng.normal(size=(16, *FEATURES)))
    params = initial(Net(), features, 1)["params"]
    params = jax.tree.map(lambda p: p + 0.1 * jnp.float32(rng.normal(size=p.shape)), params)
    ranges = calibrated(Net(), params, [features], recipe_of(bits))
    for name, factor in (shrink or {}).items():
        ranges[name]["output"]["scale"] *= np.float32(factor)
    return {"params": params, "ranges": ranges}, features


def scales_of(variables) -> dict[str, jax.Array]:
    return {name: edge["output"]["scale"] for name, edge in variables["ranges"].items()}


def with_scales(variables, scales):
    ranges = {
        name: {"output": edge["output"] | {"scale": scales[name]}}
        for name, edge in variables["ranges"].items()
    }
    return variables | {"ranges": ranges}


def reach(name: str, bits: int) -> tuple[int, int]:
    """The codes of an edge less its zero point."""
    if bits == 16:
        return 0 if name == "a" else -32768, 32767
    if name == "a":
        return 0, 2**bits - 1
    return -128, 127


@functools.cache
def differences(bits: int):
    """(LSQ's gradients by finite differences, and as the model gives them)."""
    shrink = {"input": 0.6, "a": 0.5, "b": 0.7, "sum": 0.5, "out": 0.6}
    variables, features = net(bits, shrink)
    h = np.random.default_rng(1).normal(size=(16, 3))

    @compiled
    def native(scales):
        def loss(scales):
            signal = start(features, Quantized(recipe_of(bits)))
            state = with_scales(variables, scales)
            out, sown = Net().apply(state, signal, mutable=["codes"])
            return jnp.sum(jnp.float32(h) * out.real()), sown["codes"]

        return jax.grad(loss, has_aux=True)(scales)

    scales = scales_of(variables)
    found, codes = native(scales)
    weights = {}
    for name in ("a", "b", "out"):
        layer = variables["params"][name]
        kernel, scale = jax.jit(weight_codes, static_argnums=(2, 3))(
            layer["kernel"], jnp.zeros(layer["bias"].shape), 8, False
        )
        weights[name] = np.float64(kernel) * np.float64(scale), np.float64(layer["bias"])
    codes = {name: np.float64(c["output"][0]) for name, c in codes.items()}
    codes["a"] -= 0 if bits == 16 else 128 - 2**bits if bits < 8 else -128

    def objective(scales, rest=None):
        """What straight-through gradients are gradients of: what rounding adds stays put."""
        kept = {}

        def edge(name, values):
            low, high = reach(name, bits)
            # The clip bites where the rounded code is outside.
            clipped = np.clip(values / scales[name], low - 0.5, high + 0.5)
            kept[name] = codes[name] - clipped if rest is None else rest[name]
            return scales[name] * (clipped + kept[name])

        def dense(name, x):
            kernel, bias = weights[name]
            return x @ kernel + bias

        x = edge("input", np.float64(features))
        y = edge("sum", edge("a", dense("a", x)) + edge("b", dense("b", x)))
        return np.sum(h * edge("out", dense("out", y))), kept

    exact = {name: float(scale) for name, scale in scales.items()}
    rest = objective(exact)[1]
    expected = {}
    for name, scale in exact.items():
        ends = [objective(exact | {name: scale * (1 + sign * 1e-7)}, rest)[0] for sign in (1, -1)]
        count = codes[name][0].size
        expected[name] = (
            (ends[0] - ends[1]) / (2e-7 * scale) / np.sqrt(count * reach(name, bits)[1])
        )
    return expected, {name: float(value) for name, value in found.items()}


@pytest.mark.parametrize("bits", [8, pytest.param(4, marks=pytest.mark.slow), 16])
@pytest.mark.parametrize("name", ["input", "a", "b", "sum", "out"])
def test_gradients_of_scales_are_those_of_the_surrogate(name: str, bits: int):
    expected, found = differences(bits)
    assert abs(expected[name]) > 1e-4
    assert found[name] == pytest.approx(expected[name], rel=2e-3, abs=2e-5)


def test_without_the_setting_scales_are_constants():
    variables, features = net(8)

    def loss(scales):
        signal = start(features, Quantized(Recipe()))
        return jnp.sum(Net().apply(with_scales(variables, scales), signal).real() ** 2)

    assert not any(compiled(jax.grad(loss))(scales_of(variables)).values())


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("a", 0.2),
        ("out", 6.0),
        pytest.param("a", 6.0, marks=pytest.mark.slow),
        pytest.param("out", 0.2, marks=pytest.mark.slow),
    ],
)
def test_a_wrong_range_comes_back_and_the_loss_falls(name: str, factor: float):
    """Only that scale is trained; the model is to be the float model."""
    bits = 4 if name == "a" else 8
    variables, features = net(bits, {name: factor})
    wanted = jax.jit(lambda v: Net().apply(v, start(features, Floating())).values)(variables)
    optimizer = optax.adam(0.05)

    @compiled
    def step(scale, state):
        def loss(scale):
            scales = scales_of(variables) | {name: scale}
            signal = start(features, Quantized(recipe_of(bits)))
            out = Net().apply(with_scales(variables, scales), signal)
            return jnp.mean((out.real() - wanted) ** 2)

        value, gradient = jax.value_and_grad(loss)(scale)
        change, state = optimizer.update(gradient * scale, state)
        return value, scale * jnp.exp(change), state

    first = scale = scales_of(variables)[name]
    state, losses = optimizer.init(scale), []
    for _ in range(40):
        value, scale, state = step(scale, state)
        losses.append(float(value))
    assert (scale > 1.5 * first) if factor < 1 else (scale < first / 1.5)
    assert losses[-1] < losses[0] / 2


def fine_tuned(recipe: Recipe, steps: int = 4) -> tuple[Quant, dict]:
    """A model whose scales have been trained with its weights; and the ranges before."""
    phase = quantized_phase(overlay(Experiment(), {"recipe": recipe, "finetune.steps": steps}))
    params = folded(SMALL, recipe)
    batches = [random_features(SMALL, seed=seed) for seed in range(3)]
    ranges = calibrated(SMALL.model, params, batches, recipe)
    variables, optimizer = {"params": params, "ranges": ranges}, optax.adam(2e-3)

    @compiled
    def step(variables, state, features, classes):
        values = trained(variables, phase)

        def loss(values):
            signal = start(features, phase.reading)
            out = SMALL.model.apply(replaced(variables, values, phase), signal)
            return cross_entropy(out.real(), classes)

        gradients = logarithmic(jax.grad(loss)(values), values, phase)
        changes, state = optimizer.update(gradients, state)
        return replaced(variables, changed(values, changes, phase), phase), state

    state = optimizer.init(trained(variables, phase))
    for number in range(steps):
        data = batches[number % 3], random_classes(SMALL, seed=number % 3)
        variables, state = step(variables, state, *data)
    after = variables["ranges"]
    again = training_step(SMALL, Quantized(recipe), after)
    return Quant(SMALL, recipe, again, variables["params"], after), ranges


@pytest.mark.parametrize("name", ["mixed"])
def test_training_step_and_program_agree_after_ranges_were_learned(name: str):
    quant, before = fine_tuned(overlay(RECIPES[name], {"learn_ranges": True}))
    for layer, edge in quant.ranges.items():
        for part, values in edge.items():
            scale = values["scale"]
            assert scale.dtype == np.float32 and scale > 0
            assert scale != before[layer][part]["scale"], (layer, part)
            assert values["batches"] == before[layer][part]["batches"]
    executor = Executor(quant.program)
    features = np.concatenate(
        [gain * random_features(SMALL, 8, seed=7) for gain in (0.1, 1, 3, 1e6)]
    )
    found = executor.edges(executor.quantize(features))
    for edge, codes in quant.codes(features).items():
        np.testing.assert_array_equal(found[edge], codes, err_msg=edge)


def test_relu6_ends_at_six_at_most():
    class Six(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = Input((4, 4, 2), name="input")(x)
            x = Conv2D(3, most=6.0, norm=False, name="conv")(x)
            return Dense(2, name="out")(Reshape((-1,), name="flat")(x))

    features = 9 * jnp.float32(np.random.default_rng(0).normal(size=(4, 4, 4, 2)))
    params = initial(Six(), features)["params"]
    ranges = calibrated(Six(), params, [features], recipe_of(8))
    ranges["conv"]["output"]["scale"] *= 3
    signal = start(features, Quantized(recipe_of(8)))

    @jax.jit
    def conv(ranges):
        variables = {"params": params, "ranges": ranges}
        _, seen = Six().apply(variables, signal, capture_intermediates=True)
        return seen["intermediates"]["conv"]["__call__"][0].real()

    assert conv(ranges).max() == pytest.approx(6)


@pytest.mark.slow
def test_ranges_of_products_and_of_scans_learn():
    class Both(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = Attention(2, (2, 0), name="attention")(Input((5, 6), name="input")(x))
            return GRU(4, name="gru")(x)

    features = jnp.float32(np.random.default_rng(0).normal(size=(4, 5, 6)))
    params = initial(Both(), features)["params"]
    ranges = calibrated(Both(), params, [features], recipe_of(8))

    def loss(ranges):
        signal = start(features, Quantized(recipe_of(8)))
        return jnp.sum(Both().apply({"params": params, "ranges": ranges}, signal).real() ** 2)

    found = compiled(jax.grad(loss, allow_int=True))(ranges)
    for path, value in flatten_dict(found).items():
        if path[-1] == "scale":
            assert np.isfinite(value) and value != 0, path
