"""What a running sweep shows: one line for the sweep, and as many of the active runs as fit."""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from aqtaudio.study.process import tail

_NO_FIGURES = ("phase", "step", "steps", "seconds", "learning_rate", "penalty")
_FIGURES = 3
"""That a run's line shows: the loss, and what a task tells first of training and validation."""
_BAR_WIDTH = 12
_NAME_WIDTH = 36
LINE_EVERY_S = 60.0


@dataclass(frozen=True)
class Counts:
    """Runs of the sweep: wanted, finished before and now, failed now, can't start, not begun."""

    total: int
    before: int
    entered: int
    failed: int
    blocked: int
    waiting: int


@dataclass(frozen=True)
class Active:
    """A job at work: names and directories of its runs, and seconds since its start."""

    runs: tuple[tuple[str, Path], ...]
    seconds: float


class Repeated:
    """Calls a function every few seconds, beside what goes on; the first time at once."""

    def __init__(self, function: Callable[[], object], every_s: float):
        self._function, self._every_s = function, every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends, if it was begun."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        self._function()
        while not self._over.wait(self._every_s):
            self._function()


class Display:
    """A live table on a terminal, refreshed twice a second.

    Elsewhere one line per event, and one a minute that says what the jobs are at.
    """

    def __init__(
        self,
        console: Console,
        counts: Callable[[], Counts],
        active: Callable[[], list[Active]],
        hint: str = "",
    ) -> None:
        """counts: the sweep as it stands. active: the jobs at work. hint: a last line."""
        self._counts = counts
        self._active = active
        self._hint = hint
        self._console = console
        self._started = time.monotonic()
        self._live = Live(
            console=console, get_renderable=self._table, refresh_per_second=2, transient=True
        )
        self._lines = Repeated(self._print_line, LINE_EVERY_S)

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._live.start()
        else:
            self._lines.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()
        self._lines.stop()

    def event(self, text: str, style: str = "") -> None:
        """Print a line that stays; `text` is shown as it is, markup included."""
        self._console.print(Text(text, style=style), soft_wrap=True)

    def _print_line(self) -> None:
        counts, jobs = self._counts(), self._active()
        seconds = time.monotonic() - self._started
        finished = f"{counts.before + counts.entered}/{counts.total} runs"
        state = _state(counts, jobs) + _speed(counts, seconds)
        self.event("; ".join([f"{clock(seconds):>5}  {finished}, {state}", *map(told, jobs)]))

    def _table(self) -> Table:
        whole = Table.grid()
        counts, jobs = self._counts(), self._active()
        whole.add_row(self._sweep_line(counts, jobs))
        # A line above for the sweep, one below for the hint, one for the cursor.
        whole.add_row(active_table(jobs, max(2, self._console.height - 3)))
        if self._hint:
            whole.add_row(Text(self._hint, style="dim", no_wrap=True, overflow="ellipsis"))
        return whole

    def _sweep_line(self, counts: Counts, jobs: Sequence[Active]) -> Table:
        line = _columns(4, flexible=(3,))
        finished = counts.before + counts.entered
        bar = ProgressBar(total=max(1, counts.total), completed=finished, width=_BAR_WIDTH)
        speed = _speed(counts, time.monotonic() - self._started)
        state = Text(_state(counts, jobs) + speed, no_wrap=True, overflow="ellipsis")
        line.add_row("sweep", bar, f"{finished}/{counts.total}", state)
        return line


def active_table(jobs: Sequence[Active], room_lines: int) -> Table:
    """A line per run where they fit, else per job, and what does not fit as a number."""
    table = _columns(5, flexible=(0, 3))
    if sum(len(job.runs) for job in jobs) <= room_lines:
        jobs = [Active((run,), job.seconds) for job in jobs for run in job.runs]
    shown = jobs if len(jobs) <= room_lines else jobs[: room_lines - 1]
    for job in shown:
        table.add_row(*_job_line(job))
    if len(shown) < len(jobs):
        hidden = sum(len(job.runs) for job in jobs[len(shown) :])
        table.add_row(Text(f"and {hidden} more runs", style="dim"))
    return table


def _columns(count: int, flexible: Sequence[int]) -> Table:
    """A table in which some columns give way where the terminal is narrow, the widest first."""
    table = Table.grid(padding=(0, 1))
    for number in range(count):
        table.add_column(no_wrap=number not in flexible, overflow="ellipsis")
    return table


