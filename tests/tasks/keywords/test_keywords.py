"""A keyword run's lists and batches: complete, deterministic, blind to the manifest's order."""

import collections
import os
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqtaudio.data import crops, manifest
from aqtaudio.data import items as item_lists
from aqtaudio.data.labels import class_of
from aqtaudio.errors import BadInput
from aqtaudio.tasks.keywords.data import EvaluationItem, KeywordData, class_names

pytestmark = pytest.mark.optimized(False)

SHARED = Path(os.environ.get("AQTAUDIO_SHARED", "../shared")) / "data"
KEYWORDS = ("yes", "no")


@pytest.fixture
def data(words):
    return KeywordData.load([words.folder], KEYWORDS)


def test_classes():
    assert class_names(("go", "up")) == ("go", "up", "unknown", "silence")
    labels = ("go", "_silence_", "silence", "noise:rain", "_unknown_", "ar:no", "speech", "up")
    classes = [class_of(label, ("go",)) for label in labels]
    assert classes == ["go", *["silence"] * 3, *["unknown"] * 4]
    for wrong in ((), ("go", "go"), ("go", "silence")):
        with pytest.raises(BadInput):
            class_names(wrong)


def test_the_list_is_balanced_and_spread_over_kinds(data):
    items = data.evaluation_list("val")
    counts = collections.Counter(item.label for item in items)
    assert counts == {"yes": 5, "no": 6, "unknown": 5, "silence": 5}
    kinds = collections.Counter(i.path.split("/")[0] for i in items if i.label == "unknown")
    assert set(kinds) == {"words", "wake", "speech"} and max(kinds.values()) == 2
    assert len(set(items)) == len(items)
    assert all("/val" in item.path for item in items)
    capped = collections.Counter(item.label for item in data.evaluation_list("val", 3))
    assert set(capped.values()) == {3}


def test_silence_clips_do_not_overlap(data):
    starts = collections.defaultdict(list)
    for item in data.evaluation_list("val", per_class=100):
        if item.label == "silence":
            starts[item.path].append(item.start_sample)
    assert len(starts) == 2
    for found in starts.values():
        assert len(found) > 1 and (np.diff(sorted(found)) >= 16000).all()


def test_nothing_depends_on_the_order_of_the_manifest(words, data):
    random.Random(1).shuffle(words.recordings)
    words.save()
    again = KeywordData.load([words.folder], KEYWORDS)
    assert again.evaluation_list("val") == data.evaluation_list("val")
    assert again.evaluation_list("val") != data.evaluation_list("val", seed=1)
    for step in range(3):
        for one, other in zip(
            again.training_batch(step, 16, 3), data.training_batch(step, 16, 3), strict=True
        ):
            assert np.array_equal(one, other)
    assert np.array_equal(again.noise_bank(), data.noise_bank())


def test_folders_together_are_one(words, data, tmp_path):
    """Wherever a recording lies: what is drawn goes by path."""
    other = tmp_path / "other"
    moved = [row for number, row in enumerate(words.recordings) if number % 3]
    for row in moved:
        (other / row.path).parent.mkdir(parents=True, exist_ok=True)
        (words.folder / row.path).rename(other / row.path)
    manifest.write(other, moved)
    manifest.write(words.folder, [row for row in words.recordings if row not in moved])
    for folders in ([words.folder, other], [other, words.folder]):
        again = KeywordData.load(folders, KEYWORDS)
        items = again.evaluation_list("val")
        assert items == data.evaluation_list("val")
        for ours, theirs in (
            (again.evaluation_arrays(items), data.evaluation_arrays(items)),
            (again.training_batch(2, 16, 0), data.training_batch(2, 16, 0)),
        ):
            assert all(map(np.array_equal, ours, theirs))
    with pytest.raises(BadInput, match="has no clips in split 'train' of .*other, .*corpus"):
        KeywordData.load([other, words.folder], ("yes", "maybe"))


def test_the_list_survives_its_file(tmp_path, data):
    items = data.evaluation_list("val")
    item_lists.write(tmp_path / "evaluation.tsv", EvaluationItem, items)
    again = item_lists.read(tmp_path / "evaluation.tsv", EvaluationItem)
    assert again == items
    clips, classes = data.evaluation_arrays(again)
    assert clips.shape == (len(items), 16000) and clips.dtype == np.int16
    assert [data.classes[number] for number in classes] == [item.label for item in items]
    (tmp_path / "evaluation.tsv").write_text("path\tlabel\tstart_sample\na\tb\t-1\n")
    with pytest.raises(BadInput, match="line 2"):
        item_lists.read(tmp_path / "evaluation.tsv", EvaluationItem)
    with pytest.raises(BadInput, match="none.flac"):
        data.evaluation_arrays([EvaluationItem("none.flac", "yes", 0)])


