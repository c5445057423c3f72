"""The HTML page of a report: a template, a style, scripts and the data that they draw.

Nothing is fetched: style, scripts and data are in the page, and its content security policy forbids
the rest. All text from rows is data, and becomes text nodes only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from string import Template

from aqtaudio.study.measures import Row, figure
from aqtaudio.study.page_data import Part, page_data, script_json
from aqtaudio.study.pareto import points
from aqtaudio.study.reference import Reference

SCRIPTS = (
    *("values", "pareto", "selection", "downloads", "plot", "chart", "grid", "card"),
    *("fronts", "tables", "layers", "listening", "history", "main"),
)


def page(
    parts: Sequence[Part],
    reference: Reference,
    metric: str,
    heard: Sequence[Mapping[str, object]] = (),
) -> str:
    """The whole page of a study, or of one against another; `heard`: clips to listen to."""
    folder = resources.files("aqtaudio.study") / "web"
    rows = [row for part in parts for row in part.rows]
    return Template((folder / "page.html").read_text("utf-8")).substitute(
        css=(folder / "page.css").read_text("utf-8"),
        js="\n".join((folder / f"{name}.js").read_text("utf-8") for name in SCRIPTS),
        data=script_json(page_data(parts, reference, metric) | {"heard": list(heard)}),
        title=escape(" against ".join(part.name for part in parts)),
        summary=_summary(parts, rows, metric),
    )


def _summary(parts: Sequence[Part], rows: Sequence[Row], metric: str) -> str:
    """Sentences about the studies as list items."""
    items = []
    for part in parts:
        settings = points(part.rows, metric)
        seeds = max((len(point.run_ids) for point in settings), default=0)
        text = f"{plural(len(part.rows), 'run')} of {plural(len(settings), 'setting')}, up to "
        text += f"{plural(seeds, 'seed')} each"
        items.append(f"{part.name}: {text}" if len(parts) > 1 else text)
    checked = [row for row in rows if figure(row, "parity", "outputs")]
    if checked:
        wrong, outputs = (
            sum(figure(row, "parity", key) or 0.0 for row in checked)
            for key in ("mismatches", "outputs")
        )
        items.append(
            f"{plural(len(checked), 'run')} checked against the runtime: "
            f"{wrong:,.0f} of {outputs:,.0f} integers differ"
        )
    commits = {str(row["commit"])[:8] for row in rows if row.get("commit")}
    if commits:
        named = ", ".join(sorted(commits)) if len(commits) <= 3 else f"{len(commits)} commits"
        dirty = sum(bool(row.get("dirty")) for row in rows)
        note = f"; {plural(dirty, 'run')} with uncommitted changes" if dirty else ""
        items.append(f"code {named}{note}")
    return "".join(f"<li>{escape(item)}</li>" for item in items)


def plural(count: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
