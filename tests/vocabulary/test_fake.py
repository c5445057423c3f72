"""Fake quantization is close to the device's integers, and is not them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import RECIPES, SMALL
from trained import quantized, random_features

from aqtaudio.program.execute import Executor
from aqtaudio.vocabulary.fake import FakeQuantized
from aqtaudio.vocabulary.signal import start

pytestmark = pytest.mark.optimized("slow")

W4A8 = pytest.param("w4a8", marks=pytest.mark.slow)


def fake_logits(recipe: str, features: np.ndarray) -> np.ndarray:
    trained = quantized(recipe)
    variables = {"params": trained.params, "ranges": trained.ranges}
    signal = start(jnp.asarray(features), FakeQuantized(RECIPES[recipe]))
    return np.asarray(jax.jit(lambda v: SMALL.model.apply(v, signal).real())(variables))


@pytest.mark.parametrize("recipe", ["w8a8", W4A8])
def test_only_a_baseline(recipe: str):
    features = random_features(SMALL, 512, seed=3)
    program = quantized(recipe).program
    executor = Executor(program)
    expected = executor(executor.quantize(features)).astype(int)
    scale = np.float32(program.edges[program.outputs[0]].scale)
    found = np.rint(fake_logits(recipe, features) / scale).astype(int)
    apart = np.abs(found - expected)
    assert np.mean(apart > 0) > 0.1, "fake quantization gives the device's codes?"
    assert np.mean(apart) < 2 and apart.max() < 10 < np.ptp(expected) / 10


@pytest.mark.parametrize("recipe", ["w8a8", W4A8, pytest.param("low_rank", marks=pytest.mark.slow)])
def test_gradients_reach_every_parameter(recipe: str):
    trained = quantized(recipe)
    features = jnp.asarray(random_features(SMALL))

    @jax.jit
    @jax.grad
    def gradient(params):
        variables = {"params": params, "ranges": trained.ranges}
        out = SMALL.model.apply(variables, start(features, FakeQuantized(trained.recipe)))
        return jnp.sum(out.real()[:, 0])

    for leaf in jax.tree.leaves(gradient(trained.params)):
        assert np.isfinite(leaf).all() and np.any(leaf)
