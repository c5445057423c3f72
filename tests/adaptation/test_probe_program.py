"""A probe behind an embedding is one program, with the integers of TFLite Micro."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hum_corpus import BandTeacher, write_hum_corpus

from aqtaudio.adaptation.probe_program import PROBE, recorded
from aqtaudio.commands.command_line import main
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment, Optimizer, save_json
from aqtaudio.frontends.decibels import WindowDecibels
from aqtaudio.models.l3_net import L3Net
from aqtaudio.program.execute import Executor
from aqtaudio.runs.parity import parity
from aqtaudio.runs.run import Run
from aqtaudio.runs.train import train
from aqtaudio.tasks.embedding import probes
from aqtaudio.tasks.embedding.label_probes import LabelProbe
from aqtaudio.tasks.embedding.probe_clips import training_clips
from aqtaudio.tasks.embedding.probe_training import ProbeSettings
from aqtaudio.tasks.embedding.task import Embedding

pytestmark = pytest.mark.optimized(False)
SETTINGS = ProbeSettings(strengths=(1e-2,), iterations=60)
PITCH = LabelProbe("pitch", ("low", "high"), ("silence",), settings=SETTINGS, few_shot_draws=0)
HIDDEN = dataclasses.replace(
    PITCH, name="hidden", settings=dataclasses.replace(SETTINGS, hidden=(6,))
)
LONG = dataclasses.replace(PITCH, name="long", clip_ms=2000)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_hum_corpus(tmp_path_factory.mktemp("hums"))


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory) -> Run:
    """Of a student that is hardly trained; its probes are added afterwards."""
    steps = Optimizer(steps=1, batch_size=4, warmup_steps=1)
    task = Embedding(BandTeacher(), 1000, "recordings", foreground="any", mixing=None, skipped=0)
    experiment = Experiment(
        model=L3Net((2, 2, 4, 8)), task=task, frontend=WindowDecibels(),
        optimizer=steps, finetune=dataclasses.replace(steps, steps=0), calibration_batches=1,
    )  # fmt: skip
    out = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AQTAUDIO_CACHE", str(out.parent / "cache"))
        train(experiment, [corpus], out, say=lambda _: None)
    probed = dataclasses.replace(task, probes=(PITCH, HIDDEN, LONG))
    save_json(dataclasses.replace(experiment, task=probed), out / "config.json")
    return Run(out)


def made(run: Run, name: str, corpus: Path, out: Path) -> Run:
    arguments = ["probe", str(run.path), "--probe", name, "--data", str(corpus)]
    assert main([*arguments, "--out", str(out), "--json"]) == 0
    return Run(out)


@pytest.mark.parametrize("name", ["pitch", "hidden"])
def test_one_program(run, corpus, tmp_path, capsys, name):
    artifact = made(run, name, corpus, tmp_path / "artifact")
    told = json.loads(capsys.readouterr().out)
    assert told["classes"] == ["high", "low", "silence"] and told["n"] == 16
    found = parity(artifact, n=100)
    assert found["mismatches"] == 0 and found["outputs"] == 300
    probe = probes.read(artifact.path / PROBE)
    setup, task = run.experiment.setup, artifact.experiment.task
    data = task.load([corpus], setup, ("train",))
    heard = training_clips(data, PITCH, setup.clip_samples).clips  # what its ranges come from
    clips = setup.features_of(heard)
    own, whole = run.executor, artifact.executor
    vectors = own.dequantize(own(own.quantize(clips)))
    logits = whole.dequantize(whole(whole.quantize(clips)))
    # Codes of weights and of every layer's output are rounded.
    spread = np.abs(probe.logits(vectors)).max()
    assert np.abs(logits - probe.logits(vectors)).max() < 0.05 * spread


def test_commands_take_it(run, corpus, tmp_path, capsys):
    artifact = made(run, "pitch", corpus, tmp_path / "artifact")
    told = json.loads(capsys.readouterr().out)
    path = str(artifact.path)
    assert main(["evaluate", path, "--data", str(corpus), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["metrics"]
    assert scores["pitch_accuracy"] == told["program"]
    low, high = scores["details"]["intervals"]["pitch_accuracy"]
    assert low <= told["program"] <= high and scores["details"]["n"] == 16
    assert main(["check", path, "--json"]) == 0
    assert main(["cost", path, "--json"]) == 0
    assert main(["parity", path, "--data", str(corpus), "--n", "20"]) == 0
    assert main(["export", path, "--out", str(tmp_path / "bundle")]) == 0
    labels = (tmp_path / "bundle/firmware/model_labels.h").read_text()
    assert '{"high", "low", "silence"}' in labels


def test_a_probe_on_every_grid(run):
    """Relu embeddings have a zero point: the head is given the codes of just that grid."""
    edge = run.program.edges[run.program.outputs[0]]
    assert edge.zero_point == -128
    rng = np.random.default_rng(1)
    layers = (probes.Dense(rng.normal(size=(8, 3)), rng.normal(size=3), False),)
    probe = probes.Probe(layers, ("a", "b", "c"), False, "mean", 0.0)
    vectors = rng.integers(0, 256, (50, 8)) * edge.scale
    program = recorded(probe, run, vectors)
    head = Executor(program)
    assert program.edges[program.inputs[0]].grid == edge.grid
    codes = (vectors / edge.scale).round().astype(int) - 128
    np.testing.assert_array_equal(head.quantize(vectors.astype(np.float32)), codes)


def test_bad_probes(run, corpus, tmp_path, capsys):
    out = ["--data", str(corpus), "--out", str(tmp_path / "none")]
    for name, message in (("x", "pitch, hidden, long"), ("long", "a single vector")):
        assert main(["probe", str(run.path), "--probe", name, *out]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert not (tmp_path / "none").exists()


def test_it_is_not_trained(run, corpus, tmp_path):
    artifact = made(run, "pitch", corpus, tmp_path / "artifact")
    with pytest.raises(BadInput, match="not trained"):
        train(artifact.experiment, [corpus], tmp_path / "none", say=lambda _: None)
