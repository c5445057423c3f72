"""Picovoice's wake word benchmark (`data.wake_word_stream`), on a run that streams.

A word's stream is heard in pieces of ten minutes. Each begins ten seconds early, from silence, and
its scores are a file; so a piece depends on nothing but its place, and a killed run goes on with
the next one. What is kept of a piece is a posterior per block.
"""

import dataclasses
import json
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio.data.audio import to_int16
from aqtaudio.data.wake_word_stream import FRAME_SAMPLES, RATE_HZ, Part, Plan, mixed
from aqtaudio.detection.detector import DetectorSettings, Trigger, smoothing_blocks, threshold_grid
from aqtaudio.detection.intervals import rate_interval, share_interval
from aqtaudio.detection.posteriors import Posteriors, Smoother, softmax
from aqtaudio.errors import BadInput
from aqtaudio.files import replacing, write_json
from aqtaudio.tasks.keywords.listening import Listening
from aqtaudio.tasks.keywords.negatives import TOLD_EVERY_S, Say
from aqtaudio.tasks.setup import Setup

FALSE_ALARMS_PER_HOUR = 0.1
"""At which the benchmark tells the miss rate."""
GRACE_S = 0.5
"""After a recording's end, in which a detection is still its."""
PIECE_S = 600
LEAD_S = 10


