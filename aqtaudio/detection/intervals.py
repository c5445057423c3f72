"""Exact confidence intervals: they cover at least what they promise, also where counts are few."""

from scipy.special import betaincinv, gammaincinv

CONFIDENCE = 0.95


def share_interval(count: int, total: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval of a probability of which `count` in `total` independent trials are known.

    Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the
    binomial", Biometrika 26 (1934). (0, 1) without a trial.
    """
    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else float(betaincinv(count, total - count + 1, tail))
    high = 1.0 if count == total else float(betaincinv(count + 1, total - count, 1 - tail))
    return low, high


def rate_interval(count: int, hours: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval of a rate per hour of which `count` independent events in so many hours are known.

    Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28 (1936).
    """
    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else float(gammaincinv(count, tail))
    return low / hours, float(gammaincinv(count + 1, 1 - tail)) / hours
