"""Streams on continuous audio: misses, false alarms and latency of runs, and their trade-off.

    python benchmarks/detection.py RUN... --data DIR [--figure det.png] [--false-alarms-per-hour 1]

As `aqtaudio detect` measures them. Prints a Markdown table; the figure has miss rate over false
alarms per hour, one line per run. The threshold of the table is the highest of the words'.
"""

import argparse
import functools
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from streaming import label

from aqtaudio.detection.detector import DetectorSettings
from aqtaudio.runs.network import listening
from aqtaudio.runs.run import Run
from aqtaudio.tasks.keywords.listening import Trial, detect
from aqtaudio.tasks.keywords.negatives import negatives
from aqtaudio.tasks.keywords.task import Keywords

HOURS = 3.0
"""Wanted without keywords."""
HEAD = (
    "run", "threshold", "missed of", "miss rate (95 %)", "false alarms among words",
    "without words", "per hour (95 %)", "latency s, median", "95th percentile",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--false-alarms-per-hour", type=float, default=1.0)
    options = parser.parse_args()
    print(f"| {' | '.join(HEAD)} |")
    print(f"|---|{'---:|' * (len(HEAD) - 1)}")
    found = {}
    for path in options.runs:
        run = Run(path)
        name, value = label(run), found_by(run, options.data, options.false_alarms_per_hour)
        found[name] = value["curve"]
        print(f"| {' | '.join(row(name, value))} |", flush=True)
    if options.figure:
        figure(found).savefig(options.figure, dpi=120, metadata={"Software": ""})


def found_by(run: Run, data_folder: Path, false_alarms_per_hour: float) -> dict[str, Any]:
    """What `aqtaudio detect` finds, in integers."""
    task, setup = Keywords.of(run.experiment.task), run.experiment.setup
    trial = Trial(functools.partial(listening, run, "integer"), task, setup, DetectorSettings())
    data = task.load([data_folder], setup, ("val",))
    found = negatives([data_folder], [], task.keywords, "val", HOURS)
    return detect(trial, data, run.items(data, "val"), found, "val", false_alarms_per_hour)


def row(name: str, value: dict[str, Any]) -> list[str]:
    """A line of the table."""
    scene, alone = value["scene"], value["background"]
    low, high = (100 * share for share in scene["miss_rate_interval"])
    few, many = alone["false_alarms_per_hour_interval"]
    late = [scene["latency_median_s"], scene["latency_p95_s"]]
    return [
        name,
        f"{value['threshold']:.3f}",
        f"{scene['misses']} of {scene['events']}",
        f"{100 * scene['miss_rate']:.1f} % ({low:.1f} to {high:.1f})",
        f"{scene['false_alarms']} in {scene['hours']:.2f} h",
        f"{alone['false_alarms']} in {alone['hours']:.2f} h",
        f"{alone['false_alarms_per_hour']:.1f} ({few:.1f} to {many:.1f})",
        *("-" if seconds is None else f"{seconds:.2f}" for seconds in late),
    ]


def figure(curves: dict[str, list[dict[str, float]]]) -> Figure:
    """Miss rate over false alarms per hour."""
    drawn = Figure(figsize=(7.2, 4.5), layout="constrained")
    axes = drawn.add_subplot()
    for name, points in curves.items():
        rates = [max(point["false_alarms_per_hour"], 0.5) for point in points]
        axes.step(rates, [point["miss_rate"] for point in points], where="post", label=name)
    axes.set_xscale("log")
    axes.set_xlabel("false alarms per hour in recordings without words (none is drawn at 0.5)")
    axes.set_ylabel("miss rate")
    axes.grid(color="#e4e4e4", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return drawn


if __name__ == "__main__":
    main()
