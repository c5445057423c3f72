"""A task that the package has never heard of goes through every command."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tone_task import CLOSE_OCTAVES, EXPERIMENT, OCTAVES, Tones

from aqtaudio.commands.command_line import main
from aqtaudio.data import manifest
from aqtaudio.runs.network import RUNTIMES, network
from aqtaudio.runs.run import Run
from aqtaudio.settings import overlay
from aqtaudio.training.loop import Trainer
from aqtaudio.training.restore import restore

TESTS = Path(__file__).parents[1]
pytestmark = pytest.mark.optimized(False)
CONFIG = "from tone_task import EXPERIMENT\n"
STUDY = "from tone_task import STUDY\n"


def answer(arguments: list[str], capsys: pytest.CaptureFixture) -> dict:
    """What a command prints as JSON."""
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A config, a study and a manifest folder without recordings: the task makes its own."""
    folder = tmp_path_factory.mktemp("tones")
    (folder / "config.py").write_text(CONFIG)
    (folder / "study.py").write_text(STUDY)
    manifest.write(folder / "data", [])
    return folder


@pytest.fixture(scope="module")
def run(folder) -> Path:
    data, out = str(folder / "data"), folder / "run"
    assert main(["train", str(folder / "config.py"), "--data", data, "--out", str(out)]) == 0
    return out


def lines(run: Path) -> list[dict]:
    """Of metrics.jsonl, but for the clock."""
    found = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: x for key, x in line.items() if key != "seconds"} for line in found]


def test_it_learns_and_tells_of_its_companions(run):
    row = json.loads((run / "row.json").read_text())
    assert row["metrics"]["integer"]["hit_rate"] > 3 * CLOSE_OCTAVES / OCTAVES  # of chance
    assert row["metrics"]["quantized"] == row["metrics"]["integer"]
    assert row["parity"]["mismatches"] == 0 and row["parity"]["outputs"] > 2000
    told = lines(run)
    for name in ("caught", "fooled", "read"):
        assert {line["phase"] for line in told if name in line} == {"float", "quantized"}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_evaluated_in_every_runtime(run, folder, capsys, runtime):
    value = answer(
        ["evaluate", str(run), "--data", str(folder / "data"), "--runtime", runtime], capsys
    )
    row = json.loads((run / "row.json").read_text())
    known = row["metrics"]["float" if runtime == "float" else "integer"]
    if runtime in ("float", "quantized", "integer", "micro"):
        assert value["metrics"] == pytest.approx(known, abs=1e-6)
    assert set(value["metrics"]) == set(known) and value["n"] == 48


def test_people_are_told(run, folder, capsys):
    assert main(["evaluate", str(run), "--data", str(folder / "data")]) == 0
    assert "hit_rate" in capsys.readouterr().out


def test_parity_cost_and_check(run, folder, capsys):
    value = answer(["parity", str(run), "--data", str(folder / "data"), "--n", "50"], capsys)
    assert value["mismatches"] == 0 and value["n"] == 98  # 48 recordings and 50 at random
    assert answer(["check", str(run)], capsys)["micro_compatible"]
    assert answer(["cost", str(run)], capsys)["params"] > 0


def test_exported_with_what_its_companions_leave(run, folder):
    out = folder / "artifact"
    data = ["--data", str(folder / "data")]
    assert main(["export", str(run), "--out", str(out), *data]) == 0
    assert (out / "firmware" / "model_golden.h").is_file()
    readout = restore(run, EXPERIMENT, "quantized")["companions"]["readout"]
    with np.load(out / "companions.npz") as kept:
        np.testing.assert_array_equal(kept["readout"], readout["Dense_0"]["kernel"])
    with network(Run(out), "integer") as ours, network(Run(run), "integer") as theirs:
        features = np.random.default_rng(0).normal(size=(4, *EXPERIMENT.setup.feature_shape))
        features = features.astype(np.float32)
        np.testing.assert_array_equal(ours.whole(features), theirs.whole(features))


def test_companions_go_on_from_phase_to_phase(run):
    floating, quantized = (restore(run, EXPERIMENT, phase) for phase in ("float", "quantized"))
    for name in ("judge", "readout"):
        before, after = (x["companions"][name]["Dense_0"]["kernel"] for x in (floating, quantized))
        change = np.abs(after - before).max()
        assert 0 < change < 0.5 * np.abs(before).max(), name  # twenty steps on, not begun anew


