"""Calibration against numpy, and what freezes."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import RECIPES, SMALL
from trained import folded, random_features

from aqtaudio.compression.calibrate import calibrate, unobserved
from aqtaudio.recipe import Recipe, Rule
from aqtaudio.vocabulary.layers import Dense, Input

pytestmark = pytest.mark.optimized(False)

BATCHES = [scale * random_features(SMALL, 6, seed=i) for i, scale in enumerate((1.0, 0.3, 2.5))]


class Edges(nn.Module):
    """A signed edge and a relu edge that both show the input."""

    @nn.compact
    def __call__(self, x):
        return Dense(1, relu=True, name="relu")(Input((200,), name="input")(x))


IDENTITY = {"relu": {"kernel": jnp.eye(200)[:, :1], "bias": jnp.zeros(1)}}


def scales(calibration: str, activation_bits: int = 8) -> tuple[float, float]:
    recipe = Recipe(rules=(Rule(calibration=calibration, activation_bits=activation_bits),))
    ranges = calibrate(Edges(), IDENTITY, [jnp.asarray(b) for b in BATCHES], recipe)
    assert all(int(r["output"]["batches"]) == len(BATCHES) for r in ranges.values())
    return tuple(float(ranges[name]["output"]["scale"]) for name in ("input", "relu"))


MAGNITUDES = {
    "max": lambda values: max(np.abs(v).max() for v in values),
    "mean_max": lambda values: np.mean([np.abs(v).max() for v in values]),
    "q0.99": lambda values: np.mean([np.quantile(np.abs(v), 0.99) for v in values]),
    "q1.0": lambda values: np.mean([np.abs(v).max() for v in values]),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("calibration", MAGNITUDES)
@pytest.mark.parametrize("activation_bits", [8, 4])
def test_ranges(calibration: str, activation_bits: int):
    signed, relu = scales(calibration, activation_bits)
    magnitude = MAGNITUDES[calibration]
    first = [np.maximum(b.reshape(6, 200)[:, :1], 0) for b in BATCHES]
    assert signed == pytest.approx(magnitude(BATCHES) / 127, rel=1e-5)
    levels = 255 if activation_bits == 8 else 15
    # The relu layer's kernel is 1 and 4-bit dense weights are on a per-tensor grid: 7 / 7.5.
    assert relu == pytest.approx(magnitude(first) / levels, rel=0.01)


def test_ranges_before_calibration_have_the_shapes_of_those_after():
    params = folded(SMALL, Recipe())
    before = unobserved(SMALL.model, params, SMALL.features, Recipe())
    after = calibrate(SMALL.model, params, BATCHES, Recipe())
    assert jax.tree.structure(before) == jax.tree.structure(after)
    assert not any(map(np.any, jax.tree.leaves(before)))


def test_silent_edges_keep_a_positive_scale():
    silence = [jnp.zeros((2, *SMALL.features))]
    params = folded(SMALL, Recipe())
    params = {k: {n: 0 * leaf for n, leaf in layer.items()} for k, layer in params.items()}
    ranges = calibrate(SMALL.model, params, silence, Recipe())
    for layer in ranges.values():
        assert float(layer["output"]["scale"]) == pytest.approx(1e-8)


def test_every_edge_that_owns_a_range_has_one():
    recipe = RECIPES["low_rank"]
    params = folded(SMALL, recipe)
    ranges = calibrate(SMALL.model, params, BATCHES, recipe)
    recipe_parts = {name: set(parts) for name, parts in ranges.items()}
    assert recipe_parts["conv"] == {"output"}
    assert {"pool", "flatten"}.isdisjoint(recipe_parts)
    cut = [name for name, layer in params.items() if "down" in layer]
    assert cut and all(recipe_parts[name] == {"down", "up"} for name in cut)


def test_calibration_needs_a_batch():
    with pytest.raises(ValueError, match="at least one batch"):
        calibrate(SMALL.model, folded(SMALL, Recipe()), [], Recipe())
