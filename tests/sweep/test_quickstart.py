"""The main job, on a corpus and a study that are small: it ends, resumes, and says what is next."""

import dataclasses
import json
import shlex

import pytest

from aqtaudio.data import synth
from aqtaudio.recipe import W8A8
from aqtaudio.study.space import Study
from aqtaudio.sweep import quickstart, quickstart_study
from aqtaudio.sweep.quickstart_corpus import CORPUS

pytestmark = pytest.mark.optimized(False)

SMALL = dataclasses.replace(
    CORPUS,
    words=("yes", "stop"),
    unknown_words=CORPUS.unknown_words[:6],
    held_out_words=CORPUS.held_out_words[:2],
    speakers=6,
    clips_per_speaker=2,
    unknown_per_speaker=4,
)
CHANGES = {
    "task.keywords": SMALL.words,
    "model.width": 8,
    "model.blocks": 1,
    "optimizer.steps": 30,
    "optimizer.batch_size": 16,
    "finetune.steps": 5,
    "finetune.batch_size": 16,
    "calibration_batches": 2,
}


@pytest.fixture(scope="module")
def small():
    pytest.importorskip("espeakng_loader")
    runs = [{"name": "small w8a8", "recipe": W8A8, **CHANGES}]
    study = Study("quickstart", quickstart_study.EXPERIMENT, runs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synth, "NOISES_PER_KIND", {"train": 1, "val": 1, "test": 1})
        patch.setattr(quickstart, "CORPUS", SMALL)
        patch.setattr(quickstart, "PARITY_CLIPS", 20)
        patch.setattr(quickstart_study, "STUDY", study)
        yield


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("quick") / "start"


def test_it_ends_on_figures_a_proof_and_what_to_try(small, out, cli):
    status, told, progress = cli("quickstart", "--out", out)
    assert status == 0, progress
    rows = [json.loads(line) for line in (out / "study" / "rows.jsonl").read_text().splitlines()]
    for row in rows:
        (line,) = (line for line in told.splitlines() if line.startswith(f"{row['name']}  "))
        assert f"{row['costs']['file_bytes']:,}" in line and row["precision"] in line
    (artifact,) = (out / "study" / "artifacts").iterdir()
    assert "\n0 of " in told and artifact.name in told
    assert (out / "study" / "report.html").is_file()
    assert progress.splitlines()[0].startswith(" 0:00  1/4 recordings")
    for stage in ("2/4 training", "3/4 report", "4/4 proof"):
        assert stage in progress
    commands = [shlex.split(line) for line in told.splitlines() if line.startswith("  aqtaudio")]
    assert len(commands) == 4
    for _, *command in commands:
        status, _, errors = cli(*command)
        assert status == 0, errors


def test_started_again_it_does_only_what_is_missing(small, out, cli):
    kept = {path: path.stat().st_mtime_ns for path in (out / "data").rglob("*")}
    rows = (out / "study" / "rows.jsonl").read_bytes()
    status, told, progress = cli("quickstart", "--out", out)
    assert status == 0 and "\n0 of " in told
    assert {path: path.stat().st_mtime_ns for path in (out / "data").rglob("*")} == kept
    assert (out / "study" / "rows.jsonl").read_bytes() == rows
    assert "finished" not in progress
