"""The tables of a report: every run, every setting with its seeds averaged, hypervolumes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from aqtaudio.study.marks import Mark
from aqtaudio.study.pareto import COSTS, Point, cost, figure, quality
from aqtaudio.study.store import Row

COST_TITLES: Mapping[str, str] = {
    "file_bytes": "file, B",
    "arena_bytes": "arena, B",
    "weight_bytes": "weights, B",
    "params": "params",
    "macs": "MACs",
    "bitops": "bit ops",
    "macs_per_second": "MACs/s",
    "state_bytes": "state, B",
}
_NUMERIC = ' class="n"'


@dataclass(frozen=True)
class Look:
    """What tables need to know of the study.

    fronts: run id -> cost axes on whose front over all precisions its setting is; artifacts: run
    ids with a folder to link to; marks: colour of each precision.
    """

    metric: str
    fronts: Mapping[str, Sequence[str]]
    artifacts: frozenset[str]
    marks: Mapping[str, Mark]

    @property
    def percent(self) -> bool:
        """Whether the quality is a fraction to be shown in percent."""
        return self.metric == "accuracy"

    def quality(self, value: float | None, digits: int = 2) -> Cell:
        """A quality: percent, or four significant digits."""
        if value is None:
            return Cell()
        return Cell(f"{100 * value:.{digits}f} %" if self.percent else f"{value:.4g}", value)

    def difference(self, value: float | None, other: float | None) -> Cell:
        """Signed `value - other`, in percentage points where qualities are percent."""
        if value is None or other is None:
            return Cell()
        gap = value - other
        return Cell(f"{100 * gap:+.2f}" if self.percent else f"{gap:+.4g}", gap)

    def fronts_of(self, run_id: str) -> Cell:
        """The axes on whose front the run stands."""
        axes = [axis.removesuffix("_bytes") for axis in self.fronts.get(run_id, ())]
        if not axes:
            return Cell("")
        known = len({axis for found in self.fronts.values() for axis in found})
        order = f"{len(axes)} of {known}"
        return Cell("all costs" if len(axes) == known else ", ".join(axes), order)

    def precision(self, name: str) -> Cell:
        """The name behind its colour."""
        return Cell(name, name, colour=self.marks[name].colour if name in self.marks else "")


@dataclass(frozen=True)
class Cell:
    """What a cell shows, what it is sorted by (None: last), and where it leads."""

    text: str = "–"
    order: float | str | None = None
    link: str = ""
    hint: str = ""
    colour: str = ""

    def html(self, is_numeric: bool) -> str:
        """A table cell; everything in it is escaped."""
        shown = escape(self.text)
        if self.link:
            shown = f'<a href="{escape(self.link)}">{shown}</a>'
        if self.colour:
            shown = f'<i class="dot" style="background:{escape(self.colour)}"></i>{shown}'
        order = "" if self.order is None else f' data-v="{escape(str(self.order))}"'
        hint = f' title="{escape(self.hint)}"' if self.hint else ""
        return f"<td{_NUMERIC if is_numeric else ''}{order}{hint}>{shown}</td>"


@dataclass(frozen=True)
class Table:
    """Titles and rows of cells; `ids` are the rows' anchors, `marked` the ones to stand out."""

    name: str
    titles: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    ids: Sequence[str] = ()
    marked: frozenset[str] = field(default_factory=frozenset)

    def html(self) -> str:
        """A table whose header cells are buttons that the page's script makes sort."""
        numeric = [
            any(isinstance(cell.order, int | float) for cell in column)
            for column in zip(*self.rows, strict=True)
        ]
        head = "".join(
            f"<th{_NUMERIC if is_numeric else ''}><button>{escape(title)}</button></th>"
            for title, is_numeric in zip(self.titles, numeric, strict=True)
        )
        body = "\n".join(self._row(index, numeric) for index in range(len(self.rows)))
        return (
            f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(self.name)}">'
            f'<table id="{escape(self.name)}"><thead><tr>{head}</tr></thead>\n'
            f"<tbody>\n{body}\n</tbody></table></div>"
        )

    def _row(self, index: int, numeric: Sequence[bool]) -> str:
        key = self.ids[index] if self.ids else ""
        anchor = f' id="{escape(self.name)}-{escape(key)}"' if key else ""
        marked = ' class="front"' if key in self.marked else ""
        cells = zip(self.rows[index], numeric, strict=True)
        return f"<tr{anchor}{marked}>{''.join(cell.html(kind) for cell, kind in cells)}</tr>"


def runs_table(rows: Sequence[Row], look: Look) -> Table:
    """Every run, one line each, in the order of the rows."""
    settings = _varied_settings(rows)
    names = {str(row.get("run_id")): str(row.get("name", "")) for row in rows}
    titles = ["run", "precision", "model", "width", "seed"]
    titles += [look.metric, "float", "int − float", "front of"]
    titles += [*COST_TITLES.values(), "parity", "ranks", *settings]
    titles += ["starts from", "seconds", "commit", "run id"]
    return Table(
        "runs",
        titles,
        [_run_cells(row, look, settings, names) for row in rows],
        ids=list(names),
        marked=frozenset(look.fronts),
    )