def test_clips_are_the_recordings_samples(words, data):
    item = next(i for i in data.evaluation_list("val") if i.label == "yes")
    clip = data.evaluation_arrays([item])[0][0]
    (samples,) = [
        data_samples
        for recording, data_samples in zip(data._recordings, data._samples, strict=True)
        if recording.path == item.path
    ]
    assert np.array_equal(clip[:12800], samples[:12800])
    assert not clip[12800:].any()  # 0.8 s of sound


def test_an_epoch_holds_every_keyword_clip_once(data):
    size = 7
    yes_no = [number for number in (0, 1)]
    total = data.steps_per_epoch(1)
    clips, classes = data.training_batch(0, total, seed=5)
    assert len(np.unique(clips[np.isin(classes, yes_no)], axis=0)) == 12 + 13
    counts = np.bincount(classes, minlength=4)
    assert counts.tolist() == [12, 13, round(1.25 * 12.5), round(1.25 * 12.5)]
    batches = [data.training_batch(step, size, seed=5) for step in range(total)]
    stream = np.concatenate([batch[1] for batch in batches])
    for epoch in range(size):
        part = stream[epoch * total : (epoch + 1) * total]
        assert np.array_equal(np.bincount(part, minlength=4), counts)
    assert data.steps_per_epoch(size) == -(-total // size)


@settings(max_examples=20, deadline=None)
@given(step=st.integers(0, 10_000), seed=st.integers(0, 2**31))
def test_a_batch_is_a_function_of_seed_and_step(shared_data, step, seed):
    one = shared_data.training_batch(step, 9, seed)
    shared_data.training_batch(step + 100, 9, seed + 1)  # whatever comes between
    other = shared_data.training_batch(step, 9, seed)
    assert np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1])
    assert not np.array_equal(one[0], shared_data.training_batch(step + 1, 9, seed)[0])


@pytest.fixture(scope="module")
def shared_data():
    rng = np.random.default_rng(0)
    labels = ["yes"] * 6 + ["no"] * 6 + ["other"] * 4 + ["noise:a"] * 2
    recordings = [
        manifest.Recording(f"{n}.wav", label, "-", "train", "", "", 1.0, 16000)
        for n, label in enumerate(labels)
    ]
    samples = [rng.integers(-3000, 3000, 24000, dtype=np.int16) for _ in labels]
    return KeywordData(recordings, samples, KEYWORDS)


def test_some_silence_is_nearly_silent(shared_data):
    clips, classes = shared_data.training_batch(0, 2000, seed=0)
    peaks = np.abs(clips[classes == 3].astype(int)).max(axis=1)
    assert 0.08 < (peaks < 400).mean() < 0.25 and (peaks > 2900).mean() > 0.7
    assert np.abs(clips[classes != 3].astype(int)).max(axis=1).min() > 2900


@pytest.mark.parametrize(("per_keyword", "unknown"), [(0.5, 6), (1.25, 16), (1.5, 19)])
def test_the_share_of_unknown_words_is_a_setting(words, per_keyword, unknown):
    data = KeywordData.load([words.folder], KEYWORDS, unknown_per_keyword=per_keyword)
    _, classes = data.training_batch(0, data.steps_per_epoch(1), seed=5)
    assert np.bincount(classes).tolist() == [12, 13, unknown, 16]


def test_of_running_speech_a_stretch_is_left(words):
    def batch(cut_share):
        data = KeywordData.load([words.folder], KEYWORDS, cut_share=cut_share)
        return data.training_batch(0, data.steps_per_epoch(1), seed=0)

    (clips, classes), (cut, same) = batch(0.0), batch(1.0)
    np.testing.assert_array_equal(classes, same)
    changed = (clips != cut).any(-1)
    wake_and_speech = 11  # of 16 unknown clips, 5 are recordings of one clip
    assert changed.sum() == wake_and_speech and set(classes[changed]) == {2}
    for before, after in zip(clips[changed], cut[changed], strict=True):
        kept = np.flatnonzero(before != 0)[(before == after)[before != 0]]
        loud = np.flatnonzero(np.abs(after.astype(float)) > 0.2 * 32768)
        assert 0.14 < (loud[-1] - loud[0]) / len(after) < 0.48
        assert np.isin(loud[1000:-1000], kept).all()
        around = np.delete(after, np.arange(loud[0] - 200, loud[-1] + 200))
        assert 0 < np.abs(around.astype(float)).max() < 0.1 * 32768
    some = (clips != batch(0.5)[0]).any(-1)
    assert 0 < some.sum() < wake_and_speech


