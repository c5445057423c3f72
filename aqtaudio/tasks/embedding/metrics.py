"""Figures of embeddings, and of what is built on them.

Tags that a clip may have several of are scored by the rule of DCASE 2019 task 5 (urban sound
tagging), classes by accuracy, embeddings themselves by retrieval and by how much they agree with
those of a reference. Differences between two systems on the same clips have an interval.
"""

import dataclasses
import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit

from aqtaudio.detection.intervals import CONFIDENCE, wilson_interval
from aqtaudio.errors import BadInput

LEAST_THRESHOLD = 0.01
"""Predictions below are in no curve."""
LEAST_DENOMINATOR = 0.5
F1_THRESHOLD = 0.5
SAME_COSINE_DECIMALS = 12
DIMENSION_VARIES = 1e-6
"""Least deviation of a dimension that counts, of the largest."""
RESAMPLES = 2000


def tagging_scores(truths: np.ndarray, predictions: np.ndarray) -> dict[str, Any]:
    """Scores of tags by the rule of DCASE 2019 task 5, coarse level.

    A tag is predicted where its prediction is at least the threshold. Thresholds of a tag are its
    predictions from 0.01 on, and 1; those over all tags are the thresholds of any tag. Precision
    and recall have denominators of at least 0.5. A curve goes from (recall 0, precision 1) through
    the points of its thresholds, the highest first, to (1, 0); its area is by trapezoids. (The rule
    orders points by recall and says nothing of equal ones; here they stay in this order.)

    Args:
      truths: [clips, tags], 0 or 1.
      predictions: [clips, tags], in [0, 1].

    Returns:
      "micro_auprc", of counts summed over tags; "macro_auprc", the mean of "auprc_per_tag";
      "micro_f1" at the least threshold of any tag that is at least 0.5.

    Raises:
      BadInput: shapes differ, or values are not as above.
    """
    truths, predictions = _checked_tags(truths, predictions)
    tags = truths.shape[1]
    own = [np.append(column[column >= LEAST_THRESHOLD], 1.0) for column in predictions.T]
    per_tag = [
        _area(_counts(truths[:, [tag]], predictions[:, [tag]], own[tag])) for tag in range(tags)
    ]
    thresholds = _descending(np.concatenate(own))
    counts = _counts(truths, predictions, thresholds)
    at = int(np.flatnonzero(thresholds >= F1_THRESHOLD)[-1])
    return {
        "micro_auprc": _area(counts),
        "macro_auprc": float(np.mean(per_tag)),
        "micro_f1": _f1(counts, at),
        "auprc_per_tag": per_tag,
    }


@dataclasses.dataclass(frozen=True)
class _Counts:
    """True positives, false positives and false negatives, [thresholds] each."""

    hits: np.ndarray
    alarms: np.ndarray
    misses: np.ndarray

    @property
    def precision(self) -> np.ndarray:
        return self.hits / np.maximum(self.hits + self.alarms, LEAST_DENOMINATOR)

    @property
    def recall(self) -> np.ndarray:
        return self.hits / np.maximum(self.hits + self.misses, LEAST_DENOMINATOR)


def _descending(thresholds: np.ndarray) -> np.ndarray:
    return np.unique(thresholds)[::-1]


def _counts(truths: np.ndarray, predictions: np.ndarray, thresholds: np.ndarray) -> _Counts:
    """Over all tags given, the highest threshold first."""
    thresholds = _descending(thresholds)

    def at_least(values: np.ndarray) -> np.ndarray:
        return len(values) - np.searchsorted(np.sort(values), thresholds, side="left")

    hits, alarms = at_least(predictions[truths]), at_least(predictions[~truths])
    return _Counts(hits, alarms, np.count_nonzero(truths) - hits)


def _area(counts: _Counts) -> float:
    recall = np.concatenate([[0.0], counts.recall, [1.0]])
    precision = np.concatenate([[1.0], counts.precision, [0.0]])
    return float(np.trapezoid(precision, recall))


