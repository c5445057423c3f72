"""Detections in continuous audio, as they happen and as a figure."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio.data.keywords import KeywordData
from aqtaudio.detection.curve import Point, det_curve, envelope, operating_point, score
from aqtaudio.detection.detector import (
    Detection,
    Detector,
    DetectorSettings,
    sweep,
    threshold_grid,
)
from aqtaudio.detection.scene import Scene, make_scene
from aqtaudio.errors import BadInput
from aqtaudio.run_directory import Run
from aqtaudio.streaming import Stream, require_stream

SECONDS_BETWEEN = 3.0
"""From the end of a keyword clip to the next one, in the mean."""


def listen(
    run: Run,
    audio: Iterable[np.ndarray],
    settings: DetectorSettings,
    runtime: str,
    show: Callable[[Detection], None],
) -> float:
    """Shows the keywords in int16 samples at the front end's rate. Returns how many seconds."""
    samples = 0
    with Stream(run, runtime) as stream:
        keywords, block_ms = run.experiment.task.keywords, stream.block_ms
        detector = Detector(stream.classes, keywords, block_ms, settings, stream.delay_ms)
        for chunk in audio:
            samples += len(chunk)
            for detection in detector.push(stream.push(chunk)):
                show(detection)
    return samples / run.experiment.frontend.sample_rate_hz


def detect(
    run: Run,
    folder: Path,
    split: str,
    runtime: str,
    settings: DetectorSettings,
    false_alarms_per_hour: float,
) -> dict[str, Any]:
    """How well a run finds keywords in continuous audio, as the JSON that `detect --json` prints.

    Half of the keyword clips, mixed into half of the recordings without keywords, choose the
    threshold: the one that misses fewest at `false_alarms_per_hour`. The other halves tell what it
    misses and its false alarms among words; those recordings alone, once and at their own level,
    its false alarms again. Recordings begin anew in a scene that is longer than they are, so only
    the latter has an interval that means something.
    """
    if not 0 <= false_alarms_per_hour < math.inf:
        raise BadInput(f"--false-alarms-per-hour is {false_alarms_per_hour}; allowed: 0 and more")
    require_stream(run)
    data = run.data(folder, (split,))
    words, background = _words(run, data, split), data.others(split)
    if min(len(words), len(background)) < 2:
        raise BadInput(
            f"{folder}: {len(words)} keyword clips and {len(background)} other recordings in "
            f"{split!r}; needed: two of each, to choose a threshold and to measure it"
        )
    rate_hz = run.experiment.frontend.sample_rate_hz
    seconds_per_word = run.experiment.task.clip_ms / 1000 + SECONDS_BETWEEN

    def scene(half: int) -> Scene:
        spoken = words[half::2]
        seconds = seconds_per_word * len(spoken)
        return make_scene(spoken, background[half::2], rate_hz, seconds, half)

    chosen = operating_point(_curve(run, scene(0), runtime, settings), false_alarms_per_hour)
    if chosen is None:
        raise BadInput(f"no threshold has {false_alarms_per_hour} false alarms per hour")
    curve = _curve(run, scene(1), runtime, settings)
    reached = min(curve, key=lambda point: abs(point.threshold - chosen.threshold))
    alone = np.concatenate(background[1::2])
    ((_, alarms),) = _sweep(run, alone, runtime, settings, [reached.threshold])
    return {
        "runtime": runtime,
        "split": split,
        "threshold": reached.threshold,
        "asked_false_alarms_per_hour": false_alarms_per_hour,
        "scene": reached.score.figures(),
        "background": score(alarms, (), len(alone) / rate_hz / 3600).figures(),
        "curve": [_plain(point) for point in envelope(curve)],
    }


def _words(run: Run, data: KeywordData, split: str) -> list[tuple[str, np.ndarray]]:
    keywords = run.experiment.task.keywords
    items = [item for item in run.items(data, split) if item.label in keywords]
    clips, _ = data.evaluation_arrays(items)
    return [(item.label, clip) for item, clip in zip(items, clips, strict=True)]


def _sweep(run: Run, samples, runtime: str, settings: DetectorSettings, thresholds):
    """Detections by threshold."""
    with Stream(run, runtime) as stream:
        logits = stream.push(samples)
        keywords, block_ms = run.experiment.task.keywords, stream.block_ms
        return sweep(
            logits, stream.classes, keywords, block_ms, settings, thresholds, stream.delay_ms
        )


def _curve(run: Run, scene: Scene, runtime: str, settings: DetectorSettings) -> list[Point]:
    swept = _sweep(run, scene.samples, runtime, settings, threshold_grid())
    return det_curve(swept, scene.events, scene.hours)


def _plain(point: Point) -> dict[str, float]:
    return {
        "threshold": point.threshold,
        "false_alarms_per_hour": point.false_alarms_per_hour,
        "miss_rate": point.miss_rate,
    }
