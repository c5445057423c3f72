"""Attainment over seeds: the cost and quality that some, half of, or all seeds reach.

A seed of a group (a precision, a family) is the set of its runs, one per setting. The empirical
attainment function (Grunert da Fonseca et al., EMO 2001; López-Ibáñez et al., 2010) says for every
cost and quality how many of these sets have a run that is as good: its level sets are fronts of
which the best is reached by one seed, the worst by every seed, the median by half of them. Only
settings that the same seeds trained are compared: otherwise a seed that trained less looks worse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import moocore
import numpy as np

from aqtaudio.study.headlines import main_metric
from aqtaudio.study.measures import Row, cost, quality
from aqtaudio.study.pareto import setting

Steps = tuple[tuple[float, float], ...]
"""(cost, quality) of a front's corners, both rising."""


@dataclass(frozen=True)
class Attainment:
    """Fronts that one seed (best), half of them (median; of three at least), all (worst) reach."""

    seeds: tuple[str, ...]
    settings: int
    best: Steps
    median: Steps | None
    worst: Steps


def attainments(
    rows: Sequence[Row], axis: str, metric: str | None = None, group: str = "precision"
) -> dict[str, Attainment]:
    """Group -> its attainment, where at least two seeds trained the same settings.

    metric: default: the rows' main one. group: the row's key that tells the group: `precision` or
    `model`.
    """
    metric = metric or main_metric(rows)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if cost(row, axis) is not None and quality(row, metric) is not None:
            groups.setdefault(str(row.get(group) or ""), []).append(row)
    found = {name: _attainment(own, axis, metric) for name, own in groups.items()}
    return {name: value for name, value in found.items() if value is not None}


def _attainment(rows: Sequence[Row], axis: str, metric: str) -> Attainment | None:
    seeds_of: dict[str, set[str]] = {}
    for row in rows:
        seeds_of.setdefault(setting(row), set()).add(str(row.get("seed")))
    seeds = shared_seeds(seeds_of)
    if not seeds:
        return None
    complete = {key for key, found in seeds_of.items() if found >= set(seeds)}
    own = [row for row in rows if setting(row) in complete and str(row.get("seed")) in seeds]
    # moocore wants the runs of a set side by side, and minimises.
    chosen = sorted(own, key=lambda row: seeds.index(str(row.get("seed"))))
    objectives = [(cost(row, axis), -(quality(row, metric) or 0.0)) for row in chosen]
    sets = [seeds.index(str(row.get("seed"))) for row in chosen]
    surfaces = moocore.eaf(np.array(objectives, float), sets, percentiles=[0, 50, 100])

    def steps(percentile: float) -> Steps:
        corners = surfaces[surfaces[:, 2] == percentile]
        return tuple(sorted((float(x), float(-y)) for x, y, _ in corners))

    median = steps(50) if len(seeds) > 2 else None
    return Attainment(seeds, len(complete), steps(0), median, steps(100))


def shared_seeds(seeds_of: Mapping[str, set[str]]) -> tuple[str, ...]:
    """The two or more seeds that most settings have; of equals the most seeds."""

    def order(candidate: frozenset[str]) -> tuple[int, int, str]:
        covered = sum(candidate <= seeds for seeds in seeds_of.values())
        return -covered, -len(candidate), " ".join(sorted(candidate))

    candidates = {frozenset(seeds) for seeds in seeds_of.values() if len(seeds) > 1}
    return tuple(sorted(min(candidates, key=order))) if candidates else ()
