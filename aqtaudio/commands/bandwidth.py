"""aqtaudio extend, trivial: bandwidth extension by a run, and what is had without one."""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aqtaudio.commands.answers import answer
from aqtaudio.commands.arguments import (
    Verbs,
    add_data,
    add_json,
    add_run,
    add_runtime,
    add_split,
    positive,
)
from aqtaudio.errors import BadInput

STUDY = Path(__file__).parents[2] / "results/bandwidth"
"""Of a checkout: where no run is named, its best artifact extends."""
FITTED_CLIPS = 200
"""Of training, that trivial answers are fitted to."""


def add(verbs: Verbs) -> None:
    """The verbs of this file."""
    _add_extend(verbs)
    _add_trivial(verbs)


def _add_extend(verbs: Verbs) -> None:
    text = "speech of a narrow band with the band above it, at 16 kHz; any length"
    command = verbs.add("extend", extend, text)
    command.add_argument("source", type=Path, metavar="IN.wav", help="of less than 16 kHz")
    command.add_argument("target", type=Path, metavar="OUT.wav")
    command.add_argument("path", type=Path, nargs="?", metavar="RUN", help="default: the study's")
    add_runtime(command)
    command.add_argument("--stream", action="store_true", help="a block at a time, as a device")
    command.add_argument("--png", type=Path, help="spectrograms; default: OUT.png")
    add_json(command)


def extend(options: argparse.Namespace) -> int:
    """A recording with an upper band, and a picture of both."""
    from aqtaudio.runs.network import network
    from aqtaudio.runs.run import Run
    from aqtaudio.tasks.bandwidth.stream import Extender
    from aqtaudio.tasks.bandwidth.task import Bandwidth, frontend_of
    from aqtaudio.tasks.sound_file import convert_file

    run = Run(options.path or _default_run())
    Bandwidth.of(run.experiment.task)
    setup = run.experiment.setup

    @contextlib.contextmanager
    def extenders() -> Iterator[Extender]:
        with network(run, options.runtime) as opened:
            yield Extender(opened, setup.block_frames, frontend_of(setup))

    rate_hz = setup.frontend.sample_rate_hz
    files = options.source, options.target
    value = convert_file(*files, extenders, options.stream, options.png, rate_hz)
    value |= {"run": str(run.path), "runtime": options.runtime}

    def show(value: dict[str, Any]) -> None:
        print(
            f"{value['out']}: {value['seconds']:.1f} s of {value['channels']} channels at "
            f"{value['sample_rate_hz']} Hz by {value['run']} ({value['runtime']})"
        )
        print(
            f"  {value['real_time_factor']:.3f} of the recording's time, "
            f"{value['delay_ms']:.0f} ms behind it in a stream, and what resampling takes"
        )
        print(f"  {value['png']}: spectrograms before and after")

    answer(value, options.json, show)
    return 0


def _default_run() -> Path:
    """The artifact of the study that has the best quality."""
    from aqtaudio.study.headlines import main_metric
    from aqtaudio.study.measures import quality
    from aqtaudio.study.store import Store

    artifacts = STUDY / "artifacts"
    rows = [row for row in Store(STUDY).rows() if (artifacts / str(row["run_id"])).is_dir()]
    if not rows:
        raise BadInput("no run is named, and there is no study that has one: name a run directory")
    metric = main_metric(rows)
    best = max(rows, key=lambda row: quality(row, metric) or float("-inf"))
    return artifacts / str(best["run_id"])


def _add_trivial(verbs: Verbs) -> None:
    text = "what bandwidth extension without a network scores: folding, a predicted envelope"
    command = verbs.add("trivial", trivial, text)
    add_run(command)
    add_data(command)
    add_split(command)
    command.add_argument("--limit", type=positive, metavar="N")
    add_json(command)


def trivial(options: argparse.Namespace) -> int:
    """Trivial answers on a run's evaluation list, fitted to split train."""
    from aqtaudio.runs.run import Run
    from aqtaudio.tasks.bandwidth.floors import floors
    from aqtaudio.tasks.bandwidth.task import Bandwidth

    run, split = Run(options.path), options.split
    task, setup = Bandwidth.of(run.experiment.task), run.experiment.setup
    data = task.load(options.data, setup, tuple(dict.fromkeys(("train", split))))
    items = run.items(data, split)[: options.limit]
    value: dict[str, Any] = {"split": split, "n": len(items)}
    value["metrics"] = floors(data, items, FITTED_CLIPS)

    def show(value: dict[str, Any]) -> None:
        for name, scores in value["metrics"].items():
            print(f"{name}:")
            for line in task.show(scores):
                print(f"  {line}")

    answer(value, options.json, show)
    return 0
