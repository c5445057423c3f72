"""Features that are made once are those of the clips, and come again."""

import dataclasses

import jax
import numpy as np
import pytest

from aqtaudio.data.augmentation import Augmentation
from aqtaudio.errors import BadInput
from aqtaudio.frontends.spectral import LogMel
from aqtaudio.tasks.keywords import task as keywords
from aqtaudio.tasks.keywords.kept_features import SEED, KeptFeatures, of_validation
from aqtaudio.tasks.keywords.task import Keywords
from aqtaudio.tasks.setup import Setup

pytestmark = pytest.mark.optimized(False)
STILL = Augmentation(0.0, 0.0, 0.0, 0.0, spec_time_masks=0, spec_frequency_masks=0)
SETUP = Setup(LogMel(mel_bands=8), 1000, augmentation=STILL)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AQTAUDIO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_they_are_the_features_of_the_clips(words, cache, capsys):
    task = Keywords(("yes", "no"), kept_epochs=2)
    data = task.load([words.folder], SETUP, ("train", "val"))
    kept = task.prepared(data, SETUP)
    length = data.steps_per_epoch(1)
    clips, classes = data.training_batch(0, 2 * length, SEED)
    features, of_them = kept.training_batch(0, 2 * length, 7)
    assert features.dtype == np.float32
    expected = {row.tobytes(): n for n, row in enumerate(SETUP.features_of(clips).astype("f2"))}
    order = [expected[row.astype("f2").tobytes()] for row in features]
    assert len(set(order)) == len(set(expected.values())) and order != sorted(order)
    np.testing.assert_array_equal(of_them, classes[order])
    other, _ = kept.training_batch(1, 2 * length, 7)
    assert not np.array_equal(other, features)
    np.testing.assert_array_equal(np.sort(other, 0), np.sort(features, 0))
    parts = [kept.training_batch(step, length, 7)[0] for step in range(2)]
    np.testing.assert_array_equal(np.concatenate(parts), features)
    assert not np.array_equal(kept.training_batch(0, 2 * length, 8)[0], features)
    # Another process finds them on disk.
    said = capsys.readouterr().out
    assert "features of epoch 2 of 2" in said and len(list(cache.glob("clips/*.npy"))) == 2
    later, _ = task.prepared(data, SETUP).training_batch(0, 2 * length, 7)
    np.testing.assert_array_equal(later, features)
    assert not capsys.readouterr().out
    # A step takes them as they are.
    seen, targets = task.examples(np.zeros(2, np.uint32), (features, of_them), None, SETUP)
    np.testing.assert_array_equal(seen, features)
    np.testing.assert_array_equal(targets, of_them)


def test_a_teacher_hears_the_same_clips(words, cache, monkeypatch):
    """Changed by the same draws: one with the run's own front end says what the run hears."""
    monkeypatch.setattr(keywords, "teacher_of", lambda run, of: LogMel(mel_bands=8))
    task = Keywords(("yes", "no"), kept_epochs=2, teacher="head", teacher_weight=0.5)
    setup = Setup(LogMel(mel_bands=8), 1000, 4, 1)
    data = task.prepared(task.load([words.folder], setup, ("train", "val")), setup)
    features, classes, taught = data.training_batch(1, 20, 3)
    alone = dataclasses.replace(setup, block_frames=1, clips_before=0)
    assert features.shape == (20, *setup.feature_shape) and taught.shape[1:] == alone.feature_shape
    np.testing.assert_array_equal(taught[:, -features.shape[1] :], features)
    assert not np.array_equal(data.training_batch(2, 20, 3)[2], taught)
    key = jax.random.key(0)
    _, targets = task.examples(key, (features, classes, taught), None, setup)
    np.testing.assert_array_equal(targets[1], taught[:, -1])
    answers = np.tile(taught[:, -1, :4] + np.arange(4), 1)
    loss, told = task.objective(answers, (classes, taught[:, -1, :4]), setup, {}, 0.0)
    truth, _ = task.truth(answers, classes, 0.0)
    assert float(loss) == pytest.approx(float(truth) + 0.5 * float(told["apart"]))
    assert float(told["apart"]) > 0.1


def test_a_teacher_takes_clips_that_are_kept():
    with pytest.raises(BadInput, match="allowed: kept_epochs of 1 or more"):
        Keywords(teacher="head")
    with pytest.raises(BadInput, match="teacher_weight is -1"):
        Keywords(kept_epochs=1, teacher="head", teacher_weight=-1)
    assert Keywords(kept_epochs=1, teacher="head").for_words(("alexa",)).teacher == ""


def test_a_file_that_was_cut_off_is_made_again(cache):
    made = []

    def make(key, clips):
        made.append(len(clips))
        return clips[:, None, :1].astype(np.float32)

    def clips(places, seed):
        return np.asarray(places)[:, None].astype(np.int16) % 50, np.asarray(places) % 3

    def kept():
        return KeptFeatures(clips, make, "told", 130, 1)

    first, classes = kept().batch(np.arange(130), 0)
    (file,) = cache.glob("clips/*.npy")
    file.write_bytes(file.read_bytes()[:100])
    again, same = kept().batch(np.arange(130), 0)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(classes, same)
    assert made == [128] * 4  # always as many: one program


def test_what_is_validated_with_is_made_once(monkeypatch):
    made = []
    monkeypatch.setattr(Setup, "features_of", lambda setup, clips: made.append(1) or clips + 1)
    clips = np.zeros((2, 8), np.int16)
    first = of_validation(SETUP, clips)
    assert of_validation(SETUP, clips) is first and len(made) == 1
    of_validation(SETUP, clips.copy())
    assert len(made) == 2
