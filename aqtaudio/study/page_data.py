"""The data of a report's page: rows by column, and the figures that it draws, as JSON values.

Runs are told by their index, so that two studies with the same run ids fit into one page.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aqtaudio.study.columns import columns, packed_numbers
from aqtaudio.study.marks import Mark, marks
from aqtaudio.study.measures import (
    AXIS_LABELS,
    COST_TITLES,
    COSTS,
    Metric,
    Row,
    cost,
    generalisation_gap,
    metrics,
    quality,
    reading,
)
from aqtaudio.study.pareto import setting, shared_name
from aqtaudio.study.reference import Reference, key_of

STUDY_MARKS = (Mark("#0072B2", "o"), Mark("#E69F00", "s"))


@dataclass(frozen=True)
class Part:
    """One study of a page: its rows, and where the artifacts of its runs are, by run id."""

    name: str
    rows: Sequence[Row]
    links: Mapping[str, str] = field(default_factory=dict)


def page_data(parts: Sequence[Part], reference: Reference, metric: str) -> dict[str, object]:
    """Everything that the page's script reads; `metric` is the quality it shows first."""
    rows = [row for part in parts for row in part.rows]
    known = metrics(rows, metric)
    studies = [part.name for part in parts for _ in part.rows]
    links = [part.links.get(str(row.get("run_id"))) for part in parts for row in part.rows]
    groups = [
        _group("precision", "precision", [_text(row, "precision") for row in rows]),
        _group("model", "family", [_text(row, "model") for row in rows]),
    ]
    if len(parts) > 1:
        groups.append(_group("study", "study", studies, STUDY_MARKS))
    return {
        "count": len(rows),
        "metric": metric,
        "studies": [part.name for part in parts],
        "metrics": [_metric(found, reference, metric) for found in known],
        "costs": _costs(rows, reference),
        "groups": groups,
        "seeds": _words(_text(row, "seed") for row in rows),
        "commits": _words(_text(row, "commit") for row in rows),
        "settings": _settings(rows, studies),
        "served": _figures(rows, known, quality),
        "floating": _figures(rows, known, lambda row, key: reading(row, "float", key)),
        "difference": _figures(rows, known, _difference),
        "gap": _figures(rows, known, generalisation_gap),
        "cost": {axis: packed_numbers([cost(row, axis) for row in rows]) for axis in COSTS},
        "links": {index: link for index, link in enumerate(links) if link},
        "columns": columns(rows),
    }


def script_json(data: object) -> str:
    """JSON for a script element: `<` can't end it."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _metric(metric: Metric, reference: Reference, main: str) -> dict[str, object]:
    worst = reference.get(key_of(metric.key, main))
    share, sense = metric.is_share, metric.sense
    return {"key": metric.key, "share": share, "sense": sense, "reference": worst}


def _costs(rows: Sequence[Row], reference: Reference) -> Sequence[Mapping[str, object]]:
    return [
        {"key": axis, "label": AXIS_LABELS[axis], "title": COST_TITLES[axis]}
        | {"reference": reference.get(axis)}
        for axis in COSTS
        if any(cost(row, axis) is not None for row in rows)
    ]


def _group(
    key: str, title: str, names: Sequence[str], of_place: Sequence[Mark] = ()
) -> dict[str, object]:
    """What runs can be coloured by: names in the order of their marks, and each run's.

    of_place: marks in the order of sight, instead of those that go with the name.
    """
    seen = dict.fromkeys(names)
    found = dict(zip(seen, of_place, strict=True)) if of_place else marks(seen)
    places = {name: place for place, name in enumerate(found)}
    return {
        "key": key,
        "title": title,
        "names": list(found),
        "marks": [[mark.colour, mark.shape] for mark in found.values()],
        "at": [places[name] for name in names],
    }


def _words(values: Iterable[str]) -> dict[str, object]:
    found = list(values)
    words = {word: place for place, word in enumerate(dict.fromkeys(found))}
    return {"names": list(words), "at": [words[value] for value in found]}


def _settings(rows: Sequence[Row], studies: Sequence[str]) -> dict[str, object]:
    """Per run its setting; per setting a name and what makes it the same in another study."""
    members: dict[tuple[str, str], list[Row]] = {}
    keys = [(study, setting(row)) for study, row in zip(studies, rows, strict=True)]
    for key, row in zip(keys, rows, strict=True):
        members.setdefault(key, []).append(row)
    places = {key: place for place, key in enumerate(members)}
    twins = {key: place for place, key in enumerate(dict.fromkeys(key for _, key in members))}
    return {
        "names": [shared_name(group) for group in members.values()],
        "twins": [twins[key] for _, key in members],
        "at": [places[key] for key in keys],
    }


def _figures(
    rows: Sequence[Row], known: Sequence[Metric], of: Callable[[Row, str], float | None]
) -> dict[str, object]:
    """Metric -> its column, where some row has it; members of groups only as served."""
    found = {}
    for metric in known:
        values = [of(row, metric.key) for row in rows]
        if any(value is not None for value in values) and (of is quality or "." not in metric.key):
            found[metric.key] = packed_numbers(values)
    return found


def _difference(row: Row, metric: str) -> float | None:
    integer, floating = reading(row, "integer", metric), reading(row, "float", metric)
    return None if integer is None or floating is None else integer - floating


def _text(row: Row, key: str) -> str:
    value = row.get(key)
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
