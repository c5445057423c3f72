"""`choose`, from the rows of a study to an answer and an artifact folder."""

import dataclasses
import json
from pathlib import Path

import pytest
from command_cases import contents

from aqtaudio.runs.export import export, keep
from aqtaudio.runs.parity import parity
from aqtaudio.runs.run import Run
from aqtaudio.tasks.enhancement.task import HEADLINES

pytestmark = pytest.mark.optimized(False)

# name: (precision, accuracy, file bytes, arena bytes)
RUNS = {
    "parent": ("float", 0.99, 90_000, None),
    "small": ("w4a4", 0.90, 8_000, 12_000),
    "middle": ("w4a8", 0.92, 10_000, 20_000),
    "large": ("w8a8", 0.95, 40_000, 34_000),
}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study of three integer runs, two of them with artifacts."""
    folder = tmp_path / "study"
    folder.mkdir()
    with (folder / "rows.jsonl").open("w") as file:
        for name, (precision, accuracy, size, arena) in RUNS.items():
            reading = "float" if precision == "float" else "integer"
            row = {
                "run_id": name,
                "name": name,
                "model": "DSCNN",
                "precision": precision,
                "config_delta": {"recipe": precision},
                "metrics": {reading: {"accuracy": accuracy}},
                "costs": {"file_bytes": size, "arena_bytes": arena, "macs": 10 * size},
            }
            file.write(json.dumps(row) + "\n")
    for name in ("small", "middle"):
        (folder / "artifacts" / name).mkdir(parents=True)
    return folder


def test_best_under_a_budget(study, answer):
    status, value = answer("choose", study, "--max-flash", "64KB", "--max-arena", "32KB")
    assert status == 0
    assert value["limits"] == {"file_bytes": 65536, "arena_bytes": 32768}
    assert (value["best"]["run_id"], value["best"]["accuracy"]) == ("middle", 0.92)
    assert (value["best"]["metric"], value["best"]["quality"]) == ("accuracy", 0.92)
    assert (value["best"]["beside"], value["titles"]) == ({}, {})
    assert value["best"]["costs"]["arena_bytes"] == 20_000
    assert (value["missed"]["run_id"], value["limited_by"]) == ("large", ["arena_bytes"])
    assert value["artifact"] == str(study / "artifacts/middle")


def test_for_people(study, cli):
    status, out, _ = cli("choose", study, "--max-macs", "200k", "--max-arena", "33KB")
    lines = out.splitlines()
    assert status == 0 and lines[-1] == str(study / "artifacts/middle")
    assert "middle" in lines[0] and "92.00 %" in lines[0]
    assert "MACs 100,000 of 200,000" in lines[1] and "arena 20,000 B of 33,792 B" in lines[1]
    assert "limited by arena, MACs" in out or "limited by MACs, arena" in out
    assert "large" in out and "100.0 % more than 200,000" in out


def test_another_metric_is_named(study, answer, cli, refused):
    rows = [json.loads(line) for line in (study / "rows.jsonl").read_text().splitlines()]
    for row in rows:
        (reading,) = row["metrics"].values()
        share = reading.pop("accuracy")
        reading |= {"pesq": 3 * share, "stoi": 1 - share / 10, "miss_rate": 0.1}
        reading["details"] = {"intervals": {"pesq": [3 * share - 0.1, 3 * share + 0.1]}}
        row["headlines"] = dataclasses.asdict(HEADLINES)
    (study / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    _, value = answer("choose", study, "--max-flash", "10000")
    best = value["best"]
    assert (best["run_id"], best["metric"], best["quality"]) == ("middle", "pesq", 3 * 0.92)
    assert best["beside"] == {"stoi": 1 - 0.092} and "accuracy" not in best
    assert value["titles"] == HEADLINES.titles
    _, out, _ = cli("choose", study, "--max-flash", "10000")
    assert "PESQ (wide band) 2.760 [2.660, 2.860]; STOI 0.9080" in out and "accuracy" not in out
    _, value = answer("choose", study, "--max-flash", "10000", "--metric", "stoi")
    assert value["best"]["run_id"] == "small"
    assert "less" in refused("choose", study, "--metric", "miss_rate")


def test_without_limits_nothing_limits(study, cli):
    (study / "artifacts/large").mkdir()
    status, out, _ = cli("choose", study)
    assert status == 0 and "large" in out and "limited by nothing" in out


def test_nothing_fits(study, answer, cli):
    status, value = answer("choose", study, "--max-flash", "4KB")
    assert (status, value["best"], value["artifact"]) == (1, None, None)
    assert (value["missed"]["run_id"], value["limited_by"]) == ("small", ["file_bytes"])
    status, out, _ = cli("choose", study, "--max-flash", "4KB")
    assert status == 1 and "nothing fits" in out and "small" in out and "95.3 % more" in out


def test_a_bundle_of_the_artifact(study, tiny_run, answer, refused, tmp_path):
    (tmp_path / "small").symlink_to(tiny_run)
    (study / "artifacts/small").rmdir()
    keep(Run(tmp_path / "small"), study)
    out = tmp_path / "chosen"
    limits = ("--max-flash", "9000")
    status, value = answer("choose", study, *limits, "--out", out)
    assert (status, value["artifact"]) == (0, str(out))
    assert contents(out) == contents(export(Run(tiny_run), tmp_path / "bundle"))
    assert "is there already" in refused("choose", study, *limits, "--out", out)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("named", [True, False])
def test_an_artifact_is_made_of_a_run(named, study, tiny_run, tone_corpus, tmp_path, answer):
    (study / "work").mkdir()
    (study / "work/large").symlink_to(tiny_run)
    out = tmp_path / "chosen"
    arguments = ["choose", study, "--data", tone_corpus, *(["--out", out] if named else [])]
    status, value = answer(*arguments)
    made = out if named else study / "artifacts/large"
    assert (status, value["artifact"]) == (0, str(made))
    assert (made / "firmware").is_dir() == named and not (made / "checkpoint").exists()
    assert parity(Run(made), None, n=50)["mismatches"] == 0


def test_a_run_that_is_elsewhere_is_named(study, refused):
    message = refused("choose", study)
    assert "large" in message and "95.00 %" in message and "work" in message
    assert not (study / "artifacts/large").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--max-flash", "64XB"], "64KB"),
        (["--max-macs", "-3"], "3M"),
        (["--max-bitops", "1G"], "nothing to choose from"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, named, study, refused):
    assert named in refused("choose", study, *arguments)


def test_a_folder_without_rows(tmp_path, refused):
    assert "no rows" in refused("choose", tmp_path / "absent")
