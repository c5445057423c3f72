"""What a run refuses rather than ending in a traceback or in other numbers."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from corpus import EXPERIMENT, RATE_HZ

from aqtaudio.data import manifest
from aqtaudio.errors import BadInput
from aqtaudio.experiment import load_config
from aqtaudio.program.program import load
from aqtaudio.runs.row import precision
from aqtaudio.runs.run import Run
from aqtaudio.runs.train import train
from aqtaudio.settings import overlay

pytestmark = pytest.mark.optimized(False)


def quiet(text: str) -> None:
    """Says nothing."""


def test_a_model_of_a_config_file_is_refused_before_anything_is_written(tmp_path, tone_corpus):
    config = tmp_path / "config.py"
    config.write_text(
        "from aqtaudio.experiment import Experiment\n"
        "from aqtaudio.models.ds_cnn import DSCNN\n"
        "class Mine(DSCNN):\n    pass\n"
        "EXPERIMENT = Experiment(model=Mine())\n"
    )
    with pytest.raises(BadInput, match="modules that can be imported"):
        train(load_config(config), [tone_corpus], tmp_path / "run", quiet)
    assert not (tmp_path / "run").exists()


def test_other_recordings_do_not_go_into_a_run(tmp_path, tone_corpus, tiny_run):
    corpus = shutil.copytree(tone_corpus, tmp_path / "corpus")
    rows = manifest.read(corpus)
    gone = next(row for row in rows if row.split == "val" and row.label == "low")
    manifest.write(corpus, [row for row in rows if row != gone])
    run = shutil.copytree(tiny_run, tmp_path / "run")
    before = (run / "evaluation.tsv").read_bytes()
    with pytest.raises(BadInput, match="other recordings"):
        train(EXPERIMENT, [corpus], run, quiet)
    assert (run / "evaluation.tsv").read_bytes() == before


def test_a_loss_that_is_not_finite_ends_the_run_with_the_step(tmp_path, tone_corpus):
    experiment = overlay(EXPERIMENT, {"optimizer.learning_rate": 1e30, "optimizer.steps": 40})
    with pytest.raises(BadInput, match="float phase, step 25: the loss is not finite"):
        train(experiment, [tone_corpus], tmp_path / "run", quiet)
    lines = (
        (tmp_path / "run" / "metrics.jsonl").read_text()
        if (tmp_path / "run" / "metrics.jsonl").exists()
        else ""
    )
    assert all(np.isfinite(json.loads(line).get("loss", 0)) for line in lines.splitlines())


def test_a_moved_parent_is_the_same_experiment(tmp_path, tone_corpus, tiny_run, tiny_float):
    moved = shutil.copytree(tiny_run, tmp_path / "elsewhere")
    run = shutil.copytree(tiny_float, tmp_path / "child")
    child = load_config(run / "config.json")
    assert child.init_from == str(tiny_run)
    again = overlay(child, {"init_from": str(moved)})
    train(again, [tone_corpus], run, quiet)


def test_precision_is_what_the_program_holds(tiny_run):
    """A rule that matches no layer does not make a run mixed."""
    run = Run(tiny_run)
    assert precision(run) == "w8a8"
    bits = {op.attributes.get("weight_bits") for op in load(tiny_run / "program.npz").operations}
    assert bits == {8, None}


def test_nan_audio_is_named(tmp_path, tone_corpus):
    corpus = shutil.copytree(tone_corpus, tmp_path / "corpus")
    row = next(row for row in manifest.read(corpus) if row.label == "low")
    file = (corpus / row.path).with_suffix(".wav")
    soundfile.write(file, np.full(RATE_HZ // 2, np.nan, np.float32), RATE_HZ, subtype="FLOAT")
    shutil.move(file, corpus / row.path)
    with pytest.raises(BadInput, match="NaN|nan|finite"):
        train(EXPERIMENT, [corpus], tmp_path / "run", quiet)
    assert not (tmp_path / "run").exists()
