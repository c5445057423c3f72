"""What a run reports while it trains: JSON lines, TensorBoard events, and how far it is, as a
progress bar or in a line now and then.
"""

import contextlib
import datetime
import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog

from aqtaudio.files import naming, write

LINE_EVERY_S = 30.0
"""Where there is no bar."""
FLUSH_EVERY_S = 120.0
"""Of TensorBoard's events."""


class MetricsLog:
    """Writes `metrics.jsonl` and `tensorboard/` in a run directory and shows how far it is."""

    def __init__(
        self,
        directory: Path,
        phase: str,
        first_step: int,
        steps: int,
        say: Callable[[str], None] = lambda text: None,
    ):
        """Lines of this phase at or after `first_step` are dropped: they are about to be redone.

        `say` is told now and then where no terminal has the bar.
        """
        self.phase, self.steps, self._say = phase, steps, say
        self.path = directory / "metrics.jsonl"
        self._started, self._first_step = time.monotonic(), first_step
        self._told, self._figures = -math.inf, ""
        self._keep_lines_before(first_step)
        self._board = _Board(directory / "tensorboard" / phase, first_step)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task(phase, total=steps, completed=first_step, figures="")

    def __enter__(self) -> "MetricsLog":
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        self._bar.stop()
        with contextlib.nullcontext() if kind is None else contextlib.suppress(OSError):
            self._board.close()

    def write(self, step: int, **values: float) -> None:
        """Records `values` as of `step` (steps done)."""
        elapsed = time.monotonic() - self._started
        line: dict[str, Any] = {"phase": self.phase, "step": step, "steps": self.steps}
        line |= {name: round(float(value), 6) for name, value in values.items()}
        line["seconds"] = round(elapsed, 3)
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self._board.write(step, values)
        figures = "  ".join(f"{name} {float(value):.4f}" for name, value in values.items())
        self._bar.update(self._task, completed=step, figures=figures)
        self._figures = figures

    def passed(self, step: int) -> None:
        """Where there is no bar, now and then: `step` (steps done) and the latest figures."""
        elapsed = time.monotonic() - self._started
        if not self._bar.disable or elapsed - self._told < LINE_EVERY_S:
            return
        self._told = elapsed
        left_s = elapsed / max(1, step - self._first_step) * (self.steps - step)
        left = datetime.timedelta(seconds=round(left_s))
        parts = f"{self.phase} {step}/{self.steps}", self._figures, f"{left} left"
        self._say("  ".join(part for part in parts if part))

    def _keep_lines_before(self, step: int) -> None:
        if not self.path.exists():
            return
        kept = []
        for text in self.path.read_text().splitlines():
            try:
                line = json.loads(text)
            except ValueError:  # torn by a crash
                continue
            if line["phase"] != self.phase or line["step"] <= step:
                kept.append(f"{text}\n")
        write(self.path, "".join(kept))


class _Board:
    """Events of TensorBoard.

    Its own writer has a thread, which a full disk ends: then whoever has figures waits for ever.
    """

    def __init__(self, folder: Path, first_step: int):
        self._folder, self._flushed = folder, time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        with naming(folder):
            self._file = EventsWriter(str(folder / "events"))
            # What was there from this step on is not to be shown.
            self._file.write_event(Event(step=first_step, file_version="brain.Event:2"))
            start = SessionLog(status=SessionLog.START)
            self._file.write_event(Event(step=first_step, session_log=start))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        with naming(self._folder):
            for name, value in values.items():
                found = summary.scalar(name, float(value))
                self._file.write_event(Event(wall_time=time.time(), step=step, summary=found))
            if time.monotonic() - self._flushed >= FLUSH_EVERY_S:
                self._flushed = time.monotonic()
                self._file.flush()

    def close(self) -> None:
        with naming(self._folder):
            self._file.close()
