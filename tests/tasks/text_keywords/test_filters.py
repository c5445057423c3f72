"""Filters on a device are those of training, each has integers of its own, queries say what is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aqtaudio.adaptation.enroll_program import bank_program
from aqtaudio.program.execute import Executor
from aqtaudio.tasks.text_keywords import queries
from aqtaudio.tasks.text_keywords.clips import Clip
from aqtaudio.tasks.text_keywords.filter_bank import LOGIT_STEP
from aqtaudio.tasks.text_keywords.filters import FilterNetwork, Shape, answers, quantized

pytestmark = pytest.mark.optimized(False)

SHAPE, CHANNELS, STEP = Shape(2, 2, 2, 3), 6, 0.1


@pytest.fixture(scope="module")
def filters() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(3, SHAPE.total, CHANNELS)).astype(np.float32) * 0.2


def codes(frames: int = 40) -> np.ndarray:
    return np.random.default_rng(1).integers(-128, 128, (1, frames, 1, 1, CHANNELS)).astype(np.int8)


def logits(filters: np.ndarray, biases: list[float]) -> np.ndarray:
    """Codes of the device's answers [frames, keywords]."""
    executor = Executor(bank_program(list(filters), biases, SHAPE, STEP))
    return np.asarray(executor.blocks(codes())[0][0])


def test_a_device_computes_what_training_does(filters):
    found = logits(filters, [-1.0, 0.0, 1.0]) * LOGIT_STEP
    real = jnp.asarray(codes()[0, :, 0].reshape(1, -1, CHANNELS) * STEP)
    wanted = np.asarray(answers(real, quantized(jnp.asarray(filters), SHAPE), SHAPE))[0].T
    wanted = np.clip(wanted + [-1.0, 0.0, 1.0], -128 * LOGIT_STEP, 127 * LOGIT_STEP)
    assert np.abs(found - wanted).max() < 1.6 * LOGIT_STEP
    assert np.std(wanted) > 10 * LOGIT_STEP


def test_keywords_do_not_change_one_another(filters):
    together = logits(filters, [-1.0, 0.0, 1.0])
    alone = logits(filters[1:2], [0.0])
    assert np.array_equal(together[:, 1:2], alone)


def test_parts_may_come_early():
    """Of a phrase whose first part is `slack` - 1 frames early the answer is as large."""
    taps = np.zeros((1, SHAPE.total, CHANNELS), np.float32)
    taps[0, 1, 0] = taps[0, 3, 1] = 1.0  # the last tap of each part
    x = np.zeros((1, 30, CHANNELS), np.float32)
    x[0, 20, 1] = 1.0
    for early, whole in ((0, True), (SHAPE.slack - 1, True), (SHAPE.slack, False)):
        x[0, :, 0] = 0.0
        x[0, 20 - SHAPE.hop - early, 0] = 1.0
        largest = float(answers(jnp.asarray(x), jnp.asarray(taps), SHAPE).max())
        assert (largest == 2.0) is whole


def test_filters_follow_their_phones():
    network = FilterNetwork(SHAPE, CHANNELS, width=8)
    phones = np.zeros((3, 8), np.int32)
    phones[:, :4] = [[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 5, 4]]
    phones[1, 4:] = 9  # padding
    counts = np.asarray([4, 4, 4])
    params = jax.jit(network.init)(jax.random.key(0), phones, counts)
    made = np.asarray(jax.jit(network.apply)(params, phones, counts))
    assert made.shape == (3, SHAPE.total, CHANNELS)
    np.testing.assert_allclose(made[0], made[1], atol=1e-6)
    assert np.abs(made[0] - made[2]).max() > 1e-3
    np.testing.assert_allclose(np.sum(made**2, (1, 2)), 1.0, atol=1e-3)


def test_phrases_are_words_of_one_utterance():
    ends, where = np.asarray([3, 5, 9, 12, 17]), np.asarray([0, 0, 0, 1, 1])
    labels = np.arange(1, 18)
    clip = Clip(np.zeros(1, np.int16), 0, labels, tuple("abcde"), ends, where)
    rng = np.random.default_rng(0)
    starts = [0, *ends[:-1]]
    for first, end in queries.spans(clip, 200, rng):
        assert first in starts and end in ends and end - first >= queries.LEAST_PHONES
        assert (first < 9) == (end <= 9)


def test_what_is_nearly_alike_is_something_else():
    rng, said = np.random.default_rng(0), np.asarray([5, 9, 12, 3, 20, 7], np.int32)
    other = [np.asarray([1, 2, 3, 4, 8], np.int32)]
    made = [queries.near(said, other, rng) for _ in range(100)]
    assert all(1 <= len(one) <= queries.MOST_PHONES for one in made)
    assert sum(np.array_equal(one, said) for one in made) <= 3
    assert queries.contains(np.asarray([1, *said, 2, *said]), said) == 2
    assert queries.contains(np.asarray([5, 9, 12]), said) == 0
