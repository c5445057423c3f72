"""aqtaudio export RUN --to esphome: the wake words of a run for ESPHome's micro_wake_word."""

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aqtaudio.commands.answers import say
from aqtaudio.commands.arguments import require_there
from aqtaudio.commands.keywords import NEGATIVE_HOURS
from aqtaudio.errors import BadInput

NAMES = {
    "cutoff": "--cutoff",
    "negatives": "--negatives",
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
        help="mean probability that is a detection; default: found with --data, else what detect "
        "stored of a spotting run, else 0.5, a guess",
    )
    group.add_argument(
        "--negatives",
        type=Path,
        action="append",
        metavar="DIR",
        help="beside --data: more recordings without the words, which training did not hear",
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
    from aqtaudio.runs.esphome import Maker, export_esphome, require_servable
    from aqtaudio.runs.run import Run
    from aqtaudio.tasks.keywords.task import Keywords

    if options.negatives and not options.data:
        raise BadInput("--negatives DIR are heard beside --data DIR, which has the words")
    require_there(options.path, [*(options.data or []), *(options.negatives or [])])
    run = Run(options.path)
    words = require_servable(run)
    maker = {"author": options.author, "website": options.website}
    maker |= {"languages": tuple(options.language) if options.language else None}
    maker = Maker(**{name: value for name, value in maker.items() if value is not None})
    settings = Keywords.of(run.experiment.task, run.path).detector
    if options.smoothing_ms is not None:
        settings = dataclasses.replace(settings, smoothing_ms=options.smoothing_ms)
    found = dict.fromkeys(words, settings)
    if options.cutoff is not None:
        settings = dataclasses.replace(settings, threshold=options.cutoff)
        found = dict.fromkeys(words, settings)
    elif options.data:
        found = _measured(run, options, settings)
    else:
        found = _stored(run, options) or found
    print(export_esphome(run, options.out, _cutoffs(run, found), maker))
    return 0


def _cutoffs(run: Any, found: Mapping[str, Any]) -> dict[str, Any]:
    from aqtaudio.detection.detector import smoothing_blocks
    from aqtaudio.runs.esphome import cutoff

    block_ms = run.experiment.setup.block_ms
    return {
        word: cutoff(at.threshold, smoothing_blocks(at, block_ms)) for word, at in found.items()
    }


def _stored(run: Any, options: argparse.Namespace) -> Mapping[str, Any] | None:
    """By word, what `detect` found: of words without rivals its posteriors are the pair's."""
    from aqtaudio.detection import stored

    found = None if run.experiment.task.rivals else stored.read(run.path)
    if found is None or options.smoothing_ms is not None:
        say(f"cutoff {GUESS} is a guess: --data finds one for a rate of false alarms")
        return None
    say(f"cutoffs and windows are those of {run.path / stored.NAME}")
    return found


def _measured(run: Any, options: argparse.Namespace, settings: Any) -> dict[str, Any]:
    """By word, the settings for a rate of false alarms, and a line of what they do."""
    from aqtaudio.adaptation.thresholds import run_clips
    from aqtaudio.program.execute import Executor
    from aqtaudio.runs.esphome import word_programs
    from aqtaudio.tasks.keywords.negatives import negatives
    from aqtaudio.tasks.keywords.task import Keywords
    from aqtaudio.tasks.keywords.word_threshold import word_threshold

    task, setup = Keywords.of(run.experiment.task, run.path), run.experiment.setup
    data, items = run_clips(run, task, options.data, "val")
    rate = options.false_alarms_per_hour
    rate = ASKED_RATE if rate is None else rate
    found = {}
    for word, program in word_programs(run).items():
        without = negatives(options.data, options.negatives or (), (word,), "val", NEGATIVE_HOURS)
        scored = Executor(program), word, setup, data, items, "val", settings, rate, without
        value = word_threshold(*scored)
        scene, alone = value["scene"], value["background"]
        low, high = alone["false_alarms_per_hour_interval"]
        say(
            f"{word}: threshold {value['threshold']:.4f}; missed {scene['misses']} of "
            f"{scene['events']}, {alone['false_alarms']} false alarms in {alone['hours']:.2f} h "
            f"({low:.1f} to {high:.1f} per hour)"
        )
        found[word] = dataclasses.replace(settings, threshold=value["threshold"])
    return found
