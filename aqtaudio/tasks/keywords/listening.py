"""Detections in continuous audio, as they happen and as a figure."""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

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
from aqtaudio.tasks.keywords.data import EvaluationItem, KeywordData
from aqtaudio.tasks.keywords.task import Keywords
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.stream import Stream

SECONDS_BETWEEN = 3.0
"""From the end of a keyword clip to the next one, in the mean."""

Listening = Callable[[], contextlib.AbstractContextManager[Stream]]
"""Opens a stream that begins."""


def require_audio(setup: Setup) -> None:
    """Raises BadInput where only the device can compute features."""
    if not setup.frontend.takes_audio:
        raise BadInput("the run was trained on a device's features, and takes no audio")


def listen(
    stream: Stream,
    task: Keywords,
    audio: Iterable[np.ndarray],
    settings: DetectorSettings,
    show: Callable[[Detection], None],
) -> int:
    """Shows the keywords in int16 samples at the front end's rate. Returns how many samples."""
    samples, block_ms = 0, stream.block_ms
    detector = Detector(task.classes, task.keywords, block_ms, settings, stream.delay_ms)
    for chunk in audio:
        samples += len(chunk)
        for detection in detector.push(stream.push(chunk)):
            show(detection)
    return samples


@dataclasses.dataclass(frozen=True)
class Trial:
    """How keywords are looked for.

    Attributes:
      listening: opens a stream of the run.
      task: of the run.
      setup: of the run.
      settings: of the detector.
    """

    listening: Listening
    task: Keywords
    setup: Setup
    settings: DetectorSettings

    def detections(self, samples: np.ndarray) -> list[Any]:
        """In int16 samples, by threshold, ascending."""
        with self.listening() as stream:
            found = sweep(
                stream.push(samples),
                self.task.classes,
                self.task.keywords,
                stream.block_ms,
                self.settings,
                threshold_grid(),
                stream.delay_ms,
            )
            return list(found)


def detect(
    trial: Trial,
    data: KeywordData,
    items: Sequence[EvaluationItem],
    split: str,
    false_alarms_per_hour: float,
) -> dict[str, Any]:
    """How well a run finds keywords in continuous audio.

    Misses are counted in a scene of keyword clips mixed into recordings without keywords, false
    alarms in these recordings alone, once and at their own level. Half of the clips and recordings
    choose the threshold: the one that misses fewest at `false_alarms_per_hour`. The others measure.
    """
    if not 0 <= false_alarms_per_hour < math.inf:
        raise BadInput(f"--false-alarms-per-hour is {false_alarms_per_hour}; allowed: 0 and more")
    words, background = _words(trial.task, data, items), data.others(split)
    if min(len(words), len(background)) < 2:
        raise BadInput(
            f"{len(words)} keyword clips and {len(background)} other recordings in {split!r}; "
            "needed: two of each, to choose a threshold and to measure it"
        )
    tried = _trade_off(trial, words[::2], background[::2], seed=0)
    chosen = operating_point([point for point, _ in tried], false_alarms_per_hour)
    if chosen is None:
        raise BadInput(f"no threshold has {false_alarms_per_hour} false alarms per hour")
    measured = _trade_off(trial, words[1::2], background[1::2], seed=1)
    reached, scene = next(pair for pair in measured if pair[0].threshold == chosen.threshold)
    alone = reached.score.figures()
    kept = [name for name in alone if "alarms" in name or name == "hours"]
    return {
        "threshold": reached.threshold,
        "asked_false_alarms_per_hour": false_alarms_per_hour,
        "scene": scene.figures(),
        "background": {name: alone[name] for name in kept},
        "curve": [_plain(point) for point in envelope([point for point, _ in measured])],
    }


def _trade_off(
    trial: Trial,
    words: list[tuple[str, np.ndarray]],
    background: list[np.ndarray],
    seed: int,
) -> list[tuple[Point, Score]]:
    """By threshold: misses in a scene against false alarms without words; the scene's own score."""
    rate_hz = trial.setup.frontend.sample_rate_hz
    seconds = len(words) * (trial.setup.clip_ms / 1000 + SECONDS_BETWEEN)
    scene = make_scene(words, background, rate_hz, seconds, seed)
    alone = np.concatenate(background)
    hours = len(alone) / rate_hz / 3600
    alarms = [score(found, (), hours) for _, found in trial.detections(alone)]
    heard = det_curve(trial.detections(scene.samples), scene.events, scene.hours)
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


def _words(
    task: Keywords, data: KeywordData, items: Sequence[EvaluationItem]
) -> list[tuple[str, np.ndarray]]:
    items = [item for item in items if item.label in task.keywords]
    clips, _ = data.evaluation_arrays(items)
    return [(item.label, clip) for item, clip in zip(items, clips, strict=True)]


def _plain(point: Point) -> dict[str, float]:
    return {
        "threshold": point.threshold,
        "false_alarms_per_hour": point.false_alarms_per_hour,
        "miss_rate": point.miss_rate,
    }
