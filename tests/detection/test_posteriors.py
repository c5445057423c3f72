"""Smoothing is the trailing mean, and a stream's is a whole clip's, to the bit."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqtaudio.detection.posteriors import Smoother, softmax
from aqtaudio.errors import BadInput


def logits(blocks: int, classes: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 4, (blocks, classes)).astype(np.float32)


@given(st.integers(1, 40), st.integers(1, 20), st.integers(0, 99))
def test_softmax_is_a_distribution_and_a_row_knows_no_other(blocks: int, classes: int, seed: int):
    rows = logits(blocks, classes, seed)
    posteriors = softmax(rows)
    assert np.all(posteriors > 0)
    np.testing.assert_allclose(posteriors.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(posteriors, softmax(rows - 1000), rtol=1e-3)
    alone = np.concatenate([softmax(row[None]) for row in rows])
    np.testing.assert_array_equal(posteriors, alone)
    np.testing.assert_array_equal(posteriors, softmax(np.asfortranarray(rows)))


@given(st.integers(0, 60), st.integers(1, 30), st.integers(0, 99))
def test_smooth_is_the_mean_of_what_is_there(blocks: int, window: int, seed: int):
    posteriors = softmax(logits(blocks, 3, seed))
    expected = [posteriors[max(0, i + 1 - window) : i + 1].mean(axis=0) for i in range(blocks)]
    smoothed = Smoother(posteriors.shape[1], window).push(posteriors)
    np.testing.assert_allclose(smoothed, np.reshape(expected, (blocks, 3)), rtol=1e-12)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 25), min_size=1, max_size=12), st.integers(1, 30), st.integers(0, 9))
def test_stream_is_whole(cuts: list[int], window: int, seed: int):
    posteriors = softmax(logits(sum(cuts), 4, seed))
    smoother = Smoother(4, window)
    pieces = [smoother.push(piece) for piece in np.split(posteriors, np.cumsum(cuts)[:-1])]
    np.testing.assert_array_equal(
        np.concatenate(pieces), Smoother(posteriors.shape[1], window).push(posteriors)
    )


def test_memory_is_constant():
    smoother = Smoother(4, 15)
    sizes = set()
    for _ in range(50):
        smoother.push(np.full((100, 4), 0.25))
        sizes.add(len(pickle.dumps(smoother)))
    assert len(sizes) == 1


def test_no_window_is_refused():
    with pytest.raises(BadInput, match="at least 1"):
        Smoother(3, 0)
