"""aqtaudio enhance: noise suppression by a run."""

import argparse
import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from aqtaudio.commands import sound_files
from aqtaudio.commands.answers import say
from aqtaudio.commands.arguments import (
    RUNTIMES,
    Verbs,
    add_json,
)
from aqtaudio.commands.names import named

if TYPE_CHECKING:
    from aqtaudio.runs.run import Run
    from aqtaudio.tasks.sound_file import Streams

STUDY = Path(__file__).parents[2] / "results/denoise"
"""Of a checkout: where no run is named, its default enhances."""


def add(verbs: Verbs) -> None:
    """The verbs of this file."""
    _add_enhance(verbs)


def _add_enhance(verbs: Verbs) -> None:
    text = "a recording without its noise; any rate and length"
    command = verbs.add("enhance", enhance, text)
    sound_files.add(command, "IN.wav|-")
    command.add_argument(
        "--runtime",
        choices=RUNTIMES,
        help="default: the one that starts fastest with the program's integers",
    )
    command.add_argument("--post-filter", type=float, metavar="BETA", help="0.02 is usual")
    command.add_argument("--attenuation-limit-db", type=float, metavar="DB")
    add_json(command)


def enhance(options: argparse.Namespace) -> int:
    """A recording without its noise, and a picture of both."""
    sound_files.require_source(options)
    raw = sound_files.raw_of(options)
    path = named(options.path, STUDY)
    from aqtaudio.runs.network import quickest
    from aqtaudio.runs.run import Run
    from aqtaudio.tasks.sound_file import convert_file

    run = Run(path or sound_files.best_of(STUDY))
    options.runtime = options.runtime or quickest(run)
    changes = {"post_filter": options.post_filter}
    changes |= {"attenuation_limit_db": options.attenuation_limit_db}
    changes = {name: value for name, value in changes.items() if value is not None}
    streams = enhancers(run, options.runtime, changes)
    value = convert_file(
        options.source, options.target, streams, options.stream, options.png, raw, say
    )
    return sound_files.tell(options, run, value)


def enhancers(run: "Run", runtime: str, changes: Mapping[str, float] | None = None) -> "Streams":
    """Opens streams of a run, with other settings for listeners where `changes` names some."""
    from aqtaudio.runs.network import network
    from aqtaudio.tasks.enhancement.stream import Enhancer
    from aqtaudio.tasks.enhancement.task import Enhancement, for_listeners, frontend_of

    setup = run.experiment.setup
    filtering = Enhancement.of(run.experiment.task, run.path).filtering
    filtering = for_listeners(filtering, **(changes or {}))

    @contextlib.contextmanager
    def opened() -> Iterator[Enhancer]:
        with network(run, runtime) as of_run:
            yield Enhancer(of_run, setup.block_frames, frontend_of(setup), filtering)

    return opened
