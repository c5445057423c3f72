"""The point that hypervolumes are measured from: made once per study, worse than all, and kept.

`reference.json` maps `quality` (of the study's main metric), `quality.<metric>` of the others, and
cost axes to numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from aqtaudio.errors import BadInput
from aqtaudio.files import write
from aqtaudio.study.measures import COSTS, Metric, Row, cost, figure, quality

Reference = Mapping[str, float]


def key_of(metric: str, main: str) -> str:
    """The metric's key in a reference whose `quality` is `main`."""
    return "quality" if metric == main else f"quality.{metric}"


def reference_point(rows: Sequence[Row], metrics: Sequence[Metric], main: str) -> dict[str, float]:
    """Worse than every run: per axis the next power of two, and a quality beyond all."""
    reference = {}
    for metric in metrics:
        values = [value for row in rows if (value := quality(row, metric.key)) is not None]
        reference[key_of(metric.key, main)] = _beyond(values, metric.sense)
    for axis in COSTS:
        values = [value for row in rows if (value := cost(row, axis)) is not None]
        if values:
            reference[axis] = 2.0 ** (math.floor(math.log2(max(values))) + 1)
    return reference


def seen_from(reference: Reference, metric: str, main: str) -> dict[str, float]:
    """A reference whose `quality` is `main`, as one whose `quality` is `metric`."""
    names = {"quality": f"quality.{main}", f"quality.{metric}": "quality"} if metric != main else {}
    return {names.get(key, key): value for key, value in reference.items()}


def kept_reference(path: Path, made: Reference) -> dict[str, float]:
    """The stored reference; what `made` has beyond it is added, and the file written."""
    stored = read_reference(path)
    reference = {**made, **stored}
    if reference != stored:
        write(path, json.dumps(reference, indent=2) + "\n")
    return reference


def read_reference(path: Path) -> dict[str, float]:
    """What `path` holds, empty where it is not there; BadInput when it is broken."""
    if not path.exists():
        return {}
    try:
        stored = json.loads(path.read_text())
    except ValueError as error:
        raise BadInput(f"{path} is not JSON: {error}; delete it to start anew") from error
    if not isinstance(stored, dict) or not all(_is_valid(stored, key) for key in stored):
        raise BadInput(f"{path} must map quality to a number and cost axes to positive ones")
    return stored


def common_reference(
    one: Reference, other: Reference, metrics: Sequence[Metric], main: str
) -> dict[str, float]:
    """The worse of both in every respect: both studies' hypervolumes are measured from it."""
    less = {key_of(metric.key, main) for metric in metrics if metric.sense < 0}
    found = {}
    for key in dict.fromkeys([*one, *other]):
        values = [reference[key] for reference in (one, other) if key in reference]
        is_floor = key.startswith("quality") and key not in less
        found[key] = min(values) if is_floor else max(values)
    return found


def _is_valid(reference: Mapping[str, object], key: str) -> bool:
    value = figure(reference, key)
    return value is not None and (key.startswith("quality") or value > 0)


def _beyond(values: Sequence[float], sense: int) -> float:
    """At least 0.05 worse than the worst, on a grid of 0.05."""
    worst = min(sense * value for value in values)
    return sense * round((math.floor(worst * 20) - 1) / 20, 2)
