"""Dumped features are read exactly, and a folder of them is told from a folder of audio."""

import dataclasses
import textwrap
from pathlib import Path

import numpy as np
import pytest

from aqtaudio.data import device_dump
from aqtaudio.data.check import check
from aqtaudio.errors import BadInput
from aqtaudio.runs.frontend_named import frontend_of
from aqtaudio.tasks.keywords.data import KeywordData

pytestmark = pytest.mark.optimized("slow")

FRAMES, BANDS, HOP_MS = 6, 5, 20
SHAPE = (FRAMES, BANDS)


@pytest.fixture
def dump(words):
    """The corpus `words` as clips of random features."""
    rng, rows = np.random.default_rng(0), []
    for row in words.recordings:
        path = f"{row.path.rpartition('.')[0]}.npy"
        np.save(words.folder / path, rng.integers(-3000, 3000, SHAPE).astype(np.int16))
        (words.folder / row.path).unlink()
        seconds, rate_hz = FRAMES * HOP_MS / 1000, 1000 * BANDS // HOP_MS
        rows.append(dataclasses.replace(row, path=path, seconds=seconds, sample_rate_hz=rate_hz))
    words.recordings = rows
    words.save()
    return words


def load(folder, **changes) -> KeywordData:
    settings = {"sample_rate_hz": 250, "clip_samples": FRAMES * BANDS, "bands": BANDS}
    return KeywordData.load([folder], ("yes", "no"), **settings | changes)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, ">i2"])
def test_integers_are_exact(kind, tmp_path):
    limits = np.iinfo(kind)
    values = np.linspace(limits.min, limits.max, 30).astype(kind).reshape(SHAPE)
    np.save(tmp_path / "a.npy", values)
    found = device_dump.load(tmp_path / "a.npy", SHAPE)
    assert found.dtype == np.int16 and np.array_equal(found, values)


def test_clips_are_whole_dumps_and_never_scaled(dump):
    data = load(dump.folder)
    everything = {np.load(dump.folder / row.path).tobytes() for row in dump.recordings}
    items = data.evaluation_list("val")
    assert {item.start_sample for item in items} == {0}
    clips, _ = data.evaluation_arrays(items)
    batches = [data.training_batch(step, 32, 0)[0] for step in range(4)]
    assert {clip.tobytes() for clip in (*clips, *np.concatenate(batches))} <= everything
    assert check(dump.folder) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros((FRAMES + 1, BANDS), np.int16), "has 7 frames of 5; a clip has 6 of 5"),
        (np.zeros((FRAMES, 4), np.int16), "has 6 frames of 4"),
        (np.zeros(FRAMES * BANDS, np.int16), r"shape \(30,\)"),
        (np.zeros((0, BANDS), np.int16), "shape"),
        (np.zeros(SHAPE, np.float32), "float32; allowed: int16"),
        (np.zeros(SHAPE, np.uint16), "uint16"),
        (np.array([[None]]), "no .npy array"),
        (b"", "no .npy array"),
        (b"\x93NUMPY\x01\x00", "no .npy array"),
        (b"PK\x03\x04", "no .npy array"),
        (b"\x93NUMPY\x01\x00\x08\x00((((   \n", "no .npy array"),
        (b"\x93NUMPY\x01\x00\x08\x00{[]: 1}\n", "no .npy array"),
        (None, "no features"),
    ],
)
def test_files_that_are_no_clips(dump, content, message):
    file = dump.folder / dump.recordings[0].path
    file.unlink()
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        np.save(file, content)
    with pytest.raises(BadInput, match=message) as error:
        load(dump.folder)
    assert "\n" not in str(error.value) and file.name in str(error.value)
    found = check(dump.folder)
    assert [problem.path for problem in found] == [dump.recordings[0].path]


def test_several_arrays_in_a_file(tmp_path):
    with open(tmp_path / "a.npy", "wb") as file:
        np.savez(file, a=np.zeros(3), b=np.zeros(3))
    with pytest.raises(BadInput, match="no .npy array"):
        device_dump.load(tmp_path / "a.npy")


def test_duration_and_splits_are_checked(dump):
    row = dump.recordings[0]
    dump.recordings[0] = dataclasses.replace(row, seconds=1.0)
    same = next(r for r in dump.recordings if r.split == "val")
    (dump.folder / same.path).write_bytes((dump.folder / dump.recordings[1].path).read_bytes())
    dump.save()
    assert {p.kind for p in check(dump.folder)} == {"duration", "duplicate-audio"}


def test_audio_is_no_dump_and_a_dump_is_no_audio(dump, corpus):
    with pytest.raises(BadInput, match=r"\.npy is not audio"):
        load(dump.folder, bands=None)
    corpus.recordings.clear()
    for split in ("train", "val"):
        for label in ("yes", "no", "bed", "noise:rain"):
            corpus.add(f"{split}/{label[:4]}.flac", label, split)
    corpus.save()
    with pytest.raises(BadInput, match=r"flac: features of a device are \.npy files"):
        load(corpus.folder)


def test_the_example_of_the_documentation(tmp_path, monkeypatch):
    """It runs, and what it writes is a front end and a folder without faults."""
    page = (Path(__file__).parents[2] / "docs" / "device_features.md").read_text()
    example = textwrap.dedent(page.partition("## Writing one\n")[2].partition("## State")[0])
    given = next(line for line in example.splitlines() if line.startswith("clips = "))
    rng = np.random.default_rng(0)
    clips = [
        (f"{split}/{label[:5]}", label, split, rng.integers(0, 600, (49, 40)))
        for split in ("train", "val")
        for label in ("yes", "no", "bed", "noise:rain")
    ]
    monkeypatch.chdir(tmp_path)
    exec(example.replace(given, ""), {"clips": clips})
    assert check(tmp_path / "dump") == []
    frontend = frontend_of(str(tmp_path / "dump"))
    rate_hz, samples = frontend.sample_rate_hz, frontend.clip_samples(1000)
    data = KeywordData.load([tmp_path / "dump"], ("yes", "no"), rate_hz, samples, bands=40)
    taken, _ = data.evaluation_arrays(data.evaluation_list("val"))
    features = frontend(taken.astype(np.float32) / 32768)
    assert features.shape == (4, 49, 40) and abs(float(features.mean())) < 0.2
