"""Cost against quality: seeds averaged, fronts, hypervolume.

A point is a setting: the runs that differ only in their seed, with their mean quality and mean
costs. Fronts are made of points, so a lucky seed does not put a setting on the front.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import moocore
import numpy as np

from aqtaudio.study.headlines import headlines, main_metric
from aqtaudio.study.measures import (
    COSTS,
    Interval,
    Row,
    cost,
    generalisation_gap,
    interval,
    quality,
    reading,
)


@dataclass(frozen=True)
class Point:
    """One setting, its seeds averaged.

    run_ids: its runs; run_id: the one whose quality is nearest to the mean, to stand for all.
    quality, spread: mean and sample standard deviation (None for one run) of the served model, that
    is the integer figure where there is one. floating, integer: the mean of each, or None.
    costs: mean of each cost that every run has. gap: mean generalisation gap, or None.
    interval: of the quality, over what was measured: mean ends of the runs' intervals, or None.
    beside: the mean of each metric that is to be told with this one, where every run has it.
    """

    run_ids: tuple[str, ...]
    run_id: str
    name: str
    model: str
    precision: str
    quality: float
    spread: float | None
    floating: float | None
    integer: float | None
    costs: Mapping[str, float]
    gap: float | None = None
    interval: Interval | None = None
    beside: Mapping[str, float] = field(default_factory=dict)


def points(rows: Sequence[Row], metric: str | None = None) -> list[Point]:
    """The settings in the order of their first run; runs without a quality are left out.

    metric: default: the rows' main one.
    """
    metric = metric or main_metric(rows)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if quality(row, metric) is not None:
            groups.setdefault(setting(row), []).append(row)
    return [_point(group, metric) for group in groups.values()]


def front(costs: Sequence[float], qualities: Sequence[float]) -> list[int]:
    """Indices of the non-dominated points (low cost, high quality), by cost, duplicates once."""
    if not costs:
        return []
    objectives = np.column_stack([costs, qualities]).astype(float)
    keep = moocore.is_nondominated(objectives, maximise=[False, True])
    return sorted(np.flatnonzero(keep).tolist(), key=lambda index: costs[index])


def front_points(candidates: Sequence[Point], axis: str) -> list[Point]:
    """The front of the points that have this cost."""
    known = [point for point in candidates if axis in point.costs]
    chosen = front([point.costs[axis] for point in known], [point.quality for point in known])
    return [known[index] for index in chosen]


def front_runs(
    rows: Sequence[Row], axes: Sequence[str] = COSTS, metric: str | None = None
) -> dict[str, list[str]]:
    """Run id of each point on a front over all precisions -> the cost axes of these fronts."""
    candidates = points(rows, metric)
    found: dict[str, list[str]] = {}
    for axis in axes:
        for point in front_points(candidates, axis):
            found.setdefault(point.run_id, []).append(axis)
    return found


def hypervolume(
    costs: Sequence[float], qualities: Sequence[float], reference: tuple[float, float]
) -> float:
    """Area between the points and a fixed reference (cost, quality) that is worse than both.

    The cost counts in octaves (log2): the unit is quality x doublings, so that halving a small
    model counts as much as halving a large one.
    """
    if not costs:
        return 0.0
    objectives = np.column_stack([np.log2(costs), qualities])
    worst = [math.log2(reference[0]), reference[1]]
    return float(moocore.hypervolume(objectives, ref=worst, maximise=[False, True]))


def groups(candidates: Sequence[Point]) -> dict[tuple[str, str], list[Point]]:
    """The points of everything, of each precision and of each model family.

    Keys: ("all", "all"), ("precision", name), ("family", name), names in order of sight.
    """
    found: dict[tuple[str, str], list[Point]] = {("all", "all"): list(candidates)}
    for kind, name in (("precision", "precision"), ("family", "model")):
        for point in candidates:
            found.setdefault((kind, getattr(point, name)), []).append(point)
    return found


def hypervolumes(candidates: Sequence[Point], reference: Mapping[str, float]) -> dict[str, float]:
    """Cost axis -> hypervolume of the points that have it; of axes that some point has."""
    found = {}
    for axis in COSTS:
        known = [point for point in candidates if axis in point.costs]
        if known and axis in reference:
            found[axis] = hypervolume(
                [point.costs[axis] for point in known],
                [point.quality for point in known],
                (reference[axis], reference["quality"]),
            )
    return found


def _point(group: Sequence[Row], metric: str) -> Point:
    values = [value for row in group if (value := quality(row, metric)) is not None]
    centre = statistics.fmean(values)
    nearest = min(range(len(group)), key=lambda index: abs(values[index] - centre))
    first = group[0]
    return Point(
        run_ids=tuple(str(row.get("run_id")) for row in group),
        run_id=str(group[nearest].get("run_id")),
        name=shared_name(group),
        model=str(first.get("model", "")),
        precision=str(first.get("precision", "")),
        quality=centre,
        spread=statistics.stdev(values) if len(values) > 1 else None,
        floating=_mean(reading(row, "float", metric) for row in group),
        integer=_mean(reading(row, "integer", metric) for row in group),
        costs={
            axis: mean
            for axis in COSTS
            if (mean := _mean(cost(row, axis) for row in group)) is not None
        },
        gap=_mean(generalisation_gap(row, metric) for row in group),
        interval=_mean_interval([interval(row, metric) for row in group]),
        beside={
            key: mean
            for key in headlines(group).beside(metric)
            if (mean := _mean(quality(row, key) for row in group)) is not None
        },
    )


def _mean_interval(ends: Sequence[Interval | None]) -> Interval | None:
    known = [one for one in ends if one is not None]
    if not known or len(known) < len(ends):
        return None
    return statistics.fmean(low for low, _ in known), statistics.fmean(high for _, high in known)


def _mean(values) -> float | None:
    known = list(values)
    return None if None in known or not known else statistics.fmean(known)


def setting(row: Row) -> str:
    """What a run is, its seed aside, as a key; a run that does not say stands alone."""
    if not isinstance(row.get("config_delta"), Mapping):
        return f"run {row.get('run_id')}"
    shape = [row.get(key) for key in ("model", "width", "precision")]
    return json.dumps([_seedless(row["config_delta"]), shape], sort_keys=True)


def _seedless(value: object) -> object:
    """The delta without its seeds; a parent that was given nothing else is the base run."""
    if not isinstance(value, Mapping):
        return value
    kept = {path: item for path, item in value.items() if path.rsplit(".", 1)[-1] != "seed"}
    return {path: _seedless(item) for path, item in kept.items()}


def shared_name(group: Sequence[Row]) -> str:
    """The words that all names of the group have, in order: `w48 seed=0`, `w48 seed=1` -> `w48`."""
    names = [str(row.get("name", "")).split() for row in group]
    shared = [word for word in names[0] if all(word in name for name in names)]
    return " ".join(shared) or " ".join(names[0])
