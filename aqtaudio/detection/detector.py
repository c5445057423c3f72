"""Detections of keywords in a stream of logits, block by block."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from aqtaudio.detection.posteriors import Smoother, softmax
from aqtaudio.errors import BadInput


@dataclasses.dataclass(frozen=True)
class DetectorSettings:
    """When a posterior is a detection.

    Attributes:
      smoothing_ms: length of the mean over posteriors; rounded to blocks, at least one. 300 ms is
        the window of Chen et al. 2014.
      threshold: a smoothed posterior that rises to it is a detection; over 0, at most 1.
      refractory_ms: for so long after a detection there is no other.
    """

    smoothing_ms: float = 300.0
    threshold: float = 0.5
    refractory_ms: float = 700.0

    def __post_init__(self):
        for name in ("smoothing_ms", "refractory_ms"):
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
      confidence: its smoothed posterior in that block.
    """

    label: str
    time_s: float
    confidence: float


class Detector:
    """Logits of a stream in, detections out; memory does not grow with the stream.

    A keyword fires in the block in which its smoothed posterior rises to the threshold, unless
    there was a detection within the refractory time: what rises in that time is lost. Of several
    that rise in one block the most probable fires. A keyword fires again only after it was below
    the threshold.
    """

    def __init__(
        self,
        classes: Sequence[str],
        targets: Sequence[str],
        block_ms: float,
        settings: DetectorSettings,
        delay_ms: float = 0.0,
    ):
        """A detector at the beginning of a stream.

        Args:
          classes: names of the logits.
          targets: the classes to detect.
          block_ms: duration of a block.
          settings: when a posterior is a detection.
          delay_ms: added to all times: how much later than a block's end its logits can be there,
            that is by how much the front end's window is longer than its hop.

        Raises:
          BadInput: no targets, one that is no class or there twice, or an impossible duration.
        """
        self._columns = _columns(classes, targets)
        if not (0 < block_ms < math.inf and 0 <= delay_ms < math.inf):
            raise BadInput(
                f"blocks of {block_ms} ms, {delay_ms} ms late; allowed: over 0; 0 or more"
            )
        self.classes = tuple(classes)
        self.targets = tuple(targets)
        self._block_ms = block_ms
        self._delay_ms = delay_ms
        self._smoother = Smoother(len(classes), smoothing_blocks(settings, block_ms))
        self._trigger = Trigger(len(targets), settings, block_ms)

    def push(self, logits: np.ndarray) -> list[Detection]:
        """Detections in the next blocks' logits [n, C]: the same however the stream is cut.

        Raises:
          BadInput: logits of another shape.
        """
        smoothed = self._smoothed(logits)
        return self._detections(self._trigger.push(smoothed), smoothed, self._trigger.seen_blocks)

    def _smoothed(self, logits: np.ndarray) -> np.ndarray:
        if logits.ndim != 2 or logits.shape[1] != len(self.classes):
            allowed = f"[n, {len(self.classes)}]"
            raise BadInput(f"logits of shape {list(logits.shape)}; allowed: {allowed}")
        return self._smoother.push(softmax(logits))[:, self._columns]

    def _detections(
        self, fired: list[tuple[int, int]], smoothed: np.ndarray, end_block: int
    ) -> list[Detection]:
        first = end_block - len(smoothed)
        return [
            Detection(
                self.targets[target],
                ((first + row + 1) * self._block_ms + self._delay_ms) / 1000,
                float(smoothed[row, target]),
            )
            for row, target in fired
        ]


class Trigger:
    """Rising edges of smoothed posteriors that are not within the refractory time."""

    def __init__(self, targets: int, settings: DetectorSettings, block_ms: float):
        self._threshold = settings.threshold
        # Rounded first: 0.3 / 0.1 is not above 3.
        self._refractory_blocks = math.ceil(round(settings.refractory_ms / block_ms, 6))
        self._above = np.zeros((1, targets), bool)
        self._quiet_until_block = 0
        self.seen_blocks = 0

    def push(self, smoothed: np.ndarray) -> list[tuple[int, int]]:
        """(row, target) of what fires among the next blocks [n, targets]."""
        above = np.concatenate([self._above, smoothed >= self._threshold])
        rising = above[1:] & ~above[:-1]
        fired = []
        for row in np.flatnonzero(rising.any(axis=1)):
            block = self.seen_blocks + int(row)
            if block >= self._quiet_until_block:
                target = int(np.argmax(np.where(rising[row], smoothed[row], -1.0)))
                fired.append((int(row), target))
                self._quiet_until_block = block + self._refractory_blocks
        self._above = above[-1:].copy()
        self.seen_blocks += len(smoothed)
        return fired


def smoothing_blocks(settings: DetectorSettings, block_ms: float) -> int:
    """Blocks in the mean over posteriors."""
    return max(1, round(settings.smoothing_ms / block_ms))


def sweep(
    logits: np.ndarray,
    classes: Sequence[str],
    targets: Sequence[str],
    block_ms: float,
    settings: DetectorSettings,
    thresholds: Sequence[float],
    delay_ms: float = 0.0,
) -> list[tuple[float, list[Detection]]]:
    """What detectors of several thresholds detect in a whole stream, smoothed only once.

    Args:
      logits: [N, C] of all blocks.
      classes: names of the logits.
      targets: the classes to detect.
      block_ms: duration of a block.
      settings: of the detector; its threshold does not count.
      thresholds: over 0, at most 1.
      delay_ms: as of `Detector`.

    Returns:
      (threshold, detections) in the order of `thresholds`.

    Raises:
      BadInput: as `Detector` and `DetectorSettings`.
    """
    detector = Detector(classes, targets, block_ms, settings, delay_ms)
    smoothed = detector._smoothed(logits)
    found = []
    for threshold in thresholds:
        at = dataclasses.replace(settings, threshold=float(threshold))
        fired = Trigger(len(targets), at, block_ms).push(smoothed)
        found.append((at.threshold, detector._detections(fired, smoothed, len(smoothed))))
    return found


def threshold_grid(count: int = 50) -> list[float]:
    """Ascending thresholds, evenly spaced in log odds from 0.05 to 0.9999.

    Posteriors of trained models crowd at 1, where evenly spaced thresholds would see one place.
    """
    odds = np.linspace(math.log(0.05 / 0.95), math.log(0.9999 / 0.0001), count)
    return (1 / (1 + np.exp(-odds))).tolist()


def _columns(classes: Sequence[str], targets: Sequence[str]) -> list[int]:
    names = list(classes)
    wrong = [target for target in targets if target not in names]
    if wrong or not targets or len(set(targets)) < len(targets):
        problem = f"target {wrong[0]!r} is no class" if wrong else "no targets, or one twice"
        raise BadInput(f"{problem}; allowed: {', '.join(names)}")
    return [names.index(target) for target in targets]
