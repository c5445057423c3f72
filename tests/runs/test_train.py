"""A run directory explains itself, ends the same when it is made again, and says what it is."""

import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from corpus import CLIPS_PER_WORD, EXPERIMENT, LOW_RANK

from aqtaudio.data import items as item_lists
from aqtaudio.data.manifest import fingerprint
from aqtaudio.experiment import load_config
from aqtaudio.program import program as programs
from aqtaudio.recipe import FLOAT, Recipe
from aqtaudio.runs.evaluate import evaluate, measured
from aqtaudio.runs.parity import parity, recorded_codes
from aqtaudio.runs.row import precision
from aqtaudio.runs.run import Run
from aqtaudio.runs.train import train
from aqtaudio.settings import overlay
from aqtaudio.tasks.keywords.data import EvaluationItem

pytestmark = pytest.mark.optimized(False)


def names(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_files_of_a_run(tiny_run):
    kept = {"config.json", "program.npz", "model.tflite", "evaluation.tsv", "row.json"}
    kept |= {"evaluation.sha1"}
    read = {"program.json", "metrics.jsonl", "tensorboard"}
    assert names(tiny_run) == kept | read | {"checkpoint"}
    assert names(tiny_run / "checkpoint") == {"float", "quantized"}


def test_settings_say_how_to_make_the_run_again(tiny_run):
    assert load_config(tiny_run / "config.json") == EXPERIMENT


def test_readable_program_is_the_program(tiny_run):
    structure = json.loads((tiny_run / "program.json").read_text())
    assert structure == json.loads(json.dumps(Run(tiny_run).program.to_json()))
    assert {"conv", "depthwise_1", "pointwise_1", "logits"} <= {
        op["name"] for op in structure["operations"]
    }


def test_metrics_tell_the_story(tiny_run):
    rows = [json.loads(line) for line in (tiny_run / "metrics.jsonl").read_text().splitlines()]
    places = [(row["phase"], row["step"]) for row in rows]
    assert places == sorted(places)
    ends = [row for row in rows if row["step"] == row["steps"] and "val_accuracy" in row]
    assert [(row["phase"], row["steps"]) for row in ends] == [("float", 60), ("quantized", 10)]
    assert {"loss", "accuracy", "learning_rate", "seconds"} <= set(rows[0])
    row = json.loads((tiny_run / "row.json").read_text())
    for line, name in zip(ends, ("float", "quantized"), strict=True):
        assert line["val_accuracy"] == round(row["metrics"][name]["accuracy"], 6)


def test_evaluation_list_is_behind_the_figures(tiny_run, tone_corpus):
    items = item_lists.read(tiny_run / "evaluation.tsv", EvaluationItem)
    labels = [item.label for item in items]
    assert labels.count("low") == labels.count("high") == CLIPS_PER_WORD
    run = Run(tiny_run)
    data = run.data([tone_corpus], ("val",))
    assert run.items(data, "val") == items
    metrics = measured(run, data, items, "integer")
    assert evaluate(run, [tone_corpus], "val", "integer")["metrics"] == metrics


def test_row(tiny_run, tone_corpus):
    row = json.loads((tiny_run / "row.json").read_text())
    assert row["precision"] == "w8a8" and row["model"] == "DSCNN" and row["width"] == 8
    assert set(row["metrics"]) == {"float", "quantized", "integer", "train"}
    assert row["metrics"]["integer"] == row["metrics"]["quantized"]
    assert row["parity"]["mismatches"] == 0 and row["parity"]["n"] == 2000
    assert row["costs"]["file_bytes"] == (tiny_run / "model.tflite").stat().st_size
    assert row["ranks"] == {} and row["seconds"] > 0 and row["trained_together"] == 1
    assert row["bits"]["conv"] == row["bits"]["logits"] == [8, 8]
    assert row["data"] == [{"folder": tone_corpus.name, "hash": fingerprint(tone_corpus)}]
    assert row["headlines"]["fronts"] == ["accuracy"]


def test_row_of_a_float_run(tiny_float):
    row = json.loads((tiny_float / "row.json").read_text())
    assert row["precision"] == "float" and set(row["metrics"]) == {"float", "train"}
    assert "parity" not in row


def test_training_a_finished_run_again_changes_nothing(tiny_run, tone_corpus, tmp_path):
    """Nothing but the time it took."""
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    train(EXPERIMENT, [tone_corpus], run, say=lambda text: None)
    for path in tiny_run.rglob("*"):
        name = path.relative_to(tiny_run)
        if path.is_file() and name.parts[0] not in ("tensorboard", "row.json"):
            assert (run / name).read_bytes() == path.read_bytes(), name
    again, once = (json.loads((path / "row.json").read_text()) for path in (run, tiny_run))
    assert again | {"seconds": 0} == once | {"seconds": 0}


def test_low_rank_run(tone_corpus, tiny_run, tmp_path, monkeypatch):
    """From recordings to a file of thin factors, with the other laws intact."""
    monkeypatch.setattr("aqtaudio.runs.row.ROW_PARITY_INPUTS", 100)
    few = {"optimizer.steps": 12, "finetune.steps": 4}
    experiment = overlay(LOW_RANK, {"init_from": str(tiny_run), **few})
    run = train(experiment, [tone_corpus], tmp_path / "run", say=lambda text: None)
    row = json.loads((run.path / "row.json").read_text())
    assert row["precision"] == "w8a8_low_rank" and row["svd_penalty"] == 0.02
    assert 0 < row["ranks"]["pointwise_1"] < 4
    assert row["metrics"]["integer"] == row["metrics"]["quantized"]
    assert row["parity"]["mismatches"] == 0
    whole = json.loads((tiny_run / "row.json").read_text())
    assert row["costs"]["params"] < whole["costs"]["params"]


def test_parity_clips_are_the_list_and_then_training_clips(tiny_run, tone_corpus):
    run = Run(tiny_run)
    task, data = run.experiment.task, run.data([tone_corpus], ("train", "val"))
    items = run.items(data, "val")
    own, _ = data.evaluation_arrays(items)
    few, many = (task.recordings(data, items, n) for n in (5, len(own) + 7))
    np.testing.assert_array_equal(few, own[:5])
    np.testing.assert_array_equal(many[: len(own)], own)
    assert len(many) == len(own) + 7
    codes = recorded_codes(run, run.executor, data, len(many))
    features = run.experiment.setup.features_of(many)
    np.testing.assert_array_equal(codes, run.executor.quantize(features))


def test_parity_sees_one_wrong_integer(tiny_run, tmp_path):
    """A program whose last bias is off by enough to move a logit by a step."""
    run = Run(tiny_run)
    bias = run.program.operations[-1].constants["bias"].copy()
    exact = parity(run, n=50)
    assert exact["mismatches"] == 0
    bias[0] += 200
    last = run.program.operations[-1]
    constants = {**last.constants, "bias": bias}
    operations = (*run.program.operations[:-1], dataclasses.replace(last, constants=constants))
    changed = dataclasses.replace(run.program, operations=operations)
    (tmp_path / "run").mkdir()
    for name in ("config.json", "model.tflite"):
        (tmp_path / "run" / name).write_bytes((tiny_run / name).read_bytes())
    programs.save(changed, tmp_path / "run" / "program.npz")
    result = parity(Run(tmp_path / "run"), n=50)
    assert 0 < result["mismatches"] <= 50 and result["outputs"] == exact["outputs"]


@pytest.mark.parametrize(
    ("recipe", "finetune_steps", "weight_bits", "relu_bits", "name"),
    [
        (FLOAT, 10, None, None, "float"),
        (Recipe(), 10, (8, 8, 8, 8), 8, "w8a8"),
        (Recipe(), 0, (8, 8, 8, 8), 8, "ptq_w8a8"),
        (Recipe(), 10, (4, 4, 4, 4), 8, "w4a8"),
        (Recipe(), 10, (4, 4, 4, 4), 4, "w4a4"),
        (Recipe("fake"), 10, (8, 8, 8, 8), 8, "fake_w8a8"),
        (Recipe(), 10, (8, 4, 4, 8), 8, "mixed"),
    ],
)
def test_precision_is_the_programs(recipe, finetune_steps, weight_bits, relu_bits, name, tiny_run):
    program = Run(tiny_run).program
    if weight_bits:
        program = with_bits(program, weight_bits, relu_bits)
    experiment = overlay(EXPERIMENT, {"recipe": recipe, "finetune.steps": finetune_steps})
    assert precision(SimpleNamespace(experiment=experiment, program=program)) == name


def with_bits(program, weight_bits: tuple[int, ...], relu_bits: int):
    """The program, said to have other bits."""
    left = list(weight_bits)
    operations = [
        dataclasses.replace(op, attributes={**op.attributes, "weight_bits": left.pop(0)})
        if "weights" in op.constants
        else op
        for op in program.operations
    ]
    edges = {
        name: dataclasses.replace(edge, bits=relu_bits if edge.zero_point else 8)
        for name, edge in program.edges.items()
    }
    assert not left
    return dataclasses.replace(program, edges=edges, operations=tuple(operations))
