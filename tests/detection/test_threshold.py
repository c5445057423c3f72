"""Thresholds for a rate of false alarms, on scores whose rates are known."""

import numpy as np
import pytest

from aqtaudio.detection.detector import threshold_grid
from aqtaudio.detection.threshold import choose, log_odds

SCALE = 1.5
"""Of the exponential log odds of peaks over those of the lowest threshold."""


def drawn(per_hour: float, hours: float, seed: int) -> dict[float, list[float]]:
    """Peaks by threshold, so many alarms an hour at the lowest one."""
    rng = np.random.default_rng(seed)
    grid = threshold_grid()
    odds = log_odds([grid[0]])[0] + rng.exponential(SCALE, rng.poisson(per_hour * hours))
    peaks = 1 / (1 + np.exp(-odds))
    return {at: peaks[peaks >= at].tolist() for at in grid}


def true_rate(threshold: float, per_hour: float) -> float:
    over = log_odds([threshold])[0] - log_odds([threshold_grid()[0]])[0]
    return per_hour * np.exp(-over / SCALE)


def test_the_rate_is_held_on_hours_that_are_enough():
    """The mean over draws: 40 alarms are wanted, so they are counted."""
    rates = []
    for seed in range(20):
        found = choose(drawn(100, 40, seed), 40, 1.0, 0.5)
        assert found.by == "count" and found.false_alarms <= 40
        rates.append(true_rate(found.threshold, 100))
    assert 0.75 < np.mean(rates) <= 1.05


def test_a_tail_is_nearer_to_the_rate_than_a_count():
    """An alarm an hour wanted of an hour and a half: a count decides by the second largest peak."""
    errors = []
    for seed in range(60):
        peaks = drawn(60, 1.5, seed)
        found = choose(peaks, 1.5, 1.0, 0.5)
        assert found.by == "tail"
        counted = min(at for at, over in peaks.items() if len(over) <= 1)
        pair = (true_rate(found.threshold, 60), true_rate(counted, 60))
        errors.append(np.log(pair) ** 2)
    tail, count = np.mean(errors, axis=0)
    assert tail < 0.6 * count


def test_few_alarms_and_none():
    grid = threshold_grid()
    none = {at: [] for at in grid}
    assert (
        choose(none, 0.1, 1.0, 0.5).by == "guess" and choose(none, 0.1, 1.0, 0.5).threshold == 0.5
    )
    assert choose(none, 3.0, 1.0, 0.5).threshold == grid[0]
    sure = {at: [1.0] * 5 for at in grid}  # alarms that no threshold keeps out
    found = choose(sure, 1.0, 0.5, 0.5)
    assert found.threshold > grid[-1] and found.threshold < 1


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0, 5.0, 1000.0])
def test_a_higher_rate_never_has_a_higher_threshold(rate: float):
    peaks = drawn(200, 2, 0)
    lower = choose(peaks, 2, rate, 0.5).threshold
    assert lower >= choose(peaks, 2, 2 * rate + 1, 0.5).threshold


def test_no_alarm_at_a_rate_of_none():
    peaks = drawn(20, 2, 0)
    found = choose(peaks, 2, 0.0, 0.5)
    assert found.false_alarms == 0 and found.threshold in peaks
