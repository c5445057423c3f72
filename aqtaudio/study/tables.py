"""The tables of a report as lines of CSV files: settings, hypervolumes, attainment, commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aqtaudio.study.attainment import Attainment
from aqtaudio.study.columns import flat
from aqtaudio.study.measures import COSTS, Row
from aqtaudio.study.pareto import Point, front_points, groups, hypervolumes
from aqtaudio.study.timeline import Moment

Lines = Sequence[Mapping[str, object]]


def row_lines(rows: Sequence[Row]) -> Lines:
    """A line per run, nested keys joined by dots."""
    return [{".".join(path): value for path, value in flat(row).items()} for row in rows]


def setting_lines(points: Sequence[Point], metric: str) -> Lines:
    """A line per setting, the best first; on which fronts it is, over all and in its precision."""
    fronts = _fronts(groups(points))
    return [
        {
            "setting": point.name,
            "model": point.model,
            "precision": point.precision,
            "runs": len(point.run_ids),
            metric: point.quality,
            "spread": point.spread,
            **_interval(point),
            **point.beside,
            f"float_{metric}": point.floating,
            "generalisation_gap": point.gap,
            **{axis: point.costs.get(axis) for axis in COSTS},
            **{f"front_of_{kind}": " ".join(axes) for kind, axes in fronts[point.run_id].items()},
            "run_ids": " ".join(point.run_ids),
        }
        for point in sorted(points, key=lambda point: -point.quality)
    ]


def _interval(point: Point) -> Mapping[str, float]:
    return dict(zip(("interval_low", "interval_high"), point.interval or (), strict=False))


def _fronts(found: Mapping[tuple[str, str], Sequence[Point]]) -> dict[str, dict[str, list[str]]]:
    """Run id -> kind of group -> axes on whose front in its group the setting is."""
    fronts: dict[str, dict[str, list[str]]] = {}
    for (kind, _), own in found.items():
        for point in own:
            fronts.setdefault(point.run_id, {}).setdefault(kind, [])
        for axis in COSTS:
            for point in front_points(own, axis):
                fronts[point.run_id][kind].append(axis)
    return fronts


def hypervolume_lines(points: Sequence[Point], reference: Mapping[str, float]) -> Lines:
    """A line per group: everything, each precision, each family; a column per cost."""
    return [
        {
            "group": kind,
            "name": name,
            "settings": len(own),
            "best": max(point.quality for point in own),
            **hypervolumes(own, reference),
        }
        for (kind, name), own in groups(points).items()
    ]


def attainment_lines(attained: Mapping[str, Mapping[str, Attainment]]) -> Lines:
    """A line per corner of a front; axis -> precision -> attainment."""
    return [
        {"axis": axis, "precision": name, "seeds": " ".join(found.seeds), "front": front}
        | {"cost": cost, "quality": quality}
        for axis, groups_of in attained.items()
        for name, found in groups_of.items()
        for front in ("best", "median", "worst")
        for cost, quality in getattr(found, front) or ()
    ]


def time_lines(moments: Sequence[Moment]) -> Lines:
    """A line per commit."""
    return [
        {"commit": moment.commit, "runs": moment.runs, "best": moment.best}
        | {"best_so_far": moment.best_so_far}
        | {f"hypervolume_{axis}": area for axis, area in moment.areas.items()}
        | {f"hypervolume_{axis}_so_far": area for axis, area in moment.areas_so_far.items()}
        for moment in moments
    ]
