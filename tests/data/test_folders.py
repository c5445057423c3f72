"""A folder per word becomes a manifest folder: nobody in two splits, nothing lost in silence."""

import collections
import os
import time
import zlib

import numpy as np
import pytest
import soundfile

from aqtaudio.data import counted, manifest
from aqtaudio.data.check import check
from aqtaudio.data.folders import import_folders, split_of
from aqtaudio.errors import BadInput


def clip(file, samples=1600):
    file.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(str(file).encode()))
    soundfile.write(file, rng.uniform(-0.5, 0.5, samples), 16000, format="WAV")


@pytest.fixture
def tree(tmp_path):
    for word in ("go", "hey jarvis"):
        for person in range(12):
            for take in range(2):
                clip(tmp_path / f"tree/{word}/p{person}_{take}.WAV")
    clip(tmp_path / "tree/noise/rain.wav", 8000)
    clip(tmp_path / "tree/loose.wav")
    clip(tmp_path / "tree/go/tiny.wav", 10)
    (tmp_path / "tree/notes.txt").write_text("mine")
    return tmp_path / "tree"


def test_a_folder_per_word(tree, tmp_path):
    left = import_folders(tree, tmp_path / "out", speaker=r"(p\d+)_", licence="mine")
    rows = manifest.read(tmp_path / "out")
    counts = collections.Counter(row.label for row in rows)
    assert counts == {"go": 24, "hey jarvis": 24, "noise:rain": 1}
    assert {row.speaker for row in rows} == {"-", *(f"p{n}" for n in range(12))}
    assert {row.licence for row in rows} == {"mine"} and {row.source for row in rows} == {"tree"}
    assert all(row.split == split_of(row.speaker) for row in rows if row.speaker != "-")
    assert {each.path: each.reason for each in left} == {
        "loose.wav": "in no word's folder",
        "go/tiny.wav": "shorter than 20 ms",
        "notes.txt": "not audio",
    }
    assert check(tmp_path / "out") == []


def test_without_a_speaker_the_path_decides(tree, tmp_path):
    import_folders(tree, tmp_path / "out", held_out_percent=(30, 20))
    rows = manifest.read(tmp_path / "out")
    assert {row.speaker for row in rows} == {"-"}
    assert all(row.split == split_of(row.path, (30, 20)) for row in rows)
    assert {row.split for row in rows} == {"train", "val", "test"}


def test_shares_are_as_asked():
    counts = collections.Counter(split_of(f"p{n}", (5, 25)) for n in range(4000))
    assert counts["val"] == pytest.approx(200, rel=0.2)
    assert counts["test"] == pytest.approx(1000, rel=0.1)


def test_folders_that_are_splits(tmp_path):
    for split in ("train", "dev", "test"):
        clip(tmp_path / f"tree/{split}/go/a.wav")
    import_folders(tmp_path / "tree", tmp_path / "out", link=True)
    found = {row.path: (row.label, row.split) for row in manifest.read(tmp_path / "out")}
    assert found == {
        "train/go/a.wav": ("go", "train"),
        "dev/go/a.wav": ("go", "val"),
        "test/go/a.wav": ("go", "test"),
    }


def test_a_word_called_like_a_split_is_a_word(tmp_path):
    clip(tmp_path / "tree/test/a.wav")
    import_folders(tmp_path / "tree", tmp_path / "out")
    assert [row.label for row in manifest.read(tmp_path / "out")] == ["test"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"speaker": "(p"}, "no regular expression"),
        ({"speaker": "p"}, "0 groups; allowed: one"),
        ({"speaker": "(q)"}, "finds no speaker"),
        ({"held_out_percent": (60, 40)}, "below 100 together"),
    ],
)
def test_what_is_refused_leaves_nothing(tree, tmp_path, settings, said):
    with pytest.raises(BadInput, match=said):
        import_folders(tree, tmp_path / "out", **settings)
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_folders_on_the_command_line(tree, tmp_path, cli, refused):
    status, printed, err = cli("data", "import", "folders", tree, "--out", tmp_path / "out")
    assert status == 0 and err == "" and printed.endswith(f"{tmp_path / 'out'}\n")
    assert "left out, not audio: 1 (notes.txt)" in printed
    out = tmp_path / "other"
    message = refused("data", "import", "esc", tree, "--out", out, "--speaker", "(p)")
    assert "--speaker: only with folders" in message


def test_progress_is_told_where_it_takes_long(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(counted, "SAY_EVERY_S", 0.0)
    told = []
    import_folders(tree, tmp_path / "out", say=told.append)
    assert told[0] == "1 of 50 recordings" and told[-1] == "50 of 50 recordings"


@pytest.mark.parametrize("name", [b"a\tb", b"a\nb", b"a\xffb"])
def test_a_name_that_no_manifest_holds_is_left_out(name, tree, tmp_path, cli):
    """Its row would be two, or of a file that is not there; the list has one line for it."""
    odd = os.fsdecode(name)
    (tree / "go/p1_0.WAV").rename(tree / f"go/{odd}.wav")
    status, printed, err = cli("data", "import", "folders", tree, "--out", tmp_path / "out")
    assert status == 0 and err == ""
    shown = f"go/{repr(odd)[1:-1]}.wav"
    assert f"bytes that are not UTF-8: 1 ({shown})" in printed
    lines = (tmp_path / "out/left_out.tsv").read_text().splitlines()
    assert len(lines) == 4 and any(line.startswith(f"{shown}\t") for line in lines)
    assert len(manifest.read(tmp_path / "out")) == 48


def test_who_is_interrupted_waits_for_nothing_that_was_not_begun():
    begun = []

    def look(number: int) -> int:
        begun.append(number)
        time.sleep(0.002)
        return number

    with pytest.raises(KeyboardInterrupt):
        with counted.side_by_side(look, range(5_000), counted.silent) as found:
            assert next(found) == 0
            raise KeyboardInterrupt
    assert len(begun) < 500
