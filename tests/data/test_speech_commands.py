"""A synthetic Speech Commands tree becomes a manifest folder by the official rules."""

import collections
import math
import os
import random
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aqtaudio.data import import_tree, manifest
from aqtaudio.data.check import check
from aqtaudio.data.speech_commands import import_speech_commands, protocol_choice, split_of
from aqtaudio.errors import BadInput
from aqtaudio.tasks.keywords.data import KeywordData

SHARED = Path(os.environ.get("AQTAUDIO_SHARED", "../shared")) / "data"


@pytest.fixture
def tree(tmp_path):
    rng = np.random.default_rng(0)
    source = tmp_path / "speech_commands"
    for word in ("yes", "no", "bed", "cat"):
        (source / word).mkdir(parents=True)
        for _ in range(40):
            name = f"{rng.integers(2**32):08x}_nohash_0.wav"
            soundfile.write(source / word / name, rng.uniform(-0.5, 0.5, 1600), 16000)
    (source / "_background_noise_").mkdir()
    soundfile.write(
        source / "_background_noise_" / "rain.wav", rng.uniform(-0.5, 0.5, 160_000), 16000
    )
    (source / "_background_noise_" / "README.md").write_text("noise")
    return source


@pytest.mark.parametrize("link", [False, True])
def test_every_clip_is_there_once_in_its_split(tmp_path, tree, link):
    out = import_speech_commands(tree, tmp_path / "out", link=link)
    rows = manifest.read(out)
    clips = [row for row in rows if not row.label.startswith("noise:")]
    assert len(clips) == 160 == len({row.path for row in clips})
    for row in clips:
        assert row.label == row.path.split("/")[0]
        assert row.split == split_of(row.speaker) and row.path.split("/")[1][:8] == row.speaker
        assert (out / row.path).read_bytes() == (tree / row.path).read_bytes()
        assert (out / row.path).samefile(tree / row.path) == link
    noise = {row.split: row.seconds for row in rows if row.label == "noise:rain"}
    assert noise == {"train": 8.0, "val": 1.0, "test": 1.0}
    assert check(out) == []


def test_twelve_labels(tmp_path, tree):
    out = import_speech_commands(tree, tmp_path / "out", twelve_labels=True)
    rows = manifest.read(out)
    assert check(out) == []
    for split in ("val", "test"):
        labels = collections.Counter(row.label for row in rows if row.split == split)
        wanted = labels.pop("yes") + labels.pop("no")
        share = math.ceil(wanted / 10)
        assert labels == {"_unknown_": share, "_silence_": share}
        data = KeywordData.load([out], ("yes", "no"), splits=(split,))
        assert len(data.evaluation_list(split)) == wanted + 2 * share
    train = {row.label for row in rows if row.split == "train"}
    assert train == {"yes", "no", "bed", "cat", "noise:rain"}


def test_the_choice_of_unknown_does_not_depend_on_order():
    paths = [f"bed/{number:08x}_nohash_0.wav" for number in range(500)]
    chosen = protocol_choice(paths, 101)
    assert len(chosen) == 11
    for seed in range(5):
        random.Random(seed).shuffle(paths)
        assert protocol_choice(paths, 101) == chosen
    assert protocol_choice(paths, 101, seed=1) != chosen
    assert len(protocol_choice(paths, 4074)) == 408  # V2: 4074 + 408 + 408 = 4890


def test_the_hash_rule_gives_eighty_ten_ten():
    speakers = (f"{number:08x}" for number in range(20_000))
    counts = collections.Counter(map(split_of, speakers))
    assert counts["val"] == pytest.approx(2000, rel=0.1)
    assert counts["test"] == pytest.approx(2000, rel=0.1)


@pytest.mark.parametrize("case", ["missing", "empty", "damaged"])
def test_what_is_not_such_a_tree_is_refused_and_nothing_is_left(tmp_path, tree, case):
    source = tree
    if case == "missing":
        source = tmp_path / "none"
    if case == "empty":
        source = tmp_path / "empty"
        source.mkdir()
    if case == "damaged":
        for file in tree.rglob("*.wav"):
            file.write_bytes(b"RIFF")
    with pytest.raises(BadInput):
        import_speech_commands(source, tmp_path / "out")
    assert not [file for file in tmp_path.iterdir() if "out" in file.name]


def clip(file, samples=1600, **how):
    file.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(str(file).encode()))
    soundfile.write(file, rng.uniform(-0.5, 0.5, samples), 16000, **how)


