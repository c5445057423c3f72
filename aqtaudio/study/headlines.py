"""How qualities are called and written, and which are told together: as the rows say.

A row's `headlines` are those of its task: {"fronts": the qualities that studies are ranked by, the
main one first, "together": what is only told together, "titles": {key: what people call it}}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aqtaudio.errors import BadInput
from aqtaudio.study.measures import Interval, Row, is_share, metrics, quality


@dataclass(frozen=True)
class Headlines:
    """What rows say together; nothing where they are of before rows said it."""

    fronts: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    titles: Mapping[str, str] = field(default_factory=dict)

    def title(self, metric: str) -> str:
        """What people call it."""
        return self.titles.get(metric, metric)

    def beside(self, metric: str) -> list[str]:
        """The metrics to be told with one of those that are only told together."""
        known = list(dict.fromkeys((*self.together, *self.fronts)))
        is_one = metric in known or metric in self.titles
        return [key for key in known if key != metric] if is_one else []

    def other_fronts(self, metric: str) -> list[str]:
        """The metrics that a study has a front of file size of, beside that of `metric`."""
        return [key for key in self.beside(metric) if key in self.fronts]


def headlines(rows: Sequence[Row]) -> Headlines:
    """Of rows of any tasks, in order of sight."""
    fronts: dict[str, None] = {}
    together: dict[str, None] = {}
    titles: dict[str, str] = {}
    for row in rows:
        told = row.get("headlines")
        if isinstance(told, Mapping):
            fronts |= dict.fromkeys(told.get("fronts", ()))
            together |= dict.fromkeys(told.get("together", ()))
            titles |= told.get("titles", {})
    return Headlines(tuple(fronts), tuple(together), titles)


def main_metric(rows: Sequence[Row]) -> str:
    """The quality that fronts are made of where nobody names another: it follows from the rows.

    The first that their headlines name and some row has, else the first of which more is better.
    """
    known = [metric.key for metric in metrics(rows) if metric.sense > 0]
    preferred = [key for key in headlines(rows).fronts if key in known]
    if not known:
        raise BadInput("no run has a figure of which more is better")
    return (preferred or known)[0]


@dataclass(frozen=True)
class Quality:
    """A metric as figures show it."""

    key: str
    title: str
    is_share: bool


def shown(rows: Sequence[Row], metric: str | None = None) -> Quality:
    """A metric of rows; default: their main one."""
    metric = metric or main_metric(rows)
    values = [value for row in rows if (value := quality(row, metric)) is not None]
    return Quality(metric, headlines(rows).title(metric), is_share(metric, values))


def written(
    metric: str, value: float | None, spread: float | None = None, interval: Interval | None = None
) -> str:
    """`94.00 % ± 0.12`, `2.183 ± 0.014 [2.036, 2.326]`; nothing for None."""
    if value is None:
        return ""
    if is_share(metric, [value]):
        text, scale, form = f"{100 * value:.2f} %", 100, ".2f"
    else:
        text, scale, form = f"{value:#.4g}", 1, "#.2g"
    text += "" if spread is None else f" ± {scale * spread:{form}}"
    if interval is not None:
        low, high = (f"{100 * end:.2f}" if scale == 100 else f"{end:#.4g}" for end in interval)
        text += f" [{low}, {high}]"
    return text
