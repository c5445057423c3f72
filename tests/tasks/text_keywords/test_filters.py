"""Filters on a device are those of training, each has integers of its own, queries say what is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aqtaudio.adaptation.enroll_program import Answer, Line, bank_program
from aqtaudio.program.execute import Executor
from aqtaudio.tasks.text_keywords import ctc, queries
from aqtaudio.tasks.text_keywords.clips import Clip
from aqtaudio.tasks.text_keywords.filter_bank import LOGIT_STEP, TOGETHER_FRAMES
from aqtaudio.tasks.text_keywords.filters import FilterNetwork, Shape, answers, quantized

pytestmark = pytest.mark.optimized(False)
SHAPE, CHANNELS, STEP = Shape(2, 2, 2, 3), 44, 0.06
PHONES = ((3, 7, 9, 1), (5, 5, 2, 8, 12, 30), (9, 3, 4))


@pytest.fixture(scope="module")
def keywords() -> list[Answer]:
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(len(PHONES), SHAPE.total, CHANNELS)).astype(np.float32) * 0.08
    lines = zip((-1.0, 0.0, 1.0), (0.3, 0.2, 0.5), strict=True)
    return [
        Answer(taps, phones, Line(1.0, bias), Line(slope, 2.0))
        for taps, phones, (bias, slope) in zip(
            np.asarray(quantized(drawn, SHAPE)), PHONES, lines, strict=True
        )
    ]


@pytest.fixture(scope="module")
def priors() -> np.ndarray:
    return np.log(np.random.default_rng(2).dirichlet(np.ones(ctc.CLASSES))).astype(np.float32) / 2


def codes(frames: int = 80) -> np.ndarray:
    """Of an encoder, in which each keyword's phones are said once."""
    rng = np.random.default_rng(1)
    made = rng.integers(-60, 60, (1, frames, 1, 1, CHANNELS)).astype(np.int8)
    for keyword, phones in enumerate(PHONES):
        for place, phone in enumerate(phones):
            first = 15 + 20 * keyword + 2 * place
            made[0, first : first + 2, 0, 0, phone] = 120
    return made


def logits(keywords: list[Answer], priors: np.ndarray) -> np.ndarray:
    """Codes of the device's answers [frames, keywords]."""
    executor = Executor(bank_program(keywords, SHAPE, STEP, priors))
    return np.asarray(executor.blocks(codes())[0][0])


def wanted(keyword: Answer, priors: np.ndarray) -> np.ndarray:
    """The same in real numbers [frames]."""
    real = jnp.asarray(codes()[0, :, 0].reshape(1, -1, CHANNELS) * STEP)
    taps = jnp.asarray(keyword.taps)[None]
    of_path = ctc.path_scores(real[..., : ctc.CLASSES] - priors, keyword.classes)

    def near(scores):
        padded = jnp.pad(scores, (TOGETHER_FRAMES - 1, 0), constant_values=-1e9)
        return np.asarray([padded[at : at + TOGETHER_FRAMES].max() for at in range(len(scores))])

    both = (keyword.filter, answers(real, taps, SHAPE)[0, 0]), (keyword.path, of_path[0])
    total = sum(line.slope * near(scores) + line.bias for line, scores in both)
    return np.clip(total, -128 * LOGIT_STEP, 127 * LOGIT_STEP)


def test_a_device_computes_what_training_does(keywords, priors):
    found = logits(keywords, priors) * LOGIT_STEP
    for keyword, row in zip(keywords, found.T, strict=True):
        real = wanted(keyword, priors)
        first = len(keyword.classes)  # before it no path can have ended
        assert np.abs(row - real)[first:].max() < 3 * LOGIT_STEP
        assert np.std(real) > 10 * LOGIT_STEP


def test_keywords_do_not_change_one_another(keywords, priors):
    together = logits(keywords, priors)
    for number in range(len(keywords)):
        alone = logits(keywords[number : number + 1], priors)
        assert np.array_equal(together[:, number], alone[:, 0])


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
