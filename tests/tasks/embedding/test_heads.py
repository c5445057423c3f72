"""A head on a frozen encoder: it hears the encoder's codes, and both become one program."""

import dataclasses
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from corpus import trains
from word_corpus import Corpus

from aqtaudio.commands.command_line import main
from aqtaudio.data.audio import to_float
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment, Optimizer, identity
from aqtaudio.frontends.embedded import Embedded
from aqtaudio.models.embedding_head import EmbeddingHead
from aqtaudio.program.execute import Executor
from aqtaudio.program.joined import joined
from aqtaudio.runs.evaluate import evaluate
from aqtaudio.runs.export import keep
from aqtaudio.runs.join import join
from aqtaudio.runs.network import interpret, network
from aqtaudio.runs.run import Run
from aqtaudio.runs.train import train
from aqtaudio.settings import overlay
from aqtaudio.tasks.embedding.embed import of_recording
from aqtaudio.tasks.keywords.task import Keywords

pytestmark = pytest.mark.optimized(False)
STEPS = Optimizer(steps=4, batch_size=8, learning_rate=3e-3, warmup_steps=1)


@pytest.fixture(scope="module")
def words(once) -> Path:
    """Two words of hiss, louder or quieter, other speech and noise."""
    return once("hisses", _write_words)


def _write_words(folder: Path) -> None:
    made = Corpus(folder)
    for split, count in (("train", 8), ("val", 4)):
        for label in ("yes", "no", "bed"):
            for index in range(count):
                made.add(f"words/{split}/{label}/{index}.flac", label, split, 0.8)
        made.add(f"noise/{split}/rain.flac", "noise:rain", split, 4.0)
    made.save()


def experiment_of(run: Run) -> Experiment:
    """A head of fresh weights, trained in integers alone."""
    return Experiment(
        model=EmbeddingHead(width=4, hidden=5),
        task=Keywords(("yes", "no"), clip_ms=655),
        frontend=Embedded(run=str(run.path)),
        optimizer=dataclasses.replace(STEPS, steps=0),
        finetune=STEPS,
        calibration_batches=1,
        stream_block_frames=1,
        evaluate_every=4,
        checkpoint_every=4,
    )


@pytest.fixture(scope="module")
def head(once, run, words) -> Run:
    return Run(once("head", trains(experiment_of(run), words)))


@pytest.fixture(scope="module")
def whole(once, head) -> Run:
    return Run(once("joined", lambda folder: join(head, folder)))


def test_a_head_hears_what_the_encoder_says(run):
    frontend = Embedded(run=str(run.path))
    samples = np.random.default_rng(0).integers(-4000, 4000, 30_000).astype(np.int16)
    with network(run, "integer") as opened:
        expected = of_recording(opened, samples, run.experiment.setup)
    found = np.asarray(frontend(jnp.asarray(to_float(samples))[None]))[0]
    assert frontend.frames(len(samples)) == len(expected) == len(found)
    np.testing.assert_array_equal(found, expected)


def test_a_name_of_the_checkout_is_found_from_anywhere(tmp_path, monkeypatch):
    """So that settings that are hashed and committed name no machine's folders."""
    monkeypatch.chdir(tmp_path)
    named = Embedded(run="results/embeddings/artifacts/406a97b76b2c")
    assert (named.hop_ms, named.features) == (80.0, 96)
    assert (named.folder / "config.json").is_file() and named.run.startswith("results/")


def test_in_pieces_as_in_one(run):
    frontend = Embedded(run=str(run.path))
    samples = np.random.default_rng(1).normal(0, 0.1, (2, 6 * 1280 + 240)).astype(np.float32)
    state, parts = frontend.initial_state(2), []
    for first in (0, 2, 4):
        last = first + 2
        piece = samples[:, first * 1280 : last * 1280 + 240]
        found, state = frontend.push(jnp.asarray(piece), state)
        parts.append(np.asarray(found))
    np.testing.assert_array_equal(np.concatenate(parts, 1), np.asarray(frontend(samples)))


def test_the_heads_input_is_on_the_encoders_grid(run, head):
    taken = head.program.edges[head.program.inputs[0]]
    given = run.program.edges[run.program.outputs[0]]
    assert taken.grid == given.grid


@pytest.mark.slow
def test_both_phases_are_trained(run, words, tmp_path):
    both = overlay(experiment_of(run), {"optimizer.steps": 4})
    trained = train(both, [words], tmp_path / "head", say=lambda text: None)
    row = json.loads((trained.path / "row.json").read_text())
    assert row["parity"]["mismatches"] == 0
    lines = [json.loads(x) for x in (trained.path / "metrics.jsonl").read_text().splitlines()]
    assert {line["phase"] for line in lines if "loss" in line} == {"float", "quantized"}


def test_joined_they_say_what_the_head_says(head, whole, words):
    one, both = (evaluate(x, [words], "val", "integer")["metrics"] for x in (head, whole))
    assert one == both
    samples = np.random.default_rng(2).integers(-4000, 4000, 30_000).astype(np.int16)
    answers = []
    for opened_run in (head, whole):
        with network(opened_run, "integer") as opened:
            answers.append(of_recording(opened, samples, opened_run.experiment.setup))
    np.testing.assert_array_equal(*answers)


def test_joined_they_are_exact_in_micro(whole):
    edge = whole.program.edges[whole.program.inputs[0]]
    codes = np.random.default_rng(3).integers(-128, 128, (40, *edge.shape), np.int8)
    expected = Executor(whole.program)(codes)
    np.testing.assert_array_equal(interpret(whole.model, codes, "micro"), expected)
    assert len(np.unique(expected)) > 3


def test_a_joined_artifact_is_one_as_any_other(head, whole, words, tmp_path, capsys):
    assert main(["join", str(head.path), "--out", str(tmp_path / "joined")]) == 0
    assert (tmp_path / "joined/model.tflite").read_bytes() == whole.model
    data = str(words)
    arguments = ["parity", str(whole.path), "--data", data, "--n", "20"]
    assert main(arguments) == 0, capsys.readouterr().err
    assert main(["export", str(whole.path), "--out", str(tmp_path / "bundle")]) == 0
    assert (tmp_path / "bundle/firmware").is_dir()


def test_a_study_keeps_what_a_device_runs(head, whole, words, tmp_path):
    kept = Run(keep(head, tmp_path, [words]))
    assert kept.path == tmp_path / "artifacts" / head.path.name
    assert kept.model == whole.model
    assert kept.experiment == whole.experiment
    assert identity(kept.experiment) == identity(head.experiment)
    assert kept.experiment.encoder == Path(head.experiment.frontend.run).name
    row = json.loads((kept.path / "row.json").read_text())
    assert row["costs"]["file_bytes"] == len(whole.model)
    assert row["parity"]["mismatches"] == 0


def test_what_cannot_be_joined(run, head, tmp_path, capsys):
    assert main(["join", str(run.path), "--out", str(tmp_path / "x")]) == 2
    assert "Embedded" in capsys.readouterr().err
    with pytest.raises(ValueError, match="another grid"):
        joined(head.program, head.program)
    for path, message in ((str(tmp_path), "not a run"), ("nowhere", "no encoder")):
        with pytest.raises(BadInput, match=message):
            Embedded(run=path)