@dataclasses.dataclass(frozen=True)
class Protocol:
    """A run on the stream of one of its words.

    Attributes:
      listening: opens a stream of the run.
      setup: of the run.
      classes: of the run.
      word: one of them.
      plan: of its stream.
      folder: where scores are kept, of this run, runtime and stream alone.
      settings: of the detector; the threshold is swept.
      piece_s: how much is heard between two files.
      posteriors: what logits mean.
    """

    listening: Listening
    setup: Setup
    classes: Sequence[str]
    word: str
    plan: Plan
    folder: Path
    settings: DetectorSettings
    piece_s: float = PIECE_S
    posteriors: Posteriors = softmax

    def __post_init__(self):
        if self.setup.frontend.sample_rate_hz != RATE_HZ:
            raise BadInput(
                f"the run hears {self.setup.frontend.sample_rate_hz} Hz; this protocol is of "
                f"{RATE_HZ} Hz"
            )

    def result(self, say: Say) -> dict[str, Any]:
        """Hears what was not heard yet, and counts. `say` is told how far it is."""
        self.folder.mkdir(parents=True, exist_ok=True)
        peak = self._peak(say)
        told = _Told(self.word, "heard", self._pieces, self._piece_hours, say)
        for number in range(self._pieces):
            if not self._file(number).exists():
                self._hear(number, peak)
                told.one_more(number)
        return self._figures()

    # Pieces.

    @property
    def _hop(self) -> int:
        """Samples of a block."""
        return self.setup.block_frames * self.setup.frontend.hop_samples

    @property
    def _more(self) -> int:
        """Samples that a block needs beyond its own."""
        frontend = self.setup.frontend
        return frontend.window_samples - frontend.hop_samples

    @property
    def _blocks(self) -> int:
        return max(0, (self.plan.samples - self._more) // self._hop)

    @property
    def _piece_blocks(self) -> int:
        return max(1, int(self.piece_s * RATE_HZ) // self._hop)

    @property
    def _pieces(self) -> int:
        return -(-self._blocks // self._piece_blocks)

    @property
    def _piece_hours(self) -> float:
        return self._piece_blocks * self._hop / RATE_HZ / 3600

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:05d}.npy"

    def _hear(self, number: int, peak: float) -> None:
        first = number * self._piece_blocks
        last = min(first + self._piece_blocks, self._blocks)
        begins = max(0, first - LEAD_S * RATE_HZ // self._hop)
        samples = mixed(self.plan, begins * self._hop, last * self._hop + self._more)
        with self.listening() as stream:
            logits = stream.push(to_int16(samples / peak))
        scores = self.posteriors(logits[first - begins :])[:, list(self.classes).index(self.word)]
        with replacing(self._file(number)) as new:
            np.save(new, scores.astype(np.float32))

    def _peak(self, say: Say) -> float:
        """Of the whole stream, which is scaled to a peak of 1; kept piece by piece."""
        file = self.folder / "peaks.json"
        peaks: list[float] = json.loads(file.read_text()) if file.exists() else []
        size = self._piece_blocks * self._hop
        starts = range(0, self.plan.samples, size)
        told = _Told(self.word, "mixed", len(starts), self._piece_hours, say)
        for number in range(len(peaks), len(starts)):
            last = min(starts[number] + size, self.plan.samples)
            peaks.append(float(np.abs(mixed(self.plan, starts[number], last)).max()))
            write_json(file, peaks)
            told.one_more(number)
        return max(peaks) or 1.0

    # Figures.

    def _scores(self) -> Iterator[np.ndarray]:
        """Smoothed posteriors of all pieces, one after the other."""
        smoother = Smoother(1, smoothing_blocks(self.settings, self.setup.block_ms))
        for number in range(self._pieces):
            posteriors = np.load(self._file(number)).astype(np.float64)
            yield smoother.push(posteriors[:, None])[:, 0]

    def _figures(self) -> dict[str, Any]:
        grid, block_ms = threshold_grid(), self.setup.block_ms
        triggers = {
            at: Trigger(dataclasses.replace(self.settings, threshold=at), block_ms) for at in grid
        }
        blocks: dict[float, list[int]] = {at: [] for at in grid}
        for scores in self._scores():
            for at, trigger in triggers.items():
                blocks[at] += [rise.block for rise in trigger.push(scores)]
        points = []
        for at, trigger in triggers.items():
            rises = [*blocks[at], *(rise.block for rise in trigger.finish())]
            # The last sample that a block sees.
            places = (np.asarray(rises, np.int64) + 1) * self._hop + self._more - 1
            points.append((at, *counts(places, self.plan.words)))
        return figures(points, len(self.plan.words), self.plan.hours)


def counts(places: np.ndarray, words: Sequence[Part]) -> tuple[int, int]:
    """Words found and false alarms of detections at samples `places`.

    As the benchmark counts, in frames of 512 samples: a word is found by a detection from its
    recording's first frame to the frame in which half a second after its end is over, and any other
    detection is a false alarm. But a word that is found twice counts once.
    """
    frames = np.asarray(places) // FRAME_SAMPLES
    first = np.asarray([part.start // FRAME_SAMPLES for part in words])
    ends = np.asarray([part.end + int(GRACE_S * RATE_HZ) for part in words])
    last = -(-ends // FRAME_SAMPLES)
    within = (frames[:, None] >= first) & (frames[:, None] <= last)
    return int(within.any(axis=0).sum()), int((~within.any(axis=1)).sum())


def figures(points: Sequence[tuple[float, int, int]], words: int, hours: float) -> dict[str, Any]:
    """The miss rate at `FALSE_ALARMS_PER_HOUR`, interpolated linearly between two thresholds.

    Args:
      points: (threshold, words found, false alarms).
      words: in the stream.
      hours: of the stream.
    """
    best: list[dict[str, Any]] = []
    for at, found, alarms in sorted(points, key=lambda point: (point[2], -point[1], -point[0])):
        if best and words - found >= best[-1]["misses"]:
            continue
        best.append(
            {
                "threshold": at,
                "misses": words - found,
                "miss_rate": (words - found) / words,
                "miss_rate_interval": share_interval(words - found, words),
                "false_alarms": alarms,
                "false_alarms_per_hour": alarms / hours,
                "false_alarms_per_hour_interval": rate_interval(alarms, hours),
            }
        )
    rates = [point["false_alarms_per_hour"] for point in best]
    reached = [point for point in best if point["false_alarms_per_hour"] <= FALSE_ALARMS_PER_HOUR]
    at_rate = np.interp(FALSE_ALARMS_PER_HOUR, rates, [point["miss_rate"] for point in best])
    return {
        "events": words,
        "hours": hours,
        "miss_rate": float(at_rate) if reached else None,
        "miss_rate_interval": reached[-1]["miss_rate_interval"] if reached else None,
        "at": reached[-1] if reached else None,
        "curve": best,
    }


class _Told:
    """How far a word's stream is and the time left, now and then."""

    def __init__(self, word: str, what: str, pieces: int, piece_hours: float, say: Say):
        self._text, self._pieces, self._hours = f"{word}: {what}", pieces, piece_hours
        self._say, self._done = say, 0
        self._began = self._last = time.monotonic()

    def one_more(self, number: int) -> None:
        """A piece is done."""
        self._done += 1
        now = time.monotonic()
        if now - self._last < TOLD_EVERY_S or number + 1 == self._pieces:
            return
        self._last = now
        left_min = (now - self._began) / self._done * (self._pieces - number - 1) / 60
        done, total = (number + 1) * self._hours, self._pieces * self._hours
        self._say(f"{self._text} {done:.1f} of {total:.1f} h, {math.ceil(left_min)} min left")
