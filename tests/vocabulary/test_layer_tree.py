"""Nested models are compressed like flat ones: layers go by their path."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aqtaudio.compression import low_rank
from aqtaudio.compression.fold import fold
from aqtaudio.recipe import Recipe, Rule
from aqtaudio.vocabulary.layer_tree import flatten, unflatten

pytestmark = pytest.mark.optimized("slow")

RECIPE = Recipe(rules=(Rule("block_1/pointwise", svd_penalty=0.1), Rule()))


@pytest.fixture
def layer():
    kernel = jax.random.normal(jax.random.key(0), (1, 1, 8, 8))
    return {"kernel": kernel, "bias": jnp.arange(8.0), "gamma": jnp.full((8,), 2.0)}


def test_unflatten_undoes_flatten(layer):
    nested = {"conv": layer, "block_1": {"pointwise": layer, "inner": {"depthwise": layer}}}
    flat = flatten(nested)
    assert set(flat) == {"conv", "block_1/pointwise", "block_1/inner/depthwise"}
    assert jax.tree.structure(unflatten(flat)) == jax.tree.structure(nested)


def test_a_nested_layer_is_folded_decomposed_and_cut_like_a_flat_one(layer):
    stats = {"mean": jnp.ones(8), "variance": jnp.full((8,), 3.0)}
    flat = fold({"conv": layer}, {"conv": stats})["conv"]
    nested = fold({"block_1": {"pointwise": layer}}, {"block_1": {"pointwise": stats}})
    np.testing.assert_array_equal(nested["block_1"]["pointwise"]["kernel"], flat["kernel"])
    decomposed = low_rank.decompose(nested, RECIPE)
    assert "s" in decomposed["block_1"]["pointwise"]
    strengths = low_rank.strengths(decomposed, RECIPE)
    assert float(low_rank.penalty(decomposed, strengths)) > 0
    merged = low_rank.merge(decomposed)["block_1"]["pointwise"]["kernel"]
    np.testing.assert_allclose(merged, flat["kernel"], atol=1e-5)
    cut = low_rank.truncate(decomposed, low_rank.LowRank(energy=0.5))
    assert low_rank.ranks(cut).keys() == {"block_1/pointwise"}


def test_other_layers_are_left_alone(layer):
    params = {"block_2": {"pointwise": layer}}
    assert "kernel" in low_rank.decompose(params, RECIPE)["block_2"]["pointwise"]