def _f1(counts: _Counts, at: int) -> float:
    precision, recall = float(counts.precision[at]), float(counts.recall[at])
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _checked_tags(truths: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truths, predictions = np.asarray(truths), np.asarray(predictions, np.float64)
    if truths.ndim != 2 or truths.shape != predictions.shape or not truths.size:
        raise BadInput(
            f"tags {list(truths.shape)} and predictions {list(predictions.shape)}; allowed: "
            "[clips, tags], alike"
        )
    if not np.isin(truths, (0, 1)).all():
        raise BadInput("tags hold other values than 0 and 1")
    if not np.all((predictions >= 0) & (predictions <= 1)):
        raise BadInput("predictions of tags lie outside of 0 to 1")
    return truths.astype(bool), predictions


def retrieval_map(
    embeddings: np.ndarray, labels: Sequence[Hashable], groups: Sequence[Hashable] | None = None
) -> dict[str, Any]:
    """Mean average precision of finding clips of the same label by the cosine.

    Every clip asks, all others are ranked. The average precision of a query is the mean, over the
    clips of its label, of the share of its label among those ranked as high or higher: ties (to
    1e-12, as integers have them) count as one rank, so no order of the clips helps. A vector of
    zeros has the cosine 0 to all.

    Args:
      embeddings: [n, D].
      labels: [n].
      groups: [n], speakers, say: clips of the query's own group are not among those ranked.

    Returns:
      "map", NaN where nobody has anything to find; "queries", those that have; "left_out".
    """
    rows = _vectors(embeddings)
    if len(labels) != len(rows) or (groups is not None and len(groups) != len(rows)):
        raise BadInput(f"{len(rows)} embeddings need as many labels and groups")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = rows / np.where(lengths > 0, lengths, 1)
    same_label = _numbered(labels)
    same_group = np.arange(len(rows)) if groups is None else _numbered(groups)
    found = []
    for query, row in enumerate(rows):
        ranked = same_group != same_group[query]
        ranked[query] = False
        relevant = (same_label == same_label[query])[ranked]
        if relevant.any():
            cosines = np.round(rows @ row, SAME_COSINE_DECIMALS)[ranked]
            found.append(_average_precision(cosines, relevant))
    mean = float(np.mean(found)) if found else math.nan
    return {"map": mean, "queries": len(found), "left_out": len(rows) - len(found)}


def _average_precision(values: np.ndarray, relevant: np.ndarray) -> float:
    order, relevant_order = np.sort(values), np.sort(values[relevant])
    wanted = values[relevant]
    as_high = len(order) - np.searchsorted(order, wanted)
    hits = len(relevant_order) - np.searchsorted(relevant_order, wanted)
    return float(np.mean(hits / as_high))


def _numbered(names: Sequence[Hashable]) -> np.ndarray:
    places: dict[Hashable, int] = {}
    return np.array([places.setdefault(name, len(places)) for name in names])


def accuracy(truths: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """Share of clips whose class is right: "accuracy", its "interval" (Wilson, 95 %) and "n"."""
    truths, predicted = np.asarray(truths), np.asarray(predicted)
    if truths.ndim != 1 or truths.shape != predicted.shape or not len(truths):
        raise BadInput(
            f"classes {list(truths.shape)} and predicted ones {list(predicted.shape)}; allowed: "
            "[clips], alike"
        )
    right, n = int(np.count_nonzero(truths == predicted)), len(truths)
    return {"accuracy": right / n, "interval": list(wilson_interval(right, n)), "n": n}


def mean_interval(values: Sequence[float]) -> dict[str, Any]:
    """Of repetitions that are alike (draws, folds): "mean" and its "interval", "values".

    The interval is Student's, 95 %; None for one value. Repetitions that share training clips, as
    folds do, depend on each other, and it is then somewhat too narrow.
    """
    n = len(values)
    if not n:
        raise BadInput("a mean of no values")
    mean, interval = float(np.mean(values)), None
    if n > 1:
        half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2) * np.std(values, ddof=1) / n**0.5)
        interval = [mean - half, mean + half]
    return {"mean": mean, "interval": interval, "values": [float(value) for value in values]}


