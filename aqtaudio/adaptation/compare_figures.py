"""Pictures of a comparison of two front ends, and its figures as JSON."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from aqtaudio.adaptation.compare import Clip, Comparison
from aqtaudio.files import replacing, write_json

COLOUR_A, COLOUR_B = "#0072b2", "#d55e00"


def write(found: Comparison, names: tuple[str, str], folder: Path) -> None:
    """Writes comparison.json, bands.png and worst_1.png, worst_2.png, ... into a folder.

    `names`: what A and B are called in the pictures.
    """
    write_json(folder / "comparison.json", found.figures)
    titles = f"A: {_plain(names[0])}", f"B: {_plain(names[1])}"
    pictures = {"bands": _bands(found, titles)}
    sample_rate_hz = found.figures["sample_rate_hz"]
    for number, clip in enumerate(found.worst, start=1):
        pictures[f"worst_{number}"] = _clip(clip, titles, found.hop_s, sample_rate_hz)
    for name, figure in pictures.items():
        with replacing(folder / f"{name}.png") as new:
            figure.savefig(new, dpi=120, metadata={"Software": ""})


def _clip(clip: Clip, titles: tuple[str, str], hop_s: float, sample_rate_hz: int) -> Figure:
    """A, B and B - A side by side; A and B share their colours."""
    a, b = clip.features
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    figure.suptitle(
        f"{_plain(clip.item.path)}, {clip.item.start_sample / sample_rate_hz:.2f} s, "
        f"mean |B - A| {clip.mean_abs_diff:.4g}",
        fontsize=11,
    )
    low, high = min(a.min(), b.min()), max(a.max(), b.max())
    largest = np.abs(b - a).max() or 1.0
    same = {"vmin": low, "vmax": high, "cmap": "magma"}
    signed = {"vmin": -largest, "vmax": largest, "cmap": "RdBu_r"}
    panels = ((titles[0], a, same), (titles[1], b, same), ("B - A", b - a, signed))
    extent = (0, len(a) * hop_s, -0.5, a.shape[1] - 0.5)
    grid = {"origin": "lower", "aspect": "auto", "interpolation": "nearest", "extent": extent}
    for axes, (title, values, colours) in zip(figure.subplots(1, 3), panels, strict=True):
        image = axes.imshow(values.T, **grid, **colours)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("time, s")
        axes.set_ylabel("feature")
        figure.colorbar(image, ax=axes)
    return figure


def _bands(found: Comparison, titles: tuple[str, str]) -> Figure:
    """Mean and spread of every feature under A and B, and how far apart they are."""
    figures = found.figures
    rows = {key: [band[key] for band in figures["bands"]] for key in figures["bands"][0]}
    numbers = np.asarray(rows["band"])
    figure = Figure(figsize=(9, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    for side, title, colour in (("a", titles[0], COLOUR_A), ("b", titles[1], COLOUR_B)):
        mean, spread = np.asarray(rows[f"mean_{side}"]), np.asarray(rows[f"std_{side}"])
        above.plot(numbers, mean, color=colour, label=title)
        above.fill_between(numbers, mean - spread, mean + spread, color=colour, alpha=0.2)
    above.set_ylabel("mean, one deviation")
    above.legend(frameon=False, fontsize=9)
    below.plot(numbers, rows["mean_diff"], color="#000000", label="mean of B - A")
    below.plot(numbers, rows["mean_abs_diff"], color="#009e73", label="mean of |B - A|")
    below.axhline(0, color="#999999", linewidth=0.8)
    below.set_ylabel("difference")
    below.set_xlabel("feature")
    below.legend(frameon=False, fontsize=9)
    for axes in (above, below):
        axes.grid(color="#e4e4e4", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    above.set_title(
        f"{figures['n']} clips of {figures['split']}, "
        f"{100 * figures['differing_share']:.3g} % of the values differ",
        loc="left",
        fontsize=11,
    )
    return figure


def _plain(text: str) -> str:
    """Dollars would begin a formula."""
    return text.replace("$", r"\$")
