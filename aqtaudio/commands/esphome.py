"""aqtaudio export RUN --to esphome: the wake words of a run for ESPHome's micro_wake_word."""

import argparse
from collections.abc import Mapping
from typing import Any

from aqtaudio.commands.answers import say
from aqtaudio.commands.keywords import NEGATIVE_HOURS
from aqtaudio.errors import BadInput

NAMES = {
    "cutoff": "--cutoff",
    "false_alarms_per_hour": "--false-alarms-per-hour",
    "smoothing_ms": "--smoothing-ms",
    "author": "--author",
    "website": "--website",
    "language": "--language",
}
"""Options that only this target has."""
ASKED_RATE = 1.0
GUESS = 0.5


def add_options(command: argparse.ArgumentParser) -> None:
    """What `export` takes for this target alone."""
    group = command.add_argument_group("--to esphome")
    group.add_argument(
        "--cutoff",
        type=float,
        metavar="SHARE",
        help="mean probability that is a detection; default: found with --data, else 0.5, a guess",
    )
    group.add_argument(
        "--false-alarms-per-hour",
        type=float,
        metavar="RATE",
        help=f"that --data finds each word's cutoff for; default {ASKED_RATE}",
    )
    group.add_argument("--smoothing-ms", type=float, metavar="MS")
    group.add_argument("--author", metavar="NAME")
    group.add_argument("--website", metavar="URL")
    group.add_argument("--language", action="append", metavar="en")


def require_target(options: argparse.Namespace) -> None:
    """Raises BadInput for options of this target where there is another one."""
    for name, option in NAMES.items():
        if getattr(options, name) is not None:
            raise BadInput(f"{option} is for --to esphome")


def export(options: argparse.Namespace) -> int:
    """Writes a file and a manifest per word."""
    from aqtaudio.detection.detector import DetectorSettings
    from aqtaudio.runs.esphome import Maker, export_esphome, require_servable
    from aqtaudio.runs.run import Run

    run = Run(options.path)
    words = require_servable(run)
    given = {"threshold": options.cutoff, "smoothing_ms": options.smoothing_ms}
    known = {name: value for name, value in given.items() if value is not None}
    settings = DetectorSettings(**known)
    maker = {"author": options.author, "website": options.website}
    maker |= {"languages": tuple(options.language) if options.language else None}
    maker = Maker(**{name: value for name, value in maker.items() if value is not None})
    thresholds = dict.fromkeys(words, settings.threshold)
    if options.cutoff is None:
        if options.data:
            thresholds = _measured(run, options, settings)
        else:
            say(f"cutoff {GUESS} is a guess: --data finds one for a rate of false alarms")
    print(export_esphome(run, options.out, _cutoffs(run, thresholds, settings), maker))
    return 0


def _cutoffs(run: Any, thresholds: Mapping[str, float], settings: Any) -> dict[str, Any]:
    from aqtaudio.detection.detector import smoothing_blocks
    from aqtaudio.runs.esphome import cutoff

    blocks = smoothing_blocks(settings, run.experiment.setup.block_ms)
    return {word: cutoff(threshold, blocks) for word, threshold in thresholds.items()}


def _measured(run: Any, options: argparse.Namespace, settings: Any) -> dict[str, float]:
    """By word, the threshold for a rate of false alarms, and a line of what it does."""
    from aqtaudio.program.execute import Executor
    from aqtaudio.runs.esphome import word_programs
    from aqtaudio.tasks.keywords.negatives import negatives
    from aqtaudio.tasks.keywords.task import Keywords
    from aqtaudio.tasks.keywords.word_threshold import word_threshold

    task, setup = Keywords.of(run.experiment.task, run.path), run.experiment.setup
    data = task.clips(options.data, setup, ("val",))
    items, rate = run.items(data, "val"), options.false_alarms_per_hour
    rate = ASKED_RATE if rate is None else rate
    found = {}
    for word, program in word_programs(run).items():
        without = negatives(options.data, (), (word,), "val", NEGATIVE_HOURS)
        scored = Executor(program), word, setup, data, items, "val", settings, rate, without
        value = word_threshold(*scored)
        scene, alone = value["scene"], value["background"]
        say(
            f"{word}: threshold {value['threshold']:.4f}; missed {scene['misses']} of "
            f"{scene['events']}, {alone['false_alarms']} false alarms in {alone['hours']:.2f} h"
        )
        found[word] = value["threshold"]
    return found
