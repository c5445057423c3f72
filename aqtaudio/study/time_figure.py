"""PNG figure of a study over time: best quality and hypervolume, commit by commit."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from aqtaudio.study.figures import escaped, plain
from aqtaudio.study.headlines import Quality
from aqtaudio.study.measures import COST_TITLES
from aqtaudio.study.timeline import Moment

_LINE = "#0072B2"


def time_figure(moments: Sequence[Moment], title: str, quality: Quality) -> Figure:
    """Dots: the commit's runs alone; line: all runs so far. Needs two commits or more."""
    axis = next(iter(moments[-1].areas_so_far), None)
    figure = Figure(figsize=(7.2, 5.2 if axis else 3.0), layout="constrained")
    plots = figure.subplots(2 if axis else 1, 1, sharex=True, squeeze=False)[:, 0]
    places = range(len(moments))
    plots[0].step(places, [m.best_so_far for m in moments], where="post", color=_LINE)
    plots[0].plot(places, [m.best for m in moments], "o", color=_LINE)
    plots[0].set_ylabel(f"best {quality.title}")
    if quality.is_share:
        plots[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
    if axis:
        plots[1].step(places, [m.areas_so_far[axis] for m in moments], where="post", color=_LINE)
        areas = [(place, m.areas[axis]) for place, m in enumerate(moments) if axis in m.areas]
        plots[1].plot(*zip(*areas, strict=True), "o", color=_LINE)
        plots[1].set_ylabel(f"hypervolume on {COST_TITLES[axis]}")
    plots[0].set_title(f"{escaped(title)}, commit by commit", loc="left", fontsize=11)
    labels = [f"{escaped(m.commit[:8])}\n{m.runs}" for m in moments]
    plots[-1].set_xticks(places, labels, fontsize=8)
    plots[-1].set_xlabel("commit and its runs")
    for axes in plots:
        plain(axes)
    return figure
