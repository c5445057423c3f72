"""One word's probability out of logits: the sigmoid of its margin over the best other class."""

import numpy as np
import pytest

from aqtaudio.detection.posteriors import softmax
from aqtaudio.errors import BadInput
from aqtaudio.program.execute import Executor
from aqtaudio.program.program import Edge, Program
from aqtaudio.program.word_probability import SURE, word_probability

CODES = np.random.default_rng(0).integers(-128, 128, (512, 5)).astype(np.int8)


def logits_alone(classes: int, scale: float, bits: int = 8) -> Program:
    """A program that puts out what it takes."""
    edge = Edge("logits", (classes,), float(np.float32(scale)), 0, bits)
    return Program({"logits": edge}, (), ("logits",), ("logits",))


def shares(classes: int, scale: float, place: int) -> np.ndarray:
    """Probabilities [n] of CODES, by the program."""
    program = word_probability(logits_alone(classes, scale), place)
    return Executor(program).dequantize(Executor(program)(CODES[:, :classes])).reshape(-1)


@pytest.mark.parametrize("place", [0, 2, 4])
def test_it_is_the_sigmoid_of_the_exact_margin(place: int):
    scale = SURE / 127 * 1.01
    others = np.delete(CODES.astype(int), place, 1).max(1)
    margin = np.clip(CODES[:, place].astype(int) - others, -128, 127)
    real = 1 / (1 + np.exp(-scale * margin))
    assert np.abs(shares(5, scale, place) - np.minimum(real, 255 / 256)).max() <= 1 / 256


def test_of_two_classes_it_is_the_softmax():
    scale = 0.06
    real = softmax(scale * CODES[:, :2].astype(float))[:, 0]
    apart = np.abs(np.diff(CODES[:, :2].astype(int))[:, 0]) <= 127  # beyond, the margin saturates
    assert np.abs(shares(2, scale, 0) - np.minimum(real, 255 / 256))[apart].max() <= 1 / 256


def test_it_is_above_one_half_where_the_word_is_the_most_probable():
    winner = CODES.astype(int).argmax(1)
    alone = (CODES == CODES.max(1, keepdims=True)).sum(1) == 1
    ahead = np.sort(CODES.astype(int), 1)[:, -1] - np.sort(CODES.astype(int), 1)[:, -2] > 1
    above = shares(5, 0.06, 1) > 0.5
    assert (above == (winner == 1))[alone & ahead].all() and above.any()


def test_logits_of_a_small_range_reach_as_far_as_their_margin_does():
    """127 steps of 0.02 are 2.5; margins reach 5."""
    most = np.array([[127, -127]], np.int8)
    program = word_probability(logits_alone(2, 0.02), 0)
    share = Executor(program).dequantize(Executor(program)(most)).item()
    assert abs(share - 1 / (1 + np.exp(-0.02 * 254))) < 2 / 256


@pytest.mark.parametrize("place", [0, 1])
def test_a_word_without_rivals_is_its_own_sigmoid(place: int):
    scale = SURE / 127 * 1.01
    program = word_probability(logits_alone(1 + place, scale), place, rivals=False)
    found = Executor(program).dequantize(Executor(program)(CODES[:, : 1 + place])).reshape(-1)
    real = 1 / (1 + np.exp(-scale * np.clip(CODES[:, place].astype(int), -128, 127)))
    assert np.abs(found - np.minimum(real, 255 / 256)).max() <= 1 / 256


@pytest.mark.parametrize("program", [logits_alone(1, 0.1), logits_alone(4, 0.1, 16)])
def test_what_has_no_logits_is_refused(program: Program):
    with pytest.raises(BadInput, match="needed: the logits of two classes or more, in 8 bits"):
        word_probability(program, 0)
