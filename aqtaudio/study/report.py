"""The report of a study, from its rows alone: one HTML page, figures, a CSV."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from aqtaudio.errors import BadInput
from aqtaudio.study.figures import write_figures
from aqtaudio.study.page import page
from aqtaudio.study.pareto import Point, figure, points, reference_point
from aqtaudio.study.store import Row, Store
from aqtaudio.study.summary import summary


def write_report(study_dir: Path, metric: str = "accuracy") -> Path:
    """Write `report.html`, `summary.md`, `rows.csv`, `figures/*.png` and, once, `reference.json`.

    Returns the page's path.
    metric: the key under `metrics.float` and `metrics.integer` that is the quality (the more the
    better). reference.json: the fixed point that hypervolumes are measured from; it is made from
    the rows of the first report and kept. A run links to `artifacts/<run_id>/` where that exists.
    """
    study_dir = Path(study_dir)
    store = Store(study_dir)
    rows = store.rows()
    if not rows:
        raise BadInput(f"{store.rows_path} has no rows: run the sweep first")
    settings = points(rows, metric)
    if not settings:
        raise BadInput(f"no run in {store.rows_path} has metrics.float or .integer {metric!r}")
    reference = _reference(study_dir / "reference.json", settings)
    artifacts = {path.name for path in study_dir.glob("artifacts/*") if path.is_dir()}
    name = study_dir.resolve().name
    write_figures(settings, study_dir / "figures", name, metric)
    _write(study_dir / "rows.csv", _csv(rows))
    _write(study_dir / "summary.md", summary(settings, metric))
    report = study_dir / "report.html"
    _write(report, page(name, rows, settings, reference, artifacts, metric))
    return report


def _reference(path: Path, settings: Sequence[Point]) -> dict[str, float]:
    """The stored reference; axes that it does not have yet are added."""
    stored: dict[str, float] = {}
    if path.exists():
        try:
            stored = json.loads(path.read_text())
        except ValueError as error:
            raise BadInput(f"{path} is not JSON: {error}; delete it to start anew") from error
        if not isinstance(stored, dict) or not all(_is_valid(stored, key) for key in stored):
            raise BadInput(f"{path} must map quality to a number and cost axes to positive ones")
    reference = {**reference_point(settings), **stored}
    if reference != stored:
        _write(path, json.dumps(reference, indent=2) + "\n")
    return reference


def _is_valid(reference: Mapping[str, object], key: str) -> bool:
    value = figure(reference, key)
    return value is not None and (key == "quality" or value > 0)


def _csv(rows: Sequence[Row]) -> str:
    """One line per run, nested keys joined by dots; the columns of all rows in order of sight."""
    flat = [_flat(row) for row in rows]
    columns = list(dict.fromkeys(key for row in flat for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _flat(row: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = json.dumps(value) if isinstance(value, list) else value
    return flat


def _write(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(text.encode("utf-8", "replace"))
    os.replace(new, path)
