"""One study against another: a page of both, and what differs, on a common reference point."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from aqtaudio.errors import BadInput
from aqtaudio.files import write, write_csv
from aqtaudio.study.headlines import main_metric
from aqtaudio.study.measures import COSTS, metrics
from aqtaudio.study.page import page
from aqtaudio.study.page_data import Part
from aqtaudio.study.pareto import Point, groups, hypervolumes, points
from aqtaudio.study.reference import (
    Reference,
    common_reference,
    kept_reference,
    read_reference,
    reference_point,
    seen_from,
)
from aqtaudio.study.report import links, read_rows
from aqtaudio.study.store import Row
from aqtaudio.study.tables import Lines, row_lines


def write_comparison(
    study_dir: Path, other_dir: Path, out: Path | None = None, metric: str | None = None
) -> Path:
    """Writes a page of both studies, `hypervolumes.csv` and `rows.csv` into `out`.

    Returns the page's path; `out` is `<study>/against_<other>` unless given. The reference point is
    the worse of both studies' in every respect. Differences are the study's less the other's.
    metric: default: the main one of all rows.
    """
    study_dir, other_dir = Path(study_dir), Path(other_dir)
    names = _names(study_dir, other_dir)
    out = Path(out) if out else study_dir / f"against_{other_dir.resolve().name}"
    metric, both = _read(study_dir, other_dir, metric)
    out.mkdir(parents=True, exist_ok=True)
    reference = _reference((study_dir, other_dir), both, out, metric)
    settings = [points(rows, metric) for rows in both]
    write_csv(out / "hypervolumes.csv", comparison_lines(names, settings, reference))
    marked = [
        {"study": name, **line}
        for name, rows in zip(names, both, strict=True)
        for line in row_lines(rows)
    ]
    write_csv(out / "rows.csv", marked)
    parts = [
        Part(name, rows, links(folder, f"{Path(os.path.relpath(folder, out)).as_posix()}/"))
        for name, rows, folder in zip(names, both, (study_dir, other_dir), strict=True)
    ]
    report = out / "report.html"
    write(report, page(parts, reference, metric))
    return report


def comparison_lines(
    names: Sequence[str], settings: Sequence[Sequence[Point]], reference: Reference
) -> Lines:
    """Three lines per group: each study's hypervolumes and their difference."""
    one, other = (groups(points) for points in settings)
    lines: list[Mapping[str, object]] = []
    for kind, name in dict.fromkeys([*one, *other]):
        group = {"group": kind, "name": name}
        areas = [hypervolumes(found.get((kind, name), []), reference) for found in (one, other)]
        for study, found in zip(names, areas, strict=True):
            lines.append({**group, "study": study, **found})
        lines.append({**group, "study": "difference", **_difference(*areas)})
    return lines


def _difference(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {axis: one[axis] - other[axis] for axis in COSTS if axis in one and axis in other}


def _names(study_dir: Path, other_dir: Path) -> tuple[str, str]:
    """The folders' names, with their parents' where these are equal."""
    one, other = study_dir.resolve(), other_dir.resolve()
    if one == other:
        raise BadInput(f"{study_dir} against itself: name two studies")
    if one.name != other.name:
        return one.name, other.name
    return f"{one.parent.name}/{one.name}", f"{other.parent.name}/{other.name}"


def _read(study_dir: Path, other_dir: Path, metric: str | None) -> tuple[str, list[list[Row]]]:
    """The metric, and the rows of both, which have it."""
    folders = (study_dir, other_dir)
    both = [read_rows(folder, metric) for folder in folders]
    if metric is None:
        metric = main_metric([row for rows in both for row in rows])
        both = [read_rows(folder, metric) for folder in folders]
    return metric, both


def _reference(
    folders: Sequence[Path], both: Sequence[list[Row]], out: Path, metric: str
) -> dict[str, float]:
    """Both studies' references, as stored or as their first report would make them."""
    together = [row for rows in both for row in rows]
    main = main_metric(together)
    found = []
    for folder, rows in zip(folders, both, strict=True):
        own = main_metric(rows)
        made = reference_point(rows, metrics(rows, own), own)
        found.append(seen_from(made | read_reference(folder / "reference.json"), main, own))
    common = common_reference(found[0], found[1], metrics(together, main), main)
    return seen_from(kept_reference(out / "reference.json", common), metric, main)
