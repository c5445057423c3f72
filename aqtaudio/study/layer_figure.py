"""PNG heat map of bits and ranks per layer: a family's settings on a front, one row each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from aqtaudio.study.figures import escaped
from aqtaudio.study.layers import LayerFacts, layers_of
from aqtaudio.study.measures import Row
from aqtaudio.study.pareto import Point, front_points
from aqtaudio.study.pen import ANEW, Pen

BIT_COLOURS = ((2, "#fbe3c8"), (4, "#f2b36b"), (6, "#b5cfe8"), (8, "#6ba3d6"), (32, "#2b5f99"))
"""Up to so many weight bits: the colour of a cell; grey where only a rank is known."""
_AXES = ("file_bytes", "bitops", "linear_cost")
_MOST_ROWS = 24


def write_layer_figures(
    rows: Sequence[Row], points: Sequence[Point], folder: Path, pen: Pen = ANEW
) -> list[Path]:
    """`layers_<family>.png` per family that has bits or ranks; the paths written.

    Settings on the family's fronts (file, bit operations, linear cost; all where there is none),
    best first, at most 24.
    """
    by_id = {str(row.get("run_id")): row for row in rows}
    written = []
    for family in dict.fromkeys(point.model for point in points):
        own = [point for point in points if point.model == family]
        own = [point for point in own if layers_of(by_id[point.run_id])]
        on_front = {point.run_id for axis in _AXES for point in front_points(own, axis)}
        kept = [point for point in own if point.run_id in on_front] or own
        shown = sorted(kept, key=lambda point: -point.quality)
        if shown:
            cells = {point.run_id: layers_of(by_id[point.run_id]) for point in shown}
            name = re.sub(r"\W+", "_", family)[:60] or "model"
            written.append(folder / f"layers_{name}.png")
            pen.draw(written[-1], _figure, family, shown[:_MOST_ROWS], cells)
    return written


def _figure(
    family: str, shown: Sequence[Point], cells: Mapping[str, Mapping[str, LayerFacts]]
) -> Figure:
    layers = list(dict.fromkeys(layer for point in shown for layer in cells[point.run_id]))
    size = (max(6.8, 3.4 + 0.46 * len(layers)), 1.9 + 0.27 * len(shown))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    for y, point in enumerate(shown):
        for x, layer in enumerate(layers):
            facts = cells[point.run_id].get(layer)
            if facts:
                colour = _colour(facts.weight_bits)
                axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=colour))
                axes.text(x, y, facts.text.replace(" ", "\n"), ha="center", va="center", fontsize=6)
    axes.set_xlim(-0.5, len(layers) - 0.5)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xticks(range(len(layers)), [_label(name) for name in layers], rotation=60, ha="right")
    axes.set_yticks(range(len(shown)), [_label(point.name) for point in shown])
    axes.tick_params(labelsize=7, length=0)
    axes.spines[:].set_visible(False)
    title = f"{_label(family)}: weight / activation bits, rank; front settings, best first"
    axes.set_title(title, loc="left", fontsize=9)
    return figure


def _label(text: str) -> str:
    """Long ones keep both ends."""
    return escaped(text if len(text) <= 34 else f"{text[:16]}…{text[-16:]}")


def _colour(bits: int | None) -> str:
    if bits is None:
        return "#e3e6ea"
    return next((colour for most, colour in BIT_COLOURS if bits <= most), BIT_COLOURS[-1][1])
