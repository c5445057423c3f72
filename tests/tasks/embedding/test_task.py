"""A small student learns a small teacher: trained, resumed, exported, told of; and bad input."""

import dataclasses
import io
import json
import os
import sys

import numpy as np
import pytest
import soundfile
from speech_weights import SMALL

from aqtaudio.commands.command_line import main
from aqtaudio.data import cache_folder, manifest
from aqtaudio.errors import BadInput
from aqtaudio.frontends.speech_energies import SPEECH_ENERGIES
from aqtaudio.runs.network import network
from aqtaudio.runs.run import Run
from aqtaudio.runs.train import train
from aqtaudio.settings import overlay
from aqtaudio.tasks.embedding import cache
from aqtaudio.tasks.embedding.embed import of_recording
from aqtaudio.tasks.embedding.file_teachers import FileTeacher, RunTeacher
from aqtaudio.tasks.embedding.task import Embedding
from aqtaudio.tasks.embedding.teachers import Published

pytestmark = pytest.mark.optimized(False)


def test_it_learns_and_is_exact(run):
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    losses = [line["unexplained"] for line in lines if "unexplained" in line]
    assert losses[-1] < losses[0]
    row = json.loads((run.path / "row.json").read_text())
    assert row["parity"]["mismatches"] == 0 and row["parity"]["outputs"] > 1000
    assert row["metrics"]["integer"] == row["metrics"]["quantized"]
    assert -1 <= row["metrics"]["integer"]["standardised_cosine"] <= 1


@pytest.mark.slow
def test_the_teacher_agrees_with_itself(run, experiment, weights, corpus):
    """Of a network that is its own teacher, a stream's answers are those of clips from silence."""
    changes = {"optimizer.steps": 1, "optimizer.learning_rate": 1e-9, "recipe.mode": "float"}
    own = dataclasses.replace(experiment, model=SMALL, init_from=weights)
    own = overlay(own, changes)
    found = train(own, [corpus], run.path.parent / "own", say=lambda _: None)
    lines = [json.loads(line) for line in (found.path / "metrics.jsonl").read_text().splitlines()]
    assert max(line["unexplained"] for line in lines if "unexplained" in line) < 1e-4
    assert min(line["val_explained"] for line in lines if "val_explained" in line) > 0.9999
    metrics = json.loads((found.path / "row.json").read_text())["metrics"]["float"]
    assert metrics["explained"] > 0.9999 and metrics["standardised_cosine"] > 0.9999


def test_embed(run, corpus, tmp_path, capsys):
    names = sorted(file.name for file in (corpus / "speech/val_0").iterdir())
    out = tmp_path / "vectors.npz"
    arguments = ["embed", str(run.path), str(corpus / "speech/val_0"), "--out", str(out), "--json"]
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    with np.load(out) as arrays:
        assert sorted(told["files"]) == names
        for name in names:
            samples, _ = soundfile.read(corpus / "speech/val_0" / name, dtype="int16")
            with network(run, "integer") as opened:
                expected = of_recording(opened, samples, run.experiment.setup)
            np.testing.assert_array_equal(arrays[name], expected)
            ends_ms = arrays[f"{name}/ends_ms"]
            assert len(ends_ms) == told["files"][name] == (len(samples) - 240) // 1280
            assert ends_ms[-1] <= 1000 * len(samples) / 16_000


def test_a_pipe_gives_the_files_vectors(run, corpus, tmp_path, monkeypatch):
    """A sound file, and raw samples of two channels at another rate."""
    file = min((corpus / "speech/val_0").iterdir())
    samples, _ = soundfile.read(file, dtype="int16")
    twice = np.stack([samples, samples], 1)
    soundfile.write(tmp_path / "wide.wav", twice, 8_000)
    cases = (
        (file, file.read_bytes(), []),
        (tmp_path / "wide.wav", twice.astype("<i2").tobytes(), ["--rate", "8000"]),
    )
    for named, piped, told in cases:
        outs = [tmp_path / "file.npz", tmp_path / "pipe.npz"]
        assert main(["embed", str(run.path), str(named), "--out", str(outs[0])]) == 0
        channels = ["--channels", "2"] if told else []
        pipe = io.TextIOWrapper(io.BytesIO(piped))
        monkeypatch.setattr(sys, "stdin", pipe)
        assert main(["embed", str(run.path), "-", *told, *channels, "--out", str(outs[1])]) == 0
        with np.load(outs[0]) as found, np.load(outs[1]) as again:
            np.testing.assert_array_equal(found[named.name], again["standard input"])


