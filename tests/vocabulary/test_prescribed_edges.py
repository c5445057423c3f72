"""Edges whose grid the model prescribes: a floor where codes saturate."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from initial import calibrated, initial

from aqtaudio.errors import BadInput
from aqtaudio.program.execute import Executor
from aqtaudio.program.micro import Micro
from aqtaudio.program.tflite import to_tflite
from aqtaudio.recipe import W4A8, W8A8, W8A16, low_rank
from aqtaudio.vocabulary.edges import Fixed, floored
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.layers import Conv2D, Input, LeakyRelu
from aqtaudio.vocabulary.quantized import Quantized
from aqtaudio.vocabulary.recording import record
from aqtaudio.vocabulary.signal import Signal, start

SHAPE = (6, 8)
INPUT = Fixed(0.05, -120, None)


class Floored(nn.Module):
    """max(LeakyReLU(x, 0.2), -0.4) of a convolution, and what reads it."""

    @nn.compact
    def __call__(self, x: Signal) -> Signal:
        x = Input((*x.shape, 1), INPUT, name="input")(x)
        x = Conv2D(4, (3, 3), norm=False, edge=floored(-2.0, 30), name="conv")(x)
        x = LeakyRelu(0.2, floored(-0.4, 6), name="leaky")(x)
        return Conv2D(3, (1, 3), norm=False, relu=False, name="last")(x)


MODEL = Floored()


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    return np.random.default_rng(0).normal(2, 3, (16, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="module")
def params(features) -> dict:
    found = initial(MODEL, features)["params"]
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda p: p + 0.2 * rng.normal(size=p.shape).astype(np.float32), found)


def test_a_floor_is_the_least_code():
    grid = floored(-0.4, 6).grid(wide=False)
    assert (grid.lowest - grid.zero_point) * grid.scale == pytest.approx(-0.4)
    assert grid.zero_point == -122


def test_in_float_it_is_a_maximum(features, params):
    """Of the convolution's edge too: what is below -2 is below -0.4 after the activation."""
    x = jnp.asarray(np.maximum(features, 0))
    seen = MODEL.apply(
        {"params": params},
        start(x, Floating()),
        capture_intermediates=True,
        mutable=["intermediates"],
    )[1]["intermediates"]
    conv, leaky = (np.asarray(seen[name]["__call__"][0].values) for name in ("conv", "leaky"))
    assert conv.min() == -2.0 and leaky.min() == np.float32(-0.4)
    np.testing.assert_allclose(leaky, np.maximum(np.where(conv > 0, conv, 0.2 * conv), -0.4))


@pytest.mark.parametrize(
    "recipe",
    [W8A8, pytest.param(W4A8, marks=pytest.mark.slow), low_rank("conv", 0.0, 0.9)],
    ids=["8", "4", "rank"],
)
def test_micro_has_the_same_integers(features, params, recipe):
    ranges = calibrated(MODEL, params, [features], recipe)
    assert "output" not in ranges.get("conv", {}) and "input" not in ranges
    program = record(MODEL, {"params": params, "ranges": ranges}, SHAPE, recipe)
    rng = np.random.default_rng(2)
    codes = rng.integers(-128, 128, (50, *SHAPE, 1), np.int8)
    expected = Executor(program)(codes)
    with Micro(to_tflite(program)) as micro:
        np.testing.assert_array_equal(micro.invoke(codes)[0], expected)
    assert len(np.unique(expected)) > 20


def test_nothing_below_the_floor_has_a_gradient(features, params):
    ranges = calibrated(MODEL, params, [features], W8A8)

    def total(bias: jax.Array) -> jax.Array:
        changed = params | {"conv": params["conv"] | {"bias": bias}}
        signal = start(jnp.asarray(features), Quantized(W8A8))
        return jnp.sum(MODEL.apply({"params": changed, "ranges": ranges}, signal).real())

    gradient = jax.jit(jax.grad(total))
    assert np.any(gradient(params["conv"]["bias"]))
    assert not np.any(gradient(params["conv"]["bias"] - 1000))


def test_sixteen_bits_are_refused(features, params):
    with pytest.raises(BadInput, match="8-bit activations"):
        record(MODEL, {"params": params, "ranges": {}}, SHAPE, W8A16)
