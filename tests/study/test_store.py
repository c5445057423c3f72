"""Laws of the run store: whole rows, each run once, whatever happened before."""

import json
import multiprocessing
import os

import pytest

from aqtaudio.errors import BadInput
from aqtaudio.study.store import Store


def test_rows_come_back_in_order(tmp_path):
    store = Store(tmp_path / "new")
    assert store.rows() == store.failures() == []
    rows = [{"run_id": str(number), "label": "Ünïcode\n\ud800"} for number in range(5)]
    assert all(store.append(row) for row in rows)
    assert store.rows() == rows


def test_a_run_is_entered_once(tmp_path):
    store = Store(tmp_path)
    assert store.append({"run_id": "a", "x": 1})
    assert not store.append({"run_id": "a", "x": 2})
    assert store.rows() == [{"run_id": "a", "x": 1}]


def test_figures_that_are_no_json_are_read_as_none(tmp_path):
    """As other programs write them: rows of ours hold none."""
    store = Store(tmp_path)
    lines = '{"run_id": "a", "x": NaN, "y": [Infinity, {"z": -Infinity}], "n": 1e999, "m": 2}\n'
    store.rows_path.write_text(lines)
    assert store.rows() == [{"run_id": "a", "x": None, "y": [None, {"z": None}], "n": None, "m": 2}]


def test_a_torn_last_line_is_ignored_and_repaired(tmp_path):
    whole = Store(tmp_path / "whole")
    whole.append({"run_id": "a"})
    whole.append({"run_id": "b", "metrics": {"accuracy": 0.5}})
    content = whole.rows_path.read_bytes()
    first = content.index(b"\n") + 1
    for end in range(first, len(content)):
        torn = Store(tmp_path / str(end))
        torn.folder.mkdir()
        torn.rows_path.write_bytes(content[:end])
        assert torn.rows() == [{"run_id": "a"}]
        assert torn.append({"run_id": "b", "metrics": {"accuracy": 0.5}})
        assert torn.rows_path.read_bytes() == content


def test_a_full_disk_leaves_no_half_row(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.append({"run_id": "a"})
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:7]))
    with pytest.raises(OSError, match="disk full"):
        store.append({"run_id": "b"})
    monkeypatch.undo()
    assert store.rows_path.read_text() == '{"run_id": "a"}\n'


@pytest.mark.parametrize("line", ["{", "[]", '{"name": "no id"}', '{"run_id": "a"}'])
def test_a_broken_row_is_named(tmp_path, line):
    store = Store(tmp_path)
    store.append({"run_id": "a"})
    with store.rows_path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(BadInput, match=r"rows\.jsonl:2"):
        store.rows()


def test_rows_are_json_even_when_a_run_diverged(tmp_path):
    store = Store(tmp_path)
    store.append({"run_id": "a", "metrics": {"loss": float("nan"), "all": [float("inf"), 1.5]}})

    def refuse(constant):
        raise AssertionError(constant)

    row = json.loads(store.rows_path.read_text(), parse_constant=refuse)
    assert row["metrics"] == {"loss": None, "all": [None, 1.5]}


def append_all(folder, names):
    for name in names:
        Store(folder).append({"run_id": name, "filler": name * 500})


def test_processes_may_append_at_once(tmp_path):
    names = [str(number) for number in range(40)]
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=append_all, args=(tmp_path, names)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(row["run_id"] for row in Store(tmp_path).rows()) == sorted(names)


def test_every_failure_is_kept(tmp_path):
    store = Store(tmp_path)
    for error in ("first", "second"):
        store.append_failure({"run_id": "a", "error": error})
    assert [failure["error"] for failure in store.failures()] == ["first", "second"]
