"""Every kind of fault that is put into a folder is reported, and a sound folder has none."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aqtaudio.data import check as checking
from aqtaudio.data import counted, manifest, readiness
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
    soundfile.write(folder / path, 0.1 * np.sin(np.arange(32000.0) / 20), 32000)
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


def write(sound, path, samples, **how):
    """A file in place of the one that is there; the manifest's other lines stay."""
    (sound.folder / path).unlink(missing_ok=True)
    soundfile.write(sound.folder / path, samples, 16000, **how)


def test_channels_that_cancel(sound):
    tone = 0.3 * np.sin(np.arange(16000.0) / 20)
    for other, severity in ((-tone, "error"), (-0.9 * tone, "warning")):
        write(sound, "train/1.flac", np.stack([tone, other], 1))
        assert kinds(sound.folder) == [("cancels", "train/1.flac", severity)]
    for other in (0 * tone, tone, np.roll(tone, 7)):
        write(sound, "train/1.flac", np.stack([tone, other], 1))
        assert check(sound.folder) == []


def test_a_constant_is_no_sound(sound):
    hiss = 1e-3 * np.random.default_rng(5).standard_normal(16000)
    for samples, said in ((np.full(16000, 0.2), "infinitely far below"), (hiss + 0.2, "46 dB")):
        write(sound, "val/0.flac", samples, subtype="PCM_24")
        (problem,) = check(sound.folder)
        assert (problem.kind, problem.severity) == ("dc", "warning") and said in problem.message
    write(sound, "val/0.flac", 0.1 * np.sin(np.arange(16000) / 9) + 0.05)
    assert check(sound.folder) == []


@pytest.mark.parametrize(
    ("name", "channels", "how"),
    [
        ("copy.wav", 2, {"subtype": "FLOAT"}),
        ("copy.aiff", 1, {"subtype": "PCM_24"}),
        ("copy.caf", 3, {"subtype": "PCM_32"}),
        ("left.wav", 0, {"subtype": "PCM_16"}),
        ("padded.flac", 1, {}),
    ],
)
def test_one_sound_in_two_splits_is_found_in_any_container(sound, name, channels, how):
    samples, _ = soundfile.read(sound.folder / "train/1.flac")
    if name == "padded.flac":
        samples = np.pad(samples, (100, 400))
    many = (
        np.stack([samples, 0 * samples], 1) if not channels else np.stack([samples] * channels, 1)
    )
    row = sound.add(f"val/{name}", "yes", "val", samples=samples)
    write(sound, row.path, many, **how)
    assert kinds(sound.save()) == [("duplicate-audio", row.path, "error")]


def test_one_sound_under_two_labels(sound):
    samples, _ = soundfile.read(sound.folder / "train/1.flac")
    sound.add("train/copy.wav", "no", "train", samples=samples)
    (problem,) = check(sound.save())
    assert (problem.kind, problem.path, problem.severity) == (
        "two-labels",
        "train/copy.wav",
        "error",
    )
    assert "'no'" in problem.message and "train/1.flac" in problem.message
    rain, _ = soundfile.read(sound.folder / "train/rain.flac")
    sound.recordings.pop()
    sound.add("train/shower.flac", "noise:shower", "train", samples=rain)
    assert check(sound.save()) == [], "noise is one class"


@pytest.mark.parametrize("other", ["Yes", "YES", " yes", "yes ", "y es"])
def test_labels_that_differ_in_case_or_blanks(sound, other):
    sound.add("train/other.flac", other, "train")
    (problem,) = check(sound.save())
    assert (problem.kind, problem.severity) == ("label", "error")
    assert f"{other!r} (1)" in problem.message and "'yes' (6)" in problem.message


def test_a_file_that_cannot_be_searched_is_read_like_any_other(sound):
    samples = 0.1 * np.random.default_rng(3).standard_normal(16000)
    row = sound.add("val/phone.wav", "no", "val", rate_hz=8000, samples=samples)
    soundfile.write(sound.folder / row.path, samples, 8000, subtype="GSM610")
    assert check(sound.save()) == []


def test_nothing_that_one_file_does_ends_the_check(sound, monkeypatch):
    (sound.folder / "val/8.wav").unlink()
    examined = checking._examined

    def fail(folder, recording, deep):
        if recording.path == "train/0.flac":
            raise MemoryError("Unable to allocate 9 EiB")
        return examined(folder, recording, deep)

    monkeypatch.setattr(checking, "_examined", fail)
    assert [kind for kind, _, _ in kinds(sound.folder)] == ["unreadable", "missing"]


def test_progress_is_told_where_it_takes_long(sound, monkeypatch):
    monkeypatch.setattr(counted, "SAY_EVERY_S", 0.0)
    told = []
    check(sound.folder, say=told.append)
    assert told[0] == "1 of 11 recordings" and told[-1] == "11 of 11 recordings"


def test_what_training_would_lack(sound):
    rows = sound.recordings
    lacks = {problem.kind: problem.message for problem in readiness.lacking(rows)}
    assert set(lacks) == {"few"} and "no 0, yes 3" in lacks["few"]
    trained = [row for row in rows if row.split == "train"]
    assert [p.kind for p in readiness.lacking(trained)] == ["split", "few"]
    noisy = [row for row in trained if row.label != "yes"]
    assert readiness.lacking(noisy) == [], "noise alone goes beside a folder of words"
    silent = [row for row in rows if row.label in ("yes", "no")]
    assert [p.kind for p in readiness.lacking(silent)] == ["noise", "noise", "few"]
    many = [dataclasses.replace(rows[0], path=f"{n}.flac") for n in range(10)]
    assert "yes" not in str(readiness.lacking([*rows, *many])[0].message)


def test_what_a_folder_holds(sound):
    held = {(line.label, line.split): line for line in readiness.holdings(sound.recordings)}
    assert held["yes", "train"] == readiness.Holding("yes", "train", 3, 0.05, 3)
    assert held["no", "val"].speakers == 0 and ("no", "train") not in held
    seconds = sum(row.seconds for row in sound.recordings)
    assert readiness.training_bytes(sound.recordings) == 32000 * seconds


def test_no_manifest(tmp_path):
    with pytest.raises(BadInput):
        check(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared recordings")
def test_the_shared_recordings_are_sound():
    assert [problem for problem in check(SHARED) if problem.severity == "error"] == []