def paired_difference(
    a: np.ndarray, b: np.ndarray, groups: Sequence[Hashable], seed: int = 0
) -> dict[str, Any]:
    """How much better b is than a on the same clips, with an interval over groups of clips.

    Clips of a group (a speaker) are alike, so groups are what is drawn again: percentile bootstrap
    of the difference of means. With fewer than about ten groups it is too narrow.

    Args:
      a: the score of every clip [n]; 0 or 1 for wrong or right, say.
      b: likewise, of the other system.
      groups: [n].

    Returns:
      "difference", mean of b less mean of a; its "interval" (95 %; None with fewer than two
      groups); "groups" and "n", how many.
    """
    gains = np.asarray(b, np.float64) - np.asarray(a, np.float64)
    if np.shape(a) != np.shape(b) or gains.ndim != 1 or len(gains) != len(groups) or not len(gains):
        raise BadInput(
            f"scores {list(np.shape(a))} and {list(np.shape(b))} of {len(groups)} clips; allowed: "
            "[clips], alike"
        )
    if not np.isfinite(gains).all():
        raise BadInput("scores to compare hold values that are NaN or infinite")
    places = _numbered(groups)
    sums, counts = np.bincount(places, gains), np.bincount(places)
    interval = None
    if len(sums) > 1:
        uniform = np.full(len(sums), 1 / len(sums))
        times = np.random.default_rng(seed).multinomial(len(sums), uniform, RESAMPLES)
        tail = 50 * (1 - CONFIDENCE)
        drawn = (times @ sums) / (times @ counts)
        interval = np.percentile(drawn, [tail, 100 - tail]).tolist()
    difference = float(gains.mean())
    return {"difference": difference, "interval": interval, "groups": len(sums), "n": len(gains)}


def agreement(embeddings: np.ndarray, reference: np.ndarray) -> dict[str, Any]:
    """How much of a reference's embeddings are kept.

    Args:
      embeddings: [..., D], of an integer network, say.
      reference: likewise, of the float network, on the same sounds.

    Returns:
      "cosine", the mean over vectors (1 of two zeros, 0 of one), and "cosine_min";
      "standardised_cosine", of vectors less the reference's mean, in its deviations, which is what
      a head sees that standardises; "explained", 1 less the squared error over the variance, the
      average over dimensions that vary;
      "relative_error", the length of all differences over that of the reference; "correlation" of
      every dimension (None where one of both does not vary) and "correlation_mean" of the others
      (None without any); "mse_over_variance", the squared error over the variance, each summed over
      dimensions: 1 is what the mean alone would have (None where nothing varies).
    """
    if np.shape(embeddings) != np.shape(reference):
        raise BadInput(
            f"embeddings {list(np.shape(embeddings))} and those of a reference "
            f"{list(np.shape(reference))} are not alike"
        )
    ours, theirs = (_vectors(np.reshape(x, (-1, np.shape(x)[-1]))) for x in (embeddings, reference))
    cosines = _cosines(ours, theirs)
    correlations = [_correlation(x, y) for x, y in zip(ours.T, theirs.T, strict=True)]
    known = [value for value in correlations if value is not None]
    shift, deviation = theirs.mean(axis=0), theirs.std(axis=0)
    varies = deviation > DIMENSION_VARIES * deviation.max(initial=0.0)
    scaled = [(x[:, varies] - shift[varies]) / deviation[varies] for x in (ours, theirs)]
    error, variance = np.sum((ours - theirs) ** 2), np.sum((theirs - theirs.mean(axis=0)) ** 2)
    length = np.sum(theirs**2)
    return {
        "cosine": float(cosines.mean()),
        "cosine_min": float(cosines.min()),
        "standardised_cosine": float(_cosines(*scaled).mean()),
        "explained": float(1 - np.mean((scaled[0] - scaled[1]) ** 2)) if varies.any() else None,
        "relative_error": float(np.sqrt(error / length)) if length else None,
        "correlation": correlations,
        "correlation_mean": float(np.mean(known)) if known else None,
        "mse_over_variance": float(error / variance) if variance else None,
        "n": len(ours),
    }


def _cosines(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    found = np.sum(ours * theirs, axis=1) / np.where(lengths > 0, lengths, 1)
    return np.where(np.any(ours, axis=1) | np.any(theirs, axis=1), found, 1.0)


def _correlation(x: np.ndarray, y: np.ndarray) -> float | None:
    if not (np.ptp(x) and np.ptp(y)):
        return None
    return float(np.corrcoef(x, y)[0, 1])


def _vectors(embeddings: np.ndarray) -> np.ndarray:
    rows = np.asarray(embeddings, np.float64)
    if rows.ndim != 2 or not rows.size or not np.isfinite(rows).all():
        raise BadInput(
            f"embeddings {list(rows.shape)}; allowed: [clips, dimensions], at least one, all "
            "values finite"
        )
    return rows
