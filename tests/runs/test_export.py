"""Bundles of a run, and what a study keeps of it to make one again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_cases import contents

from aqtaudio.errors import BadInput
from aqtaudio.program.check import Report
from aqtaudio.program.execute import Executor
from aqtaudio.runs.evaluate import evaluate
from aqtaudio.runs.export import GOLDEN_CLIPS, export, golden_codes, keep
from aqtaudio.runs.run import Run

pytestmark = pytest.mark.optimized(False)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


STUDY = Path(__file__).parents[2] / "results/kws_ds_cnn"
OF_THE_RUN = {"config.json", "program.npz", "model.tflite", "row.json"}
KEPT = OF_THE_RUN | {"golden.npz"}
LISTS = {"evaluation.tsv", "evaluation.sha1"}
BUNDLE = KEPT | LISTS | {"program.json", "operations.json", "frontend.json", "firmware"}


@pytest.fixture(scope="module")
def study(tiny_run, tone_corpus, tmp_path_factory) -> Path:
    """A folder that keeps an artifact, its golden inputs from recordings."""
    folder = tmp_path_factory.mktemp("study")
    assert keep(Run(tiny_run), folder, [tone_corpus]) == folder / "artifacts" / tiny_run.name
    return folder


def test_files_of_a_bundle(tiny_run, tiny_artifact):
    assert names(tiny_artifact) == BUNDLE
    for name in OF_THE_RUN | LISTS | {"program.json"}:
        assert (tiny_artifact / name).read_bytes() == (tiny_run / name).read_bytes()


def test_files_that_a_study_keeps(tiny_run, study):
    """Nothing that is made again; the list of what was scored is the study's."""
    artifact = study / "artifacts" / tiny_run.name
    assert names(study) == {"artifacts", *LISTS} and names(artifact) == KEPT
    for name in OF_THE_RUN:
        assert (artifact / name).read_bytes() == (tiny_run / name).read_bytes()
    for name in LISTS:
        assert (study / name).read_bytes() == (tiny_run / name).read_bytes()


def test_what_is_kept_makes_the_bundle_of_the_run(tiny_run, tiny_artifact, study, tmp_path):
    """Without the recordings that its golden vectors are of."""
    out = export(Run(study / "artifacts" / tiny_run.name), tmp_path / "out")
    assert contents(out) == contents(tiny_artifact)


@pytest.mark.parametrize("checked", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_committed_bundle_is_what_is_exported_today(checked, tmp_path, monkeypatch):
    """`checked`: TFLite Micro's interpreter runs the file, else it is taken to say what it said."""
    bundle = STUDY / "bundle"
    if not checked:
        said = json.loads((bundle / "operations.json").read_text())["check"]
        monkeypatch.setattr("aqtaudio.runs.export.check", lambda model: Report(**said))
    out = export(Run(STUDY / "artifacts/a8b2b20cd48a"), tmp_path / "bundle")
    found, kept = contents(out), contents(bundle)
    assert found.keys() == kept.keys()
    assert [name for name in kept if found[name] != kept[name]] == []


def test_without_recordings_nothing_golden_is_kept(tiny_run, tmp_path):
    artifact = keep(Run(tiny_run), tmp_path / "study")
    assert names(artifact) == OF_THE_RUN
    again, once = (export(Run(x), tmp_path / n) for x, n in ((artifact, "a"), (tiny_run, "b")))
    assert contents(again) == contents(once)


def test_figures_of_what_is_kept_are_of_the_runs_own_list(tiny_run, study, tone_corpus):
    kept = Run(study / "artifacts" / tiny_run.name)
    assert kept.evaluation_file == study / "evaluation.tsv"
    figures = [evaluate(run, [tone_corpus], "val", "integer") for run in (kept, Run(tiny_run))]
    assert figures[0] == figures[1]


def test_a_run_of_another_list_keeps_its_own(tiny_run, study, tmp_path):
    other = Path(shutil.copytree(tiny_run, tmp_path / "other"))
    shared = Path(shutil.copytree(study, tmp_path / "study"))
    lines = (other / "evaluation.tsv").read_text().splitlines(keepends=True)
    (other / "evaluation.tsv").write_text("".join(lines[:9]))
    artifact = keep(Run(other), shared)
    assert Run(artifact).evaluation_file == artifact / "evaluation.tsv"
    assert (artifact / "evaluation.tsv").read_bytes() == (other / "evaluation.tsv").read_bytes()
    assert (shared / "evaluation.tsv").read_bytes() == (study / "evaluation.tsv").read_bytes()


SPOILS = {
    "cut": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "text": lambda file: file.write_text("no arrays"),
    "nothing in it": lambda file: np.savez(file),
    "of another shape": lambda file: np.savez(file, inputs=np.zeros((2, 3, 4), np.int8)),
    "of another type": lambda file: np.savez(file, inputs=np.zeros((2, 24, 10, 1), np.float32)),
}


@pytest.mark.parametrize("spoil", SPOILS)
def test_damaged_golden_inputs(spoil, tiny_run, study, tmp_path, refused):
    artifact = Path(shutil.copytree(study / "artifacts" / tiny_run.name, tmp_path / "artifact"))
    SPOILS[spoil](artifact / "golden.npz")
    assert "golden.npz" in refused("export", artifact, "--out", tmp_path / "out")
    assert names(tmp_path) == {"artifact"}


def test_golden_codes(tiny_run, tone_corpus):
    run = Run(tiny_run)
    executor = Executor(run.program)
    spoken = golden_codes(run, executor, [tone_corpus])
    drawn = golden_codes(run, executor, ())
    assert spoken.shape == drawn.shape == (GOLDEN_CLIPS, 24, 10, 1)
    assert spoken.dtype == drawn.dtype == np.int8
    assert not np.array_equal(spoken, drawn)
    np.testing.assert_array_equal(drawn, golden_codes(run, executor, ()))


def test_float_model_is_not_exported(tiny_float, tmp_path):
    with pytest.raises(BadInput, match="FLOAT32"):
        export(Run(tiny_float), tmp_path / "out")
    with pytest.raises(BadInput, match="FLOAT32"):
        keep(Run(tiny_float), tmp_path)
    assert names(tmp_path) == set()
