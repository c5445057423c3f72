"""A second look: its answers where the first rings, silence elsewhere, however sound comes."""

import contextlib
import dataclasses

import numpy as np
import pytest

from aqtaudio.errors import BadInput
from aqtaudio.frontends.spectral import LogMel
from aqtaudio.tasks.keywords.second_look import HOLD_MS, Looks, require_pair, second_look
from aqtaudio.tasks.keywords.spotting import Spotting
from aqtaudio.tasks.keywords.task import Keywords
from aqtaudio.tasks.setup import Setup

pytestmark = pytest.mark.optimized(False)

BLOCK_MS = 80.0
HOLD = round(HOLD_MS / BLOCK_MS)
TASK = Spotting(("go", "stop"))


class Said:
    """A stream whose answers are told beforehand; a block a sample."""

    block_ms, delay_ms = BLOCK_MS, 15.0

    def __init__(self, answers):
        self._answers, self._place = answers, 0

    def blocks_in(self, samples):
        return samples

    def push(self, samples):
        self._place += len(samples)
        return self._answers[self._place - len(samples) : self._place]


def pair(first, second, thresholds, task: Keywords = TASK):
    looks = Looks()
    one, other = (lambda answers=x: contextlib.nullcontext(Said(answers)) for x in (first, second))
    return second_look(one, other, task, thresholds, looks), looks


def test_it_looks_where_the_first_rings():
    first, second = np.full((40, 2), -9.0), np.random.default_rng(0).normal(size=(40, 2))
    first[10, 0] = 1.0  # over its threshold
    first[25, 1] = 1.0  # under its own
    opens, looks = pair(first, second, {"go": 0.5, "stop": 0.9})
    with opens() as stream:
        assert (stream.block_ms, stream.delay_ms, stream.blocks_in(7)) == (BLOCK_MS, 15.0, 7)
        found = stream.push(np.zeros(40, np.int16))
    np.testing.assert_array_equal(found[10 : 10 + HOLD], second[10 : 10 + HOLD])
    others = np.r_[0:10, 10 + HOLD : 40]
    assert (TASK.posteriors(found[others]) < 1e-20).all()
    assert looks.share == HOLD / 40
    with opens() as stream:
        parts = [stream.push(np.zeros(n, np.int16)) for n in (11, 0, 1, 28)]
    np.testing.assert_array_equal(np.concatenate(parts), found)
    assert looks.share == HOLD / 40  # of both together


def test_of_classes_that_exclude_each_other_no_word_is_heard_meanwhile():
    task = Keywords(("go", "stop"))
    first = np.tile(np.asarray([0.0, 0.0, 0.0, 9.0]), (5, 1))
    opens, _ = pair(first, np.ones((5, 4)), dict.fromkeys(task.keywords, 0.5), task)
    with opens() as stream:
        quiet = task.posteriors(stream.push(np.zeros(5, np.int16)))
    assert (quiet[:, :2] < 1e-20).all()


def test_what_is_no_pair():
    setup = Setup(LogMel(), 1000, 1)
    require_pair(TASK, setup, dataclasses.replace(TASK, hardest=0.5), setup)
    for task, other, said in (
        (Spotting(("stop", "go")), setup, "allowed: a run of the same kind for go, stop"),
        (Keywords(("go", "stop")), setup, "same kind"),
        (TASK, Setup(LogMel(), 1000, 2), "blocks are of 40 ms"),
        (TASK, Setup(LogMel(window_ms=30.0), 1000, 1), "allowed: blocks of 20 ms"),
    ):
        with pytest.raises(BadInput, match=said):
            require_pair(TASK, setup, task, other)
