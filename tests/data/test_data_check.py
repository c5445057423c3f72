"""Every kind of fault that is put into a folder is reported, and a sound folder has none."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aqtaudio.data import manifest
from aqtaudio.data.check import check
from aqtaudio.errors import BadInput

SHARED = Path(os.environ.get("AQTAUDIO_SHARED", "../shared")) / "data"


@pytest.fixture
def sound(corpus):
    for split in ("train", "val"):
        for index in range(3):
            corpus.add(f"{split}/{index}.flac", "yes", split, speaker=f"{split}{index}")
        corpus.add(f"{split}/rain.flac", "noise:rain", split, seconds=2.5)
        corpus.add(f"{split}/zero.flac", "_silence_", split, samples=np.zeros(16000))
    corpus.add("val/8.wav", "no", "val", speaker="", rate_hz=8000)
    corpus.save()
    return corpus


def kinds(folder, deep=True):
    return [(problem.kind, problem.path, problem.severity) for problem in check(folder, deep)]


def test_a_sound_folder_has_no_problems(sound):
    assert check(sound.folder) == []


def test_faults_of_files(sound):
    folder, path = sound.folder, "train/1.flac"
    wav = folder / "val/8.wav"
    tone = np.sin(np.arange(8000.0) / 20)
    cases = {
        "clipped": ("warning", lambda: soundfile.write(wav, 2.0 * tone, 8000)),
        "silent": ("warning", lambda: soundfile.write(wav, 1e-4 * tone, 8000)),
        "nan": ("error", lambda: soundfile.write(wav, tone * np.nan, 8000, subtype="FLOAT")),
        "empty": ("error", lambda: soundfile.write(wav, tone[:0], 8000)),
        "duration": ("error", lambda: soundfile.write(wav, tone[:7000], 8000)),
        "unreadable": ("error", lambda: wav.write_bytes(b"RIFF")),
        "missing": ("error", wav.unlink),
    }
    for kind, (severity, spoil) in cases.items():
        spoil()
        assert kinds(folder) == [(kind, "val/8.wav", severity)]
        shallow = kind in ("empty", "duration", "unreadable", "missing")
        assert bool(kinds(folder, deep=False)) == shallow
    sound.add("val/8.wav", "no", "val", rate_hz=8000)
    soundfile.write(folder / path, np.full(32000, 0.1), 32000)
    assert kinds(folder) == [("rate", path, "error")]


def test_clipped_to_the_top_only_for_a_moment_is_not_clipped(sound):
    samples = 0.2 * np.sin(np.arange(16000.0))
    samples[[5, 100, 101, 3000]] = 1.0
    soundfile.write(sound.folder / "train/1.flac", samples, 16000)
    assert check(sound.folder) == []


def test_faults_between_rows(sound):
    rows = sound.recordings
    leaked = dataclasses.replace(rows[0], split="val")
    manifest.write(sound.folder, [*rows, leaked])
    found = {kind for kind, _, _ in kinds(sound.folder)}
    assert found == {"duplicate-path", "duplicate-audio", "speaker"}
    (message,) = [p.message for p in check(sound.folder) if p.kind == "speaker"]
    assert message == "speaker train0 is in train and val"


def test_equal_audio_in_one_split_is_no_leak(sound):
    samples, _ = soundfile.read(sound.folder / "train/1.flac")
    sound.add("train/copy.flac", "yes", "train", samples=samples)
    assert check(sound.save()) == []
    sound.add("val/copy.flac", "yes", "val", samples=samples)
    assert kinds(sound.save()) == [("duplicate-audio", "val/copy.flac", "error")]


def test_no_manifest(tmp_path):
    with pytest.raises(BadInput):
        check(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared recordings")
def test_the_shared_recordings_are_sound():
    assert [problem for problem in check(SHARED) if problem.severity == "error"] == []
