"""Laws of the scheduler: every run exactly once, parents first, failures where they belong."""

import json
import sys

import pytest
from fake_sweep import launch, sweep, wide_study

from aqtaudio.errors import BadInput
from aqtaudio.study import provenance, scheduler
from aqtaudio.study.store import Store


@pytest.mark.parametrize(("workers", "batch"), [(1, 1), (3, 1), (1, 2), (2, 8)])
def test_every_run_once_and_parents_first(tmp_path, workers, batch):
    outcome = sweep(tmp_path, workers=workers, batch=batch)
    rows = Store(tmp_path).rows()
    ids = [row["run_id"] for row in rows]
    assert outcome.entered == ids and len(ids) == 6 and not outcome.failed
    for row in rows:
        assert row["total"] == (6 if row["parent"] else 3)
        assert row["parent"] is None or ids.index(row["parent"]) < ids.index(row["run_id"])
        assert row["seconds"] > 0 and row["device"] == "fake" and "commit" in row
    assert {"seed": 0, "bits": 8, "init_from": {"seed": 0}} in [row["config_delta"] for row in rows]


def test_resume_runs_nothing_again(tmp_path):
    first = sweep(tmp_path)
    again = sweep(tmp_path, launch=None, resume=True)
    assert (again.entered, sorted(again.skipped)) == ([], sorted(first.entered))
    with pytest.raises(BadInput, match="--resume"):
        sweep(tmp_path)


def test_a_wider_study_runs_only_what_is_new(tmp_path):
    sweep(tmp_path, study=wide_study(seeds=1))
    wider = sweep(tmp_path, study=wide_study(seeds=2), resume=True)
    assert (len(wider.skipped), len(wider.entered)) == (3, 3)


def failing(message, bits=None):
    def command(specs):
        if bits in (None, specs[0].run.experiment.bits):
            return [sys.executable, "-IS", "-c", f"import sys; sys.exit({message!r})"]
        return launch(specs)

    return command


def test_a_failure_stops_only_what_needs_it_and_is_tried_again(tmp_path):
    outcome = sweep(tmp_path, launch=failing("aqtaudio: no data \x1b[1mhere\x1b[0m", bits=8))
    assert list(outcome.failed.values()) == ["aqtaudio: no data here"] * 2
    assert len(outcome.entered) == 4
    assert [failure["status"] for failure in Store(tmp_path).failures()] == [1, 1]
    healed = sweep(tmp_path, resume=True)
    assert len(healed.entered) == 2 and len(Store(tmp_path).rows()) == 6


def test_children_of_a_failed_parent_are_left_out(tmp_path):
    outcome = sweep(tmp_path, launch=failing("broken", bits=32), workers=2)
    assert (len(outcome.failed), len(outcome.blocked), outcome.entered) == (2, 4, [])


@pytest.mark.parametrize(
    "script, error",
    [
        ("pass", "without writing row.json"),
        ("import os; open(os.environ['HERE'] + '/row.json', 'w').write('{')", "not JSON"),
        ("import os; open(os.environ['HERE'] + '/row.json', 'w').write('3')", "JSON object"),
        ("import os; print('step 7', flush=True); os.abort()", "signal 6 after: step 7"),
        ("import sys; sys.exit(3)", "exit status 3"),
    ],
)
def test_a_broken_run_is_a_failure_not_a_row(tmp_path, script, error):
    def command(specs):
        return ["env", f"HERE={specs[0].run_dir}", sys.executable, "-IS", "-c", script]

    outcome = sweep(tmp_path, launch=command, study=wide_study(seeds=1))
    assert error in next(iter(outcome.failed.values()))
    assert Store(tmp_path).rows() == []
    assert len(sweep(tmp_path, study=wide_study(seeds=1), resume=True).entered) == 3


def test_a_lost_parent_directory_is_made_again_without_a_second_row(tmp_path):
    sweep(tmp_path, study=wide_study(seeds=1), work_dir=tmp_path / "one")
    store = Store(tmp_path)
    parent, *children = store.rows_path.read_text().splitlines(keepends=True)
    store.rows_path.write_text(parent + children[0])
    outcome = sweep(tmp_path, study=wide_study(seeds=1), work_dir=tmp_path / "two", resume=True)
    assert outcome.entered == [json.loads(children[1])["run_id"]]
    assert len(store.rows()) == 3


def test_two_sweeps_in_one_folder_are_refused(tmp_path):
    with scheduler._alone(tmp_path / "work"), pytest.raises(BadInput, match="another sweep"):
        sweep(tmp_path, resume=True)


def test_the_dirty_flag_and_commit_are_of_the_package(monkeypatch):
    answers = {"ls-files": "__init__.py", "status": " M x.py", "rev-parse": "abc"}
    monkeypatch.setattr(provenance, "_git", lambda folder, verb, *rest: answers[verb])
    assert provenance.code_version() == {"commit": "abc", "dirty": True}
    answers["ls-files"] = None
    assert provenance.code_version() == {"commit": None, "dirty": None}