def test_embed_of_bad_input(run, tmp_path, capsys, monkeypatch):
    wave = tmp_path / "short.wav"
    soundfile.write(wave, np.zeros(100, np.int16), 16_000)
    cases = (
        ([str(wave), "--out", str(tmp_path / "x.npz")], "a vector needs"),
        ([str(wave), "--out", str(tmp_path / "x.txt")], "ends in .npz"),
        ([str(wave), "--out", str(tmp_path / "no/x.npz")], "no/x.npz cannot be written"),
        ([str(wave), "--out", str(wave / "x.npz")], "short.wav/x.npz cannot be written"),
        ([str(tmp_path / "none.wav"), "--out", str(tmp_path / "x.npz")], "none.wav"),
        ([str(wave), str(wave), "--out", str(tmp_path / "x.npz")], "short.wav"),
        (["-", "--out", str(tmp_path / "x.npz")], "standard input holds no samples"),
        ([str(wave), "--channels", "2", "--out", str(tmp_path / "x.npz")], "--rate HZ"),
    )
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    for arguments, message in cases:
        assert main(["embed", str(run.path), *arguments]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1


# Teachers that answer outside of steps.


@pytest.mark.slow
def test_a_run_teaches(run, corpus, experiment, tmp_path, monkeypatch):
    """Its vectors of recordings are kept, and are those that it gives to clips."""
    monkeypatch.setenv(cache_folder.VARIABLE, str(tmp_path / "cache"))
    teacher = RunTeacher(str(run.path))
    task = Embedding(clip_ms=1215, teacher=teacher, teacher_hears="recordings")
    setup = experiment.setup
    data = task.prepared(task.load([corpus], setup, ("train",)), setup)
    clips, noises, taught = data.training_batch(0, 6, seed=3)
    assert clips.shape == (6, 19_440) and noises.shape == (6, 3, 19_440)
    found = teacher.embed(clips)
    assert taught.shape == found.shape
    whole = np.abs(taught - found)[:, 9:]  # before them a clip has heard silence
    assert whole.max() == 0 and np.ptp(found) > 0
    again = task.prepared(task.load([corpus], setup, ("train",)), setup).training_batch(0, 6, 3)
    np.testing.assert_array_equal(again[2], taught)


def test_vectors_are_made_once(tmp_path, weights, monkeypatch):
    teacher, made = Published(weights, SMALL, SPEECH_ENERGIES), []
    embed = Published.embed
    monkeypatch.setattr(Published, "embed", lambda self, x: made.append(len(x)) or embed(self, x))
    clips = [np.full(20_000, n, np.int16) for n in (1, 2)]
    first = cache.embedded(teacher, clips, tmp_path)
    (kept,) = (tmp_path / "teachers").iterdir()
    files = sorted(kept.glob("*.npy"))
    files[0].write_bytes(files[0].read_bytes()[:50])  # cut off
    second = cache.embedded(teacher, clips, tmp_path)
    assert len(files) == 2 and len(made) == 3
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_cache_of_another_teacher(tmp_path, weights):
    teacher = Published(weights, SMALL, SPEECH_ENERGIES)
    clips = [np.zeros(20_000, np.int16)]
    cache.embedded(teacher, clips, tmp_path)
    (kept,) = (tmp_path / "teachers").iterdir()
    (kept / cache.SETTINGS).write_text("another\n")
    with pytest.raises(BadInput, match="another teacher"):
        cache.embedded(teacher, clips, tmp_path)


def test_a_run_answers_to_clips_as_to_recordings(run):
    clips = np.random.default_rng(0).integers(-3000, 3000, (2, 19_440)).astype(np.int16)
    found = RunTeacher(str(run.path)).embed(clips)
    assert np.ptp(found) > 0
    for clip, vectors in zip(clips, found, strict=True):
        with network(run, "integer") as opened:
            expected = of_recording(opened, clip, run.experiment.setup)
        np.testing.assert_array_equal(vectors, expected)


def test_a_file_answers_to_every_window(tiny_float):
    """A .tflite of whole clips: the float model itself says what it answers with."""
    setup = Run(tiny_float).experiment.setup
    clips = np.random.default_rng(0).integers(-3000, 3000, (2, 3 * setup.clip_samples))
    clips, window_ms = clips.astype(np.int16), setup.clip_ms
    file, classes = str(tiny_float / "model.tflite"), 4
    teacher = FileTeacher(file, classes, setup.frontend, window_ms=window_ms, hop_ms=2 * window_ms)
    heard = clips.reshape(2, 3, -1)[:, ::2]
    with network(Run(tiny_float), "float") as opened:
        expected = opened.whole(setup.features_of(heard.reshape(4, -1)))
    np.testing.assert_allclose(teacher.embed(clips), expected.reshape(2, 2, -1), atol=1e-4)
    wrong = dataclasses.replace(teacher, dimensions=7)
    with pytest.raises(BadInput, match=f"answers with {classes} values"):
        wrong.embed(clips)


@pytest.mark.slow
def test_files_teach_as_they_run(run, tmp_path):
    """A .tflite of one block: the program itself says what it answers with."""
    file = tmp_path / "float.tflite"
    from aqtaudio.program.tflite import to_float_tflite
    from aqtaudio.runs import float_model

    whole = overlay(run.experiment, {"stream_block_frames": 0})
    variables = Run(run.path).variables("float")
    file.write_bytes(to_float_tflite(*float_model.recorded(whole, variables)))
    clips = np.random.default_rng(0).integers(-3000, 3000, (2, 19_440)).astype(np.int16)
    frames = whole.setup.feature_shape[0]
    window_ms = (frames - 1) * 10 + 25
    count = frames // 8 * 5
    teacher = FileTeacher(str(file), count, SPEECH_ENERGIES, window_ms=window_ms, hop_ms=window_ms)
    with network(run, "float") as opened:
        expected = opened.whole(whole.setup.features_of(clips))
    assert teacher.embed(clips).shape == (2, 1, count)
    np.testing.assert_allclose(
        teacher.embed(clips)[:, 0], expected.reshape(2, -1)[:, :count], atol=1e-3
    )
    wrong = dataclasses.replace(teacher, dimensions=7)
    with pytest.raises(BadInput, match=f"answers with {count} values"):
        wrong.embed(clips)


def test_teachers_that_are_not_there(experiment, weights, tmp_path):
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(b"none")
    clips, own = np.zeros((1, 19_440), np.int16), experiment.task.teacher
    cases = (
        (lambda: FileTeacher("x.pt", 4), "x.pt"),
        (lambda: FileTeacher("none.tflite", 4).embed(clips), "no teacher file none.tflite"),
        (lambda: FileTeacher(str(damaged), 4).embed(clips), "damaged.tflite"),
        (lambda: FileTeacher(weights.replace(".npz", ".onnx"), 4).embed(clips), "no teacher file"),
        (lambda: RunTeacher(str(tmp_path)).embed(clips), "no config.json"),
        (lambda: Published("none.npz", SMALL, SPEECH_ENERGIES).variables(), "none.npz"),
        (lambda: Embedding(teacher=RunTeacher("x")), "cannot compute RunTeacher"),
        (lambda: Embedding(RunTeacher("x"), teacher_hears="both"), "teacher_hears"),
        (lambda: Embedding(own, foreground="noise"), "mixing"),
    )
    for make, message in cases:
        with pytest.raises(BadInput, match=message):
            make()


def test_answers_that_are_no_teachers(experiment, corpus, tmp_path):
    base = experiment
    for changes, message in (
        ({"task.clip_ms": 1200}, "whole blocks"),
        ({"model.dimensions": 4}, "the teacher with"),
        ({"task.skipped": 40}, "skipped"),
        ({"frontend.sample_rate_hz": 8000, "frontend.upper_hz": 3800.0}, "8000 Hz"),
    ):
        with pytest.raises(BadInput, match=message):
            train(overlay(base, changes), [corpus], tmp_path / "none", say=lambda _: None)
    assert not (tmp_path / "none").exists()


def test_a_split_without_foreground(tmp_path, experiment):
    rows = [manifest.Recording("a.wav", "noise:x", "-", "train", "made", "CC0", 1.0, 16_000)]
    manifest.write(tmp_path, rows)
    setup = experiment.setup
    with pytest.raises(BadInput, match="no speech"):
        experiment.task.load([tmp_path], setup, ("train",))


def test_vectors_have_names_that_a_file_can_hold(run, tmp_path, capsys):
    """Of bytes that are not UTF-8 too, and those of NumPy's arguments."""
    names = [os.fsdecode(b"geh\xf6r.wav"), "file", "ohr gehör.wav"]
    for name in names:
        with open(tmp_path / name, "wb") as file:
            soundfile.write(file, np.zeros(8_000, np.int16), 16_000, format="WAV")
    out = tmp_path / "x.npz"
    given = [str(tmp_path / name) for name in names]
    assert main(["embed", str(run.path), *given, "--out", str(out)]) == 0
    capsys.readouterr()
    with np.load(out) as arrays:
        assert {name for name in arrays if not name.endswith("/ends_ms")} == {
            "geh\N{REPLACEMENT CHARACTER}r.wav",
            "file",
            "ohr gehör.wav",
        }
