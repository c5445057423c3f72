"""A probe behind an embedding is one program, with the integers of TFLite Micro."""

import contextlib
import dataclasses
import functools
import io
import json
import shutil
from collections.abc import Callable

import numpy as np
import pytest
from hum_corpus import hum_experiment

from aqtaudio.adaptation.probe_program import PROBE, recorded
from aqtaudio.commands.command_line import main
from aqtaudio.errors import BadInput
from aqtaudio.experiment import save_json
from aqtaudio.program.execute import Executor
from aqtaudio.runs.parity import parity
from aqtaudio.runs.run import Run
from aqtaudio.runs.train import train
from aqtaudio.tasks.embedding import probes
from aqtaudio.tasks.embedding.label_probes import LabelProbe
from aqtaudio.tasks.embedding.probe_clips import training_clips
from aqtaudio.tasks.embedding.probe_training import ProbeSettings

pytestmark = pytest.mark.optimized(False)
SETTINGS = ProbeSettings(strengths=(1e-2,), iterations=60)
PITCH = LabelProbe("pitch", ("low", "high"), ("silence",), settings=SETTINGS, few_shot_draws=0)
HIDDEN = dataclasses.replace(
    PITCH, name="hidden", settings=dataclasses.replace(SETTINGS, hidden=(6,))
)
LONG = dataclasses.replace(PITCH, name="long", clip_ms=2000)


@pytest.fixture(scope="module")
def run(hum_student, tmp_path_factory) -> Run:
    """The student, and other probes."""
    out = tmp_path_factory.mktemp("runs") / "run"
    shutil.copytree(hum_student.path, out)
    save_json(hum_experiment((PITCH, HIDDEN, LONG)), out / "config.json")
    return Run(out)


@pytest.fixture(scope="module")
def made(run, hum_corpus, tmp_path_factory) -> Callable[[str], tuple[Run, dict]]:
    """A probe's name to its artifact, not to be written to, and what the command told."""

    @functools.cache
    def make(name: str) -> tuple[Run, dict]:
        out, told = tmp_path_factory.mktemp("probes") / name, io.StringIO()
        arguments = ["probe", str(run.path), "--probe", name, "--data", str(hum_corpus)]
        with contextlib.redirect_stdout(told):
            assert main([*arguments, "--out", str(out), "--json"]) == 0
        return Run(out), json.loads(told.getvalue())

    return make


@pytest.mark.parametrize("name", ["pitch", pytest.param("hidden", marks=pytest.mark.slow)])
def test_one_program(run, hum_corpus, made, name):
    artifact, told = made(name)
    assert told["classes"] == ["high", "low", "silence"] and told["n"] == 16
    found = parity(artifact, n=100)
    assert found["mismatches"] == 0 and found["outputs"] == 300
    probe = probes.read(artifact.path / PROBE)
    setup, task = run.experiment.setup, artifact.experiment.task
    data = task.load([hum_corpus], setup, ("train",))
    heard = training_clips(data, PITCH, setup.clip_samples).clips  # what its ranges come from
    clips = setup.features_of(heard)
    own, whole = run.executor, artifact.executor
    vectors = own.dequantize(own(own.quantize(clips)))
    logits = whole.dequantize(whole(whole.quantize(clips)))
    # Codes of weights and of every layer's output are rounded.
    spread = np.abs(probe.logits(vectors)).max()
    assert np.abs(logits - probe.logits(vectors)).max() < 0.05 * spread


def test_commands_take_it(made, hum_corpus, tmp_path, capsys):
    artifact, told = made("pitch")
    path = str(artifact.path)
    assert main(["evaluate", path, "--data", str(hum_corpus), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["metrics"]
    assert scores["pitch_accuracy"] == told["program"]
    low, high = scores["details"]["intervals"]["pitch_accuracy"]
    assert low <= told["program"] <= high and scores["details"]["n"] == 16
    assert main(["check", path, "--json"]) == 0
    assert main(["cost", path, "--json"]) == 0
    assert main(["parity", path, "--data", str(hum_corpus), "--n", "20"]) == 0
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


def test_bad_probes(run, hum_corpus, tmp_path, capsys):
    out = ["--data", str(hum_corpus), "--out", str(tmp_path / "none")]
    for name, message in (("x", "pitch, hidden, long"), ("long", "a single vector")):
        assert main(["probe", str(run.path), "--probe", name, *out]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert not (tmp_path / "none").exists()


def test_it_is_not_trained(made, hum_corpus, tmp_path):
    artifact, _ = made("pitch")
    with pytest.raises(BadInput, match="not trained"):
        train(artifact.experiment, [hum_corpus], tmp_path / "none", say=lambda _: None)
