"""Detections in continuous audio, as they happen and as a figure."""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from aqtaudio.detection.curve import Point, det_curve, envelope, score
from aqtaudio.detection.detector import (
    Detection,
    Detector,
    DetectorSettings,
    sweep,
    threshold_grid,
)
from aqtaudio.detection.intervals import rate_interval
from aqtaudio.detection.posteriors import Posteriors
from aqtaudio.detection.scene import Scene, make_scene
from aqtaudio.detection.threshold import Choice, choose
from aqtaudio.errors import BadInput
from aqtaudio.tasks.keywords.data import EvaluationItem, KeywordData
from aqtaudio.tasks.keywords.negatives import (
    KINDS,
    RUNNING,
    SPEECH,
    WORDS,
    Heard,
    Negative,
    Say,
    halves,
    hear,
    rates,
)
from aqtaudio.tasks.keywords.task import Keywords
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.stream import Stream

SECONDS_BETWEEN = 3.0
"""From the end of a keyword clip to the next one, in the mean."""
WHOLE_EVENT_MS = 1e6
"""Peaks that thresholds are found from are those of whole events."""

Listening = Callable[[], contextlib.AbstractContextManager[Stream]]
"""Opens a stream that begins."""
ByWord = Mapping[str, DetectorSettings]
Measured = Sequence[tuple[Heard, list[Detection]]]
"""Streams without keywords, and what is false in them."""
GRID = threshold_grid()


def listen(
    stream: Stream,
    task: Keywords,
    audio: Iterable[np.ndarray],
    settings: DetectorSettings | ByWord,
    show: Callable[[Detection], None],
) -> int:
    """Shows the keywords in int16 samples at the front end's rate. Returns how many samples."""
    samples, block_ms = 0, stream.block_ms
    how = block_ms, settings, stream.delay_ms, task.posteriors
    detector = Detector(task.classes, task.keywords, *how)
    for chunk in audio:
        samples += len(chunk)
        for detection in detector.push(stream.push(chunk)):
            show(detection)
    for detection in detector.finish():
        show(detection)
    return samples


@dataclasses.dataclass(frozen=True)
class Trial:
    """How keywords are looked for.

    Attributes:
      listening: opens a stream of the run.
      task: of the run.
      setup: of the run.
      settings: of the detector; its threshold is a guess that `detect` replaces.
    """

    listening: Listening
    task: Keywords
    setup: Setup
    settings: DetectorSettings

    def logits(self, samples: np.ndarray) -> np.ndarray:
        """[N, C] of the blocks of int16 samples."""
        with self.listening() as stream:
            return stream.push(samples)

    def sweep(
        self, logits: np.ndarray, settings: DetectorSettings, thresholds: Sequence[float]
    ) -> list[tuple[float, list[Detection]]]:
        """Detections by threshold."""
        return sweep(logits, *self._stream, settings, thresholds, *self._how)

    def detections(self, logits: np.ndarray, settings: ByWord) -> list[Detection]:
        """With a threshold for each word."""
        detector = Detector(*self._stream, settings, *self._how)
        return detector.push(logits) + detector.finish()

    @property
    def _stream(self) -> tuple[Sequence[str], Sequence[str], float]:
        return self.task.classes, self.task.keywords, self.setup.block_ms

    @property
    def _how(self) -> tuple[float, Posteriors]:
        """How late a block is known, and what its logits mean."""
        frontend = self.setup.frontend
        more = frontend.window_samples - frontend.hop_samples
        return more * 1e3 / frontend.sample_rate_hz, self.task.posteriors


def detect(
    trial: Trial,
    data: KeywordData,
    items: Sequence[EvaluationItem],
    found: Sequence[Negative],
    split: str,
    rate: float,
    say: Say = lambda text: None,
) -> dict[str, Any]:
    """How well a run finds keywords in continuous audio, at thresholds that are found here.

    Every word gets the threshold at which it has `rate` false alarms per hour in one half of the
    recordings without keywords: in all of the running audio together and in its speech alone. The
    other half measures. Misses are counted in a scene of the keyword clips, mixed into the split's
    recordings without keywords.

    Args:
      trial: how.
      data: of the run, with the split.
      items: whose keyword clips are looked for.
      found: recordings without keywords (`negatives`).
      split: whose recordings are the scene's background.
      rate: wanted false alarms of each word per hour.
      say: told how far it is, where that takes long.
    """
    if not 0 <= rate < math.inf:
        raise BadInput(f"--rate is {rate}; allowed: 0 and more false alarms per hour")
    words = _words(trial.task, data, items)
    parts = halves(found)
    running = [sum(one.kind != WORDS for one in part) for part in parts]
    if not words or not min(running):
        raise BadInput(
            f"{len(words)} keyword clips, and {sum(running)} recordings of speech, noise or music "
            "without keywords; needed: a clip, and two recordings: to find a threshold, to measure"
        )
    rate_hz = trial.setup.frontend.sample_rate_hz
    first, second = (hear(trial.listening, part, rate_hz, say) for part in parts)
    chosen = choices(trial, first, rate)
    settings = {
        word: dataclasses.replace(trial.settings, threshold=choice.threshold)
        for word, (choice, _) in chosen.items()
    }
    scene = make_scene(
        words,
        data.others(split),
        rate_hz,
        len(words) * (trial.setup.clip_ms / 1000 + SECONDS_BETWEEN),
        seed=1,
    )
    logits = trial.logits(scene.samples)
    spotted = trial.detections(logits, settings)
    measured = [(one, one.alarms(trial.detections(one.logits, settings))) for one in second]
    alone = [pair for pair in measured if pair[0].kind != WORDS]
    return {
        "threshold": max(at.threshold for at in settings.values()),
        "asked_false_alarms_per_hour": rate,
        "scene": score(spotted, scene.events, scene.hours).figures(),
        "background": _pooled(alone),
        "negatives": _lines(measured),
        "words": {
            word: dataclasses.asdict(settings[word])
            | {
                "found": _found(*chosen[word]),
                "measured": _of_word(alone, word),
                "scene": _word_in(scene, spotted, word),
            }
            for word in trial.task.keywords
        },
        "curve": _curve(trial, logits, scene, second),
    }


