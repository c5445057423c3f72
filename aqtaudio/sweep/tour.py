"""What a command of several stages shows from its first second: where it is, and the time left.

Loads nothing heavy, so that it is there while the rest loads.
"""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Mapping

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from aqtaudio.study.progress import (
    Active,
    Counts,
    Display,
    Repeated,
    active_table,
    clock,
    share_done,
    told,
)

LINE_EVERY_S = 3.0
_BAR_WIDTH = 24
_TRUST_S = 30.0
"""For so long, what a stage takes as a rule says more than what was seen."""
_UNSEEN_SHARE = 0.15
"""Of a stage: what may be done before it is told, such as the start of a process."""

Told = tuple[float, str]
"""Share of a stage that is done, and what it is at, in a few words."""


@dataclasses.dataclass
class _Stage:
    """One of the stages, at work.

    Attributes:
      number: of the stage, from 0.
      told: where it is.
      below: what a terminal shows, too.
      began: when.
      share: the largest that was told.
    """

    number: int
    told: Callable[[], Told]
    below: Callable[[], RenderableType] | None = None
    began: float = dataclasses.field(default_factory=lambda: time.monotonic())
    share: float = 0.0


class Tour(contextlib.AbstractContextManager):
    """Stages one after the other: a bar on a terminal, a line every few seconds elsewhere.

    Attributes:
      console: where it is shown.
    """

    def __init__(self, console: Console, expected_s: Mapping[str, float]):
        """expected_s: the stages in their order, with the seconds that each takes as a rule."""
        self.console = console
        self._expected = dict(expected_s)
        self._names = list(expected_s)
        self._started = time.monotonic()
        self._skipped_s = 0.0
        self._in_lines = False
        self.begin(self._names[0])
        self._live = Live(console=console, get_renderable=self._view, transient=True)
        self._lines = Repeated(self._print_line, LINE_EVERY_S)

    def __enter__(self) -> "Tour":
        if self.console.is_terminal:
            self._live.start()
        else:
            self._in_lines = True
            self._lines.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        self._lines.stop()

    def begin(self, name: str, text: str = "") -> None:
        """Goes on to a stage, however short it will be."""
        # One value: a line that is just being written never mixes two stages.
        self._stage = _Stage(self._names.index(name), lambda: (0.0, text))
        if self._in_lines:
            self._print_line()

    def tell(self, share: float, text: str) -> None:
        """Where the stage is."""
        self._stage.told, self._stage.below = lambda: (share, text), None

    def watch(
        self, told: Callable[[], Told], below: Callable[[], RenderableType] | None = None
    ) -> None:
        """Asks `told` where the stage is, whenever it is shown; what it says first was done before.

        below: what a terminal shows, too.
        """
        stage = self._stage
        stage.share, _ = told()
        stage.told, stage.below = told, below
        self._skipped_s += stage.share * self._expected[self._names[stage.number]]

    def runs(self) -> Callable[..., Display]:
        """What a sweep shows as a stage of this tour: its `display`."""
        return functools.partial(_Runs, self)

    @property
    def elapsed_s(self) -> float:
        """Since it began."""
        return time.monotonic() - self._started

    def left_s(self) -> float:
        """What the stages take as a rule, at the pace of those that were seen."""
        stage = self._stage
        expected_s = self._expected[self._names[stage.number]]
        since = (time.monotonic() - stage.began) / expected_s
        share = max(stage.share, min(since, stage.share + _UNSEEN_SHARE, 1.0))
        done_s = sum(self._expected[name] for name in self._names[: stage.number])
        done_s += share * expected_s
        pace = (self.elapsed_s + _TRUST_S) / (max(0.0, done_s - self._skipped_s) + _TRUST_S)
        return pace * (sum(self._expected.values()) - done_s)

    def _now(self) -> tuple[str, str, str]:
        """The stage, what it is at, and the time left."""
        stage = self._stage
        share, text = stage.told()
        stage.share = max(stage.share, min(share, 1.0))
        name = f"{stage.number + 1}/{len(self._names)} {self._names[stage.number]}"
        return name, text, f"about {clock(self.left_s())} left"

    def _print_line(self) -> None:
        stage, text, left = self._now()
        line = f"{clock(self.elapsed_s):>5}  {stage}{f': {text}' if text else ''}; {left}"
        self.console.print(Text(line), soft_wrap=True)

    def _view(self) -> Group:
        stage, text, left = self._now()
        done_s, left_s = self.elapsed_s, self.left_s()
        bar = ProgressBar(total=done_s + left_s, completed=done_s, width=_BAR_WIDTH)
        line = Table.grid(padding=(0, 1))
        for name in ("stage", "bar", "clock", "text"):
            line.add_column(no_wrap=name != "text", overflow="ellipsis")
        shown = Text(f"{left}  {text}", no_wrap=True, overflow="ellipsis")
        line.add_row(Text(stage, style="bold"), bar, clock(done_s), shown)
        below = self._stage.below
        return Group(line, below()) if below else Group(line)


class _Runs(Display):
    """A sweep's display that leaves the screen to a tour."""

    def __init__(
        self,
        tour: Tour,
        console: Console,
        counts: Callable[[], Counts],
        active: Callable[[], list[Active]],
        hint: str = "",
    ):
        super().__init__(tour.console, counts, active, hint)
        self._tour = tour

    def __enter__(self) -> Display:
        self._tour.watch(self._where, lambda: active_table(self._active(), 4))
        return self

    def __exit__(self, *exception: object) -> None:
        self._tour.tell(1.0, "")

    def _where(self) -> Told:
        counts, jobs = self._counts(), self._active()
        return share_done(counts, jobs), "; ".join(map(told, jobs))
