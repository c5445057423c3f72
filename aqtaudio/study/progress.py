"""What a running sweep shows: one line for the sweep, one per active run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from aqtaudio.study.process import tail


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


class Display:
    """A live table on a terminal, refreshed four times a second; one line per event elsewhere."""

    def __init__(
        self, console: Console, counts: Callable[[], Counts], active: Callable[[], list[Active]]
    ) -> None:
        """counts: the sweep as it stands. active: the jobs at work."""
        self._counts = counts
        self._active = active
        self._console = console
        self._live = Live(
            console=console, get_renderable=self._table, refresh_per_second=4, transient=True
        )

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *exception) -> None:
        self._live.stop()

    def event(self, text: str, style: str = "") -> None:
        """Print a line that stays; `text` is shown as it is, markup included."""
        self._console.print(Text(text, style=style), soft_wrap=True)

    def _table(self) -> Table:
        counts = self._counts()
        table = Table.grid(padding=(0, 1))
        finished = counts.before + counts.entered
        bar = ProgressBar(total=max(1, counts.total), completed=finished, width=24)
        table.add_row("sweep", bar, f"{finished}/{counts.total}", _troubles(counts), "")
        for job in self._active():
            for name, run_dir in job.runs:
                table.add_row(*_run_line(name, last_metrics(run_dir), job.seconds))
        return table


def last_metrics(run_dir: Path) -> dict:
    """The last whole line of the run's `metrics.jsonl` that has a step; empty without one."""
    whole_lines = tail(run_dir / "metrics.jsonl").split("\n")[:-1]
    for line in reversed(whole_lines):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and "step" in found:
            return found
    return {}


def _run_line(name: str, metrics: dict, seconds: float) -> tuple:
    step, steps = metrics.get("step"), metrics.get("steps")
    label = Text(name if len(name) <= 40 else f"{name[:39]}…", style="bold")
    clock = f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
    if not isinstance(step, int | float) or not isinstance(steps, int | float) or steps <= 0:
        return label, ProgressBar(total=None, width=24), "starting", "", clock
    figures = [f"{key} {_figure(metrics[key])}" for key in ("loss", "accuracy") if key in metrics]
    bar = ProgressBar(total=steps, completed=step, width=24)
    return label, bar, f"{step:.0f}/{steps:.0f}", "  ".join(figures), clock


def _figure(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)


def _troubles(counts: Counts) -> str:
    parts = [f"{counts.failed} failed"] if counts.failed else []
    parts += [f"{counts.blocked} waiting for a failed parent"] if counts.blocked else []
    return ", ".join(parts)
