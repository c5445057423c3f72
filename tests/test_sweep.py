"""A study from its file to rows, artifacts and report; a second go does nothing more."""

import json
from pathlib import Path

import pytest
from corpus import write_corpus

from aqtaudio.cli import main
from aqtaudio.evaluate import parity
from aqtaudio.run_directory import Run

STUDY = """
from corpus import EXPERIMENT

from aqtaudio.compression.recipe import FLOAT, W4A8, W8A8
from aqtaudio.study.space import Study, finetuned

PARENT = {"name": "float", "recipe": FLOAT}
CHILDREN = [
    {"name": name, "recipe": recipe, "optimizer.steps": 0, "finetune.steps": steps}
    for name, recipe, steps in (("w8a8", W8A8, 10), ("ptq_w4a8", W4A8, 0))
]
STUDY = Study("tiny", EXPERIMENT, [PARENT, *finetuned([PARENT], CHILDREN)])
"""


@pytest.fixture(scope="module")
def study(tone_corpus, environment, tmp_path_factory) -> tuple[Path, Path]:
    """(study file, results)."""
    folder = tmp_path_factory.mktemp("study")
    file, out = folder / "tiny.py", folder / "results"
    file.write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        assert main(["sweep", str(file), "--data", str(tone_corpus), "--out", str(out)]) == 0
    return file, out


def rows(out: Path) -> dict[str, dict]:
    lines = (out / "rows.jsonl").read_text().splitlines()
    return {row["name"]: row for row in map(json.loads, lines)}


def test_one_row_per_run(study):
    found = rows(study[1])
    assert set(found) == {"float", "float w8a8", "float ptq_w4a8"}
    precisions = {name: row["precision"] for name, row in found.items()}
    assert precisions == {
        "float": "float",
        "float w8a8": "w8a8",
        "float ptq_w4a8": "ptq_w4a8",
    }
    assert not (study[1] / "failures.jsonl").exists()
    for row in found.values():
        assert row["seconds"] > 0 and row["device"] and "commit" in row


def test_children_start_from_the_shared_parent(study):
    """With no float steps of their own, their float model is the parent's."""
    found = rows(study[1])
    parent = found["float"]
    for name in ("float w8a8", "float ptq_w4a8"):
        assert found[name]["parent"] == parent["run_id"]
        assert found[name]["metrics"]["float"] == parent["metrics"]["float"]


def test_same_run_as_without_a_study(study, tiny_run):
    """A child of a parent is what one run of both phases is."""
    alone = json.loads((tiny_run / "row.json").read_text())
    child = rows(study[1])["float w8a8"]
    for key in ("metrics", "costs", "ranks", "parity"):
        assert child[key] == alone[key]


def test_artifacts_of_the_front_are_exact(study, tone_corpus):
    _, out = study
    artifacts = sorted((out / "artifacts").iterdir())
    ids = {row["run_id"] for row in rows(out).values() if row["precision"] != "float"}
    assert artifacts and {path.name for path in artifacts} <= ids
    for path in artifacts:
        assert not (path / "checkpoint").exists()
        result = parity(Run(path), tone_corpus, n=100)
        assert result["mismatches"] == 0 and result["n"] == 200


def test_report(study):
    _, out = study
    page = (out / "report.html").read_text()
    for name, row in rows(out).items():
        assert name in page and row["run_id"] in page
    assert list((out / "figures").glob("*.png"))
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_a_second_go_does_nothing_more(study, tone_corpus, capsys):
    file, out = study
    sweep = ["sweep", str(file), "--data", str(tone_corpus), "--out", str(out)]
    assert main(sweep) == 2
    assert "--resume" in capsys.readouterr().err
    kept = [out / "rows.jsonl", *out.glob("artifacts/**/*"), *out.glob("work/*/**/*")]
    before = {
        path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in kept
    }
    assert main([*sweep, "--resume"]) == 0
    for path, state in before.items():
        assert (path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) == state, path


def test_a_run_that_fails_is_named(study, tmp_path, capsys):
    """Recordings without one of the keywords: every run fails, none is half there."""
    file, _ = study
    folder = write_corpus(tmp_path / "corpus", ("train",))
    arguments = ["sweep", str(file), "--data", str(folder), "--out", str(tmp_path / "out")]
    assert main(arguments) in (1, 2)
    failures = (tmp_path / "out" / "failures.jsonl").read_text().splitlines()
    assert len(failures) == 1 and "no clips in split 'val'" in failures[0]
    assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "out" / "rows.jsonl").exists()
