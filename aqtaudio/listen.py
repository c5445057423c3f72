"""Detections in continuous audio, as they happen and as a figure."""

import dataclasses
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio.data.keywords import KeywordData
from aqtaudio.detection.curve import Point, Score, det_curve, envelope, operating_point, score
from aqtaudio.detection.detector import (
    Detection,
    Detector,
    DetectorSettings,
    sweep,
    threshold_grid,
)
from aqtaudio.detection.scene import make_scene
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
    _require_audio(run)
    samples = 0
    with Stream(run, runtime) as stream:
        keywords, block_ms = run.experiment.words.keywords, stream.block_ms
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

    Misses are counted in a scene of keyword clips mixed into recordings without keywords, false
    alarms in these recordings alone, once and at their own level. Half of the clips and recordings
    choose the threshold: the one that misses fewest at `false_alarms_per_hour`. The others measure.
    """
    if not 0 <= false_alarms_per_hour < math.inf:
        raise BadInput(f"--false-alarms-per-hour is {false_alarms_per_hour}; allowed: 0 and more")
    require_stream(run)
    _require_audio(run)
    data = run.data(folder, (split,))
    assert isinstance(data, KeywordData)
    words, background = _words(run, data, split), data.others(split)
    if min(len(words), len(background)) < 2:
        raise BadInput(
            f"{folder}: {len(words)} keyword clips and {len(background)} other recordings in "
            f"{split!r}; needed: two of each, to choose a threshold and to measure it"
        )
    tried = _trade_off(run, words[::2], background[::2], runtime, settings, seed=0)
    chosen = operating_point([point for point, _ in tried], false_alarms_per_hour)
    if chosen is None:
        raise BadInput(f"no threshold has {false_alarms_per_hour} false alarms per hour")
    measured = _trade_off(run, words[1::2], background[1::2], runtime, settings, seed=1)
    reached, scene = next(pair for pair in measured if pair[0].threshold == chosen.threshold)
    alone = reached.score.figures()
    kept = [name for name in alone if "alarms" in name or name == "hours"]
    return {
        "runtime": runtime,
        "split": split,
        "threshold": reached.threshold,
        "asked_false_alarms_per_hour": false_alarms_per_hour,
        "scene": scene.figures(),
        "background": {name: alone[name] for name in kept},
        "curve": [_plain(point) for point in envelope([point for point, _ in measured])],
    }


def _require_audio(run: Run) -> None:
    """Raises BadInput of other runs, and where only the device can compute features."""
    run.experiment.words  # noqa: B018 - raises
    if not run.experiment.frontend.takes_audio:
        raise BadInput(f"{run.path}: it was trained on a device's features, and takes no audio")


def _trade_off(
    run: Run,
    words: list[tuple[str, np.ndarray]],
    background: list[np.ndarray],
    runtime: str,
    settings: DetectorSettings,
    seed: int,
) -> list[tuple[Point, Score]]:
    """By threshold: misses in a scene against false alarms without words; the scene's own score."""
    rate_hz = run.experiment.frontend.sample_rate_hz
    seconds = len(words) * (run.experiment.task.clip_ms / 1000 + SECONDS_BETWEEN)
    scene = make_scene(words, background, rate_hz, seconds, seed)
    alone = np.concatenate(background)
    hours = len(alone) / rate_hz / 3600
    alarms = [score(found, (), hours) for _, found in _sweep(run, alone, runtime, settings)]
    heard = det_curve(_sweep(run, scene.samples, runtime, settings), scene.events, scene.hours)
    return [
        (
            Point(
                point.threshold,
                dataclasses.replace(point.score, false_alarms=other.false_alarms, hours=hours),
            ),
            point.score,
        )
        for point, other in zip(heard, alarms, strict=True)
    ]


def _words(run: Run, data: KeywordData, split: str) -> list[tuple[str, np.ndarray]]:
    keywords = run.experiment.words.keywords
    items = [item for item in run.items(data, split) if item.label in keywords]
    clips, _ = data.evaluation_arrays(items)
    return [(item.label, clip) for item, clip in zip(items, clips, strict=True)]


def _sweep(run: Run, samples: np.ndarray, runtime: str, settings: DetectorSettings):
    """Detections by threshold, ascending."""
    with Stream(run, runtime) as stream:
        logits = stream.push(samples)
        keywords, block_ms = run.experiment.words.keywords, stream.block_ms
        return sweep(
            logits, stream.classes, keywords, block_ms, settings, threshold_grid(), stream.delay_ms
        )


def _plain(point: Point) -> dict[str, float]:
    return {
        "threshold": point.threshold,
        "false_alarms_per_hour": point.false_alarms_per_hour,
        "miss_rate": point.miss_rate,
    }
