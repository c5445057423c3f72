"""A study from its file to rows, artifacts and report; a second go does nothing more."""

import dataclasses
import json
import shutil
from pathlib import Path

import flatbuffers
import pytest
from corpus import write_corpus

from aqtaudio.commands.command_line import main
from aqtaudio.program import flatbuffer
from aqtaudio.runs.parity import parity_on
from aqtaudio.runs.run import Run
from aqtaudio.sweep.sweep import export_fronts
from aqtaudio.tasks.enhancement.task import HEADLINES

TESTS = str(Path(__file__).parents[1])
pytestmark = pytest.mark.optimized(False)

STUDY = """
from corpus import EXPERIMENT

from aqtaudio.recipe import FLOAT, W8A8
from aqtaudio.study.space import Study, finetuned

PARENT = {"name": "float", "recipe": FLOAT}
CHILDREN = [{"name": "w8a8", "recipe": W8A8, "optimizer.steps": 0, "finetune.steps": 10}]
STUDY = Study("tiny", EXPERIMENT, [PARENT, *finetuned([PARENT], CHILDREN)])
"""


@pytest.fixture(scope="module")
def study(once, tone_corpus) -> tuple[Path, Path]:
    """(study file, results). Not to be written to; a sweep that resumes finds nothing to do."""

    def write(folder: Path) -> None:
        file = folder / "tiny.py"
        folder.mkdir()
        file.write_text(STUDY)
        sweep = ["sweep", str(file), "--data", str(tone_corpus), "--out", str(folder / "results")]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", TESTS)
            assert main(sweep) == 0

    folder = once("study", write)
    return folder / "tiny.py", folder / "results"


def rows(out: Path) -> dict[str, dict]:
    lines = (out / "rows.jsonl").read_text().splitlines()
    return {row["name"]: row for row in map(json.loads, lines)}


def test_one_row_per_run(study):
    found = rows(study[1])
    precisions = {name: row["precision"] for name, row in found.items()}
    assert precisions == {"float": "float", "float w8a8": "w8a8"}
    assert not (study[1] / "failures.jsonl").exists()
    for row in found.values():
        assert row["seconds"] > 0 and row["device"] and "commit" in row


def test_a_child_starts_from_its_parent(study):
    """With no float steps of its own, its float model is the parent's."""
    found = rows(study[1])
    parent = found["float"]
    child = found["float w8a8"]
    assert child["parent"] == parent["run_id"]
    assert child["metrics"]["float"] == parent["metrics"]["float"]


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
        result = parity_on(Run(path), [tone_corpus], n=100)
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
    """A recording is gone: every run fails, none is half there."""
    file, _ = study
    folder = write_corpus(tmp_path / "corpus")
    (folder / "words/val/low/0.flac").unlink()
    arguments = ["sweep", str(file), "--data", str(folder), "--out", str(tmp_path / "out")]
    assert main(arguments) in (1, 2)
    failures = (tmp_path / "out" / "failures.jsonl").read_text().splitlines()
    assert len(failures) == 1 and "no audio file" in failures[0]
    assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "out" / "rows.jsonl").exists()


def test_what_no_run_could_be_trained_on_is_said_before_the_first_job(study, tmp_path, refused):
    file, _ = study
    folder = write_corpus(tmp_path / "corpus", ("train",))
    how = ("sweep", file, "--out", tmp_path / "out", "--data")
    assert "no data folder" in refused(*how, tmp_path / "nowhere")
    assert "no clips in split 'val'" in refused(*how, folder)
    assert not (tmp_path / "out").exists()


