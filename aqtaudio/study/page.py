"""The HTML page of a report: static tables, and the data that its script draws a chart from.

Nothing is fetched: style, script and data are in the page, and its content security policy forbids
the rest. All text from rows is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from html import escape
from importlib import resources
from string import Template

from aqtaudio.study.figures import AXIS_LABELS
from aqtaudio.study.marks import marks
from aqtaudio.study.pareto import COSTS, Point, figure, front_points, hypervolume
from aqtaudio.study.store import Row
from aqtaudio.study.tables import Look, hypervolume_table, runs_table, settings_table


def page(
    name: str,
    rows: Sequence[Row],
    points: Sequence[Point],
    reference: Mapping[str, float],
    artifacts: Collection[str],
    metric: str,
) -> str:
    """The whole page. artifacts: run ids that have a folder `artifacts/<run_id>/` to link to."""
    fronts: dict[str, list[str]] = {}
    for axis in COSTS:
        for point in front_points(points, axis):
            fronts.setdefault(point.run_id, []).append(axis)
    present = marks(str(row.get("precision", "")) for row in rows)
    look = Look(metric, fronts, frozenset(artifacts), present)
    folder = resources.files("aqtaudio.study")
    return Template((folder / "report.html").read_text()).substitute(
        css=(folder / "report.css").read_text(),
        js=(folder / "report.js").read_text(),
        data=_script_data(points, look),
        title=escape(name),
        metric=escape(metric),
        summary=_summary(rows, points),
        hypervolumes=hypervolume_table(points, _hypervolumes(points, reference), look).html(),
        reference=_reference_text(reference, look),
        settings=settings_table(points, look).html(),
        runs=runs_table(rows, look).html(),
    )


def _script_data(points: Sequence[Point], look: Look) -> str:
    """JSON for a script element: `<` can't end it."""
    axes = [axis for axis in COSTS if any(axis in point.costs for point in points)]
    data = {
        "metric": look.metric,
        "percent": look.percent,
        "axes": [{"key": axis, "label": AXIS_LABELS[axis]} for axis in axes],
        "precisions": [
            {"name": name, "colour": mark.colour, "shape": mark.shape}
            for name, mark in look.marks.items()
        ],
        "points": [
            {
                "id": point.run_id,
                "name": point.name,
                "model": point.model,
                "precision": point.precision,
                "runs": len(point.run_ids),
                "quality": point.quality,
                "spread": point.spread,
                "floating": point.floating,
                "integer": point.integer,
                "costs": point.costs,
            }
            for point in points
        ],
    }
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _hypervolumes(
    points: Sequence[Point], reference: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """Precision, and `all`, -> cost axis -> hypervolume."""
    precisions = marks(point.precision for point in points)
    groups = {name: [p for p in points if p.precision == name] for name in precisions}
    return {
        name: {
            axis: hypervolume(
                [point.costs[axis] for point in group if axis in point.costs],
                [point.quality for point in group if axis in point.costs],
                (reference[axis], reference["quality"]),
            )
            for axis in COSTS
            if any(axis in point.costs for point in group)
        }
        for name, group in {**groups, "all": points}.items()
    }


def _reference_text(reference: Mapping[str, float], look: Look) -> str:
    costs = [f"{axis} {reference[axis]:,.0f}" for axis in COSTS if axis in reference]
    level = look.quality(reference["quality"], digits=0).text
    return escape(f"{look.metric} {level}; {', '.join(costs)}")


def _summary(rows: Sequence[Row], points: Sequence[Point]) -> str:
    """Sentences about the study as list items."""
    seeds = max(len(point.run_ids) for point in points)
    items = [f"{_plural(len(rows), 'run')} of {_plural(len(points), 'setting')}, up to "]
    items[0] += f"{_plural(seeds, 'seed')} each"
    checked = [row for row in rows if figure(row, "parity", "outputs")]
    if checked:
        wrong, outputs = (
            sum(figure(row, "parity", key) or 0.0 for row in checked)
            for key in ("mismatches", "outputs")
        )
        items.append(
            f"{_plural(len(checked), 'run')} checked against the runtime: "
            f"{wrong:,.0f} of {outputs:,.0f} integers differ"
        )
    commits = {str(row["commit"])[:8] for row in rows if row.get("commit")}
    if commits:
        named = ", ".join(sorted(commits)) if len(commits) <= 3 else f"{len(commits)} commits"
        dirty = sum(bool(row.get("dirty")) for row in rows)
        note = f"; {_plural(dirty, 'run')} with uncommitted changes" if dirty else ""
        items.append(f"code {named}{note}")
    return "".join(f"<li>{escape(item)}</li>" for item in items)


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