def settings_table(points: Sequence[Point], look: Look) -> Table:
    """Every setting, its seeds averaged, the best first."""
    titles = ["setting", "precision", "runs", look.metric, "spread", "float", "int − float"]
    titles += ["front of", *(COST_TITLES[axis] for axis in COSTS)]
    ordered = sorted(points, key=lambda point: -point.quality)
    return Table(
        "settings",
        titles,
        [_setting_cells(point, look) for point in ordered],
        ids=[point.run_id for point in ordered],
        marked=frozenset(look.fronts),
    )


def hypervolume_table(
    points: Sequence[Point], hypervolumes: Mapping[str, Mapping[str, float]], look: Look
) -> Table:
    """Per precision and over all: settings, best quality, hypervolume on each axis."""
    titles = [
        "precision",
        "settings",
        f"best {look.metric}",
        *(COST_TITLES[axis] for axis in COSTS),
    ]
    rows = []
    for precision, areas in hypervolumes.items():
        own = [point for point in points if precision in (point.precision, "all")]
        best = look.quality(max(point.quality for point in own))
        areas_of = [areas.get(axis) for axis in COSTS]
        cells = [Cell() if area is None else Cell(f"{area:.3f}", area) for area in areas_of]
        rows.append([look.precision(precision), Cell(str(len(own)), len(own)), best, *cells])
    return Table("hypervolumes", titles, rows)


def _run_cells(
    row: Row, look: Look, settings: Sequence[str], names: Mapping[str, str]
) -> list[Cell]:
    key = str(row.get("run_id"))
    link = f"artifacts/{key}/" if key in look.artifacts else ""
    floating = figure(row, "metrics", "float", look.metric)
    integer = figure(row, "metrics", "integer", look.metric)
    name = str(row.get("name", ""))
    parent = str(row.get("parent") or "")
    delta = row.get("config_delta")
    return [
        Cell(name, name, link=link, hint=_json(delta)),
        look.precision(str(row.get("precision", ""))),
        *(_plain(row.get(column)) for column in ("model", "width", "seed")),
        look.quality(quality(row, look.metric)),
        look.quality(floating),
        look.difference(integer, floating),
        look.fronts_of(key),
        *(_count(cost(row, axis)) for axis in COST_TITLES),
        _parity(row.get("parity")),
        _ranks(row.get("ranks")),
        *(_plain(delta.get(path) if isinstance(delta, Mapping) else None) for path in settings),
        Cell(names.get(parent, parent), parent, link=f"#runs-{parent}") if parent else Cell(),
        _plain(_rounded(figure(row, "seconds")), hint=str(row.get("device", ""))),
        _commit(row),
        Cell(key, key),
    ]


def _setting_cells(point: Point, look: Look) -> list[Cell]:
    link = f"artifacts/{point.run_id}/" if point.run_id in look.artifacts else ""
    spread = look.quality(point.spread)
    return [
        Cell(point.name, point.name, link=link, hint=" ".join(point.run_ids)),
        look.precision(point.precision),
        Cell(str(len(point.run_ids)), len(point.run_ids)),
        look.quality(point.quality),
        spread if point.spread is None else Cell(f"± {spread.text}", spread.order),
        look.quality(point.floating),
        look.difference(point.integer, point.floating),
        look.fronts_of(point.run_id),
        *(_count(point.costs.get(axis)) for axis in COSTS),
    ]


def _varied_settings(rows: Sequence[Row]) -> list[str]:
    """Paths of the deltas that differ between runs and have no column of their own."""
    deltas = [delta for row in rows if isinstance(delta := row.get("config_delta"), Mapping)]
    paths = dict.fromkeys(path for delta in deltas for path in delta)
    own = ("init_from", "seed", "width")
    return [
        path
        for path in paths
        if path.rsplit(".", 1)[-1] not in own
        and len({_json(delta.get(path)) for delta in deltas}) > 1
    ]


def _plain(value: object, hint: str = "") -> Cell:
    if value is None or value == "":
        return Cell()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Cell(f"{value:g}" if isinstance(value, float) else str(value), value, hint=hint)
    text = value if isinstance(value, str) else _json(value)
    short = text if len(text) <= 40 else f"{text[:39]}…"
    return Cell(short, text[:80], hint=hint or (text if short != text else ""))


def _count(value: float | None) -> Cell:
    return Cell() if value is None else Cell(f"{value:,.0f}", value)


def _parity(parity: object) -> Cell:
    """`0 / 12,345` is no mismatch in 12,345 integers."""
    if not isinstance(parity, Mapping):
        return Cell()
    wrong, outputs = (figure(parity, key) for key in ("mismatches", "outputs"))
    if wrong is None or outputs is None:
        return Cell()
    return Cell(f"{wrong:,.0f} / {outputs:,.0f}", wrong, hint=str(parity.get("runtime", "")))


def _ranks(ranks: object) -> Cell:
    """The sum; the layers on hover."""
    if not isinstance(ranks, Mapping) or not ranks:
        return Cell()
    total = sum(figure(ranks, layer) or 0.0 for layer in ranks)
    hint = "  ".join(f"{layer} {rank}" for layer, rank in ranks.items())
    return Cell(f"{total:g} in {len(ranks)}", total, hint=hint)


def _commit(row: Row) -> Cell:
    commit = row.get("commit")
    if not commit:
        return Cell()
    text = str(commit)[:8] + ("+" if row.get("dirty") else "")
    return Cell(text, text, hint="with uncommitted changes" if row.get("dirty") else "")


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
