"""A study over time: what each commit's runs reach, and what all runs up to it do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aqtaudio.study.measures import Row
from aqtaudio.study.pareto import Point, hypervolumes, points, setting


@dataclass(frozen=True)
class Moment:
    """One commit, in the order of the rows.

    best, areas: best quality of a setting and hypervolume per axis, of this commit's runs alone;
    best_so_far, areas_so_far: with all runs of the commits before.
    """

    commit: str
    runs: int
    best: float
    best_so_far: float
    areas: Mapping[str, float]
    areas_so_far: Mapping[str, float]


def timeline(rows: Sequence[Row], reference: Mapping[str, float], metric: str) -> list[Moment]:
    """A moment per commit that has a run with the metric."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.get("commit"):
            groups.setdefault(str(row["commit"]), []).append(row)
    moments: list[Moment] = []
    members: dict[str, list[Row]] = {}
    together: dict[str, Point] = {}
    for commit, own in groups.items():
        for row in own:
            members.setdefault(setting(row), []).append(row)
        for key in dict.fromkeys(map(setting, own)):
            for point in points(members[key], metric):
                together[key] = point
        alone = points(own, metric)
        if alone:
            so_far = list(together.values())
            moments.append(
                Moment(
                    commit,
                    sum(len(point.run_ids) for point in alone),
                    max(point.quality for point in alone),
                    max(point.quality for point in so_far),
                    hypervolumes(alone, reference),
                    hypervolumes(so_far, reference),
                )
            )
    return moments
