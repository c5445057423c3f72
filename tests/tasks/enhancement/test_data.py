"""Lists and batches of an enhancement run: deterministic, fair, and blind to the manifest."""

import collections
import dataclasses
import itertools
import random
import shutil

import numpy as np
import pytest
import soundfile
from noisy_trees import write_voicebank_demand
from speech_corpus import RATE_HZ, SPEAKERS

from aqtaudio.data import items as item_lists
from aqtaudio.data import manifest
from aqtaudio.data.mixing import NOISES
from aqtaudio.data.voicebank_demand import import_voicebank_demand
from aqtaudio.errors import BadInput
from aqtaudio.tasks.enhancement.data import (
    EVALUATION_SNR_DB,
    EnhancementData,
    MixtureItem,
)

CLIP = RATE_HZ  # one second


def load(folder, clip_samples=CLIP, rate_hz=RATE_HZ, splits=("train", "val")):
    return EnhancementData.load([folder], rate_hz, clip_samples, splits, evaluation_ms=2000)


@pytest.fixture(scope="module")
def data(speech_corpus):
    return load(speech_corpus)


@pytest.fixture
def own_corpus(speech_corpus, tmp_path):
    """A copy that may be changed."""
    return shutil.copytree(speech_corpus, tmp_path / "corpus")


def pieces(clip, recordings):
    """Paths of the recordings that the loudest parts of a clip are from, the loudest first."""
    starts = range(0, len(clip) - 100, 100)
    loudness = {n: np.abs(clip[n : n + 100] * 1.0).sum() for n in starts}
    found = {}
    for at in sorted(starts, key=lambda n: -loudness[n])[:5]:
        window = clip[at : at + 100].tobytes()
        found |= {path: 1 for path, known in recordings.items() if window in known.tobytes()}
    return list(found)


@pytest.fixture(scope="module")
def audio_of(speech_corpus):
    return {
        row.path: soundfile.read(speech_corpus / row.path, dtype="int16")[0]
        for row in manifest.read(speech_corpus)
    }


# The evaluation list.


def test_every_speaker_at_every_ratio(data):
    items = data.evaluation_list("val")
    pairs = [(data.speaker_of(item), item.snr_db) for item in items]
    assert len(set(pairs)) == len(pairs) == SPEAKERS["val"] * len(EVALUATION_SNR_DB)
    assert {item.level_dbfs for item in items} == {-25.0}
    assert data.holds(items)
    assert len({item.path for item in items}) == 8  # all recordings


def test_noises_and_ratios_are_spread(data):
    items = data.evaluation_list("val")
    kinds = collections.Counter(item.noise_path.rpartition("_")[0] for item in items)
    assert len(kinds) == 3 and max(kinds.values()) - min(kinds.values()) <= 1
    noises = collections.Counter(item.noise_path for item in items)
    assert len(noises) == 6 and max(noises.values()) - min(noises.values()) <= 2
    for length in (4, 8, 13):
        prefix = items[:length]
        ratios = collections.Counter(item.snr_db for item in prefix)
        assert max(ratios.values()) - min(ratios.get(r, 0) for r in EVALUATION_SNR_DB) <= 2
        assert len({data.speaker_of(item) for item in prefix}) == 4
    assert items != data.evaluation_list("val", seed=1)


def test_at_most_so_many_of_each_ratio(data):
    items = data.evaluation_list("val", 3)
    assert collections.Counter(i.snr_db for i in items) == dict.fromkeys(EVALUATION_SNR_DB, 3)
    whole = data.evaluation_list("val")
    assert items == [item for item in whole if item in items]


