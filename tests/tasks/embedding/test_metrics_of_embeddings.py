"""Figures of embeddings: cases by hand, and laws."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqtaudio.errors import BadInput
from aqtaudio.tasks.embedding.metrics import (
    accuracy,
    agreement,
    mean_interval,
    paired_difference,
    retrieval_map,
    tagging_scores,
)


def column(*values: float) -> np.ndarray:
    return np.array(values)[:, None]


def area(*points: tuple[float, float]) -> float:
    """Under (recall, precision) from (0, 1) to (1, 0)."""
    curve = [(0, 1), *points, (1, 0)]
    return sum(
        (x2 - x1) * (y1 + y2) / 2 for (x1, y1), (x2, y2) in zip(curve, curve[1:], strict=False)
    )


def auprc(truths: np.ndarray, predictions: np.ndarray) -> float:
    return tagging_scores(truths, predictions)["micro_auprc"]


def test_the_added_threshold_of_1():
    """Nobody is that sure: its precision, 0, is where the curve leaves recall 0."""
    found = auprc(column(1, 1, 0), column(0.9, 0.8, 0.1))
    assert found == pytest.approx(area((0, 0), (0.5, 1), (1, 1), (1, 2 / 3))) == 0.75
    # A prediction of 1 is at that threshold.
    sure = auprc(column(1, 1, 0), column(1.0, 0.8, 0.1))
    assert sure == pytest.approx(area((0.5, 1), (1, 1), (1, 2 / 3))) == 1


def test_the_cut_at_a_hundredth():
    """A prediction of 0.01 is in the curve, one below is in none: its clip is missed."""
    truths = column(1, 1, 0)
    at = auprc(truths, column(0.9, 0.01, 0.005))
    below = auprc(truths, column(0.9, 0.00999, 0.005))
    assert at == pytest.approx(area((0, 0), (0.5, 1), (1, 1)))
    assert below == pytest.approx(area((0, 0), (0.5, 1))) != at


def test_the_denominators():
    """A tag without a clip has the recall 0 everywhere; the last step is from (0, 0)."""
    found = tagging_scores(column(0, 0), column(0.6, 0.3))
    assert found["micro_auprc"] == pytest.approx(area((0, 0), (0, 0), (0, 0))) == 0
    assert found["micro_f1"] == 0
    # Nothing is predicted at all: one point, of the added threshold.
    nothing = tagging_scores(column(1, 0), column(0.0, 0.0))
    assert nothing["micro_auprc"] == pytest.approx(area((0, 0))) == 0


def test_the_appended_ends():
    """From precision 1 at recall 0; and a recall that is never reached has the precision 0."""
    found = auprc(column(1, 1, 1, 1), column(1.0, 1.0, 0.0, 0.0))
    assert found == pytest.approx(area((0.5, 1))) == 0.75
    worst = auprc(column(0, 1), column(1.0, 0.5))
    assert worst == pytest.approx(area((0, 0), (1, 0.5))) == 0.25


def test_micro_sums_counts_and_macro_means_areas():
    truths = np.array([[1, 0], [0, 1], [1, 0]])
    predictions = np.array([[0.9, 0.2], [0.3, 0.6], [0.7, 0.8]])
    found = tagging_scores(truths, predictions)
    first = area((0, 0), (0.5, 1), (1, 1), (1, 2 / 3))
    second = area((0, 0), (0, 0), (1, 1 / 2), (1, 1 / 3))
    assert found["auprc_per_tag"] == pytest.approx([first, second])
    assert found["macro_auprc"] == pytest.approx((first + second) / 2)
    points = [(0, 0), (1 / 3, 1), (1 / 3, 1 / 2), (2 / 3, 2 / 3), (1, 3 / 4), (1, 3 / 5)]
    assert found["micro_auprc"] == pytest.approx(area(*points, (1, 1 / 2)))


def test_micro_f1_is_at_the_first_threshold_from_a_half():
    """0.6 is the least threshold of any tag that is at least 0.5."""
    truths = np.array([[1, 1], [0, 1], [1, 0]])
    predictions = np.array([[0.9, 0.2], [0.6, 0.7], [0.49, 0.49]])
    hits, alarms, misses = 2, 1, 2
    expected = 2 * hits / (2 * hits + alarms + misses)
    assert tagging_scores(truths, predictions)["micro_f1"] == pytest.approx(expected)
    # With none between, it is the added 1.
    assert tagging_scores(truths, predictions * 0.5)["micro_f1"] == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 2**32))
def test_scores_do_not_depend_on_the_order_of_clips(clips: int, tags: int, seed: int):
    draw = np.random.default_rng(seed)
    truths, predictions = draw.integers(0, 2, (clips, tags)), draw.integers(0, 5, (clips, tags)) / 4
    order = draw.permutation(clips)
    found = tagging_scores(truths, predictions)
    assert found == tagging_scores(truths[order], predictions[order])
    assert 0 <= found["micro_auprc"] <= 1 and 0 <= found["micro_f1"] <= 1
    if tags == 1:
        assert found["micro_auprc"] == found["macro_auprc"]


def counted_by_loops(truths: np.ndarray, predictions: np.ndarray) -> float:
    """The area over all tags, threshold by threshold."""
    points = []
    for threshold in sorted({1.0, *predictions[predictions >= 0.01]}, reverse=True):
        said = predictions >= threshold
        hits = np.sum(said & (truths == 1))
        precision = hits / max(np.sum(said), 0.5)
        points.append((hits / max(np.sum(truths), 0.5), precision))
    return area(*points)


def test_micro_counts_as_loops_do():
    draw = np.random.default_rng(0)
    for _ in range(20):
        truths, predictions = draw.integers(0, 2, (9, 3)), draw.integers(0, 300, (9, 3)) / 299
        assert auprc(truths, predictions) == pytest.approx(counted_by_loops(truths, predictions))


def test_retrieval_by_hand():
    """Angles 0, 10, 25, 60 degrees; labels a b a b."""
    angles = np.deg2rad([0, 10, 25, 60])
    x = np.stack([np.cos(angles), np.sin(angles)], axis=1) * [[1], [5], [0.1], [2]]
    # Ranked: 1 2 3 | 0 2 3 | 1 0 3 | 2 1 0.
    expected = np.mean([1 / 2, 1 / 3, 1 / 2, 1 / 2])
    assert retrieval_map(x, "abab") == {"map": pytest.approx(expected), "queries": 4, "left_out": 0}


def test_retrieval_leaves_the_own_group_out():
    x = np.array([[1, 0], [1, 0.1], [1, 0.3], [1, 0.2]])
    assert retrieval_map(x, "aaab")["map"] > retrieval_map(x, "aaab", "ssto")["map"]
    # 0 sees 3 then 2; 1 likewise; 2 sees 3, then 1 and 0; 3 has nothing to find.
    found = retrieval_map(x, "aaab", "ssto")
    assert found == {
        "map": pytest.approx(np.mean([1 / 2, 1 / 2, (1 / 2 + 2 / 3) / 2])),
        "queries": 3,
        "left_out": 1,
    }
    assert math.isnan(retrieval_map(x, "abcd")["map"])


def test_ties_help_nobody():
    """Embeddings that are all the same: every query finds the share of its label, in any order."""
    x = np.tile(np.random.default_rng(0).standard_normal(17), (6, 1))
    for labels in ("aaabbb", "ababab"):
        assert retrieval_map(x, labels)["map"] == pytest.approx(2 / 5)
    zeros = np.zeros((4, 3))
    assert retrieval_map(zeros, "aabb")["map"] == pytest.approx(1 / 3)


def test_perfect_retrieval():
    draw = np.random.default_rng(0)
    x = np.repeat(np.eye(3), 5, axis=0) + 0.01 * draw.standard_normal((15, 3))
    assert retrieval_map(x, np.repeat([0, 1, 2], 5).tolist())["map"] == 1


def test_accuracy_has_an_interval():
    found = accuracy(np.array([0, 1, 2, 2]), np.array([0, 1, 2, 1]))
    assert found["accuracy"] == 0.75 and found["n"] == 4
    assert found["interval"] == pytest.approx([0.3006, 0.9544], abs=1e-4)


def test_mean_of_repetitions():
    found = mean_interval([0.8, 0.9, 0.85])
    assert found["mean"] == pytest.approx(0.85)
    assert found["interval"] == pytest.approx([0.85 - 4.3027 * 0.05 / 3**0.5] + [0.97421], abs=1e-4)
    assert mean_interval([0.5]) == {"mean": 0.5, "interval": None, "values": [0.5]}


def test_intervals_of_means_cover():
    draw = np.random.default_rng(0)
    ends = [mean_interval(draw.normal(1, 2, 5))["interval"] for _ in range(1000)]
    low, high = np.transpose(ends)
    assert 0.935 < np.mean((low <= 1) & (1 <= high)) < 0.965


def test_differences_are_drawn_by_groups():
    """Forty clips of a speaker are worth little more than one."""
    draw = np.random.default_rng(0)
    speakers = np.repeat(np.arange(20), 40)
    a = draw.normal(size=800)
    gains = draw.normal(0.1, 0.3, 20)
    b = a + np.repeat(gains, 40)
    by_speaker = paired_difference(a, b, speakers.tolist())
    by_clip = paired_difference(a, b, list(range(800)))
    assert by_speaker["difference"] == by_clip["difference"] == pytest.approx(np.mean(b - a))
    assert by_speaker["groups"] == 20 and by_speaker["n"] == 800
    widths = [np.ptp(found["interval"]) for found in (by_speaker, by_clip)]
    assert widths[0] > 4 * widths[1]
    assert widths[0] == pytest.approx(2 * 1.96 * gains.std() / 20**0.5, rel=0.1)


def test_intervals_of_differences_cover():
    draw, covered = np.random.default_rng(0), []
    for _ in range(200):
        sizes = draw.integers(1, 8, 40)
        speakers = np.repeat(np.arange(40), sizes)
        gains = np.repeat(draw.normal(0.2, 1, 40), sizes) + draw.normal(size=len(speakers))
        low, high = paired_difference(0 * gains, gains, speakers.tolist())["interval"]
        covered.append(low <= 0.2 <= high)
    assert 0.89 <= np.mean(covered) <= 0.99


def test_the_same_on_both_sides_differs_by_nothing():
    scores = np.array([0, 1, 1, 0])
    found = paired_difference(scores, scores, "aabb")
    assert found == {"difference": 0.0, "interval": [0.0, 0.0], "groups": 2, "n": 4}
    assert paired_difference(scores, 1 - scores, "aaaa")["interval"] is None


def test_agreement_with_itself():
    x = np.random.default_rng(0).standard_normal((5, 4, 3))
    x[..., 1] = 2
    found = agreement(x, x)
    assert found["cosine"] == pytest.approx(1) and found["cosine_min"] == pytest.approx(1)
    assert found["relative_error"] == found["mse_over_variance"] == 0 and found["n"] == 20
    assert found["correlation"] == [pytest.approx(1), None, pytest.approx(1)]


def test_agreement_by_hand():
    reference = np.array([[3.0, 4.0], [0.0, 2.0]])
    found = agreement(np.array([[4.0, 3.0], [0.0, 1.0]]), reference)
    assert found["cosine"] == pytest.approx((24 / 25 + 1) / 2)
    assert found["cosine_min"] == pytest.approx(24 / 25)
    assert found["relative_error"] == pytest.approx(math.sqrt(3 / 29))
    assert found["correlation"] == pytest.approx([1, 1])
    assert found["mse_over_variance"] == pytest.approx(3 / (4.5 + 2))


def test_the_mean_alone_explains_nothing():
    reference = np.random.default_rng(0).standard_normal((50, 3))
    found = agreement(np.tile(reference.mean(axis=0), (50, 1)), reference)
    assert found["mse_over_variance"] == pytest.approx(1)
    assert found["correlation"] == [None] * 3 and found["correlation_mean"] is None


def test_agreement_of_silence():
    """Vectors of zeros agree with each other, and with nothing else."""
    found = agreement(np.zeros((2, 2)), np.array([[0.0, 0.0], [1.0, 0.0]]))
    assert found["cosine"] == 0.5 and found["cosine_min"] == 0
    assert agreement(np.zeros((2, 2)), np.zeros((2, 2)))["relative_error"] is None


TWO = np.ones((2, 2))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: tagging_scores(TWO, TWO[:1]), r"\[2, 2\] and predictions \[1, 2\]"),
        (lambda: tagging_scores(2 * TWO, TWO), "other values than 0 and 1"),
        (lambda: tagging_scores(TWO, 1.1 * TWO), "outside of 0 to 1"),
        (lambda: tagging_scores(TWO, np.nan * TWO), "outside of 0 to 1"),
        (lambda: retrieval_map(TWO, "abc"), "2 embeddings need as many labels"),
        (lambda: retrieval_map(np.nan * TWO, "ab"), "finite"),
        (lambda: accuracy(TWO[0], TWO[0, :1]), "alike"),
        (lambda: accuracy(np.array([]), np.array([])), "alike"),
        (lambda: mean_interval([]), "no values"),
        (lambda: paired_difference(TWO[0], TWO[0], "abc"), "of 3 clips"),
        (lambda: paired_difference(TWO[0], np.nan * TWO[0], "ab"), "NaN"),
        (lambda: agreement(TWO, TWO[:, :1]), "not alike"),
        (lambda: agreement(TWO, np.inf * TWO), "finite"),
    ],
)
def test_bad_input(call, said: str):
    with pytest.raises(BadInput, match=said):
        call()
