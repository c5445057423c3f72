"""Straight-through gradients: exactly the float map's at the rounded point; nearly the model's."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import EACH_RECIPE, SMALL
from initial import QUICKLY, calibrated
from jax import lax
from trained import BATCH, OPTIMIZER, Quant, by_edge, quantized, random_features, training_step

from aqtaudio.recipe import Recipe, Rule
from aqtaudio.vocabulary.aqt_arithmetic import fake_quant_weights
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.layers import Conv2D, Dense, DepthwiseConv2D, Input, Reshape
from aqtaudio.vocabulary.quantized import Quantized
from aqtaudio.vocabulary.signal import start

pytestmark = pytest.mark.optimized("slow")

FLOATING = training_step(SMALL, Floating(), {})
SHAPE = (9, 7, 3)
PLAIN = {"relu": False, "norm": False}


class Two(nn.Module):
    """Two layers, nothing clipped between them."""

    first: nn.Module
    second: nn.Module

    @nn.compact
    def __call__(self, x):
        x = self.first(Input(SHAPE, name="input")(x))
        if isinstance(self.second, Dense):
            x = Reshape((-1,), name="flat")(x)
        return self.second(x)


PAIRS = {
    "strided": (
        Conv2D(6, (3, 2), (2, 1), padding="SAME", parent=None, **PLAIN),
        DepthwiseConv2D((2, 3), (1, 2), padding="VALID", parent=None, **PLAIN),
    ),
    "dilated": (
        DepthwiseConv2D((3, 3), (1, 1), (2, 1), padding="SAME", parent=None, **PLAIN),
        Conv2D(5, (2, 2), (1, 1), (2, 3), padding="VALID", parent=None, **PLAIN),
    ),
    "dense": (
        Conv2D(4, (1, 1), (2, 2), padding="SAME", parent=None, **PLAIN),
        Dense(5, parent=None),
    ),
}


def float_map(layer: nn.Module, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """XLA's own map."""
    if isinstance(layer, Dense):
        return x.reshape(len(x), -1) @ kernel
    depthwise = isinstance(layer, DepthwiseConv2D)
    return lax.conv_general_dilated(
        x,
        kernel[:, :, None] if depthwise else kernel,
        layer.strides,
        layer.padding,
        rhs_dilation=layer.dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1] if depthwise else 1,
    )


def native_gradients(model: Two, variables: dict, recipe: Recipe, features, g):
    """Of sum(g * logits), and the real values of every edge."""

    @jax.jit
    def run(params):
        def loss(params):
            state = {"params": params, "ranges": variables["ranges"]}
            out, sown = model.apply(state, start(features, Quantized(recipe)), mutable=["codes"])
            return jnp.sum(g * out.real()), sown["codes"]

        return jax.grad(loss, has_aux=True)(params)

    found, codes = run(variables["params"])
    scales = {name: r["output"]["scale"] for name, r in variables["ranges"].items()}
    return found, {name: c * scales[name] for name, c in by_edge(codes).items() if name in scales}


def float_gradients(model: Two, params: dict, bits: int, edges: dict, g):
    """The same of XLA's maps, with the values of edges and of the second kernel put in place."""
    per_tensor = isinstance(model.second, Dense) and bits == 4

    @jax.jit
    def run(params):
        def loss(params):
            first, second = params["first"], params["second"]
            a = float_map(model.first, edges["input"], first["kernel"]) + first["bias"]
            a = a + lax.stop_gradient(edges["first"] - a)
            floor = jnp.zeros(second["bias"].shape)
            kernel = fake_quant_weights(second["kernel"], floor, bits, per_tensor)
            return jnp.sum(g * (float_map(model.second, a, kernel) + second["bias"]))

        return jax.grad(loss)(params)

    return run(params)


@pytest.mark.parametrize(
    ("pair", "bits"),
    [
        ("strided", 8),
        ("dilated", 4),
        pytest.param("dense", 8, marks=pytest.mark.slow),
        ("dense", 4),
    ],
)
def test_layers_have_the_float_maps_gradient_at_the_rounded_point(pair: str, bits: int):
    """To float precision: weights, inputs and outputs are rounded, and nothing else differs."""
    model, recipe = Two(*PAIRS[pair]), Recipe(rules=(Rule(weight_bits=bits, calibration="max"),))
    rng = np.random.default_rng(0)
    features = jnp.float32(rng.normal(size=(4, *SHAPE)))
    signal = start(features, Floating())
    init = jax.jit(model.init_with_output, compiler_options=QUICKLY)
    out, variables = init(jax.random.key(1), signal)
    params = jax.tree.map(
        lambda p: p + 0.05 * jnp.float32(rng.normal(size=p.shape)), variables["params"]
    )
    g = jnp.float32(rng.normal(size=out.values.shape))
    ranges = calibrated(model, params, [1.2 * features], recipe)  # so that nothing clips
    variables = {"params": params, "ranges": ranges}
    found, edges = native_gradients(model, variables, recipe, features, g)
    expected = float_gradients(model, params, bits, edges, g)
    for path, wanted in jax.tree_util.tree_leaves_with_path(expected):
        layer, name = (key.key for key in path)
        tolerance = 1e-5 * np.abs(wanted).max()
        np.testing.assert_allclose(found[layer][name], wanted, atol=tolerance, err_msg=str(path))


def gradients(trained: Quant, step) -> dict[str, np.ndarray]:
    """By parameter, e.g. "conv/kernel", where every clip pulls the same way.

    Where clips pull in opposite directions, what is left of their sum is mostly rounding.
    """
    data = random_features(SMALL, seed=1), np.zeros(BATCH, np.int32)
    found = step(trained.params, OPTIMIZER.init(trained.params), *data)[1]
    return {
        "/".join(key.key for key in path): np.asarray(leaf).ravel()
        for path, leaf in jax.tree_util.tree_leaves_with_path(found)
    }


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def test_int8_gradients_are_the_float_models():
    trained = quantized("w8a8")
    expected = gradients(trained, FLOATING)
    for name, found in gradients(trained, trained.step).items():
        assert cosine(found, expected[name]) > 0.98, name
        assert 0.9 < np.linalg.norm(found) / np.linalg.norm(expected[name]) < 1.1, name


@pytest.mark.parametrize("recipe", [pytest.param("w4a8", marks=pytest.mark.slow), "low_rank"])
def test_coarser_gradients_follow(recipe: str):
    trained = quantized(recipe)
    expected = gradients(trained, FLOATING)
    for name, found in gradients(trained, trained.step).items():
        assert cosine(found, expected[name]) > 0.85, name


@EACH_RECIPE
def test_every_parameter_learns(recipe: str):
    trained = quantized(recipe)
    for name, found in gradients(trained, trained.step).items():
        assert np.isfinite(found).all() and np.linalg.norm(found) > 0, name
