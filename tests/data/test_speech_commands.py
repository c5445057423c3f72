"""A synthetic Speech Commands tree becomes a manifest folder by the official rules."""

import collections
import math
import os
import random
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aqtaudio.data import manifest, speech_commands
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


@pytest.mark.parametrize("case", ["missing", "empty", "name", "damaged"])
def test_what_is_not_such_a_tree_is_refused_and_nothing_is_left(tmp_path, tree, case):
    source = tree
    if case == "missing":
        source = tmp_path / "none"
    if case == "empty":
        source = tmp_path / "empty"
        source.mkdir()
    if case == "name":
        (tree / "yes" / "mine.wav").write_bytes(b"")
    if case == "damaged":
        (tree / "_background_noise_" / "rain.wav").write_bytes(b"RIFF")
    with pytest.raises(BadInput):
        import_speech_commands(source, tmp_path / "out")
    assert not [file for file in tmp_path.iterdir() if "out" in file.name]


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

    monkeypatch.setattr(speech_commands.os, "link", refuse)
    with pytest.raises(BadInput, match="same file system"):
        import_speech_commands(tree, tmp_path / "out", link=True)
    assert not (tmp_path / "out").exists()
