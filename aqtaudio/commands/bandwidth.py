"""aqtaudio extend, baselines: bandwidth extension by a run, and what is had without one."""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aqtaudio.commands import sound_files
from aqtaudio.commands.answers import answer, say
from aqtaudio.commands.arguments import (
    Verbs,
    add_data,
    add_json,
    add_run,
    add_runtime,
    add_split,
    positive,
    require_there,
)
from aqtaudio.errors import BadInput

FRONT = Path(__file__).parents[2] / "results/bandwidth/artifacts/978f1cbc7ea0"
"""Of a checkout: what extends where no run is named, in a quarter of its float model's bytes."""
FITTED_CLIPS = 200
"""Of training, that baselines are fitted to."""


def add(verbs: Verbs) -> None:
    """The verbs of this file."""
    _add_extend(verbs)
    _add_baselines(verbs)


def _add_extend(verbs: Verbs) -> None:
    text = "speech of a narrow band with the band above it, at 16 kHz; any length"
    command = verbs.add("extend", extend, text)
    sound_files.add(command, "IN.wav|-")
    add_runtime(command)
    add_json(command)


def extend(options: argparse.Namespace) -> int:
    """A recording with an upper band, and a picture of both."""
    sound_files.require_source(options)
    raw = sound_files.raw_of(options)
    if options.path is not None:
        require_there(options.path)
    elif not FRONT.is_dir():
        raise BadInput(f"no run is named, and there is no {FRONT.name} of the study: name a run")
    from aqtaudio.runs.network import network
    from aqtaudio.runs.run import Run
    from aqtaudio.tasks.bandwidth.stream import Extender
    from aqtaudio.tasks.bandwidth.task import Bandwidth, frontend_of
    from aqtaudio.tasks.sound_file import convert_file

    run = Run(options.path or FRONT)
    Bandwidth.of(run.experiment.task, run.path)
    setup = run.experiment.setup

    @contextlib.contextmanager
    def extenders() -> Iterator[Extender]:
        with network(run, options.runtime) as opened:
            yield Extender(opened, setup.block_frames, frontend_of(setup))

    how = options.stream, options.png, raw, say, setup.frontend.sample_rate_hz
    value = convert_file(options.source, options.target, extenders, *how)
    return sound_files.tell(options, run, value)


def _add_baselines(verbs: Verbs) -> None:
    text = "what bandwidth extension without a network scores: folding, a predicted envelope"
    command = verbs.add("baselines", baselines, text)
    add_run(command)
    add_data(command)
    add_split(command)
    command.add_argument("--limit", type=positive, metavar="N")
    add_json(command)


def baselines(options: argparse.Namespace) -> int:
    """Baselines on a run's evaluation list, fitted to split train."""
    require_there(options.path, options.data)
    from aqtaudio.runs.run import Run
    from aqtaudio.tasks.bandwidth.baseline_scores import baseline_scores
    from aqtaudio.tasks.bandwidth.task import Bandwidth

    run, split = Run(options.path), options.split
    task, setup = Bandwidth.of(run.experiment.task, run.path), run.experiment.setup
    data = task.load(options.data, setup, tuple(dict.fromkeys(("train", split))))
    items = run.items(data, split)[: options.limit]
    value: dict[str, Any] = {"split": split, "n": len(items)}
    value["metrics"] = baseline_scores(data, items, FITTED_CLIPS)

    def show(value: dict[str, Any]) -> None:
        for name, scores in value["metrics"].items():
            print(f"{name}:")
            for line in task.show(scores):
                print(f"  {line}")

    answer(value, options.json, show)
    return 0
