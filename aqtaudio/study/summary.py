"""The summary of a study in Markdown: a table of its settings, for README files."""

from __future__ import annotations

from collections.abc import Sequence

from aqtaudio.study.headlines import headlines, main_metric, written
from aqtaudio.study.measures import Row
from aqtaudio.study.pareto import front_points, points

COLUMNS = (
    *("setting", "precision", "runs", "quality", "float"),
    *("file B", "arena B", "params", "MACs", "MACs/s"),
)


def summary(rows: Sequence[Row], metric: str | None = None) -> str:
    """A Markdown table, one line per setting; settings on the file-size front are bold.

    The metric (default: the rows' main one) is of the served model (integer where there is one),
    mean and spread of the seeds, with its 95 % interval where that is known, and the metrics that
    are told beside it.
    """
    metric = metric or main_metric(rows)
    settings, title = points(rows, metric), headlines(rows).title
    beside = list(dict.fromkeys(key for point in settings for key in point.beside))
    fronts = {point.run_id for point in front_points(settings, "file_bytes")}
    has_interval = any(point.interval for point in settings)
    main = title(metric) + (" [95 % interval]" if has_interval else "")
    place = COLUMNS.index("float") + 1
    titles = [main if column == "quality" else column for column in COLUMNS]
    titles[place:place] = map(title, beside)
    lines = [f"| {' | '.join(titles)} |", "|---|---|" + "---:|" * (len(titles) - 2)]
    for point in settings:
        name = f"**{point.name}**" if point.run_id in fronts else point.name
        cells = [
            name.replace("|", "\\|"),
            point.precision,
            str(len(point.run_ids)),
            written(metric, point.quality, point.spread, point.interval),
            written(metric, point.floating),
            *(written(key, point.beside.get(key)) for key in beside),
            *(_count(point.costs.get(axis)) for axis in ("file_bytes", "arena_bytes")),
            *(_count(point.costs.get(axis)) for axis in ("params", "macs", "macs_per_second")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"
