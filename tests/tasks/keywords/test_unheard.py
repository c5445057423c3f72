"""Words that training never hears, and figures in parts."""

import collections

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqtaudio.detection.intervals import wilson_interval
from aqtaudio.errors import BadInput
from aqtaudio.frontends.spectral import LogMel
from aqtaudio.tasks.keywords.data import KeywordData
from aqtaudio.tasks.keywords.parts import HEADLINES, HEARD, KEYWORDS, OPEN, UNHEARD, parts
from aqtaudio.tasks.keywords.task import Keywords
from aqtaudio.tasks.keywords.unheard import Unheard
from aqtaudio.tasks.setup import Setup

pytestmark = pytest.mark.optimized(False)
WORDS = ("yes", "no")
SETUP = Setup(LogMel(), 1000)


def clips_of(data: KeywordData) -> set[bytes]:
    clips, _ = data.training_batch(0, 3 * data.steps_per_epoch(1), seed=0)
    return {clip.tobytes() for clip in clips}


def test_training_hears_no_clip_of_them(words):
    task = Keywords(WORDS, unheard=("bed",))
    data = task.load([words.folder], SETUP, ("train", "val"))
    items = data.evaluation_list("val")
    clips, _, unheard = data.evaluation_arrays(items)
    beds = [clip for clip, word in zip(clips, unheard, strict=True) if word == "bed"]
    assert len(beds) == 5  # as many as a keyword has, of 12 + 5
    paths = [item.path for item, word in zip(items, unheard, strict=True) if word]
    assert all("/bed/" in path for path in paths) and any("/train/" in path for path in paths)
    counts = collections.Counter(item.label for item in items)
    assert counts == {"yes": 5, "no": 6, "unknown": 5 + 5, "silence": 5}
    every = task.clips([words.folder], SETUP, ("train", "val")).evaluation_list("train", 100)
    assert not any("/bed/" in item.path for item in every)
    heard = clips_of(data)
    assert not heard & {clip.tobytes() for clip in beds}
    with_them = clips_of(Keywords(WORDS).load([words.folder], SETUP, ("train", "val")))
    assert with_them & {clip.tobytes() for clip in beds}


def test_a_run_that_validates_later_finds_them_too(words):
    task = Keywords(WORDS, unheard=("bed",))
    both, alone = (task.load([words.folder], SETUP, s) for s in (("train", "val"), ("val",)))
    assert alone.holds(both.evaluation_list("val"))
    assert alone.evaluation_list("val") == both.evaluation_list("val")


def test_by_default_nothing_changes(words):
    plain = KeywordData.load([words.folder], WORDS)
    by_task = Keywords(WORDS).load([words.folder], SETUP, ("train", "val"))
    items = plain.evaluation_list("val")
    assert by_task.evaluation_list("val") == items
    assert len(by_task.evaluation_arrays(items)) == 2
    assert Keywords(WORDS).headlines.fronts == ("accuracy",)


@settings(max_examples=25, deadline=None)
@given(st.text(min_size=1, max_size=5), st.floats(0, 0.99), st.floats(0, 0.99))
def test_a_larger_share_has_the_words_of_a_smaller(label, one, other):
    few, many = (Unheard(WORDS, share=share) for share in sorted((one, other)))
    assert many.holds(label) or not few.holds(label)
    assert not Unheard((label,), share=0.99).holds(label)


def test_a_share_is_about_that_share_of_the_words():
    labels = [f"word {number}" for number in range(1000)]
    held = sum(map(Unheard(WORDS, share=0.3).holds, labels))
    assert 250 < held < 350
    for label in ("speech", "noise:rain", "_unknown_", "silence", "yes"):
        assert not Unheard(WORDS, share=0.99999).holds(label)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"unheard": ("yes",)}, "'yes'; allowed: words that are no keywords"),
        ({"unheard": ("speech",)}, "'speech'"),
        ({"unheard_share": 1.0}, "unheard_share is 1.0"),
        ({"kept_epochs": -1}, "kept_epochs is -1"),
    ],
)
def test_what_cannot_be_kept_out_is_refused(wrong, said):
    with pytest.raises(BadInput, match=said):
        Keywords(WORDS, **wrong)


def test_words_that_nobody_says_are_refused_before_training(words):
    for wrong in ({"unheard": ("bed", "hum")}, {"unheard_share": 1e-9}):
        task = Keywords(WORDS, **wrong)
        with pytest.raises(BadInput, match="has no recordings in"):
            task.load([words.folder], SETUP, ("train", "val"))
        task.load([words.folder], SETUP, ("val",))


def test_parts():
    names = ("yes", "no", "unknown", "silence")
    classes = np.asarray([0, 0, 1, 2, 2, 2, 2, 3])
    unheard = np.asarray(["", "", "", "", "go", "go", "bed", ""])
    right = np.asarray([1, 0, 1, 1, 1, 0, 0, 1], bool)
    found = parts(right, classes, names, unheard)
    assert found[KEYWORDS] == 2 / 3 and found[HEARD] == 1.0 and found[UNHEARD] == 1 / 3
    assert found[OPEN] == pytest.approx(np.mean([1 / 2, 1, 1, 1 / 3]))
    assert found["details"]["counts"][UNHEARD] == [1, 3]
    assert found["details"]["unheard"] == {"bed": [0, 1], "go": [1, 2]}
    assert found["details"]["intervals"][UNHEARD] == wilson_interval(1, 3)
    without = parts(right[:4], classes[:4], names, unheard[:4])
    assert UNHEARD not in without and OPEN not in without and without[HEARD] == 1.0


class AlwaysUnknown:
    """A network that takes every clip for another word."""

    def whole(self, features, at_once=128):
        return np.tile(np.asarray([0.0, 0.0, 9.0, 0.0]), (len(features), 1))


def test_states_are_chosen_by_the_parts(words):
    task = Keywords(WORDS, unheard=("bed",))
    data = task.load([words.folder], SETUP, ("train", "val"))
    arrays = data.evaluation_arrays(data.evaluation_list("val"))
    found = task.validation(AlwaysUnknown(), arrays, SETUP, 0.1)
    assert found[f"val_{UNHEARD}"] == 1.0 and found[f"val_{OPEN}"] == 0.25
    assert found["val_loss"] == pytest.approx(1 - 0.625 + 0.01 * np.tanh(9), abs=1e-3)
    assert "val_loss" not in task.validation(AlwaysUnknown(), arrays, SETUP, None)
    scores = task.scores_of(AlwaysUnknown(), arrays, SETUP)
    told = "\n".join(task.show(scores))
    for name in (*HEADLINES.fronts, HEARD, KEYWORDS):
        assert f"{HEADLINES.titles[name]}: {scores[name]:.4f}" in told
    assert "never heard: bed 5 of 5" in told