def choices(trial: Trial, heard: Sequence[Heard], rate: float) -> dict[str, tuple[Choice, str]]:
    """By word its threshold for a rate of false alarms per hour, and whether all of the audio or
    speech alone asked for it.
    """
    whole = dataclasses.replace(trial.settings, report_ms=WHOLE_EVENT_MS)
    swept = [
        (one, [(at, one.alarms(found)) for at, found in trial.sweep(one.logits, whole, GRID)])
        for one in heard
        if one.kind != WORDS
    ]
    chosen = {}
    for word in trial.task.keywords:
        options = []
        for name, kinds in (("all", RUNNING), (SPEECH, (SPEECH,))):
            some = [(one, found) for one, found in swept if one.kind in kinds]
            hours = sum(one.hours_without(word) for one, _ in some)
            if not hours:
                continue
            peaks: dict[float, list[float]] = {at: [] for at in GRID}
            for _, found in some:
                for at, alarms in found:
                    peaks[at] += [one.confidence for one in alarms if one.label == word]
            options.append((choose(peaks, hours, rate, trial.settings.threshold), name))
        if not options:
            raise BadInput(f"every recording without keywords says {word!r}; needed: others")
        # What is a guess for want of hours does not overrule what is none.
        known = [option for option in options if option[0].by != "guess"] or options
        chosen[word] = max(known, key=lambda option: option[0].threshold)
    return chosen


def _pooled(measured: Measured) -> dict[str, Any]:
    return rates(sum(len(found) for _, found in measured), sum(one.hours for one, _ in measured))


def _of_word(measured: Measured, word: str) -> dict[str, Any]:
    """False alarms of a word, and in speech alone."""

    def figures(some: Measured) -> dict[str, Any]:
        count = sum(alarm.label == word for _, found in some for alarm in found)
        return rates(count, sum(one.hours_without(word) for one, _ in some))

    return figures(measured) | {
        SPEECH: figures([pair for pair in measured if pair[0].kind == SPEECH])
    }


def _lines(measured: Measured) -> list[dict[str, Any]]:
    """A line per kind, and one of what training may have heard of it."""
    lines = []
    for kind in KINDS:
        of_kind = [pair for pair in measured if pair[0].kind == kind]
        if not of_kind:
            continue
        trained = [pair for pair in of_kind if pair[0].trained]
        new = [pair for pair in of_kind if not pair[0].trained]
        lines.append(
            {"kind": kind}
            | _pooled(of_kind)
            | {"unheard": _pooled(new), "trained": _pooled(trained)}
        )
    return lines


def _word_in(scene: Scene, spotted: Sequence[Detection], word: str) -> dict[str, Any]:
    events = [event for event in scene.events if event.label == word]
    found = score([one for one in spotted if one.label == word], events, scene.hours).figures()
    return {name: found[name] for name in ("events", "misses", "miss_rate", "miss_rate_interval")}


def _found(choice: Choice, asked_by: str) -> dict[str, Any]:
    """What a threshold was found on."""
    return {
        "by": choice.by,
        "audio": asked_by,
        "hours": choice.hours,
        "false_alarms": choice.false_alarms,
    }


def _curve(
    trial: Trial, logits: np.ndarray, scene: Scene, heard: Sequence[Heard]
) -> list[dict[str, Any]]:
    """Misses in the scene against false alarms without words, one threshold for all words."""
    running = [one for one in heard if one.kind != WORDS]
    hours = sum(one.hours for one in running)
    alarms = dict.fromkeys(GRID, 0)
    for one in running:
        for at, found in trial.sweep(one.logits, trial.settings, GRID):
            alarms[at] += len(one.alarms(found))
    swept = trial.sweep(logits, trial.settings, GRID)
    points = [
        Point(
            point.threshold,
            dataclasses.replace(point.score, false_alarms=alarms[point.threshold], hours=hours),
        )
        for point in det_curve(swept, scene.events, scene.hours)
    ]
    return [_plain(point) for point in envelope(points)]


def _words(
    task: Keywords, data: KeywordData, items: Sequence[EvaluationItem]
) -> list[tuple[str, np.ndarray]]:
    items = [item for item in items if item.label in task.keywords]
    clips, *_ = data.evaluation_arrays(items)
    return [(item.label, clip) for item, clip in zip(items, clips, strict=True)]


def _plain(point: Point) -> dict[str, Any]:
    score = point.score
    return {
        "threshold": point.threshold,
        "false_alarms_per_hour": point.false_alarms_per_hour,
        "false_alarms_per_hour_interval": rate_interval(score.false_alarms, score.hours),
        "miss_rate": point.miss_rate,
    }
