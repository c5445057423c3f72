"""PNG figures of a study: Pareto and attainment plots per cost axis, the generalisation gap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from aqtaudio.study.attainment import Attainment, Steps
from aqtaudio.study.headlines import Quality
from aqtaudio.study.marks import Mark, marks
from aqtaudio.study.measures import AXIS_LABELS, COSTS
from aqtaudio.study.pareto import Point, front_points
from aqtaudio.study.pen import ANEW, Pen


def write_figures(
    points: Sequence[Point],
    attained: Mapping[str, Mapping[str, Attainment]],
    folder: Path,
    title: str,
    quality: Quality,
    pen: Pen = ANEW,
) -> list[Path]:
    """The paths written, for every cost that some point has.

    `pareto_<axis>.png`; `attainment_<axis>.png` where `attained` (axis -> precision -> attainment)
    has one; `generalisation_gap.png` where points have a gap.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for axis in COSTS:
        if any(axis in point.costs for point in points):
            written.append(folder / f"pareto_{axis}.png")
            pen.draw(written[-1], _pareto, points, axis, title, quality)
        if attained.get(axis):
            written.append(folder / f"attainment_{axis}.png")
            pen.draw(written[-1], _attainment, attained[axis], axis, title, quality)
    if any(point.gap is not None and "file_bytes" in point.costs for point in points):
        written.append(folder / "generalisation_gap.png")
        pen.draw(written[-1], _gap, points, "file_bytes", title, quality)
    return written


def write_pareto(
    points: Sequence[Point],
    axis: str,
    folder: Path,
    title: str,
    quality: Quality,
    pen: Pen = ANEW,
) -> None:
    """`pareto_<axis>_<quality>.png`, of another metric than the report's, where points have it."""
    if any(axis in point.costs for point in points):
        path = folder / f"pareto_{axis}_{quality.key}.png"
        pen.draw(path, _pareto, points, axis, title, quality)


def _pareto(points: Sequence[Point], axis: str, title: str, quality: Quality) -> Figure:
    label = f"{quality.title} of the served model"
    if any(point.interval for point in points):
        label += ", 95 % interval"
    figure, axes = _plot(title, AXIS_LABELS[axis], label, quality)
    _staircase(axes, _steps(front_points(points, axis), axis), color="#000000", alpha=0.13, lw=7)
    for precision, mark in marks(point.precision for point in points).items():
        own = [p for p in points if p.precision == precision and axis in p.costs]
        if own:
            chosen = front_points(own, axis)
            _staircase(axes, _steps(chosen, axis), color=mark.colour, linewidth=1.4)
            _series(axes, own, axis, _quality, mark, None)
            _series(axes, chosen, axis, _quality, mark, precision)
    return _finished(figure, axes)


def _attainment(
    attained: Mapping[str, Attainment], axis: str, title: str, quality: Quality
) -> Figure:
    """Bands from the worst to the best front over seeds; a line is the median."""
    figure, axes = _plot(title, AXIS_LABELS[axis], f"{quality.title} reached over seeds", quality)
    ends = [steps[-1][0] for found in attained.values() for steps in (found.best, found.worst)]
    starts = [found.best[0][0] for found in attained.values()]
    most = max(ends) * (max(ends) / min(starts)) ** 0.05 * 1.05
    for name, mark in marks(attained).items():
        found = attained[name]
        label = f"{escaped(name)}: {len(found.seeds)} seeds, {found.settings} settings"
        xs, low, high = _band(found, most)
        axes.fill_between(xs, low, high, step="post", color=mark.colour, alpha=0.18, lw=0)
        for steps, style in ((found.best, ":"), (found.worst, "-" if not found.median else ":")):
            line = (*steps, (most, steps[-1][1]))
            _staircase(axes, line, color=mark.colour, linestyle=style, linewidth=1.0)
        median = (*found.median, (most, found.median[-1][1])) if found.median else ()
        _staircase(axes, median, color=mark.colour, linewidth=1.8)
        axes.plot([], [], color=mark.colour, linewidth=5, alpha=0.5, label=label)
    return _finished(figure, axes)


def _band(found: Attainment, most: float) -> tuple[list[float], list[float], list[float]]:
    """Costs, lowest and highest quality there, from where all seeds have a run."""
    costs = sorted({x for steps in (found.best, found.worst) for x, _ in steps} | {most})
    costs = [x for x in costs if x >= found.worst[0][0]]
    lows, highs = ([_at(steps, x) for x in costs] for steps in (found.worst, found.best))
    return costs, lows, highs


def _at(steps: Steps, cost: float) -> float:
    return max(y for x, y in steps if x <= cost)


def _gap(points: Sequence[Point], axis: str, title: str, quality: Quality) -> Figure:
    label = f"{quality.title} on training clips − on validation clips"
    figure, axes = _plot(title, AXIS_LABELS[axis], label, quality)
    axes.axhline(0, color="#9aa1a9", linewidth=1)
    for precision, mark in marks(point.precision for point in points).items():
        known = [p for p in points if p.gap is not None and axis in p.costs]
        own = [p for p in known if p.precision == precision]
        if own:
            _series(axes, own, axis, lambda p: (p.gap or 0.0, 0.0, 0.0), mark, precision)
    return _finished(figure, axes)


def _plot(title: str, x: str, y: str, quality: Quality) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.2, 4.5), layout="constrained")
    axes = figure.add_subplot()
    if quality.is_share:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(escaped(title), loc="left", fontsize=11)
    plain(axes)
    return figure, axes


def plain(axes: Axes) -> None:
    """Light grid behind, no box."""
    axes.grid(color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _finished(figure: Figure, axes: Axes) -> Figure:
    """With a logarithmic cost and a legend."""
    # Set before the marks are there, a single cost leaves no range.
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9, loc="best")
    return figure


def escaped(text: str) -> str:
    """Dollars start formulas."""
    return text.replace("$", r"\$")


def _series(
    axes: Axes,
    own: Sequence[Point],
    axis: str,
    height: Callable[[Point], tuple[float, float, float]],
    mark: Mark,
    label: str | None,
) -> None:
    """Marks at height, bars so far below and above it; without a label they are faint."""
    axes.errorbar(
        [point.costs[axis] for point in own],
        [height(point)[0] for point in own],
        yerr=[[height(point)[side] for point in own] for side in (1, 2)],
        linestyle="none",
        marker=mark.shape,
        markersize=7,
        color=mark.colour,
        ecolor=mark.colour,
        markeredgecolor="white",
        elinewidth=1.0,
        alpha=0.35 if label is None else 1.0,
        label=None if label is None else escaped(label),
    )


def _quality(point: Point) -> tuple[float, float, float]:
    """The mean over seeds and its interval; where that is not known, one standard deviation."""
    if point.interval is None:
        return point.quality, point.spread or 0.0, point.spread or 0.0
    low, high = point.interval
    return point.quality, max(0.0, point.quality - low), max(0.0, high - point.quality)


def _steps(chosen: Sequence[Point], axis: str) -> Steps:
    return tuple((point.costs[axis], point.quality) for point in chosen)


def _staircase(axes: Axes, steps: Iterable[tuple[float, float]], **style) -> None:
    steps = list(steps)
    axes.step([x for x, _ in steps], [y for _, y in steps], where="post", **style)


def short_number(value: float) -> str:
    """Three significant digits with k, M or G: 22,920 -> `22.9k`."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.3g}"