HEAD = """
from corpus import EXPERIMENT

from aqtaudio.recipe import FLOAT, Recipe
from aqtaudio.study.space import Search, Study, chain, finetuned, param, product
from aqtaudio.sweep.bit_allocation import bit_choices, bits_label, rules
"""
WRONG = {
    "a path": ("param('model.wdith', 8)", "'model.wdith': 'model' has classes, width, blocks"),
    "a path of a parent": (
        "finetuned([{'sede': 1}], [{}])",
        "'sede': an experiment has model, task",
    ),
    "the last of many": ("product(param('seed', 0, 1), param('recipe.rule', 1))", "mode, rules"),
    "a value": ("param('optimizer.steps', 'few')", "'optimizer.steps' cannot be 'few'"),
}
WRONG_SEARCH = {
    "a path": ("lambda c: {'optimizer.step': c['n']}", "'optimizer.step': 'optimizer' has steps"),
    "a value of one choice": ("lambda c: {'optimizer.steps': c['n']}", "cannot be 'few'"),
}


@pytest.mark.parametrize(("runs", "message"), WRONG.values(), ids=WRONG)
def test_unknown_settings_are_one_error_before_anything_runs(runs, message, tmp_path, refused):
    file, out = tmp_path / "wrong.py", tmp_path / "out"
    file.write_text(f"{HEAD}\nSTUDY = Study('s', EXPERIMENT, chain(param('seed', 7), {runs}))")
    assert message in refused("sweep", file, "--data", tmp_path, "--out", out)
    assert not out.exists()


@pytest.mark.parametrize(("runs", "message"), WRONG_SEARCH.values(), ids=WRONG_SEARCH)
def test_so_are_those_of_a_search(runs, message, tmp_path, refused):
    file, out = tmp_path / "wrong.py", tmp_path / "out"
    space = {"n": [1, 2, "few"]}
    file.write_text(f"{HEAD}\nSTUDY = Search('s', EXPERIMENT, {space}, {runs})")
    assert message in refused("sweep", file, "--data", tmp_path, "--out", out)
    assert not out.exists()


BITS = """
PARENT = {"name": "float", "recipe": FLOAT}


def runs(bits):
    change = {"recipe": Recipe(rules=rules(bits)), "optimizer.steps": 0, "finetune.steps": 5}
    return finetuned([PARENT], [{"name": bits_label(bits), **change}])


SPACE = bit_choices(EXPERIMENT)
ENDS = [{layer: bits[index] for layer, bits in SPACE.items()} for index in (0, -1)]
STUDY = Search("bits", EXPERIMENT, SPACE, runs, trials=4, generation=2, first=ENDS)
"""


