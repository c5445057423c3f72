"""Folding changes the parameters and not the model."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import RECIPES, SMALL
from trained import floating, random_features

from aqtaudio.compression import low_rank
from aqtaudio.compression.fold import fold
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.layers import Conv2D, DepthwiseConv2D, Input, Reshape
from aqtaudio.vocabulary.signal import start

pytestmark = pytest.mark.optimized(False)

FEATURES = jnp.asarray(random_features(SMALL, seed=4))


@jax.jit
def logits(variables: dict) -> jax.Array:
    return SMALL.model.apply(variables, start(FEATURES, Floating())).real()


def params_of(form: str) -> dict:
    params = floating(SMALL)["params"]
    if form == "plain":
        return params
    recipe = RECIPES["low_rank"]
    params = low_rank.decompose(params, recipe)
    return low_rank.truncate(params, recipe.low_rank) if form == "truncated" else params


@pytest.mark.sampled(2)
@pytest.mark.parametrize("form", ["plain", "decomposed", "truncated"])
def test_outputs_stay(form: str):
    params, stats = params_of(form), floating(SMALL)["batch_stats"]
    before = logits({"params": params, "batch_stats": stats})
    folded = fold(params, stats)
    np.testing.assert_allclose(logits({"params": folded}), before, atol=1e-4)
    assert np.ptp(before) > 0.1


@pytest.mark.parametrize("form", ["plain", "decomposed", "truncated"])
def test_norm_is_gone_and_nothing_else(form: str):
    params = params_of(form)
    folded = fold(params, floating(SMALL)["batch_stats"])
    for name, layer in params.items():
        assert set(folded[name]) == set(layer) - {"gamma"}
        assert all(folded[name][key].shape == layer[key].shape for key in folded[name])
    assert "gamma" in params["conv"], "the argument is left alone"


def test_statistics_are_those_of_training():
    """The law above is empty where batch norm does nothing."""
    stats = floating(SMALL)["batch_stats"]["conv"]
    assert np.abs(stats["mean"]).max() > 0.01
    assert np.abs(stats["variance"] - 1).max() > 0.01


def test_nested_modules_fold():
    params, stats = floating(SMALL)["params"], floating(SMALL)["batch_stats"]
    nested = fold({"tower": params}, {"tower": stats})
    flat = fold(params, stats)
    assert jax.tree.all(jax.tree.map(np.array_equal, nested["tower"], flat))


def test_lengths_of_kernels_are_folded():
    """A layer whose direction and length train computes what its kernel does."""

    class Model(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = Reshape((*x.shape, 1), name="image")(Input(x.shape, name="input")(x))
            x = Conv2D(3, (3, 1), norm=False, weight_norm=True, name="conv")(x)
            return DepthwiseConv2D((3, 1), norm=False, weight_norm=True, name="depthwise")(x)

    def apply(params: dict) -> jax.Array:
        return Model().apply({"params": params}, start(FEATURES, Floating())).real()

    params = jax.jit(Model().init)(jax.random.key(0), start(FEATURES, Floating()))["params"]
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda p: p + rng.uniform(0.5, 2, p.shape).astype(np.float32), params)
    folded = fold(params, {})
    assert {name for layer in folded.values() for name in layer} == {"kernel", "bias"}
    lengths = np.sqrt(np.square(folded["conv"]["kernel"]).sum((0, 1, 2)))
    np.testing.assert_allclose(lengths, params["conv"]["length"], rtol=1e-5)
    np.testing.assert_allclose(jax.jit(apply)(folded), jax.jit(apply)(params), rtol=1e-4, atol=1e-4)
