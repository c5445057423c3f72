"""aqtaudio listen, detect: keyword runs over continuous audio."""

import argparse
import dataclasses
import functools
import json
import sys
from pathlib import Path
from typing import Any

from aqtaudio.commands.answers import answer
from aqtaudio.commands.arguments import (
    Verbs,
    add_data,
    add_frontend,
    add_json,
    add_run,
    add_runtime,
    add_split,
    given,
    require_frontend,
)
from aqtaudio.errors import BadInput


def add(verbs: Verbs) -> None:
    """The verbs of this file."""
    _add_listen(verbs)
    _add_detect(verbs)


def _add_detector(command: argparse.ArgumentParser) -> None:
    """Settings of `detection.detector.DetectorSettings`; what is not given has its default."""
    command.add_argument("--smoothing-ms", type=float, metavar="MS")
    command.add_argument("--refractory-ms", type=float, metavar="MS")


def _add_listen(verbs: Verbs) -> None:
    text = "keywords in a recording or a microphone, as they are said"
    command = verbs.add("listen", listen, text)
    add_run(command)
    command.add_argument(
        "source",
        metavar="FILE.wav|-",
        help="-: standard input, raw mono little-endian 16-bit samples at the front end's rate",
    )
    add_runtime(command)
    add_frontend(command)
    command.add_argument("--threshold", type=float, metavar="SHARE")
    _add_detector(command)
    add_json(command)


def listen(options: argparse.Namespace) -> int:
    """Prints detections as they happen; with --json, all of them at the end."""
    from aqtaudio.data import audio
    from aqtaudio.detection.detector import Detection, DetectorSettings
    from aqtaudio.runs.network import listening
    from aqtaudio.runs.run import Run
    from aqtaudio.tasks.keywords.listening import listen, require_audio
    from aqtaudio.tasks.keywords.task import Keywords

    run = Run(options.path)
    task = Keywords.of(run.experiment.task)
    require_frontend(run, options.frontend)
    require_audio(run.experiment.setup)
    settings = DetectorSettings(**given(options, DetectorSettings))
    rate_hz = run.experiment.frontend.sample_rate_hz
    if options.source == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise BadInput("standard input is no pipe; pipe raw 16-bit samples into it")
        samples = audio.raw_chunks(sys.stdin.buffer)
    else:
        samples = audio.chunks(Path(options.source), rate_hz)
    found: list[dict[str, Any]] = []

    def show(detection: Detection) -> None:
        if options.json:
            found.append(dataclasses.asdict(detection))
        else:
            line = f"{detection.time_s:9.2f} s  {detection.confidence:.2f}  {detection.label}"
            print(line, flush=True)

    with listening(run, options.runtime) as stream:
        seconds = listen(stream, task, samples, settings, show) / rate_hz
    if options.json:
        print(json.dumps({"runtime": options.runtime, "seconds": seconds, "detections": found}))
    return 0


def _add_detect(verbs: Verbs) -> None:
    text = "misses and false alarms of a stream in continuous audio"
    command = verbs.add("detect", detect, text)
    add_run(command)
    add_data(command)
    add_split(command)
    add_runtime(command)
    command.add_argument("--false-alarms-per-hour", type=float, default=5.0, metavar="RATE")
    _add_detector(command)
    add_json(command)


def detect(options: argparse.Namespace) -> int:
    """Error trade-off of a stream."""
    from aqtaudio.detection.detector import DetectorSettings
    from aqtaudio.runs.network import listening, require_stream
    from aqtaudio.runs.run import Run
    from aqtaudio.tasks.keywords.listening import Trial, detect, require_audio
    from aqtaudio.tasks.keywords.task import Keywords

    run, split = Run(options.path), options.split
    task, setup = Keywords.of(run.experiment.task), run.experiment.setup
    require_stream(run)
    require_audio(setup)
    settings = DetectorSettings(**given(options, DetectorSettings))
    trial = Trial(functools.partial(listening, run, options.runtime), task, setup, settings)
    data = task.load(options.data, setup, (split,))
    items = run.items(data, split)
    value = {"runtime": options.runtime, "split": split}
    value |= detect(trial, data, items, split, options.false_alarms_per_hour)
    answer(value, options.json, _show)
    return 0


def _show(value: dict[str, Any]) -> None:
    scene, alone = value["scene"], value["background"]
    low, high = (100 * share for share in scene["miss_rate_interval"])
    print(f"{value['runtime']} on {value['split']}, threshold {value['threshold']:.4f}")
    print(f"  missed {scene['misses']} of {scene['events']} words: ", end="")
    print(f"{100 * scene['miss_rate']:.1f} % ({low:.1f} to {high:.1f})")
    count, hours = scene["false_alarms"], scene["hours"]
    print(f"  {count} false alarms in {hours:.2f} h among the words")
    count, hours, rate = (alone[k] for k in ("false_alarms", "hours", "false_alarms_per_hour"))
    low, high = alone["false_alarms_per_hour_interval"]
    print(f"  {count} false alarms in {hours:.2f} h without words: ", end="")
    print(f"{rate:.1f} per hour ({low:.1f} to {high:.1f})")
    if scene["latency_median_s"] is not None:
        print(f"  {scene['latency_median_s']:.2f} s after a word's end (median), ", end="")
        print(f"{scene['latency_p95_s']:.2f} s (95th percentile)")
