"""Phones: their costs are a metric, so distances of sequences are one; what accents exchange."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqtaudio.data import accents, phones
from aqtaudio.data.near_words import _CODES, _distances
from aqtaudio.data.phones import INVENTORY, UNIT, VOWELS, cost, distance, gap

SEQUENCES = st.lists(st.sampled_from(INVENTORY), max_size=6).map(tuple)


def test_costs_are_a_metric_with_the_gap_as_a_further_point():
    assert len(INVENTORY) == len(set(INVENTORY)) == 39 and len(VOWELS) == 15
    of = np.array([[cost(a, b) for b in INVENTORY] for a in INVENTORY])
    gaps = np.array([gap(phone) for phone in INVENTORY])
    of = np.block([[of, gaps[:, None]], [gaps[None], np.zeros((1, 1), int)]])
    np.testing.assert_array_equal(of, of.T)
    np.testing.assert_array_equal(of == 0, np.eye(40, dtype=bool))
    assert (of[:, None, :] <= of[:, :, None] + of[None]).all()  # a to c, by b
    assert of.max() == UNIT and all(cost(v, "P") == UNIT for v in VOWELS)


@pytest.mark.parametrize(
    ("near", "far"),
    [("F TH", "F M"), ("P B", "P M"), ("S SH", "S L"), ("IY IH", "IY AA"), ("IH EH", "IH OY")],
)
def test_what_people_confuse_is_near(near, far):
    assert 2 * cost(*near.split()) < cost(*far.split())


@given(SEQUENCES, SEQUENCES, SEQUENCES)
def test_distance_is_a_metric(one, two, three):
    assert distance(one, two) == distance(two, one)
    assert (distance(one, two) == 0) == (one == two)
    assert distance(one, three) <= distance(one, two) + distance(two, three)
    assert distance(one, ()) == sum(map(gap, one))


@given(SEQUENCES, SEQUENCES, SEQUENCES)
def test_what_is_added_on_both_sides_adds_nothing(one, two, three):
    assert distance(three + one, three + two) <= distance(one, two)
    assert distance(one + three, two + three) <= distance(one, two)


@given(SEQUENCES, st.lists(st.tuples(*[st.sampled_from(INVENTORY)] * 3), min_size=1, max_size=5))
def test_many_distances_at_once_are_those(one, others):
    codes = np.array([[_CODES[phone] for phone in other] for other in others], np.int8).T
    assert _distances(one, codes).tolist() == [distance(one, other) for other in others]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("JH AA R V AH S", "JH AA V IH S"),  # rhotic or not, the reduced vowel
        ("K AH M P Y UW T ER", "K AH M P Y UW D AH"),  # flapped, not rhotic
        ("K AA T", "K AO T"),
        ("T Y UW N", "T UW N"),
        ("R AH N IH NG", "R AH N IH N"),
        ("V IH Z AH T", "V IH Z IH T"),
    ],
)
def test_accents_of_one_word_are_one(one, other):
    assert accents.plain(tuple(one.split())) == accents.plain(tuple(other.split()))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("B IH G", "B AH G"),  # stressed
        ("B AE T", "B AE D"),  # not between vowels
        ("R IY D", "L IY D"),
        ("K Y UW T", "K UW T"),
        ("S IH NG", "S IH N"),
        ("AH T AE K", "AH D AE K"),  # before the stress
    ],
)
def test_other_words_stay_other_words(one, other):
    assert accents.plain(tuple(one.split())) != accents.plain(tuple(other.split()))


def test_stress_is_on_the_first_full_vowel():
    for word, marked in {
        "K AH M P Y UW T ER": "K AH0 M P Y UW1 T ER0",
        "HH AH L OW": "HH AH0 L OW1",
        "P R IH T IY": "P R IH1 T IY0",
        "R AH N IH NG": "R AH1 N IH0 NG",
        "B IH L IY V": "B IH0 L IY1 V",
        "B AH T AH N": "B AH1 T AH0 N",
        "S": "S",
    }.items():
        assert accents.with_stress(tuple(word.split())) == marked


def test_joined_words():
    words = [("HH", "EY"), ("N", "OW")]
    assert phones.joined(words) == tuple(itertools.chain(*words)) and phones.joined([]) == ()
