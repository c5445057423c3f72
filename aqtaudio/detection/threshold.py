"""The threshold of a word for a wanted rate of false alarms."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

TAIL_ALARMS = 20
"""Of so many alarms or more a rate is counted; of fewer it is read off an exponential tail."""
CLOSEST_TO_ONE = 1e-6


@dataclasses.dataclass(frozen=True)
class Choice:
    """A threshold and what it was found on.

    Attributes:
      threshold: over 0, under 1.
      hours: of audio without the word.
      false_alarms: that the word has in it at this threshold.
      by: "count": as many as were wanted; "tail": by the exponential fit; "guess": there was too
        little audio to say anything, and the threshold is the one given for that case.
    """

    threshold: float
    hours: float
    false_alarms: int
    by: str


def choose(
    peaks: Mapping[float, Sequence[float]], hours: float, rate: float, guess: float
) -> Choice:
    """The lowest threshold at which a word has no more than `rate` false alarms per hour.

    Where the wanted count is under `TAIL_ALARMS` it says little: the log odds of peaks over a level
    that about so many alarms pass are taken for exponential (as tails of a generalised Pareto
    distribution of shape 0 are: Pickands, Annals of Statistics 3, 1975) and the threshold is
    where their fit reaches the rate; but no higher than the highest peak, where one alarm or more
    is wanted.

    Args:
      peaks: threshold -> peak posterior of every false alarm at it; several thresholds.
      hours: of the audio they are from, over 0.
      rate: wanted, per hour, 0 or more; at 0 the lowest threshold that has no alarm.
      guess: the threshold where no alarm is expected in so short a time, and none is there.
    """
    grid = sorted(peaks)
    counts = [len(peaks[at]) for at in grid]
    wanted = rate * hours
    if not counts[0] and wanted < 1:
        return Choice(guess, hours, sum(peak >= guess for peak in peaks[grid[0]]), "guess")
    if rate == 0 or wanted >= TAIL_ALARMS or counts[0] <= wanted:
        few = [at for at, count in zip(grid, counts, strict=True) if count <= wanted]
        at = few[0] if few else 1 - CLOSEST_TO_ONE
        return Choice(at, hours, len(peaks.get(at, ())), "count")
    level = next((at for at in reversed(grid) if len(peaks[at]) >= TAIL_ALARMS), grid[0])
    excess = float(np.mean(log_odds(peaks[level]) - log_odds([level])))
    place = float(log_odds([level])[0]) + excess * math.log(len(peaks[level]) / wanted)
    highest = max(peaks[level]) if wanted >= 1 else 1.0
    fitted = min(1 / (1 + math.exp(-place)), highest, 1 - CLOSEST_TO_ONE)
    threshold = max(fitted, grid[0])
    passing = sum(peak >= threshold for peak in peaks[level])
    return Choice(threshold, hours, passing, "tail")


def log_odds(shares: Sequence[float]) -> np.ndarray:
    """Of probabilities; 1 counts as `CLOSEST_TO_ONE` less."""
    clipped = np.clip(np.asarray(shares, np.float64), CLOSEST_TO_ONE, 1 - CLOSEST_TO_ONE)
    return np.log(clipped / (1 - clipped))
