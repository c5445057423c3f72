"""The quantized reading: AQT's weight quantizers and dots, and what it refuses."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from aqt.jax.v2 import aqt_conv_general, config
from cases import RECIPES, SMALL
from trained import (
    OPTIMIZER,
    floating,
    folded,
    quantized,
    random_classes,
    random_features,
    training_step,
    untrained,
)

from aqtaudio.recipe import Recipe
from aqtaudio.vocabulary.aqt_arithmetic import fake_quant_weights, weight_codes
from aqtaudio.vocabulary.edge_grids import edge_grid
from aqtaudio.vocabulary.quantized import Quantized
from aqtaudio.vocabulary.signal import start

pytestmark = pytest.mark.optimized("slow")

INT8_DOT = re.compile(
    r"stablehlo\.dot_general .*\(tensor<[0-9x]+xi8>, tensor<[0-9x]+xi8>\) -> tensor<[0-9x]+xi32>"
)
codes_of = jax.jit(weight_codes, static_argnums=(2, 3))


@pytest.mark.parametrize("recipe", ["w8a8", "w4a8", "w4a4"])
def test_integer_engine_lowers_to_int8_dots(recipe: str):
    trained = quantized("w8a8")
    reading = Quantized(RECIPES[recipe], integer=True)
    step = training_step(SMALL, reading, trained.ranges)
    arguments = trained.params, OPTIMIZER.init(trained.params), random_features(SMALL)
    text = step.lower(*arguments, random_classes(SMALL)).as_text()
    dots = 1 + SMALL.model.blocks + 1
    assert len(INT8_DOT.findall(text)) == dots


def kernel(*shape: int, seed: int = 0) -> np.ndarray:
    """Weights whose channels differ in size by up to 2**10."""
    rng = np.random.default_rng(seed)
    sizes = np.exp2(rng.uniform(-10, 0, shape[-1]))
    return (rng.normal(size=shape) * sizes).astype(np.float32)


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("shape", [(3, 3, 5, 16), (3, 3, 16), (40, 7)])
def test_weight_codes_are_aqts(shape: tuple[int, ...], bits: int):
    w = kernel(*shape)
    codes, scale = codes_of(w, jnp.zeros(shape[-1]), bits, False)
    peak = 2 ** (bits - 1) - 1
    largest = np.abs(w).max(tuple(range(w.ndim - 1)))
    assert scale.shape == (shape[-1],) and scale.dtype == jnp.float32
    np.testing.assert_allclose(scale, largest / (peak + 0.5), rtol=2e-7)
    np.testing.assert_array_equal(codes, np.clip(np.rint(w / np.asarray(scale)), -peak, peak))
    assert (np.abs(codes).max(tuple(range(w.ndim - 1))) == peak).all()


@pytest.mark.parametrize("bits", [8, 4])
def test_per_tensor_codes_have_one_scale(bits: int):
    w = kernel(40, 7)
    codes, scale = codes_of(w, jnp.zeros(7), bits, True)
    peak = 2 ** (bits - 1) - 1
    np.testing.assert_allclose(scale, [np.abs(w).max() / (peak + 0.5)], rtol=2e-7)
    np.testing.assert_array_equal(codes, np.clip(np.rint(w / np.asarray(scale)), -peak, peak))


def test_dense_int4_is_per_tensor_all_else_per_channel():
    for op in untrained(recipe_name="w4a8").operations:
        if "weights" in op.constants:
            channels = op.constants["bias"].size
            assert op.constants["weight_scale"].size == (1 if op.kind == "dense" else channels)
            assert np.abs(op.constants["weights"]).max() <= 7


def test_floor_lifts_the_scale_of_dead_channels():
    w = kernel(5, 3)
    w[:, 1] = 0
    floor = jnp.array([0.0, 0.25, 0.5])
    codes, scale = codes_of(w, floor, 8, False)
    np.testing.assert_allclose(scale[2], 0.5)
    assert scale[1] >= 0.25 and not codes[:, 1].any()
    assert codes_of(w, floor, 4, True)[1] >= 0.5


@pytest.mark.optimized(True)
def test_codes_do_not_depend_on_the_program_around_them():
    """One ulp in a scale would flip codes downstream: compiled programs have to agree."""
    w, x = kernel(3, 3, 4, 16, seed=4), jnp.linspace(0.1, 3, 16)

    @jax.jit
    def inside(w, x):
        codes, scale = weight_codes(w * 1.0, x * 0, 8, False)
        return codes, scale, jnp.sum(codes * scale / x)

    @jax.jit
    def in_gradient(w, x):
        def loss(w):
            codes, scale = weight_codes(w, x * 0, 8, False)
            return jnp.sum(codes * x), (codes, scale)

        return jax.grad(loss, has_aux=True)(w)[1]

    expected = codes_of(w, x * 0, 8, False)
    for found in (inside(w, x), in_gradient(w, x)):
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])
    real = fake_quant_weights(w, x * 0, 8, False)
    np.testing.assert_array_equal(real, expected[0] * expected[1])


def test_weight_gradient_is_straight_through():
    """Codes are weights / scale, with the scale held still."""
    w = jnp.asarray(kernel(6, 4, seed=2))
    g = jnp.asarray(kernel(6, 4, seed=3))
    scale = codes_of(w, jnp.zeros(4), 8, False)[1]
    gradient = jax.jit(jax.grad(lambda w: jnp.sum(g * weight_codes(w, jnp.zeros(4), 8, False)[0])))
    np.testing.assert_allclose(gradient(w), g / scale, rtol=1e-5)


@pytest.mark.parametrize(
    ("relu", "bits", "expected"),
    [
        (True, 8, (-128, -128, 127, 255)),
        (False, 8, (0, -128, 127, 127)),
        (True, 4, (112, 112, 127, 15)),
        (False, 4, (0, -128, 127, 127)),
    ],
)
def test_grids(relu: bool, bits: int, expected: tuple[int, ...]):
    grid = edge_grid(relu, bits)
    assert (grid.zero_point, grid.low, grid.high, grid.levels) == expected
    assert grid.bits == (bits if relu else 8)


def apply(variables: dict, reading) -> jax.Array:
    signal = start(jnp.asarray(random_features(SMALL, 2)), reading)
    return jax.eval_shape(lambda v: SMALL.model.apply(v, signal).real(), variables)


def test_calibration_comes_first():
    with pytest.raises(ValueError, match="layer input: no activation range"):
        apply({"params": folded(SMALL, Recipe())}, Quantized(Recipe()))
    ranges = {name: r for name, r in quantized().ranges.items() if name != "pointwise_1"}
    variables = {"params": quantized().params, "ranges": ranges}
    with pytest.raises(ValueError, match="layer pointwise_1: no activation range"):
        apply(variables, Quantized(Recipe()))


def test_folding_comes_first():
    variables = floating(SMALL) | {"ranges": quantized().ranges}
    with pytest.raises(ValueError, match="layer conv: fold batch norm"):
        apply(variables, Quantized(Recipe()))


def test_readings_are_static_under_jit():
    assert hash(Quantized(Recipe())) == hash(Quantized(Recipe()))
    assert Quantized(Recipe()) != Quantized(Recipe(), integer=True)


@pytest.mark.filterwarnings("ignore:Implicit conversion:DeprecationWarning")
def test_aqts_own_convolution_has_no_gradient():
    """Why convolutions here are patches and AQT dots: if this fails, AQT was mended."""
    x, w = jnp.asarray(kernel(2, 8, 8, 3)), jnp.asarray(kernel(3, 3, 3, 4))
    settings = config.conv_general_dilated_make(2, 8, 8)
    convolve = aqt_conv_general.make_conv_general_dilated(settings)
    numbers = jax.lax.ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))

    def loss(x, w):
        y = convolve(x, w, (1, 1), "SAME", dimension_numbers=numbers)
        return jnp.sum(jnp.square(y))

    assert loss(x, w) > 0
    for gradient in jax.grad(loss, (0, 1))(x, w):
        assert not gradient.any()