class Killed(Exception):
    pass


@pytest.mark.slow
def test_killed_and_resumed_is_undisturbed(run, folder, monkeypatch):
    """To the bit: parameters of the model and of companions, figures, integers."""
    out = folder / "killed"
    arguments = ["train", folder / "config.py", "--data", folder / "data", "--out", out]
    batch = Tones.training_batch

    def mortal(self, step, *others):
        if step == EXPERIMENT.optimizer.steps - 5:
            raise Killed
        return batch(self, step, *others)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Tones, "training_batch", mortal)
        main(list(map(str, arguments)))
    assert any((out / "checkpoint" / "float").glob("[0-9]*"))
    assert not (out / "row.json").exists()
    assert main(list(map(str, arguments))) == 0
    assert lines(out) == lines(run)
    for phase in ("float", "quantized"):
        ours, theirs = (restore(x, EXPERIMENT, phase) for x in (out, run))
        _assert_same(ours, theirs)
    rows = [json.loads((x / "row.json").read_text()) for x in (out, run)]
    assert rows[0]["metrics"] == rows[1]["metrics"]


def test_companions_resume(run, folder):
    """The float phase, from the last checkpoint before its end: as if nothing had stopped it."""
    again = Path(shutil.copytree(run, folder / "resumed"))
    steps = EXPERIMENT.optimizer.steps
    shutil.rmtree(again / "checkpoint/float" / str(steps))
    assert (again / "checkpoint/float" / str(steps - EXPERIMENT.checkpoint_every)).is_dir()
    data = Tones(EXPERIMENT.setup.clip_samples)
    evaluation = data.evaluation_arrays(data.evaluation_list("val"))
    alone = overlay(EXPERIMENT, {"recipe.mode": "float"})
    Trainer(alone, data, again, evaluation).train()
    _assert_same(*(restore(each, EXPERIMENT, "float") for each in (again, run)))
    floating = [[line for line in lines(each) if line["phase"] == "float"] for each in (again, run)]
    assert floating[0] == floating[1]


def _assert_same(ours: dict, theirs: dict) -> None:
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        if isinstance(value, dict):
            _assert_same(value, theirs[key])
        else:
            np.testing.assert_array_equal(np.asarray(value), np.asarray(theirs[key]), key)


@pytest.mark.slow
def test_swept_side_by_side_and_reported(folder, monkeypatch, capsys):
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    out = folder / "study"
    study = ["sweep", str(folder / "study.py"), "--data", str(folder / "data"), "--out", str(out)]
    assert main([*study, "--batch", "2"]) == 0
    rows = [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]
    assert [row["trained_together"] for row in rows] == [2, 2]
    assert all(row["parity"]["mismatches"] == 0 for row in rows)
    assert {row["seed"] for row in rows} == {0, 1}
    assert len({json.dumps(row["metrics"]["float"]) for row in rows}) == 2
    page, summary = (out / "report.html").read_text(), (out / "summary.md").read_text()
    assert "hit_rate" in page and "tones hit" in summary
    assert answer(["choose", str(out)], capsys)["best"]["metric"] == "hit_rate"


def test_commands_of_other_tasks_refuse_it(run, tone_corpus, capsys):
    for command in (["listen", str(run), "-"], ["detect", str(run), "--data", str(tone_corpus)]):
        assert main(command) == 2
        assert "a run of height; allowed: a run of keywords" in capsys.readouterr().err


def test_robustness_is_told_by_tasks_that_know_it(run, folder, capsys):
    assert main(["robustness", str(run), "--data", str(folder / "data")]) == 2
    assert "a run of height does not tell it" in capsys.readouterr().err


def test_what_the_task_has_no_use_for_is_refused(folder, capsys):
    arguments = ["train", str(folder / "config.py"), "--data", str(folder / "data")]
    arguments += ["--out", str(folder / "refused"), "--augmentation.gain_db", "3"]
    assert main(arguments) == 2
    assert "augmentation is set" in capsys.readouterr().err
