"""Detections against events: hits, misses, false alarms, and how they trade with the threshold."""

import dataclasses
import heapq
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from aqtaudio.detection.detector import Detection
from aqtaudio.detection.intervals import rate_interval, share_interval
from aqtaudio.detection.scene import Event
from aqtaudio.errors import BadInput

TOLERANCE_S = 0.75


@dataclasses.dataclass(frozen=True)
class Score:
    """What a detector did in audio of known events.

    Attributes:
      hits: events that were detected.
      misses: events that were not.
      false_alarms: detections that hit no event.
      hours: duration of all of the audio, events included.
      latencies_s: of every hit, in the order of time, the detection's time less the word's end;
        negative where the word was known before it was over.
    """

    hits: int
    misses: int
    false_alarms: int
    hours: float
    latencies_s: tuple[float, ...]

    @property
    def miss_rate(self) -> float:
        """Share of the events that were missed; NaN without events."""
        events = self.hits + self.misses
        return self.misses / events if events else math.nan

    @property
    def false_alarms_per_hour(self) -> float:
        """False alarms in an hour of the audio."""
        return self.false_alarms / self.hours

    def figures(self) -> dict[str, Any]:
        """Everything for JSON, with 95 % confidence intervals; None for what nothing is known of.

        The intervals take the threshold for given: where it was chosen on the same audio, the
        figures flatter the detector.
        """
        latencies = self.latencies_s
        events = self.hits + self.misses
        return {
            "events": events,
            "hits": self.hits,
            "misses": self.misses,
            "miss_rate": self.miss_rate if events else None,
            "miss_rate_interval": share_interval(self.misses, events),
            "false_alarms": self.false_alarms,
            "hours": self.hours,
            "false_alarms_per_hour": self.false_alarms_per_hour,
            "false_alarms_per_hour_interval": rate_interval(self.false_alarms, self.hours),
            "latency_median_s": float(np.median(latencies)) if latencies else None,
            "latency_p95_s": float(np.percentile(latencies, 95)) if latencies else None,
        }


@dataclasses.dataclass(frozen=True)
class Point:
    """A threshold and what the detector does at it."""

    threshold: float
    score: Score

    @property
    def false_alarms_per_hour(self) -> float:
        """Of the score."""
        return self.score.false_alarms_per_hour

    @property
    def miss_rate(self) -> float:
        """Of the score."""
        return self.score.miss_rate


def score(
    detections: Sequence[Detection],
    events: Sequence[Event],
    hours: float,
    tolerance_s: float = TOLERANCE_S,
) -> Score:
    """Counts hits, misses and false alarms.

    A detection may hit an event of its label from the event's start to `tolerance_s` after its end.
    An event is hit at most once, a detection hits at most one, and pairs are made so that as many
    events as possible are hit. Any other detection is a false alarm, also one of a wrong label or a
    second one in an event.

    Args:
      detections: in any order.
      events: in any order, also of labels that nobody detects: those are missed.
      hours: duration of the audio, over 0.
      tolerance_s: 0 or more.

    Raises:
      BadInput: hours or tolerance out of range.
    """
    if not (0 < hours < math.inf and 0 <= tolerance_s < math.inf):
        raise BadInput(f"{hours} hours, tolerance {tolerance_s} s; allowed: over 0; 0 or more")
    pairs = []
    for label in {event.label for event in events}:
        pairs += _pairs(
            [detection.time_s for detection in detections if detection.label == label],
            [event for event in events if event.label == label],
            tolerance_s,
        )
    return Score(
        hits=len(pairs),
        misses=len(events) - len(pairs),
        false_alarms=len(detections) - len(pairs),
        hours=hours,
        latencies_s=tuple(time_s - event.end_s for time_s, event in sorted(pairs, key=_time)),
    )


def det_curve(
    sweep: Iterable[tuple[float, Sequence[Detection]]],
    events: Sequence[Event],
    hours: float,
    tolerance_s: float = TOLERANCE_S,
) -> list[Point]:
    """The score at every threshold, in ascending order of thresholds (detection error trade-off).

    These are the points at which the detector can really be set. They need not be monotone: at a
    low threshold a posterior that never falls below it fires once. `envelope` is.

    Args:
      sweep: thresholds and their detections, as from `detector.sweep`.
      events: of the audio, at least one.
      hours: duration of the audio.
      tolerance_s: as of `score`.

    Raises:
      BadInput: no events, or as `score`.
    """
    if not events:
        raise BadInput("no events, so there is no miss rate; `score` counts false alarms alone")
    points = [Point(at, score(found, events, hours, tolerance_s)) for at, found in sweep]
    return sorted(points, key=lambda point: point.threshold)


def envelope(curve: Iterable[Point]) -> list[Point]:
    """The points that no other beats: false alarms strictly ascend, miss rates strictly descend."""
    best: list[Point] = []
    for point in sorted(curve, key=_fewest_alarms):
        if not best or point.miss_rate < best[-1].miss_rate:
            best.append(point)
    return best


def operating_point(curve: Iterable[Point], false_alarms_per_hour: float) -> Point | None:
    """The lowest miss rate at no more than so many false alarms per hour; None where none is.

    Of equal ones that with fewer false alarms, then with the higher threshold.
    """
    allowed = [p for p in envelope(curve) if p.false_alarms_per_hour <= false_alarms_per_hour]
    return allowed[-1] if allowed else None


def _pairs(
    times_s: Iterable[float], events: Iterable[Event], tolerance_s: float
) -> list[tuple[float, Event]]:
    """Earliest deadline first, which is the most pairs that points and intervals can make."""
    coming = sorted(events, key=lambda event: event.start_s, reverse=True)
    waiting: list[tuple[float, int, Event]] = []
    pairs = []
    for time_s in sorted(times_s):
        while coming and coming[-1].start_s <= time_s:
            event = coming.pop()
            heapq.heappush(waiting, (event.end_s + tolerance_s, len(coming), event))
        while waiting and waiting[0][0] < time_s:
            heapq.heappop(waiting)
        if waiting:
            pairs.append((time_s, heapq.heappop(waiting)[2]))
    return pairs


def _time(pair: tuple[float, Event]) -> float:
    return pair[0]


def _fewest_alarms(point: Point) -> tuple[float, float, float]:
    return point.false_alarms_per_hour, point.miss_rate, -point.threshold
