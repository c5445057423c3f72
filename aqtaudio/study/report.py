"""The report of a study, from its rows alone: one HTML page, figures, CSV files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from aqtaudio.errors import BadInput
from aqtaudio.files import write, write_csv
from aqtaudio.study import tables
from aqtaudio.study.attainment import Attainment, attainments
from aqtaudio.study.figures import write_figures, write_pareto
from aqtaudio.study.headlines import headlines, main_metric, shown
from aqtaudio.study.layer_figure import write_layer_figures
from aqtaudio.study.layers import layer_lines
from aqtaudio.study.measures import COSTS, metrics, require_more_is_better
from aqtaudio.study.page import page
from aqtaudio.study.page_data import Part
from aqtaudio.study.pareto import points
from aqtaudio.study.pen import ANEW, Pen
from aqtaudio.study.reference import Reference, kept_reference, reference_point, seen_from
from aqtaudio.study.store import Row, Store
from aqtaudio.study.summary import summary
from aqtaudio.study.time_figure import time_figure
from aqtaudio.study.timeline import timeline


def write_report(
    study_dir: Path,
    metric: str | None = None,
    heard: Sequence[Mapping[str, object]] = (),
    pen: Pen = ANEW,
) -> Path:
    """Writes `report.html`, `summary.md`, `tables/*.csv`, `figures/*.png` and `rows.csv`.

    Returns the page's path.
    metric: the key under `metrics.float` and `metrics.integer` that is the quality (the more the
    better); default: the rows' main one. reference.json: the fixed point that hypervolumes are
    measured from; it is made from the rows of the first report and kept. A run links to
    `artifacts/<run_id>/` where that exists. heard: clips for the page (`sweep.listening`). pen:
    draws the figures.
    """
    study_dir = Path(study_dir)
    rows = read_rows(study_dir, metric)
    main = main_metric(rows)
    metric = metric or main
    made = reference_point(rows, metrics(rows, main), main)
    reference = seen_from(kept_reference(study_dir / "reference.json", made), metric, main)
    name = study_dir.resolve().name
    write_csv(study_dir / "rows.csv", tables.row_lines(rows))
    write(study_dir / "summary.md", summary(rows, metric))
    write_tables_and_figures(rows, reference, study_dir, name, metric, pen)
    report = study_dir / "report.html"
    write(report, page([Part(name, rows, links(study_dir, ""))], reference, metric, heard))
    return report


def read_rows(study_dir: Path, metric: str | None) -> list[Row]:
    """The rows of a study; BadInput when there is nothing to report (of the main metric: None)."""
    if metric is not None:
        require_more_is_better(metric)
    store = Store(Path(study_dir))
    rows = store.rows()
    if not rows:
        raise BadInput(f"{store.rows_path} has no rows: run the sweep first")
    metric = metric or main_metric(rows)
    if not points(rows, metric):
        raise BadInput(f"no run in {store.rows_path} has metrics.float or .integer {metric!r}")
    return rows


def links(study_dir: Path, prefix: str) -> dict[str, str]:
    """Run id -> the folder of its artifact, relative to a page that sees the study at `prefix`."""
    found = sorted(path.name for path in study_dir.glob("artifacts/*") if path.is_dir())
    return {name: f"{prefix}artifacts/{name}/" for name in found}


def write_tables_and_figures(
    rows: list[Row],
    reference: Reference,
    out: Path,
    name: str,
    metric: str,
    pen: Pen = ANEW,
) -> None:
    """`tables/*.csv` and `figures/*.png`; of layers and commits where the study has any."""
    settings = points(rows, metric)
    attained: dict[str, dict[str, Attainment]] = {
        axis: attainments(rows, axis, metric) for axis in COSTS
    }
    moments = timeline(rows, reference, metric)
    folder = out / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    for stem, lines in (
        ("settings", tables.setting_lines(settings, metric)),
        ("hypervolumes", tables.hypervolume_lines(settings, reference)),
        ("attainment", tables.attainment_lines(attained)),
        ("layers", layer_lines(rows)),
        ("commits", tables.time_lines(moments)),
    ):
        if lines:
            write_csv(folder / f"{stem}.csv", lines)
    figures = out / "figures"
    write_figures(settings, attained, figures, name, shown(rows, metric), pen)
    for other in headlines(rows).other_fronts(metric):
        how = figures, name, shown(rows, other), pen
        write_pareto(points(rows, other), "file_bytes", *how)
    write_layer_figures(rows, settings, figures, pen)
    if len(moments) > 1:
        pen.draw(figures / "commits.png", time_figure, moments, name, shown(rows, metric))