def test_everything_is_imported_or_named(tmp_path, tree):
    """Endings of any case, deeper folders, the ready lists of the official test archive."""
    wanted = {
        "stop/0A1b2c3d_nohash_1.WAV": ("stop", "0a1b2c3d"),
        "off/batch1/0a1b2c3e_nohash_0.wav": ("off", "0a1b2c3e"),
        "off/batch2/deep/0a1b2c3e_nohash_1.flac": ("off", "0a1b2c3e"),
        "_unknown_/bed_0a1b2c3f_nohash_0.wav.wav": ("_unknown_", "0a1b2c3f"),
        "_silence_/3.wav": ("_silence_", "-"),
    }
    for path in wanted:
        clip(tree / path, format="FLAC" if path.endswith("flac") else "WAV")
    clip(tree / "_background_noise_/Rain.WAV", 32000, format="WAV")
    others = {
        "yes/mine.wav": "its name is not SPEAKER_nohash_NUMBER.wav",
        "yes/0a1b2c3d_nohash_7.wav": "empty",
        "yes/0a1b2c3d_nohash_8.wav": "shorter than 20 ms",
        "yes/0a1b2c3d_nohash_9.wav": "damaged",
        "yes/._0a1b2c3d_nohash_0.wav": "a hidden file",
        "yes/0a1b2c3d_nohash_3.wav": "a link to nothing",
        "loose.wav": "in no word's folder",
        "validation_list.txt": "not audio",
        "_background_noise_/README.md": "not audio",
        "_background_noise_/none.wav": "empty",
        ".git/": "a hidden folder",
    }
    clip(tree / "yes/mine.wav")
    clip(tree / "yes/0a1b2c3d_nohash_7.wav", 0)
    clip(tree / "yes/0a1b2c3d_nohash_8.wav", 100)
    (tree / "yes/0a1b2c3d_nohash_9.wav").write_bytes(b"RIFF")
    (tree / "yes/._0a1b2c3d_nohash_0.wav").write_bytes(b"\0\5\x16\7")
    (tree / "yes/0a1b2c3d_nohash_3.wav").symlink_to("../gone.wav")
    clip(tree / "loose.wav")
    (tree / "validation_list.txt").write_text("")
    (tree / "_background_noise_/none.wav").write_bytes(b"")
    (tree / ".git").mkdir()
    out = import_speech_commands(tree, tmp_path / "out")
    rows = {row.path: row for row in manifest.read(out)}
    assert {path: (rows[path].label, rows[path].speaker) for path in wanted} == wanted
    noise = {row.label for row in rows.values() if row.label.startswith("noise:")}
    assert noise == {"noise:Rain", "noise:rain_2"}
    assert len(rows) == 160 + len(wanted) + 2 * 3
    left = {each.path: each.reason for each in import_tree.read_left_out(out)}
    assert set(left) == set(others)
    assert all(left[path].startswith(reason) for path, reason in others.items()), left
    assert check(out) == []


def test_folders_that_are_splits(tmp_path):
    tree = tmp_path / "tree"
    for folder in ("training", "Validation", "testing"):
        for speaker in range(3):
            clip(tree / folder / "yes" / f"{speaker:08x}_nohash_0.wav")
        clip(tree / folder / "_background_noise_" / "hum.wav", 32000)
    rows = manifest.read(import_speech_commands(tree, tmp_path / "out"))
    splits = {"training": "train", "Validation": "val", "testing": "test"}
    clips = [row for row in rows if row.label == "yes"]
    assert len(clips) == 9 and all(row.split == splits[row.path.split("/")[0]] for row in clips)
    noise = {row.split: (row.label, row.seconds) for row in rows if row.label != "yes"}
    assert noise == dict.fromkeys(("train", "val", "test"), ("noise:hum", 2))


def test_the_official_test_archive_is_all_test(tmp_path):
    """Its silence has no speaker to go by."""
    tree = tmp_path / "tree"
    speakers = [x for x in (f"{n:08x}" for n in range(200)) if split_of(x) == "test"]
    for speaker in speakers[:4]:
        clip(tree / "yes" / f"{speaker}_nohash_0.wav")
        clip(tree / "_unknown_" / f"bed_{speaker}_nohash_0.wav.wav")
    for number in range(4):
        clip(tree / "_silence_" / f"{number}.wav")
    rows = manifest.read(import_speech_commands(tree, tmp_path / "out", twelve_labels=True))
    counts = collections.Counter((row.label, row.split) for row in rows)
    assert counts == {(label, "test"): 4 for label in ("yes", "_unknown_", "_silence_")}


def test_links_are_linked_to_what_they_lead_to(tmp_path):
    tree = tmp_path / "tree"
    clip(tmp_path / "store/a.wav")
    clip(tmp_path / "store/words/00000002_nohash_0.wav")
    (tree / "yes").mkdir(parents=True)
    (tree / "yes/00000001_nohash_0.wav").symlink_to("../../store/a.wav")
    (tree / "no").symlink_to("../store/words")
    (tree / "yes/loop").symlink_to("..")
    out = import_speech_commands(tree, tmp_path / "deep/er/out", link=True)
    rows = manifest.read(out)
    assert [row.path for row in rows] == ["no/00000002_nohash_0.wav", "yes/00000001_nohash_0.wav"]
    assert (out / rows[1].path).samefile(tmp_path / "store/a.wav")
    assert not any(row.file.is_symlink() for row in rows) and check(out) == []
    assert [each.path for each in import_tree.read_left_out(out)] == ["yes/loop/"]


def test_a_full_folder_is_not_touched(tmp_path, tree):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(BadInput, match="new or empty folder"):
        import_speech_commands(tree, tmp_path / "out")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["mine.txt"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared recordings")
def test_the_hash_rule_agrees_with_real_recordings():
    rows = [row for row in manifest.read(SHARED) if row.path.startswith("gsc/")]
    assert len(rows) > 6000
    for row in rows:
        speaker = row.path.split("/")[-1].split("_nohash_")[0]
        assert row.speaker == f"gsc_{speaker}"
        assert split_of(speaker) == row.split


def test_a_link_that_cannot_be_is_refused(tmp_path, tree, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(BadInput, match="same file system"):
        import_speech_commands(tree, tmp_path / "out", link=True)
    assert not (tmp_path / "out").exists()
