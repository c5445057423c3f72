"""Detections of keywords in a stream of logits, block by block."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from aqtaudio.detection.posteriors import Posteriors, Smoother, softmax
from aqtaudio.errors import BadInput

DIP = 0.75
"""A word is armed again where its posterior falls to this share of its peak."""


@dataclasses.dataclass(frozen=True)
class DetectorSettings:
    """When a posterior is a detection.

    Attributes:
      smoothing_ms: length of the mean over posteriors; rounded to blocks, at least one. 300 ms is
        the window of Chen et al. 2014.
      threshold: a smoothed posterior that rises to it is a detection; over 0, at most 1.
      refractory_ms: for so long after a word rose it does not fire again; other words may.
      report_ms: a detection is told when its posterior dips, at the latest so long after it rose.
    """

    smoothing_ms: float = 300.0
    threshold: float = 0.5
    refractory_ms: float = 700.0
    report_ms: float = 300.0

    def __post_init__(self):
        for name in ("smoothing_ms", "refractory_ms", "report_ms"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise BadInput(f"detector: {name} {value}; allowed: 0 or more")
        if not 0 < self.threshold <= 1:
            raise BadInput(f"detector: threshold {self.threshold}; allowed: over 0, at most 1")


@dataclasses.dataclass(frozen=True)
class Detection:
    """A keyword heard.

    Attributes:
      label: which.
      time_s: end of the audio that the block sees in which its posterior rose, from the stream's
        beginning.
      confidence: the highest smoothed posterior from there until it was told.
      reported_s: end of the audio that the block sees in which it was told: that of a dip, or
        `report_ms` after it rose; None where nobody heard it in a stream.
    """

    label: str
    time_s: float
    confidence: float
    reported_s: float | None = None


class Detector:
    """Logits of a stream in, detections out; memory does not grow with the stream.

    Every word has a trigger of its own (`Trigger`), so none silences another.
    """

    def __init__(
        self,
        classes: Sequence[str],
        targets: Sequence[str],
        block_ms: float,
        settings: DetectorSettings | Mapping[str, DetectorSettings],
        delay_ms: float = 0.0,
        posteriors: Posteriors = softmax,
    ):
        """A detector at the beginning of a stream.

        Args:
          classes: names of the logits.
          targets: the classes to detect.
          block_ms: duration of a block.
          settings: when a posterior is a detection, of all targets or by target.
          delay_ms: added to all times: how much later than a block's end its logits can be there,
            that is by how much the front end's window is longer than its hop.
          posteriors: what logits mean.

        Raises:
          BadInput: no targets, one that is no class or there twice or without settings, or an
            impossible duration.
        """
        self._columns = _columns(classes, targets)
        if not (0 < block_ms < math.inf and 0 <= delay_ms < math.inf):
            raise BadInput(
                f"blocks of {block_ms} ms, {delay_ms} ms late; allowed: over 0; 0 or more"
            )
        self._posteriors = posteriors
        self.classes = tuple(classes)
        self.targets = tuple(targets)
        self._block_ms = block_ms
        self._delay_ms = delay_ms
        each = by_target(settings, targets)
        self._smoothers = [Smoother(1, smoothing_blocks(at, block_ms)) for at in each.values()]
        self._triggers = [Trigger(at, block_ms) for at in each.values()]

    def push(self, logits: np.ndarray) -> list[Detection]:
        """Detections told in the next blocks' logits [n, C]: the same however the stream is cut.

        Raises:
          BadInput: logits of another shape.
        """
        smoothed = self._smoothed(logits)
        told = [t.push(column) for t, column in zip(self._triggers, smoothed, strict=True)]
        return self._detections(told)

    def finish(self) -> list[Detection]:
        """What the end of the stream leaves to tell."""
        return self._detections([trigger.finish() for trigger in self._triggers])

    def _smoothed(self, logits: np.ndarray) -> list[np.ndarray]:
        """Of every target [n]."""
        if logits.ndim != 2 or logits.shape[1] != len(self.classes):
            allowed = f"[n, {len(self.classes)}]"
            raise BadInput(f"logits of shape {list(logits.shape)}; allowed: {allowed}")
        posteriors = self._posteriors(logits)[:, self._columns]
        return [
            smoother.push(posteriors[:, [column]])[:, 0]
            for column, smoother in enumerate(self._smoothers)
        ]

    def _detections(self, told: Sequence[Sequence["Rise"]]) -> list[Detection]:
        """In the order of telling; of one block in the order of targets."""
        found = [
            (rise.told_block, target, rise) for target, some in enumerate(told) for rise in some
        ]
        return [
            Detection(
                self.targets[target],
                self._end_s(rise.block),
                rise.peak,
                self._end_s(rise.told_block),
            )
            for _, target, rise in sorted(found, key=lambda entry: entry[:2])
        ]

    def _end_s(self, block: int) -> float:
        return ((block + 1) * self._block_ms + self._delay_ms) / 1000


@dataclasses.dataclass
class Rise:
    """A posterior that rose: in which block, how high, and the block in which it is told."""

    block: int
    peak: float
    told_block: int = -1


class Trigger:
    """Rises of one word's smoothed posterior.

    A word fires where it is armed, at the threshold or above, and no refractory time runs. It is
    then armed again by a dip: where its posterior falls below the threshold, or to `DIP` of its
    peak; after a dip that stayed above the threshold it has to rise by as much again. A rise in the
    refractory time fires when that is over, if the posterior is still there.
    """

    def __init__(self, settings: DetectorSettings, block_ms: float):
        self._threshold = settings.threshold
        self._refractory_blocks = _blocks(settings.refractory_ms, block_ms)
        self._report_blocks = _blocks(settings.report_ms, block_ms)
        self._seen_blocks = 0
        self._armed = True
        self._trough = 0.0  # lowest since it is armed; 0 where it fell below the threshold
        self._peak = 0.0  # highest since it fired
        self._quiet_until_block = 0
        self._waiting: Rise | None = None  # fired, not told yet
        self._told: list[Rise] = []

    def push(self, smoothed: np.ndarray) -> list[Rise]:
        """What is told in the next blocks [n]."""
        first, end = self._seen_blocks, self._seen_blocks + len(smoothed)
        above = np.flatnonzero(smoothed >= self._threshold)
        block = first
        for place, value in zip((above + first).tolist(), smoothed[above].tolist(), strict=True):
            if block < place:
                self._below(block)
            self._above(place, value)
            block = place + 1
        if block < end:
            self._below(block)
        self._seen_blocks = end
        told, self._told = self._told, []
        return told

    def finish(self) -> list[Rise]:
        """What was not told before the stream ended."""
        self._tell(self._seen_blocks - 1)
        told, self._told = self._told, []
        return told

    def _below(self, block: int) -> None:
        self._tell(block)
        self._armed, self._trough = True, 0.0

    def _above(self, block: int, value: float) -> None:
        if not self._armed:
            self._peak = max(self._peak, value)
            if value <= DIP * self._peak:
                self._tell(block)
                self._armed, self._trough = True, value
        else:
            self._trough = min(self._trough, value)
            if block >= self._quiet_until_block and DIP * value >= self._trough:
                self._armed, self._peak = False, value
                self._quiet_until_block = block + self._refractory_blocks
                self._waiting = Rise(block, value)
        if self._waiting is not None:
            self._waiting.peak = max(self._waiting.peak, value)
            if block >= self._waiting.block + self._report_blocks:
                self._tell(block)

    def _tell(self, block: int) -> None:
        if self._waiting is not None:
            self._waiting.told_block = block
            self._told.append(self._waiting)
            self._waiting = None


def by_target(
    settings: DetectorSettings | Mapping[str, DetectorSettings], targets: Sequence[str]
) -> dict[str, DetectorSettings]:
    """Settings of every target, in their order. Raises BadInput for a target without."""
    if isinstance(settings, DetectorSettings):
        return dict.fromkeys(targets, settings)
    lacking = [target for target in targets if target not in settings]
    if lacking:
        raise BadInput(f"detector: no settings of {lacking[0]!r}; given: {', '.join(settings)}")
    return {target: settings[target] for target in targets}


def smoothing_blocks(settings: DetectorSettings, block_ms: float) -> int:
    """Blocks in the mean over posteriors."""
    return max(1, round(settings.smoothing_ms / block_ms))


def sweep(
    logits: np.ndarray,
    classes: Sequence[str],
    targets: Sequence[str],
    block_ms: float,
    settings: DetectorSettings | Mapping[str, DetectorSettings],
    thresholds: Sequence[float],
    delay_ms: float = 0.0,
    posteriors: Posteriors = softmax,
) -> list[tuple[float, list[Detection]]]:
    """What detectors of several thresholds detect in a whole stream, smoothed only once.

    Args:
      logits: [N, C] of all blocks.
      classes: names of the logits.
      targets: the classes to detect.
      block_ms: duration of a block.
      settings: of the detector; thresholds in it do not count.
      thresholds: over 0, at most 1; of all targets.
      delay_ms: as of `Detector`.
      posteriors: as of `Detector`.

    Returns:
      (threshold, detections) in the order of `thresholds`.

    Raises:
      BadInput: as `Detector` and `DetectorSettings`.
    """
    detector = Detector(classes, targets, block_ms, settings, delay_ms, posteriors)
    smoothed = detector._smoothed(logits)
    found = []
    for threshold in map(float, thresholds):
        told = []
        for at, column in zip(by_target(settings, targets).values(), smoothed, strict=True):
            trigger = Trigger(dataclasses.replace(at, threshold=threshold), block_ms)
            told.append(trigger.push(column) + trigger.finish())
        found.append((threshold, detector._detections(told)))
    return found


def threshold_grid(count: int = 50) -> list[float]:
    """Ascending thresholds, evenly spaced in log odds from 0.05 to 0.9999.

    Posteriors of trained models crowd at 1, where evenly spaced thresholds would see one place.
    """
    odds = np.linspace(math.log(0.05 / 0.95), math.log(0.9999 / 0.0001), count)
    return (1 / (1 + np.exp(-odds))).tolist()


def _blocks(duration_ms: float, block_ms: float) -> int:
    """Whole blocks that are at least so long. Rounded first: 0.3 / 0.1 is not above 3."""
    return math.ceil(round(duration_ms / block_ms, 6))


def _columns(classes: Sequence[str], targets: Sequence[str]) -> list[int]:
    names = list(classes)
    wrong = [target for target in targets if target not in names]
    if wrong or not targets or len(set(targets)) < len(targets):
        problem = f"target {wrong[0]!r} is no class" if wrong else "no targets, or one twice"
        raise BadInput(f"{problem}; allowed: {', '.join(names)}")
    return [names.index(target) for target in targets]