def test_the_list_does_not_depend_on_the_manifests_order(own_corpus, data):
    rows = manifest.read(own_corpus)
    random.Random(1).shuffle(rows)
    manifest.write(own_corpus, rows)
    shuffled = load(own_corpus)
    assert shuffled.evaluation_list("val") == data.evaluation_list("val")
    assert load(own_corpus, splits=("val",)).evaluation_list("val") == data.evaluation_list("val")
    for ours, theirs in zip(
        data.training_batch(3, 4, 0), shuffled.training_batch(3, 4, 0), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_folders_together_are_one(own_corpus, data, tmp_path):
    rows, other = manifest.read(own_corpus), tmp_path / "other"
    (other / "noise").parent.mkdir()
    (own_corpus / "noise").rename(other / "noise")
    is_noise = [row.label.startswith("noise") for row in rows]
    manifest.write(other, itertools.compress(rows, is_noise))
    manifest.write(own_corpus, itertools.compress(rows, (not noise for noise in is_noise)))
    together = EnhancementData.load([own_corpus, other], RATE_HZ, CLIP, evaluation_ms=2000)
    items = together.evaluation_list("val")
    assert items == data.evaluation_list("val")
    for ours, theirs in zip(
        (*together.evaluation_arrays(items), *together.training_batch(3, 4, 0)),
        (*data.evaluation_arrays(items), *data.training_batch(3, 4, 0)),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(BadInput, match="has no noise"):
        load(own_corpus)


def test_another_sample_rate_names_the_same_places(speech_corpus, data):
    twice = load(speech_corpus, 2 * CLIP, 2 * RATE_HZ)
    items = data.evaluation_list("val")
    scaled = [
        dataclasses.replace(
            item,
            start_sample=2 * item.start_sample,
            noise_start_sample=2 * item.noise_start_sample,
        )
        for item in items
    ]
    assert twice.evaluation_list("val") == scaled
    assert twice.evaluation_arrays(scaled[:2])[0].shape == (2, 4 * RATE_HZ)


def test_splits_do_not_meet(data, audio_of):
    for item in data.evaluation_list("val"):
        assert "/val" in item.path and "/val" in item.noise_path
    for step in range(6):
        speech, noises = data.training_batch(step, 4, 0)
        for clip in [*speech, *noises.reshape(-1, CLIP)]:
            found = pieces(clip, audio_of)
            assert found and all("/train" in path and "words" not in path for path in found)


# Its arrays.


def test_mixtures_have_the_ratio_and_level_of_their_item(data):
    items = [
        dataclasses.replace(item, level_dbfs=level)
        for item, level in zip(data.evaluation_list("val"), [-30.0, -40.0] * 10, strict=True)
    ]
    noisy, clean = data.evaluation_arrays(items)
    assert noisy.dtype == clean.dtype == np.int16
    assert noisy.shape == clean.shape == (20, 2 * RATE_HZ)
    unclipped = np.abs(noisy.astype(int)).max(axis=1) < 32767
    assert unclipped.sum() > 15
    power = [np.mean(np.square(part, dtype=float), axis=1) for part in (clean, noisy * 1.0 - clean)]
    got = 10 * np.log10(power[0] / power[1])
    level = 10 * np.log10(np.mean(np.square(noisy / 32768), axis=1))
    np.testing.assert_allclose(
        got[unclipped], np.array([i.snr_db for i in items])[unclipped], atol=0.1
    )
    np.testing.assert_allclose(level[unclipped], np.array([-30, -40] * 10)[unclipped], atol=0.05)


def test_short_speech_is_repeated_after_a_pause(data, audio_of):
    item = next(i for i in data.evaluation_list("val") if len(audio_of[i.path]) < 2 * RATE_HZ)
    _, clean = data.evaluation_arrays([item])
    once = audio_of[item.path].astype(float)
    period = len(once) + RATE_HZ // 2
    scale = clean[0, : len(once)] @ once / (once @ once)
    np.testing.assert_allclose(clean[0, : len(once)], scale * once, atol=0.6)
    assert not clean[0, len(once) : period].any()
    rest = once[: 2 * RATE_HZ - period]
    assert len(rest) > 100
    np.testing.assert_allclose(clean[0, period:], scale * rest, atol=0.6)


def test_items_that_are_not_in_the_data(data):
    item = data.evaluation_list("val")[0]
    for wrong in (
        {"path": "speech/gone.flac"},
        {"noise_path": "noise/gone.flac"},
        {"path": item.noise_path},
        {"noise_path": item.path},
        {"start_sample": 10**6},
    ):
        with pytest.raises(BadInput):
            data.evaluation_arrays([dataclasses.replace(item, **wrong)])
    gone = dataclasses.replace(item, path="gone.flac")
    assert not data.holds([item, gone])
    with pytest.raises(BadInput, match="gone"):
        data.speaker_of(gone)


def test_nameless_speakers_are_one_each(own_corpus):
    rows = [dataclasses.replace(row, speaker="-") for row in manifest.read(own_corpus)]
    manifest.write(own_corpus, rows)
    data = load(own_corpus)
    items = data.evaluation_list("val")
    assert len(items) == 8 * len(EVALUATION_SNR_DB)
    assert data.speaker_of(items[0]) == items[0].path


# The list as a file.


def test_a_list_survives_its_file(data, tmp_path):
    items = data.evaluation_list("val")
    items[0] = dataclasses.replace(items[0], snr_db=-2.125, level_dbfs=-50.1)
    item_lists.write(tmp_path / "evaluation.tsv", MixtureItem, items)
    assert item_lists.read(tmp_path / "evaluation.tsv", MixtureItem) == items
    assert [file.name for file in tmp_path.iterdir()] == ["evaluation.tsv"]


@pytest.mark.parametrize(
    ("number", "old", "new"),
    [
        (1, "path\t", "file\t"),
        (2, "\t-25.0", ""),
        (3, "\t-25.0", "\tnan"),
        (4, "\t-25.0", "\t-25.0\t1"),
        (5, ".flac\t", ".flac\t-"),
    ],
)
def test_damage_is_named_by_line(data, tmp_path, number, old, new):
    file = tmp_path / "evaluation.tsv"
    item_lists.write(file, MixtureItem, data.evaluation_list("val"))
    lines = file.read_text().split("\n")
    assert old in lines[number - 1]
    lines[number - 1] = lines[number - 1].replace(old, new)
    file.write_text("\n".join(lines))
    with pytest.raises(BadInput, match="columns" if number == 1 else f"line {number}") as error:
        item_lists.read(file, MixtureItem)
    assert str(file) in str(error.value) and "\n" not in str(error.value)


def test_no_list(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        item_lists.read(tmp_path / "evaluation.tsv", MixtureItem)


# Training.


def test_batches_are_a_function_of_their_step(speech_corpus, data):
    ahead = [data.training_batch(step, 5, 7) for step in range(8)]
    fresh = load(speech_corpus)
    for step in (6, 2):  # as after a restart, in any order
        for ours, theirs in zip(ahead[step], fresh.training_batch(step, 5, 7), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    speech, noises = ahead[0]
    assert speech.shape == (5, CLIP) and noises.shape == (5, NOISES, CLIP)
    assert speech.dtype == noises.dtype == np.int16
    whole = data.training_batch(0, 40, 7)  # batches are cut from one sequence
    np.testing.assert_array_equal(np.concatenate([speech for speech, _ in ahead]), whole[0])
    np.testing.assert_array_equal(np.concatenate([noises for _, noises in ahead]), whole[1])
    assert not np.array_equal(whole[0], data.training_batch(0, 40, 8)[0])


def test_an_epoch_has_all_speech(data, audio_of):
    """3 speakers with recordings of 3, 2 and 1 clips."""
    assert data.steps_per_epoch(6) == 3 and data.steps_per_epoch(7) == 3
    spoken = {path: s for path, s in audio_of.items() if path.startswith("speech/train")}
    for epoch in (0, 1):
        clips = data.training_batch(epoch, 18, 0)[0]
        firsts = collections.Counter()
        for clip in clips:
            firsts.update(pieces(clip, spoken)[:1])
        for path, samples in spoken.items():
            if len(samples) >= CLIP:  # a short one may be heard beside others as well
                assert firsts[path] >= round(len(samples) / CLIP)


def test_clips_hold_sound(data):
    speech, noises = data.training_batch(0, 60, 0)
    energy = np.square(speech, dtype=float).sum(axis=1)
    assert energy.min() > 0.02 * energy.max()
    assert noises.any(axis=-1).all()


def test_clips_longer_than_every_recording(speech_corpus):
    data = load(speech_corpus, clip_samples=10 * RATE_HZ)
    speech, noises = data.training_batch(0, 2, 0)
    for clip in [*speech, *noises.reshape(-1, 10 * RATE_HZ)]:
        seconds = np.square(clip.reshape(10, -1), dtype=float).sum(axis=1)
        assert (seconds > 0).all()


def test_kinds_of_noise_come_equally_often(data, audio_of):
    noise = {path: s for path, s in audio_of.items() if path.startswith("noise/train")}
    counts = collections.Counter()
    for clip in data.training_batch(0, 60, 0)[1].reshape(-1, CLIP):
        counts[pieces(clip, noise)[0].rpartition("_")[0]] += 1
    assert len(counts) == 3 and min(counts.values()) > 40


# Folders that will not do.


@pytest.mark.parametrize(
    ("split", "label", "line"),
    [("train", "speech", "speech"), ("val", "noise", "noise"), ("val", "speech", "speech")],
)
def test_a_split_without_speech_or_noise(own_corpus, split, label, line):
    rows = manifest.read(own_corpus)
    kept = [row for row in rows if row.split != split or not row.label.startswith(label)]
    manifest.write(own_corpus, kept)
    with pytest.raises(BadInput, match=f"{split}.* has no {line}.*needed") as error:
        load(own_corpus)
    assert "\n" not in str(error.value) and str(own_corpus) in str(error.value)


def test_silent_recordings_are_nothing(own_corpus):
    for row in manifest.read(own_corpus):
        if row.split == "val" and row.label.startswith("noise"):
            soundfile.write(own_corpus / row.path, np.zeros(RATE_HZ), RATE_HZ)
    with pytest.raises(BadInput, match="has no noise"):
        load(own_corpus)


def test_other_labels_are_not_read(own_corpus, data):
    (own_corpus / "words/train/yes.flac").write_text("no audio")
    assert load(own_corpus).evaluation_list("val") == data.evaluation_list("val")


def test_folders_and_files_that_are_not_there(own_corpus, tmp_path):
    with pytest.raises(BadInput, match="no data folder"):
        load(tmp_path / "gone")
    (own_corpus / "noise/train/fan_0.flac").unlink()
    with pytest.raises(BadInput, match="fan_0"):
        load(own_corpus)


def test_a_list_of_a_split_that_was_not_loaded(speech_corpus):
    data = load(speech_corpus, splits=("val",))
    with pytest.raises(BadInput, match="train.*has no speech"):
        data.training_batch(0, 2, 0)
    with pytest.raises(BadInput, match="test.*has no speech"):
        data.evaluation_list("test")


def test_real_recordings(shared_folder):
    data = EnhancementData.load([shared_folder / "data"], splits=("val",))
    items = data.evaluation_list("val")
    assert len(items) == 75 and len({item.noise_path for item in items}) == 42
    assert len({data.speaker_of(item) for item in items[:15]}) == 15
    noisy, clean = data.evaluation_arrays(items[:5])
    assert noisy.shape == clean.shape == (5, 160_000)


def test_an_imported_tree_is_enough_to_train_on(tmp_path):
    import_voicebank_demand(write_voicebank_demand(tmp_path / "tree"), tmp_path / "out")
    data = load(tmp_path / "out", rate_hz=16000, splits=("train", "val", "test"))
    speech, noises = data.training_batch(0, 2, 0)
    assert speech.any(1).all() and noises.any(2).all()
    assert {data.speaker_of(item) for item in data.evaluation_list("test")} == {"p232", "p257"}
