"""Laws of every model."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import (
    MODELS,
    PUBLISHED,
    PUBLISHED_GENERATORS,
    PUBLISHED_KEYWORDS,
    PUBLISHED_MASKERS,
    SMALL,
    SMALL_EMBEDDINGS,
    SMALL_ENHANCERS,
    SMALL_GENERATORS,
    SMALL_KEYWORDS,
    SMALL_MASKERS,
    SMALL_STREAMED_EMBEDDINGS,
    Case,
)
from initial import initial
from trained import random_features

from aqtaudio.compression.calibrate import calibrate, unobserved
from aqtaudio.compression.fold import fold
from aqtaudio.models.phone_encoder import PhoneEncoder
from aqtaudio.models.speech_embedding import SpeechEmbedding
from aqtaudio.program.cost import FRAME, cost
from aqtaudio.program.support import WEIGHTED
from aqtaudio.recipe import W8A16, Recipe
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.layer_tree import flatten
from aqtaudio.vocabulary.recording import record
from aqtaudio.vocabulary.signal import Signal, start

pytestmark = pytest.mark.optimized(False)

SLOW = (
    *PUBLISHED,
    *SMALL_KEYWORDS,
    *PUBLISHED_KEYWORDS,
    *SMALL_ENHANCERS,
    *SMALL_MASKERS,
    *PUBLISHED_MASKERS,
    *SMALL_EMBEDDINGS,
    *SMALL_STREAMED_EMBEDDINGS,
    *SMALL_GENERATORS,
    *PUBLISHED_GENERATORS[:1],
)
RECORDED = [SMALL, *(pytest.param(case, marks=pytest.mark.slow) for case in SLOW)]
EACH = pytest.mark.parametrize("case", MODELS, ids=lambda case: case.name)


@functools.cache
def shapes(case: Case, batch: int = 3) -> tuple[Signal, dict]:
    """(output, variables) without computing anything."""
    signal = start(jnp.zeros((batch, *case.features)), Floating())
    return jax.eval_shape(case.model.init_with_output, jax.random.key(0), signal)


@EACH
def test_parameters_are_the_published_ones(case: Case):
    _, variables = shapes(case)
    folded = jax.eval_shape(fold, variables["params"], variables.get("batch_stats", {}))
    assert sum(leaf.size for leaf in jax.tree.leaves(folded)) == case.params


def output_shape(case: Case) -> tuple[int, ...]:
    """Per clip, per frame, or per stride of a stream of embeddings."""
    maskers = (*SMALL_MASKERS, *PUBLISHED_MASKERS)
    per_frame = (*SMALL_ENHANCERS, *maskers, *SMALL_GENERATORS, *PUBLISHED_GENERATORS)
    each = case in per_frame or isinstance(case.model, PhoneEncoder)
    frames = (case.features[0],) if each else ()
    if isinstance(case.model, SpeechEmbedding):
        frames = (case.features[0] // (4 if case.model.dense else 8),)
    return (*frames, case.classes)


@EACH
def test_logits_per_clip(case: Case):
    out, _ = shapes(case)
    assert out.values.shape == (3, *output_shape(case))
    assert out.values.dtype == jnp.float32


@functools.cache
def variables(case: Case) -> dict:
    return initial(case.model, np.zeros((1, *case.features), np.float32))


def of_ones(case: Case, recipe: Recipe) -> tuple[dict, dict]:
    """Parameters and ranges that are all alike: for what follows from shapes."""
    _, variables = shapes(case)
    ones = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), dict(variables))
    params = fold(ones["params"], ones.get("batch_stats", {}))
    return params, jax.tree.map(np.ones_like, unobserved(case.model, params, case.features, recipe))


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case.name)
def test_recorded_costs(case: Case):
    recipe = W8A16 if case in SMALL_MASKERS else Recipe()  # squares of squares, without training
    if case in (*PUBLISHED, *PUBLISHED_KEYWORDS, *PUBLISHED_MASKERS, *PUBLISHED_GENERATORS):
        params, ranges = of_ones(case, recipe)  # fresh weights of deep models leave every grid
    else:
        params = fold(variables(case)["params"], variables(case).get("batch_stats", {}))
        ranges = calibrate(case.model, params, [random_features(case, 2)], recipe)
    program = record(case.model, {"params": params, "ranges": ranges}, case.features, recipe)
    costs = cost(program)
    tied = 2 * 24 if getattr(case.model, "tied_upsampling", False) else 0
    # A layer without a bias has one of zeros in a program; frames share their layer's.
    weighted = [op for op in program.operations if op.kind in WEIGHTED]
    biases = sum({FRAME.sub("", op.name): op.constants["bias"].size for op in weighted}.values())
    trained = sum(x["bias"].size for x in flatten(params).values() if "bias" in x)
    assert costs.total("params") == case.params + case.zeros + tied + biases - trained
    assert costs.total("macs") == case.macs
    assert program.edges[program.outputs[0]].shape == output_shape(case)


def test_clips_do_not_mix():
    features = jnp.asarray(random_features(SMALL, 6))
    state = variables(SMALL)
    apply = jax.jit(lambda x: SMALL.model.apply(state, start(x, Floating())).real())
    together = apply(features)
    other = apply(features.at[1:].set(9.0))
    np.testing.assert_allclose(together[0], other[0], atol=1e-5)
    np.testing.assert_allclose(apply(features[::-1])[::-1], together, atol=1e-5)
