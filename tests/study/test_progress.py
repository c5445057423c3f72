"""What a running sweep shows, on a terminal of any size."""

import io
import json
import time

import pytest
from fake_sweep import sweep, wide_study
from rich.console import Console
from rich.text import Text

from aqtaudio.study import progress
from aqtaudio.study.progress import Active, Counts, Display, last_metrics, share_done, told


def test_the_last_whole_line_is_read(tmp_path):
    assert last_metrics(tmp_path) == {}
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text('{"step": 1}\n{"step": 2}\n{"epoch": 1}\n[]\n{"ste')
    assert last_metrics(tmp_path) == {"step": 2}
    lines = [
        {"phase": "float", "step": 2, "loss": 9.0, "accuracy": 0.5},
        {"phase": "finetune", "step": 1, "loss": 3.0},
        {"phase": "finetune", "step": 2, "val_si_sdr_improvement_db": 7.0},
    ]
    metrics.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert last_metrics(tmp_path) == {**lines[1], **lines[2]}, "of one phase"
    metrics.write_text('{"step"')
    assert last_metrics(tmp_path) == {}


def job(folder, first, count, begun=True):
    runs = []
    for number in range(first, first + count):
        run_dir = folder / f"run{number}"
        run_dir.mkdir()
        line = {"phase": "float", "step": 10 + number, "steps": 400, "loss": 1 / (1 + number)}
        if begun:
            (run_dir / "metrics.jsonl").write_text(json.dumps(line) + "\n")
        runs.append((f"width={number} seed={number} bits=8 with quite a long name", run_dir))
    return Active(tuple(runs), 75.0)


def shown(jobs, width=100, height=24, counts=Counts(40, 4, 2, 1, 0, 20)):  # noqa: B008
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True)
    display = Display(console, lambda: counts, lambda: jobs, "tensorboard --logdir work")
    display._started -= 3600
    with console.capture() as capture:
        console.print(display._table())
    return [line.rstrip() for line in plain(capture.get()).splitlines()]


def plain(text):
    return Text.from_ansi(text).plain


def test_every_run_has_a_line_where_they_fit(tmp_path):
    lines = shown([job(tmp_path, 0, 4), job(tmp_path, 4, 1), job(tmp_path, 5, 1, begun=False)])
    assert len(lines) == 1 + 6 + 1
    assert "6/40" in lines[0] and "2 runs/h" in lines[0] and "ETA 16:30:00" in lines[0]
    assert "1 failed, 6 active in 3 jobs, 20 queued" in lines[0]
    assert "width=3" in lines[4] and "float 13/400" in lines[4] and "loss 0.25" in lines[4]
    assert "starting" in lines[6] and "1:15" in lines[6]
    assert lines[-1] == "tensorboard --logdir work"


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 10), (200, 50)])
def test_many_runs_fit_the_terminal(tmp_path, width, height):
    jobs = [job(tmp_path, 100 * number, 64) for number in range(3)]
    lines = shown(jobs, width, height)
    assert len(lines) <= height - 1 and all(len(line) <= width for line in lines)
    assert all(line.startswith("64 runs: ") for line in lines[1:4])
    assert "loss 0.0" in lines[1] and all(line.endswith("1:15") for line in lines[1:4])
    if width >= 100:
        assert "float 10/400" in lines[1] and "(0.0156 to 1)" in lines[1]


def test_more_jobs_than_lines_are_counted(tmp_path):
    lines = shown([job(tmp_path, number, 1) for number in range(40)], 80, 20)
    assert len(lines) <= 19
    shown_runs = sum("width=" in line for line in lines)
    assert f"and {40 - shown_runs} more runs" in "\n".join(lines)


def test_a_batch_that_has_not_all_begun(tmp_path):
    some = Active(job(tmp_path, 0, 30).runs + job(tmp_path, 30, 30, begun=False).runs, 1.0)
    assert "30 of 60 begun" in shown([some])[1]


def test_a_job_in_a_few_words(tmp_path):
    assert told(job(tmp_path, 0, 1)).endswith(" long name: float 10/400, loss 1")
    several = job(tmp_path, 1, 2)
    assert told(several).startswith("2 runs: width=1 ") and "float 11/400" in told(several)
    assert told(job(tmp_path, 3, 1, begun=False)).endswith(": starting")


def test_the_share_of_a_sweep_that_is_done(tmp_path):
    counts = Counts(total=8, before=1, entered=1, failed=0, blocked=0, waiting=4)
    assert share_done(counts, []) == 2 / 8
    jobs = [job(tmp_path, 190, 1), job(tmp_path, 0, 1, begun=False)]
    assert share_done(counts, jobs) == pytest.approx((2 + 0.9 * 200 / 400) / 8)


def test_without_a_terminal_a_line_tells_where_the_jobs_are(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.01)
    console = Console(file=io.StringIO(), force_terminal=False, width=40)
    jobs = [job(tmp_path, 0, 2), job(tmp_path, 2, 1)]
    with Display(console, lambda: Counts(4, 1, 0, 0, 0, 0), lambda: jobs):
        deadline = time.monotonic() + 20
        while console.file.getvalue().count("\n") < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    lines = console.file.getvalue().splitlines()
    assert len(lines) > 2, "again and again"
    assert lines[0].startswith(" 0:00  1/4 runs, 3 active in 2 jobs; 2 runs: width=0")
    assert lines[0].count("float 1") == 2


@pytest.mark.parametrize("terminal", [True, False])
def test_a_sweep_tells_what_happens(tmp_path, terminal):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100, height=20)
    sweep(tmp_path, study=wide_study(seeds=1), batch=2, console=console)
    told = plain(console.file.getvalue())
    assert told.count("finished  ") == 3
    assert ("sweep" in told) == terminal