@pytest.mark.slow
def test_a_search_for_bits_per_layer(tone_corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", TESTS)
    file, out = tmp_path / "bits.py", tmp_path / "out"
    file.write_text(HEAD + BITS)
    sweep = ["sweep", str(file), "--data", str(tone_corpus), "--out", str(out), "--batch", "2"]
    assert main(sweep) == 0
    record, found = json.loads((out / "search.json").read_text()), rows(out)
    assert len(record["trials"]) == 4
    by_id = {row["run_id"]: row for row in found.values()}
    for trial in record["trials"]:
        row = by_id[trial["run_ids"][0]]
        assert trial["figures"] == [row["metrics"]["integer"]["accuracy"], row["costs"]["bitops"]]
        assert row["parity"]["mismatches"] == 0
    all_eight, all_four = (by_id[trial["run_ids"][0]] for trial in record["trials"][:2])
    assert all_eight["precision"] == "w8a8" and all_four["precision"] == "w4a4"
    costs = [trial["figures"][1] for trial in record["trials"]]
    assert (max(costs), min(costs)) == (costs[0], costs[1])
    assert all_eight["name"] == "float w8.8.8.8/a8.8.8.8"


def test_artifacts_are_of_the_fronts_that_the_report_shows(tmp_path):
    """The metrics follow from all rows, the artifacts are of the integer ones."""
    quality = {
        "float": (3.0, 3.3, 9000),
        "good": (2.5, 3.0, 400),
        "quiet": (2.4, 3.2, 450),
        "worse": (2.0, 2.9, 500),
    }
    lines = [
        {
            "run_id": name,
            "precision": "float" if name == "float" else "w8a8",
            "metrics": {
                "float": {
                    "pesq": pesq,
                    "dnsmos_ovrl": overall,
                    "details": {"n": {"pesq": 5, "dnsmos_ovrl": 5}},
                }
            },
            "costs": {"file_bytes": size},
            "headlines": dataclasses.asdict(HEADLINES),
        }
        for name, (pesq, overall, size) in quality.items()
    ]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    for name in quality:
        (tmp_path / "artifacts" / name).mkdir(parents=True)
    export_fronts(tmp_path, [tmp_path])
    assert sorted(path.name for path in (tmp_path / "artifacts").iterdir()) == ["good", "quiet"]


def test_a_renewed_artifact_costs_what_it_did(study, tmp_path):
    """Sizes that were lost are measured on its file, which stays what it was."""
    _, out = study
    old = shutil.copytree(out, tmp_path / "old", ignore=shutil.ignore_patterns("work", "figures"))
    (artifact,) = _artifacts(old)
    (expected,) = (row for row in rows(out).values() if row["run_id"] == artifact.name)
    model = (artifact / "model.tflite").read_bytes()
    for file in (old / "rows.jsonl", artifact / "row.json"):
        costs = {k: v for k, v in expected["costs"].items() if k != "arena_used_bytes"}
        file.write_text(json.dumps(expected | {"costs": costs | {"arena_bytes": 1}}) + "\n")
    assert main(["renew", str(old)]) == 0
    assert list(rows(old).values()) == [expected]
    assert json.loads((artifact / "row.json").read_text())["costs"] == expected["costs"]
    assert (artifact / "model.tflite").read_bytes() == model

    builder = flatbuffers.Builder()  # a file of before that holds equal parts more than once
    builder.Finish(flatbuffer.read(model).Pack(builder), flatbuffer.IDENTIFIER)
    (artifact / "model.tflite").write_bytes(bytes(builder.Output()))
    assert main(["renew", str(old)]) == 0
    assert (artifact / "model.tflite").read_bytes() == model


@pytest.mark.slow
def test_renew_measures_sizes_again_and_changes_nothing_else(study, tmp_path, capsys):
    """Of artifacts on their files, of other runs on untrained models: as if they had just run."""
    file, out = study
    old = shutil.copytree(out, tmp_path / "old", ignore=shutil.ignore_patterns("work"))
    expected = rows(out)
    sizes = ("arena_bytes", "arena_used_bytes")
    lines = []
    for row in expected.values():
        costs = {name: x for name, x in row["costs"].items() if name != "arena_used_bytes"}
        lines.append(row | {"costs": costs | {"arena_bytes": 1}})
    (old / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    for path in (old / "artifacts").iterdir():
        row = json.loads((path / "row.json").read_text())
        row["costs"].pop("arena_used_bytes")
        (path / "row.json").write_text(json.dumps(row | {"costs": row["costs"]}))
    models = {path.name: (path / "model.tflite").read_bytes() for path in _artifacts(old)}
    assert main(["renew", str(old), "--sweep", str(file)]) == 0
    found = rows(old)
    for name, row in expected.items():
        assert found[name]["costs"] == row["costs"]
        assert {k: v for k, v in found[name].items() if k != "costs"} == {
            k: v for k, v in row.items() if k != "costs"
        }
    assert {path.name: (path / "model.tflite").read_bytes() for path in _artifacts(old)} == models
    for path in _artifacts(old):
        shutil.rmtree(path)
    assert main(["renew", str(old), "--sweep", str(file)]) == 0
    assert {name: row["costs"] for name, row in rows(old).items()} == {
        name: row["costs"] for name, row in expected.items()
    }
    capsys.readouterr()
    assert main(["renew", str(old)]) == 1  # nothing says what the runs were
    assert "arena not known" in capsys.readouterr().out
    assert all(row["costs"][name] is None for row in rows(old).values() for name in sizes)
    assert main(["renew", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def _artifacts(out: Path) -> list[Path]:
    return sorted((out / "artifacts").iterdir())
