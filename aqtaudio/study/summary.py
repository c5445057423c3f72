"""The summary of a study in Markdown: a table of its settings, for README files."""

from __future__ import annotations

from collections.abc import Sequence

from aqtaudio.study.pareto import Point, front_points

COLUMNS = (
    *("setting", "precision", "runs", "accuracy", "float"),
    *("file B", "arena B", "params", "MACs", "MACs/s"),
)


def summary(settings: Sequence[Point], metric: str = "accuracy") -> str:
    """A Markdown table, one line per setting; settings on the file-size front are bold.

    Accuracy is of the served model (integer where there is one), mean and spread of the seeds.
    """
    fronts = {point.run_id for point in front_points(settings, "file_bytes")}
    titles = [metric if title == "accuracy" else title for title in COLUMNS]
    lines = [f"| {' | '.join(titles)} |", "|---|---|" + "---:|" * (len(COLUMNS) - 2)]
    for point in settings:
        name = f"**{point.name}**" if point.run_id in fronts else point.name
        cells = [
            name.replace("|", "\\|"),
            point.precision,
            str(len(point.run_ids)),
            _quality(point.quality, point.spread),
            _quality(point.floating, None),
            *(_count(point.costs.get(axis)) for axis in ("file_bytes", "arena_bytes")),
            *(_count(point.costs.get(axis)) for axis in ("params", "macs", "macs_per_second")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _quality(value: float | None, spread: float | None) -> str:
    if value is None:
        return ""
    text = f"{100 * value:.2f} %" if 0 <= value <= 1 else f"{value:.4g}"
    return text if spread is None else f"{text} ± {100 * spread:.2f}"


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"
