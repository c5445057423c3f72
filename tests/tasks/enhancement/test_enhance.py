"""Noise suppression end to end: train, enhance, evaluate, export, in every runtime alike."""

import contextlib
import dataclasses
import functools
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from noisy_trees import write_voicebank_demand
from speech_corpus import RATE_HZ, write_speech_corpus

from aqtaudio.data.mixing import Mixing
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.models.deep_filter_net import DeepFilterNet3
from aqtaudio.recipe import FLOAT, Recipe, Rule
from aqtaudio.runs.evaluate import evaluate
from aqtaudio.runs.export import export
from aqtaudio.runs.frontend_named import frontend_of
from aqtaudio.runs.network import network
from aqtaudio.runs.parity import parity_on
from aqtaudio.runs.run import Run
from aqtaudio.runs.train import train
from aqtaudio.tasks.enhancement import noise_kinds, robustness, whole
from aqtaudio.tasks.enhancement.stream import Enhancer
from aqtaudio.tasks.enhancement.task import Enhancement
from aqtaudio.tasks.sound_file import Streams, convert_file
from aqtaudio.training.course import Course

# The run below takes long to compile; test_exactness.py has the integers of such, optimized.
pytestmark = [pytest.mark.slow, pytest.mark.optimized(False)]

MODELS = "aqtaudio.tasks.sound_quality.models_are_installed"
PHASE = Optimizer(steps=2, batch_size=4, learning_rate=1e-3, warmup_steps=1)
WIDE = Rule(r"input|results|.*_share|filter_decoder/(filters|bounded)|.*/cell", activation_bits=16)
EXPERIMENT = Experiment(
    model=DeepFilterNet3(
        bands=8,
        filtered_bins=8,
        channels=8,
        encoder_units=16,
        gain_units=8,
        filter_units=16,
        gain_layers=1,
        filter_layers=1,
        encoder_groups=2,
        groups=4,
        filter_groups=2,
        pathway=False,
    ),
    task=Enhancement(clip_ms=400, mixing=Mixing(reverb_probability=0, band_limit_probability=0)),
    frontend=DeepFilterFeatures(
        sample_rate_hz=RATE_HZ, bands=8, bands_to_hz=4000, filtered_bins=8, level_invariant=True
    ),
    recipe=Recipe(rules=(WIDE, Rule())),
    optimizer=PHASE,
    finetune=PHASE,
    calibration_batches=1,
    evaluate_every=2,
    checkpoint_every=2,
    stream_block_frames=1,
    stream_context_clips=0,
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_speech_corpus(tmp_path_factory.mktemp("voices") / "corpus")


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory) -> Run:
    """A few steps; scored by SI-SDR alone, the other scores take a second a clip."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODELS, lambda: False)
        patch.setattr("aqtaudio.runs.row.row_inputs", lambda experiment: 300)
        out = tmp_path_factory.mktemp("runs") / "run"
        return train(EXPERIMENT, [corpus], out, lambda text: None)


@pytest.fixture
def without_models(monkeypatch):
    monkeypatch.setattr(MODELS, lambda: False)


@pytest.fixture(scope="module")
def clips(run, corpus) -> np.ndarray:
    """int16 [2, N]: noisy clips of validation, 1.2 s."""
    data = run.data([corpus], ("val",))
    return data.evaluation_arrays(data.evaluation_list("val")[:2])[0][:, : RATE_HZ * 6 // 5]


@contextlib.contextmanager
def opened(run: Run, runtime: str = "integer") -> Iterator[Enhancer]:
    experiment = run.experiment
    filtering, block_frames = experiment.task.filtering, experiment.setup.block_frames
    with network(run, runtime) as of_run:
        yield Enhancer(of_run, block_frames, experiment.frontend, filtering)


def enhanced(run: Run, audio: np.ndarray, runtime: str) -> np.ndarray:
    """Whole clips, float32 [n, N]."""
    experiment = run.experiment
    with network(run, runtime) as of_run:
        return whole.of_audio(of_run, audio, experiment.task.filtering, experiment.frontend)


def in_pieces(run: Run, clip: np.ndarray, size: int, runtime: str) -> np.ndarray:
    with opened(run, runtime) as enhancer:
        parts = [enhancer.push(clip[i : i + size]) for i in range(0, len(clip), size)]
        return np.concatenate([*parts, enhancer.finish()])


def test_row(run):
    row = json.loads((run.path / "row.json").read_text())
    assert row["parity"]["mismatches"] == 0 and row["parity"]["n"] == 600
    for runtime in ("float", "integer"):
        found = row["metrics"][runtime]
        assert np.isfinite(found["si_sdr_improvement_db"])
    assert row["stream"]["macs_per_second"] == 100 * row["costs"]["macs"]
    assert row["costs"]["state_bytes"] > 0


def test_program_is_what_was_trained(run, clips):
    """The quantized reading over whole clips, and the recorded program hop by hop."""
    audio = clips.astype(np.float32) / 32768
    quantized, integer = (enhanced(run, audio, runtime) for runtime in ("quantized", "integer"))
    np.testing.assert_allclose(quantized, integer, atol=2e-6)


@pytest.mark.parametrize(
    ("runtime", "size"),
    [
        *(("integer", size) for size in (1, 77, 80, 4000, 10**6)),
        ("float", 77),
        ("float", 10**6),
        ("quantized", 80),
    ],
)
def test_a_stream_is_the_whole_clip(run, clips, runtime, size):
    clip = clips[0][: RATE_HZ // 2 + 13].astype(np.float32) / 32768
    together = enhanced(run, clip[None], runtime)[0]
    streamed = in_pieces(run, clip, size, runtime)
    assert len(streamed) == len(clip)
    np.testing.assert_allclose(streamed, together, atol=2e-6)


def test_micro_makes_the_same_sound(run, clips):
    clip = clips[:1].astype(np.float32) / 32768
    np.testing.assert_allclose(
        enhanced(run, clip, "micro"), enhanced(run, clip, "integer"), atol=2e-6
    )


def test_parity_on_recordings(run, corpus):
    found = parity_on(run, [corpus], n=300)
    assert found["mismatches"] == 0 and found["outputs"] == 600 * EXPERIMENT.model.outputs


def test_silence_stays_silence(run):
    clip = np.zeros(RATE_HZ, np.float32)
    assert not np.any(np.abs(in_pieces(run, clip, 800, "integer")) > 1e-6)


def test_evaluate(run, corpus, without_models):
    found = evaluate(run, [corpus], "val", "integer", limit=4)
    assert found["n"] == 4
    metrics = found["metrics"]
    low, high = metrics["intervals"]["si_sdr_improvement_db"]
    assert low <= metrics["si_sdr_improvement_db"] <= high
    assert set(metrics["per_snr"]) <= {"-5", "0", "5", "10", "15"}
    assert found["real_time_factor"] > 0
    row = json.loads((run.path / "row.json").read_text())
    assert found["macs_per_second"] == row["stream"]["macs_per_second"]


def test_evaluation_list_is_the_run_s_own(run, corpus):
    data = run.data([corpus], ("val",))
    assert run.items(data, "val") == data.evaluation_list("val")


def test_robustness(run, corpus, without_models, monkeypatch):
    monkeypatch.setattr(robustness, "LEVELS_DBFS", (-50.0, -25.0))
    monkeypatch.setattr(robustness, "STEPS_DB", (-30.0,))
    data, task, setup = run.data([corpus], ("val",)), run.experiment.task, run.experiment.setup
    items = run.items(data, "val")[:2]
    with network(run, "integer") as of_run:
        found = task.robustness(of_run, data, items, setup, "val", lambda text: None)
    assert found["n"] == 2
    quiet, usual = (row["si_sdr_improvement_db"] for row in found["levels"])
    assert abs(quiet - usual) < 0.1  # level-invariant, whatever the weights
    lines = task.show_robustness(found)
    assert lines[0].lstrip().startswith("-50 dBFS") and "after" in lines[2]
    kinds = {row["kind"]: row for row in found["kinds"]}
    assert len(lines) == 3 + len(kinds) and len(kinds) > len(noise_kinds.made(16_000, 16_000))
    assert all(row["n"] >= 1 and math.isfinite(row["attenuation_db"]) for row in kinds.values())
    step = found["steps"][0]
    assert step["step_db"] == -30 and step["loss_500_1500_ms_db"] < 3


def test_resumed(run, corpus, tmp_path, without_models, monkeypatch):
    """Killed in the quantized phase after a checkpoint: the same integers."""
    out = tmp_path / "again"
    stepwise = dataclasses.replace(EXPERIMENT, checkpoint_every=1)
    took = Course.took

    def killed(self, done, *rest):
        took(self, done, *rest)
        if self.phase.name == "quantized":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Course, "took", killed)
        train(stepwise, [corpus], out, lambda text: None)
    program = train(stepwise, [corpus], out, lambda text: None).program
    for one, other in zip(program.operations, run.program.operations, strict=True):
        for name, array in one.constants.items():
            np.testing.assert_array_equal(array, other.constants[name])


def test_export(run, corpus, tmp_path, without_models):
    out = export(run, tmp_path / "artifact", [corpus])
    assert frontend_of(str(out / "frontend.json")) == EXPERIMENT.frontend
    readme = (out / "firmware" / "README.md").read_text()
    assert "\n\n# Noise suppression\n" in readme and not readme.startswith("# Noise")
    names = {path.name for path in (out / "firmware").iterdir()}
    assert {"enhancement_dsp.c", "enhancement_constants.h", "enhancement_golden.h"} <= names
    found = evaluate(Run(out), [corpus], "val", "integer", limit=2)
    assert found["metrics"]["n"]["si_sdr_db"] == 2


def test_from_another_model(run, corpus, tmp_path, without_models):
    """A smaller model takes the layers that fit."""
    smaller = dataclasses.replace(
        EXPERIMENT,
        model=EXPERIMENT.model.clone(gain_units=4),
        recipe=FLOAT,
        init_from=str(run.path),
        init_differs=("model",),
        optimizer=dataclasses.replace(PHASE, steps=0),
    )
    other = train(smaller, [corpus], tmp_path / "smaller", lambda text: None)
    params, known = other.variables("float")["params"], run.variables("float")["params"]
    kept = params["encoder"]["level_0"]["kernel"]
    np.testing.assert_array_equal(kept, known["encoder"]["level_0"]["kernel"])
    assert params["gain_decoder"]["gru_1"]["kernel"]["kernel"].shape == (4, 12)


# Files.


def enhancers(run: Run) -> Streams:
    return functools.partial(opened, run)


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 44100])
def test_files(run, tmp_path, rate_hz):
    rng = np.random.default_rng(0)
    sound = 0.1 * rng.standard_normal((rate_hz * 7 // 5, 2))
    soundfile.write(tmp_path / "in.wav", sound, rate_hz, subtype="PCM_24")
    found = convert_file(tmp_path / "in.wav", tmp_path / "out.flac", enhancers(run))
    out, out_rate_hz = soundfile.read(tmp_path / "out.flac")
    assert out.shape == sound.shape and out_rate_hz == rate_hz
    assert found["channels"] == 2 and (tmp_path / "out.png").stat().st_size > 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.wav", "out.flac", "out.png"]


def test_hop_by_hop_is_the_same_file(run, tmp_path):
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "in.wav", 0.1 * rng.standard_normal(RATE_HZ), RATE_HZ)
    convert_file(tmp_path / "in.wav", tmp_path / "a.wav", enhancers(run))
    convert_file(tmp_path / "in.wav", tmp_path / "b.wav", enhancers(run), hop_by_hop=True)
    a, b = (soundfile.read(tmp_path / name, dtype="int16")[0] for name in ("a.wav", "b.wav"))
    assert np.max(np.abs(a.astype(int) - b)) <= 1


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("none.wav", "out.wav", "no such file"),
        ("text.wav", "out.wav", "cannot be read as sound"),
        ("in.wav", "out.xyz", "unknown kind of file"),
        ("in.wav", "in.wav", "three files"),
        ("empty.wav", "out.wav", "no samples"),
        ("in.wav", "nowhere/out.wav", "out.wav cannot be written: name a file in a folder"),
        ("in.wav", "folder.wav", "folder.wav cannot be written: name a file in a folder"),
        ("cut.flac", "out.wav", "cut.flac is damaged|ends before"),
    ],
)
def test_bad_files(run, tmp_path, source, target, message):
    soundfile.write(tmp_path / "in.wav", np.zeros(RATE_HZ), RATE_HZ)
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE_HZ)
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "folder.wav").mkdir()
    noise = np.random.default_rng(0).normal(scale=0.1, size=20 * RATE_HZ)
    soundfile.write(tmp_path / "whole.flac", noise, RATE_HZ)
    whole = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(BadInput, match=message):
        convert_file(tmp_path / source, tmp_path / target, enhancers(run))
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_from_mp3(run, tmp_path):
    soundfile.write(tmp_path / "in.mp3", np.zeros(RATE_HZ), RATE_HZ)
    convert_file(tmp_path / "in.mp3", tmp_path / "out.wav", enhancers(run))
    assert soundfile.info(tmp_path / "out.wav").subtype == "PCM_16"


def test_without_a_run(tmp_path, monkeypatch, refused):
    soundfile.write(tmp_path / "in.wav", np.zeros(RATE_HZ), RATE_HZ)
    monkeypatch.setattr("aqtaudio.commands.enhancement.STUDY", tmp_path / "nothing")
    assert "no run is named" in refused("enhance", tmp_path / "in.wav", tmp_path / "out.wav")


def test_short_names(run, tmp_path, monkeypatch, answer, refused):
    """The first is taken where none is named."""
    soundfile.write(tmp_path / "in.wav", np.zeros(RATE_HZ), RATE_HZ)
    (tmp_path / "names.json").write_text(json.dumps({"small": str(run.path), "large": "there"}))
    monkeypatch.setattr("aqtaudio.commands.enhancement.STUDY", tmp_path)
    files = tmp_path / "in.wav", tmp_path / "out.wav"
    for named in ((), ("small",)):
        status, found = answer("enhance", *files, *named)
        assert status == 0
        assert found["run"] == str(run.path)
    assert "allowed: one, small, large" in refused("enhance", *files, "huge")


def test_command_line(run, tmp_path, answer):
    soundfile.write(tmp_path / "in.wav", np.zeros(RATE_HZ), RATE_HZ)
    status, found = answer("enhance", tmp_path / "in.wav", tmp_path / "out.wav", run.path)
    assert status == 0
    assert set(found) >= {"out", "png", "real_time_factor", "delay_ms"}


def test_protocol(run, tmp_path, cli, monkeypatch):
    """Of a run at 8 kHz, by its short name."""
    for measure, value in (("pesq_wb", 2.0), ("stoi", 0.9)):
        told = functools.partial(lambda value, *signals: value, value)
        monkeypatch.setattr(f"aqtaudio.tasks.sound_quality.{measure}", told)
    dnsmos = {"ovrl": 2.0, "sig": 3.0, "bak": 1.0}
    monkeypatch.setattr("aqtaudio.tasks.sound_quality.dnsmos", lambda *signals: dnsmos)
    monkeypatch.setattr(MODELS, lambda: True)
    (tmp_path / "names.json").write_text(json.dumps({"small": str(run.path)}))
    monkeypatch.setattr("aqtaudio.commands.protocols.STUDY", tmp_path)
    tree, work = write_voicebank_demand(tmp_path / "tree"), tmp_path / "work"
    words = (
        "--protocol",
        "voicebank-demand",
        "--pairs",
        tree,
        "--work",
        work,
        "--runtime",
        "micro",
    )
    status, out, err = cli("evaluate", "small", *words, "--limit", 1, "--json")
    few = json.loads(out)
    assert status == 0 and few["run"] == str(run.path)
    assert (few["n"], few["pairs"]) == (1, 4) and "1 of 1 recordings" in err
    status, out, err = cli("evaluate", run.path, *words)
    assert status == 0 and "(1 were there)" in err
    assert "on 4 of 4 recordings of voicebank-demand" in out
    assert "| PESQ (wide band) | 2.000 [2.000, 2.000] | 2.000 [2.000, 2.000] |" in out
    (kept,) = work.iterdir()
    assert str(kept) in out and (kept / "result.md").read_text() in out
    found = json.loads((kept / "result.json").read_text())
    assert found["n"] == 4 and np.isfinite(found["output"]["si_sdr_db"])


def test_other_tasks_are_refused(run, corpus):
    with pytest.raises(BadInput, match="enhancement"):
        dataclasses.replace(EXPERIMENT, stream_block_frames=0)
    with pytest.raises(BadInput, match="ahead"):
        task = dataclasses.replace(
            EXPERIMENT.task, filtering=dataclasses.replace(EXPERIMENT.task.filtering, ahead=1)
        )
        dataclasses.replace(EXPERIMENT, task=task)