def test_keywords_and_other_words_are_spliced(words):
    def batch(spliced):
        data = KeywordData.load([words.folder], KEYWORDS, spliced=spliced)
        return data.training_batch(0, data.steps_per_epoch(1), seed=0)

    (clips, classes), (more, of_more) = batch(0.0), batch(0.5)
    assert len(more) == len(clips) + 8  # half of the 16 unknown clips
    assert collections.Counter(of_more) == collections.Counter(classes) + collections.Counter(
        {2: 8}
    )
    known = {clip.tobytes() for clip in clips}
    splices = [clip for clip, of in zip(more, of_more, strict=True) if of == 2]
    splices = [clip for clip in splices if clip.tobytes() not in known]
    keywords = clips[classes < 2]
    begun = [sum((clip[:2000] == keywords[:, :2000]).all(-1)) for clip in splices]
    assert sorted(set(begun)) == [0, 1]  # one way and the other


def test_a_splice_is_the_beginning_of_one_and_the_end_of_another():
    first, second = np.zeros((2, 16000), np.int16)
    first[2000:6000], second[9000:11000] = 1000, -2000
    found = crops.spliced(first, second, 0.25)
    assert (found[2000:2900] == 1000).all() and (found[3100:4500] == -2000).all()
    assert not found[:2000].any() and not found[4501:].any()
    late = crops.spliced(second, first, 0.5)
    assert (late[9000:9900] == -2000).all() and (late[10100:12000] == 1000).all()
    assert not late[12001:].any()


def test_the_noise_bank_holds_pieces_of_the_noise(data):
    bank = data.noise_bank("train", 16000)
    assert bank.shape == (4 + 2, 16000) and bank.dtype == np.int16
    long = data.noise_bank("train")
    assert long.shape == (2, 80000)  # shorter recordings are repeated
    assert np.array_equal(long[0, :16000], long[0, 40000:56000])


def test_a_clip_of_a_long_recording_holds_its_sound():
    rng = np.random.default_rng(0)
    for _ in range(20):
        at = int(rng.integers(0, 40_000))
        sound = np.zeros(48_000, np.int16)
        sound[at : at + 8000] = rng.integers(-9000, 9000, 8000)
        for loudness, most in ((0.9, 0), (0.25, 6200)):
            for start in crops.starts(sound, 16000, loudness):
                cut_off = max(0, start - at) + max(0, at + 8000 - start - 16000)
                assert cut_off <= (most or 1000)
    assert len(crops.starts(sound, 16000, 0)) == 201


@given(sizes=st.lists(st.integers(0, 30), min_size=1, max_size=6), total=st.integers(0, 100))
def test_shares_are_even_and_add_up(sizes, total):
    counts = crops.in_turns(sizes, total)
    assert sum(counts) == min(total, sum(sizes))
    assert all(count <= size for count, size in zip(counts, sizes, strict=True))
    unfilled = [count for count, size in zip(counts, sizes, strict=True) if count < size]
    assert not unfilled or max(counts) - min(unfilled) <= 1


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        (("yes", "maybe"), "label 'maybe' has no clips in split 'train' .*alexa, bed, no"),
        (("yes", "no", "bed", "alexa", "speech"), "'unknown' .* other words"),
        (("yes", "noise:rain", "noise:hum"), "'silence' .* noise:"),
    ],
)
def test_a_class_without_clips_is_refused(words, keywords, said):
    with pytest.raises(BadInput, match=said):
        KeywordData.load([words.folder], keywords)


def test_a_missing_split_or_broken_file_is_refused(words):
    with pytest.raises(BadInput, match="'test'"):
        KeywordData.load([words.folder], KEYWORDS, splits=("test",))
    (words.folder / words.recordings[0].path).write_text("broken")
    with pytest.raises(BadInput, match=words.recordings[0].path):
        KeywordData.load([words.folder], KEYWORDS)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared recordings")
def test_the_eight_classes_of_the_shared_recordings():
    data = KeywordData.load([SHARED], ("yes", "up", "down", "on", "off", "stop"), splits=("val",))
    items = data.evaluation_list("val")
    counts = collections.Counter(item.label for item in items)
    assert len(counts) == 8 and all(100 <= count <= 103 for count in counts.values())
    kinds = collections.Counter(i.path.split("/")[0] for i in items if i.label == "unknown")
    assert set(kinds) == {"arabic_commands", "gsc", "speech", "wake"}
