"""PNG figures of a study: one Pareto plot per cost axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from aqtaudio.study.marks import Mark, marks
from aqtaudio.study.pareto import COSTS, Point, front_points

AXIS_LABELS: Mapping[str, str] = {
    "file_bytes": "model file, bytes",
    "arena_bytes": "tensor arena (RAM), bytes",
    "weight_bytes": "weights, bytes",
    "params": "parameters",
    "macs": "multiply-accumulates per inference",
    "bitops": "bit operations per inference",
    "macs_per_second": "multiply-accumulates per second of a stream",
}


def write_figures(points: Sequence[Point], folder: Path, title: str, metric: str) -> list[Path]:
    """`pareto_<axis>.png` for every cost that some point has; the paths written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for axis in COSTS:
        if any(axis in point.costs for point in points):
            path = folder / f"pareto_{axis}.png"
            _figure(points, axis, title, metric).savefig(path, dpi=120, metadata={"Software": ""})
            written.append(path)
    return written


def _figure(points: Sequence[Point], axis: str, title: str, metric: str) -> Figure:
    figure = Figure(figsize=(7.2, 4.5), layout="constrained")
    axes = figure.add_subplot()
    _staircase(axes, front_points(points, axis), axis, color="#000000", alpha=0.13, linewidth=7)
    for precision, mark in marks(point.precision for point in points).items():
        own = [p for p in points if p.precision == precision and axis in p.costs]
        if own:
            _series(axes, own, axis, precision, mark)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    if metric == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel(AXIS_LABELS[axis])
    axes.set_ylabel(f"{metric} of the served model")
    axes.set_title(title.replace("$", r"\$"), loc="left", fontsize=11)
    axes.grid(color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    return figure


def _series(axes: Axes, own: Sequence[Point], axis: str, precision: str, mark: Mark) -> None:
    chosen = front_points(own, axis)
    _staircase(axes, chosen, axis, color=mark.colour, linewidth=1.4)
    for subset, alpha in ((own, 0.35), (chosen, 1.0)):
        axes.errorbar(
            [point.costs[axis] for point in subset],
            [point.quality for point in subset],
            yerr=[point.spread or 0.0 for point in subset],
            linestyle="none",
            marker=mark.shape,
            markersize=7,
            color=mark.colour,
            ecolor=mark.colour,
            markeredgecolor="white",
            elinewidth=1.0,
            alpha=alpha,
            label=precision.replace("$", r"\$") if alpha == 1.0 else None,
        )


def _staircase(axes: Axes, chosen: Sequence[Point], axis: str, **style) -> None:
    costs = [point.costs[axis] for point in chosen]
    axes.step(costs, [point.quality for point in chosen], where="post", **style)


def short_number(value: float) -> str:
    """Three significant digits with k, M or G: 22,920 -> `22.9k`."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.3g}"