def last_metrics(run_dir: Path) -> dict:
    """The last of each figure in the whole lines of `metrics.jsonl` that have a step.

    Of the last line's phase and of the file's end: figures of training and of validation have lines
    of their own. Empty without such a line.
    """
    found: dict = {}
    for line in tail(run_dir / "metrics.jsonl", 4096).split("\n")[:-1]:
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict) and "step" in told:
            is_same_phase = told.get("phase") == found.get("phase")
            found = {**found, **told} if is_same_phase else told
    return found


def share_done(counts: Counts, jobs: Sequence[Active]) -> float:
    """Of a sweep, each run counting alike; a run that trains is never quite done."""
    finished = counts.before + counts.entered + counts.failed + counts.blocked
    metrics = [last_metrics(run_dir) for job in jobs for _, run_dir in job.runs]
    trained = sum(found["step"] / found["steps"] for found in metrics if _is_progress(found))
    return (finished + 0.9 * trained) / max(1, counts.total)


def told(job: Active) -> str:
    """A job in a few words: its runs, the step of the slowest, its loss."""
    metrics = [last_metrics(run_dir) for _, run_dir in job.runs]
    step, slowest = _step(metrics)
    loss = slowest.get("loss") if slowest else None
    figure = f", loss {loss:.3g}" if isinstance(loss, int | float) else ""
    return f"{_name(job)}: {step}{figure}"


def _name(job: Active) -> str:
    name = job.runs[0][0]
    return f"{len(job.runs)} runs: {name}, …" if len(job.runs) > 1 else name


def _step(metrics: Sequence[dict]) -> tuple[str, dict | None]:
    """Where a job is, in words, and the figures of its slowest run once all have begun."""
    progress = [found for found in metrics if _is_progress(found)]
    if len(progress) < len(metrics):
        return f"{len(progress)} of {len(metrics)} begun" if progress else "starting", None
    slowest = min(progress, key=lambda found: found["step"])
    step = f"{slowest.get('phase', '')} {slowest['step']:.0f}/{slowest['steps']:.0f}".strip()
    return step, slowest


def _job_line(job: Active) -> tuple:
    """Name, bar of the slowest run, step, figures, clock."""
    label = Text(_name(job), style="bold", no_wrap=True, overflow="ellipsis")
    label.truncate(_NAME_WIDTH, overflow="ellipsis")
    metrics = [last_metrics(run_dir) for _, run_dir in job.runs]
    step, slowest = _step(metrics)
    time = clock(job.seconds)
    if slowest is None:
        return label, ProgressBar(total=None, width=_BAR_WIDTH), step, "", time
    keys = [key for key in dict.fromkeys(k for x in metrics for k in x) if key not in _NO_FIGURES]
    figures = [f"{key} {_range(x.get(key) for x in metrics)}" for key in keys[:_FIGURES]]
    figures = [text for text in figures if not text.endswith(" ")]
    bar = ProgressBar(total=slowest["steps"], completed=slowest["step"], width=_BAR_WIDTH)
    return label, bar, step, Text("  ".join(figures), no_wrap=True, overflow="ellipsis"), time


def _is_progress(metrics: dict) -> bool:
    step, steps = metrics.get("step"), metrics.get("steps")
    return isinstance(step, int | float) and isinstance(steps, int | float) and steps > 0


def _range(values: Iterable[object]) -> str:
    """The median and, of several values, the ends; empty where there is none."""
    numbers = [value for value in values if isinstance(value, int | float)]
    if not numbers:
        return ""
    text = f"{statistics.median(numbers):.4g}"
    low, high = min(numbers), max(numbers)
    return text if low == high else f"{text} ({low:.3g} to {high:.3g})"


def _speed(counts: Counts, seconds: float) -> str:
    """Runs per hour and the time left, from the runs finished since the start."""
    if not counts.entered or seconds <= 0:
        return ""
    per_hour = 3600 * counts.entered / seconds
    left = counts.total - counts.before - counts.entered - counts.failed - counts.blocked
    return f", {per_hour:.3g} runs/h, ETA {clock(3600 * left / per_hour)}"


def _state(counts: Counts, jobs: Sequence[Active]) -> str:
    runs = sum(len(job.runs) for job in jobs)
    parts = [f"{counts.failed} failed"] if counts.failed else []
    parts += [f"{counts.blocked} left out"] if counts.blocked else []
    parts += [f"{runs} active" + (f" in {len(jobs)} jobs" if runs > len(jobs) else "")]
    parts += [f"{counts.waiting} queued"] if counts.waiting else []
    return ", ".join(parts)


def clock(seconds: float) -> str:
    """Of 75 seconds 1:15."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
