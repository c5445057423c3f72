"""The first layers in stripes: the same integers from less memory."""

import numpy as np
import pytest
from cases import SMALL, SMALL_EMBEDDINGS, Case
from initial import calibrated, initial
from trained import random_features, untrained

from aqtaudio.compression.fold import fold
from aqtaudio.errors import BadInput
from aqtaudio.program.cost import cost
from aqtaudio.program.depth_first import depth_first
from aqtaudio.program.execute import Executor
from aqtaudio.program.look_ahead import look_ahead_frames
from aqtaudio.program.micro import Micro
from aqtaudio.program.program import Program
from aqtaudio.program.tflite import to_tflite
from aqtaudio.recipe import Recipe
from aqtaudio.vocabulary.recording import record, require_recordable

pytestmark = pytest.mark.optimized("slow")

PLAIN, SIGNED, SEPARABLE = SMALL_EMBEDDINGS
# The model, the last layer in stripes, and how many. DS-CNN's first windows are strided, 10 by 4.
FAST = [(SMALL, "pointwise_2", 3)]
SLOW = [
    (SIGNED, "pool_2", 2),
    (SMALL, "conv", 10),
    (SMALL, "depthwise_1", 4),
    (PLAIN, "pool_1", 8),
    (PLAIN, "conv_1_1", 2),
    (PLAIN, "pool_3", 2),
    (SEPARABLE, "pool_1", 4),
    (SEPARABLE, "pointwise_2_2", 3),
]
STRIPED = pytest.mark.parametrize(
    ("case", "last", "stripes"),
    [*FAST, *(pytest.param(*each, marks=pytest.mark.slow) for each in SLOW)],
    ids=lambda x: getattr(x, "name", str(x)),
)


def codes_of(program: Program) -> np.ndarray:
    """Every code, at random."""
    edge = program.edges[program.inputs[0]]
    return np.random.default_rng(0).integers(-128, 128, (12, *edge.shape), np.int8)


@STRIPED
def test_integers_stay(case: Case, last: str, stripes: int):
    before = untrained(case)
    codes, found = codes_of(before), []
    for program in (before, depth_first(before, last, stripes)):
        with Micro(to_tflite(program)) as micro:
            found += micro.invoke(codes)
    np.testing.assert_array_equal(found[1], found[0])
    assert np.ptp(found[0].astype(int), axis=0).max() > 20


@pytest.mark.slow
@STRIPED
def test_integers_of_every_edge_that_is_still_whole(case: Case, last: str, stripes: int):
    """In JAX."""
    before = untrained(case)
    after, codes = depth_first(before, last, stripes), codes_of(before)
    expected, found = (Executor(program).edges(codes) for program in (before, after))
    whole = set(expected) & set(found)
    assert {*before.inputs, last, *before.outputs} <= whole
    for edge in whole:
        np.testing.assert_array_equal(found[edge], expected[edge], err_msg=edge)


@STRIPED
def test_what_it_costs(case: Case, last: str, stripes: int):
    """No parameters, some operations twice; what looks ahead looks as far."""
    before = untrained(case)
    after = depth_first(before, last, stripes)
    assert cost(after).total("params") == cost(before).total("params")
    assert cost(after).total("macs") >= cost(before).total("macs")
    assert look_ahead_frames(after) == look_ahead_frames(before)


def largest(program: Program) -> int:
    return max(edge.bytes for edge in program.edges.values())


def test_no_map_of_the_layers_inside_is_whole():
    before = untrained(SIGNED)
    after = depth_first(before, "pool_1", 4)
    assert largest(before) == 17 * 18 * 2
    assert largest(after) == 17 * 18  # the input
    assert cost(after).activation_bytes < 0.7 * cost(before).activation_bytes
    # Stripes of two rows see four of the map between the convolutions, but for the outer ones.
    rows = [after.edges[f"conv_1_1/t{n}"].shape[0] for n in range(4)]
    assert rows == [5, 6, 6, 6]
    assert after.edges["pool_1/t0"].shape == (2, 9, 2)


def test_one_stripe_is_the_program():
    program = untrained(SMALL)
    assert depth_first(program, "", 1) is program


@pytest.mark.parametrize(
    ("last", "stripes", "reason"),
    [
        ("pool_9", 2, "no operation 'pool_9' to run in stripes up to; it has conv, depth"),
        ("logits", 2, "up to logits is flatten, a reshape; allowed in stripes"),
        ("conv", 11, "11 stripes of conv; allowed: 1 to 10, its frames"),
        ("pool", 2, "2 stripes of pool; allowed: 1 to 1"),
    ],
)
def test_what_cannot_be_striped(last: str, stripes: int, reason: str):
    with pytest.raises(BadInput) as error:
        depth_first(untrained(SMALL), last, stripes)
    assert str(error.value).startswith(reason)


def test_a_recipe_says_it():
    """Before anything is trained, and when a program is recorded."""
    features = random_features(SMALL)
    fresh = initial(SMALL.model, features)
    params = fold(fresh["params"], fresh["batch_stats"])
    striped = Recipe(stripes=3, striped_to="pointwise_1")
    striped.require_consistent()
    variables = {"params": params, "ranges": calibrated(SMALL.model, params, [features], striped)}
    found = record(SMALL.model, variables, SMALL.features, striped)
    expected = depth_first(
        record(SMALL.model, variables, SMALL.features, Recipe()), "pointwise_1", 3
    )
    assert found.to_json() == expected.to_json()
    wrong = Recipe(stripes=3, striped_to="logits")
    for refuse in (record, require_recordable):
        with pytest.raises(BadInput, match="up to logits is flatten"):
            refuse(SMALL.model, variables, SMALL.features, wrong)


@pytest.mark.parametrize("stripes", [0, 11, True, 2.0])
def test_numbers_of_stripes_that_are_refused(stripes):
    with pytest.raises(BadInput, match="recipe stripes is .*; allowed: 1 to 10"):
        Recipe(stripes=stripes)


@pytest.mark.parametrize("settings", [{"stripes": 2}, {"striped_to": "pool_1"}])
def test_stripes_need_both_settings(settings: dict):
    with pytest.raises(BadInput, match="recipe stripes is"):
        Recipe(**settings).require_consistent()
