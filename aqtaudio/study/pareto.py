"""Cost against quality: seeds averaged, fronts, hypervolume.

A point is a setting: the runs that differ only in their seed, with their mean quality and mean
costs. Fronts are made of points, so a lucky seed does not put a setting on the front.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import moocore
import numpy as np

COSTS = (
    *("file_bytes", "arena_bytes", "weight_bytes", "params", "macs", "bitops"),
    "macs_per_second",
)
"""Of one call: a clip, or a block of a stream. Per second only streams have one."""

Row = Mapping[str, object]


@dataclass(frozen=True)
class Point:
    """One setting, its seeds averaged.

    run_ids: its runs; run_id: the one whose quality is nearest to the mean, to stand for all.
    quality, spread: mean and sample standard deviation (None for one run) of the served model, that
    is the integer figure where there is one. floating, integer: the mean of each, or None.
    costs: mean of each cost that every run has.
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


def quality(row: Row, metric: str = "accuracy") -> float | None:
    """The integer model's metric where the run has one, else the float model's."""
    integer = figure(row, "metrics", "integer", metric)
    return figure(row, "metrics", "float", metric) if integer is None else integer


def cost(row: Row, axis: str) -> float | None:
    """A positive cost, or None; float32 weights take 4 bytes each when the run does not say."""
    value = figure(row, "stream" if axis == "macs_per_second" else "costs", axis)
    if value is None and axis == "weight_bytes" and row.get("precision") == "float":
        params = figure(row, "costs", "params")
        value = None if params is None else 4 * params
    return value if value is not None and value > 0 else None


def figure(row: Row, *path: str) -> float | None:
    """The finite number at `path` in the row, or None."""
    value: object = row
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None  # type: ignore[arg-type]


def points(rows: Sequence[Row], metric: str = "accuracy") -> list[Point]:
    """The settings in the order of their first run; runs without a quality are left out."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if quality(row, metric) is not None:
            groups.setdefault(_setting(row), []).append(row)
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
    rows: Sequence[Row], axes: Sequence[str] = COSTS, metric: str = "accuracy"
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


def reference_point(candidates: Sequence[Point]) -> dict[str, float]:
    """A reference worse than every point: per axis the next power of two, and a quality below all.

    To be made once per study and kept, so that later hypervolumes can be compared.
    """
    reference = {"quality": _below(min((point.quality for point in candidates), default=0.0))}
    for axis in COSTS:
        known = [point.costs[axis] for point in candidates if axis in point.costs]
        if known:
            reference[axis] = 2.0 ** (math.floor(math.log2(max(known))) + 1)
    return reference


def _below(lowest: float) -> float:
    """At least 0.05 below, on a grid of 0.05."""
    return round((math.floor(lowest * 20) - 1) / 20, 2)


def _point(group: Sequence[Row], metric: str) -> Point:
    values = [value for row in group if (value := quality(row, metric)) is not None]
    centre = statistics.fmean(values)
    nearest = min(range(len(group)), key=lambda index: abs(values[index] - centre))
    first = group[0]
    return Point(
        run_ids=tuple(str(row.get("run_id")) for row in group),
        run_id=str(group[nearest].get("run_id")),
        name=_shared_name(group),
        model=str(first.get("model", "")),
        precision=str(first.get("precision", "")),
        quality=centre,
        spread=statistics.stdev(values) if len(values) > 1 else None,
        floating=_mean(figure(row, "metrics", "float", metric) for row in group),
        integer=_mean(figure(row, "metrics", "integer", metric) for row in group),
        costs={
            axis: mean
            for axis in COSTS
            if (mean := _mean(cost(row, axis) for row in group)) is not None
        },
    )


def _mean(values) -> float | None:
    known = list(values)
    return None if None in known or not known else statistics.fmean(known)


def _setting(row: Row) -> str:
    """What a run is, its seed aside; a run that does not say stands alone."""
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


def _shared_name(group: Sequence[Row]) -> str:
    """The words that all names of the group have, in order: `w48 seed=0`, `w48 seed=1` -> `w48`."""
    names = [str(row.get("name", "")).split() for row in group]
    shared = [word for word in names[0] if all(word in name for name in names)]
    return " ".join(shared) or " ".join(names[0])
