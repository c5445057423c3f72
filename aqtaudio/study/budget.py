"""The best run of a study under a budget, from its rows alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aqtaudio.errors import BadInput
from aqtaudio.study import pareto
from aqtaudio.study.headlines import main_metric
from aqtaudio.study.measures import require_more_is_better
from aqtaudio.study.pareto import Point
from aqtaudio.study.store import Row

Limits = Mapping[str, float]
"""Cost axis -> the most that it may be."""


@dataclass(frozen=True)
class Candidate:
    """A setting that could be served.

    point: the setting, with the mean quality of its seeds. costs: of `point.run_id`, the run that
    would be served. excess: worst cost over its limit; up to 1 it fits.
    """

    point: Point
    costs: Mapping[str, float]
    excess: float


@dataclass(frozen=True)
class Choice:
    """What a budget allows.

    best: the best setting that fits, or None. missed: of the better ones (of all, where none fits)
    the one that is nearest to fitting, or None. limited_by: the axes on which that one does not.
    """

    best: Candidate | None
    missed: Candidate | None
    limited_by: list[str] = field(default_factory=list)


def choose(rows: Sequence[Row], limits: Limits, metric: str | None = None) -> Choice:
    """The setting of the highest quality within `limits`; of equals the one that costs least.

    Only integer models can be chosen, by what the served model does, seeds averaged, and only runs
    that know the limited costs. Raises BadInput when there are none.

    metric: default: the rows' main one.
    """
    metric = metric or main_metric(rows)
    require_more_is_better(metric)
    by_id = {str(row.get("run_id")): row for row in rows}
    integer = [point for point in pareto.points(rows, metric) if point.integer is not None]
    found = [_candidate(point, by_id[point.run_id], limits) for point in integer]
    candidates = [one for one in found if math.isfinite(one.excess)]
    if not candidates:
        wanted = ", ".join([metric, *limits])
        raise BadInput(f"no integer run has {wanted}: there is nothing to choose from")
    fitting = [one for one in candidates if one.excess <= 1]
    best = min(fitting, key=_rank, default=None)
    others = [one for one in candidates if one.excess > 1]
    if best is not None:
        others = [one for one in others if one.point.quality > best.point.quality]
    missed = min(others, key=lambda one: (one.excess, *_rank(one)), default=None)
    over = [axis for axis in limits if missed is not None and missed.costs[axis] > limits[axis]]
    return Choice(best, missed, over)


def _candidate(point: Point, row: Row, limits: Limits) -> Candidate:
    known = {axis: pareto.cost(row, axis) for axis in pareto.COSTS}
    costs = {axis: value for axis, value in known.items() if value is not None}
    shares = [costs.get(axis, math.inf) / limit for axis, limit in limits.items()]
    return Candidate(point, costs, max(shares, default=0.0))


def _rank(one: Candidate) -> tuple:
    """Quality first, then the share of the budget, then bytes; names make it one order."""
    size = one.costs.get("file_bytes", math.inf)
    return (-one.point.quality, one.excess, size, one.point.name)
