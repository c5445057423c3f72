"""Rows by column: what a page of thousands of runs carries and opens quickly."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from aqtaudio.study.measures import Row

Path = tuple[str, ...]
NO_COLUMN = "headlines"
"""What rows say of figures: no figure itself."""


def flat(row: Mapping[str, object]) -> dict[Path, object]:
    """The row's leaves by their path of keys; a list is a leaf, as JSON."""
    return {
        path: json.dumps(value) if isinstance(value, list) else value
        for path, value in _leaves(row, ()).items()
    }


def columns(rows: Sequence[Row]) -> list[dict[str, object]]:
    """All leaves of all rows as JSON values, a column per path, in order of sight.

    A column has `path` and either `values`, one per row, null where a row has none, or, where that
    is shorter, `words` (the different values) and `at` (an index into them per row, -1: none).
    """
    found: dict[Path, list[object]] = {}
    for index, row in enumerate(rows):
        for path, value in _leaves(row, ()).items():
            if value is None:
                continue
            if path not in found:
                found[path] = [None] * len(rows)
            found[path][index] = value
    return [{"path": path, **_packed(values)} for path, values in found.items()]


def packed_numbers(values: Sequence[float | None]) -> dict[str, object]:
    """One column of figures that pages draw, at seven digits; counts stay whole."""
    return _packed([None if value is None else _short(value) for value in values])


def _short(value: float) -> float:
    return int(value) if value == int(value) else float(f"{value:.7g}")


def _leaves(row: Mapping[str, object], prefix: Path) -> dict[Path, object]:
    found: dict[Path, object] = {}
    for key, value in row.items():
        path = (*prefix, str(key))
        if path == (NO_COLUMN,):
            continue
        if isinstance(value, Mapping):
            found |= _leaves(value, path)
        else:
            found[path] = value
    return found


def _packed(values: Sequence[object]) -> dict[str, object]:
    """Words and indices where at least half of the values have been before."""
    places: dict[object, int] = {}
    words: list[object] = []
    at: list[int] = []
    for value in values:
        if value is None:
            at.append(-1)
            continue
        # 1, 1.0 and True are equal in Python, not in JSON.
        key = (type(value), repr(value) if isinstance(value, list) else value)
        place = places.setdefault(key, len(words))
        if place == len(words):
            words.append(value)
        at.append(place)
    if len(words) * 2 > len(values):
        return {"values": list(values)}
    return {"words": words, "at": at}
