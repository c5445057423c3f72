"""Intervals cover what they promise, for any truth; checked exactly and by simulation."""

import numpy as np
import pytest
from scipy import stats

from aqtaudio.detection.intervals import rate_interval, share_interval, wilson_interval


def covered(intervals: list[tuple[float, float]], truth: float) -> np.ndarray:
    low, high = np.transpose(intervals)
    return (low <= truth) & (truth <= high)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
@pytest.mark.parametrize("total", [1, 7, 100])
def test_share_is_covered(total: int, confidence: float):
    counts = np.arange(total + 1)
    intervals = [share_interval(count, total, confidence) for count in counts.tolist()]
    for truth in np.linspace(0.001, 0.999, 199):
        assert stats.binom.pmf(counts, total, truth)[covered(intervals, truth)].sum() >= confidence


@pytest.mark.parametrize("hours", [0.25, 3.0])
def test_rate_is_covered(hours: float):
    counts = np.arange(200)
    intervals = [rate_interval(count, hours) for count in counts.tolist()]
    for truth in np.linspace(0.05, 20, 150):
        assert stats.poisson.pmf(counts, truth * hours)[covered(intervals, truth)].sum() >= 0.95


@pytest.mark.parametrize("total", [10, 100])
def test_wilson_covers_what_it_promises_on_average(total: int):
    """Over truths; for some of them less, which an exact interval never does."""
    counts = np.arange(total + 1)
    intervals = [wilson_interval(count, total) for count in counts.tolist()]
    truths = np.linspace(0.01, 0.99, 197)
    found = [stats.binom.pmf(counts, total, p)[covered(intervals, p)].sum() for p in truths]
    assert np.mean(found) == pytest.approx(0.95, abs=0.01) and 0.8 < min(found) < 0.95
    exact = [share_interval(count, total) for count in counts.tolist()]
    assert np.mean(np.diff(intervals)) < np.mean(np.diff(exact))


def test_wilson_solves_its_equation():
    """Its ends are the truths from which the count is just as far as the normal curve allows."""
    for count in (1, 7, 19):
        for truth in wilson_interval(count, 20):
            assert abs(count / 20 - truth) == pytest.approx(
                1.959964 * (truth * (1 - truth) / 20) ** 0.5
            )
    assert wilson_interval(0, 20)[0] == 0 and wilson_interval(20, 20)[1] == 1
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_simulated_coverage_is_not_far_above():
    """An interval of (0, 1) would cover too."""
    rng = np.random.default_rng(0)
    misses = rng.binomial(300, 0.1, 2000).tolist()
    share = covered([share_interval(count, 300) for count in misses], 0.1).mean()
    alarms = rng.poisson(2 * 30, 2000).tolist()
    rate = covered([rate_interval(count, 30.0) for count in alarms], 2.0).mean()
    assert 0.94 < share < 0.975 and 0.94 < rate < 0.975


def test_nothing_seen():
    assert share_interval(0, 0) == (0.0, 1.0)
    assert share_interval(0, 10) == pytest.approx((0.0, 1 - 0.025**0.1))
    assert share_interval(10, 10) == pytest.approx((0.025**0.1, 1.0))
    assert rate_interval(0, 2.0) == pytest.approx((0.0, -np.log(0.025) / 2))
