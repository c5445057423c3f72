"""Planted detections and posteriors give exactly the planted counts; curves trade monotonically."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from aqtaudio.detection.curve import Point, Score, det_curve, envelope, operating_point, score
from aqtaudio.detection.detector import Detection, DetectorSettings, sweep, threshold_grid
from aqtaudio.detection.scene import Event
from aqtaudio.errors import BadInput

EVENTS = (Event("yes", 1.0, 1.5), Event("no", 3.0, 3.4), Event("yes", 5.0, 5.5))


def heard(*pairs: tuple[str, float]) -> list[Detection]:
    return [Detection(label, time_s, 0.9) for label, time_s in pairs]


@pytest.mark.parametrize(
    ("detections", "hits", "false_alarms"),
    [
        ([], 0, 0),
        ([("yes", 1.0), ("no", 3.9), ("yes", 5.3)], 3, 0),
        ([("yes", 0.999)], 0, 1),  # before its start
        ([("yes", 2.0)], 1, 0),  # at the last moment
        ([("yes", 2.001)], 0, 1),
        ([("no", 1.2)], 0, 1),  # the wrong label
        ([("yes", 1.2), ("yes", 1.9)], 1, 1),  # twice
        ([("no", 1.2), ("yes", 1.4)], 1, 1),
        ([("maybe", 4.0), ("no", 4.0)], 0, 2),
    ],
)
def test_planted_detections(detections: list, hits: int, false_alarms: int):
    found = score(heard(*detections), EVENTS, hours=0.5, tolerance_s=0.5)
    assert (found.hits, found.misses, found.false_alarms) == (hits, 3 - hits, false_alarms)
    assert found.false_alarms_per_hour == 2 * false_alarms
    assert found.miss_rate == pytest.approx((3 - hits) / 3)


def test_latency_is_from_the_end_of_the_word():
    found = score(heard(("no", 3.5), ("yes", 1.3)), EVENTS, hours=1.0)
    assert found.latencies_s == pytest.approx((-0.2, 0.1))


TIMES = st.integers(0, 60).map(lambda tenths: tenths / 10)
SOME_EVENTS = st.lists(
    st.builds(
        lambda label, start, length: Event(label, start, start + length),
        st.sampled_from("ab"),
        TIMES,
        st.sampled_from([0.1, 0.5, 2.0]),
    ),
    max_size=8,
)
SOME_DETECTIONS = st.lists(st.builds(Detection, st.sampled_from("ab"), TIMES, st.just(1.0)))


@settings(max_examples=200)
@given(SOME_DETECTIONS, SOME_EVENTS, st.sampled_from([0.0, 0.35, 1.0]))
def test_as_many_pairs_as_can_be(detections: list, events: list, tolerance_s: float):
    found = score(detections, events, 1.0, tolerance_s)
    fits = [
        [e.label == d.label and e.start_s <= d.time_s <= e.end_s + tolerance_s for e in events]
        for d in detections
    ]
    table = csr_matrix(np.reshape(fits, (len(detections), len(events))))
    most = np.count_nonzero(maximum_bipartite_matching(table) >= 0) if table.nnz else 0
    assert found.hits == most == len(found.latencies_s)
    assert found.hits + found.misses == len(events)
    assert found.hits + found.false_alarms == len(detections)
    assert all(latency <= tolerance_s + 1e-9 for latency in found.latencies_s)


def bumps(peaks: list[tuple[int, int, float]], blocks: int) -> np.ndarray:
    """Logits of (a, b, silence): posteriors of (class, block, height) bumps, apart."""
    posteriors = np.full((blocks, 3), 1e-6)
    for number, block, height in peaks:
        shape = height * np.asarray([0.4, 0.8, 1.0, 0.8, 0.4])
        posteriors[block - 2 : block + 3, number] += shape
    posteriors[:, 2] = 1 - posteriors[:, :2].sum(axis=1)
    return np.log(posteriors)


@settings(max_examples=30)
@given(st.integers(0, 999))
def test_planted_posteriors_give_the_planted_curve(seed: int):
    """Bumps of known height: at every threshold those that reach it count, and no others."""
    rng = np.random.default_rng(seed)
    heights, alarms = rng.uniform(0.01, 0.99, 20), rng.uniform(0.01, 0.99, 15)
    words = [(int(i % 2), 100 * i + 50, height) for i, height in enumerate(heights)]
    wrong = [(int(i % 2), 100 * i + 100, height) for i, height in enumerate(alarms)]
    events = [Event("ab"[n], block * 0.02 - 0.1, block * 0.02 + 0.2) for n, block, _ in words]
    at = DetectorSettings(smoothing_ms=0, refractory_ms=400)
    grid = threshold_grid(30)
    found = sweep(bumps(words + wrong, 2100), ("a", "b", "c"), ("a", "b"), 20, at, grid)
    curve = det_curve(found, events, hours=2.0, tolerance_s=0.1)
    assert [point.threshold for point in curve] == grid
    for point in curve:
        assert point.score.hits == np.count_nonzero(heights >= point.threshold)
        assert point.score.false_alarms == np.count_nonzero(alarms >= point.threshold)
    for lower, higher in zip(curve, curve[1:], strict=False):
        assert lower.miss_rate <= higher.miss_rate
        assert lower.false_alarms_per_hour >= higher.false_alarms_per_hour


def point(threshold: float, false_alarms: int, misses: int) -> Point:
    return Point(threshold, Score(10 - misses, misses, false_alarms, 1.0, ()))


POINTS = st.lists(
    st.builds(point, st.sampled_from([0.1, 0.5, 0.9]), st.integers(0, 10), st.integers(0, 10))
)


@given(POINTS)
def test_envelope_is_monotone_and_unbeaten(curve: list[Point]):
    best = envelope(curve)
    for left, right in zip(best, best[1:], strict=False):
        assert left.false_alarms_per_hour < right.false_alarms_per_hour
        assert left.miss_rate > right.miss_rate
    for other in curve:
        assert any(
            p.false_alarms_per_hour <= other.false_alarms_per_hour
            and p.miss_rate <= other.miss_rate
            for p in best
        )


@given(POINTS, st.integers(0, 10))
def test_operating_point_is_the_best_allowed(curve: list[Point], rate: int):
    allowed = [p for p in curve if p.false_alarms_per_hour <= rate]
    chosen = operating_point(curve, rate)
    if not allowed:
        assert chosen is None
        return
    assert chosen in allowed
    assert chosen.miss_rate == min(p.miss_rate for p in allowed)
    more = operating_point(curve, rate + 1)
    assert more.miss_rate <= chosen.miss_rate


def test_ties_go_to_the_higher_threshold():
    assert operating_point([point(0.3, 1, 4), point(0.7, 1, 4)], 1).threshold == 0.7


def test_figures_are_json():
    full = score(heard(("yes", 1.4), ("no", 9.0)), EVENTS, hours=0.5).figures()
    assert json.loads(json.dumps(full))["latency_median_s"] == pytest.approx(-0.1)
    for name in ("miss_rate", "false_alarms_per_hour"):
        low, high = full[f"{name}_interval"]
        assert low < full[name] < high
    alone = score(heard(("no", 9.0)), [], hours=0.5).figures()
    assert json.loads(json.dumps(alone, allow_nan=False))["miss_rate"] is None
    assert alone["false_alarms"] == 1


def test_bad_input():
    with pytest.raises(BadInput, match="no events"):
        det_curve([], [], 1.0)
    with pytest.raises(BadInput, match="hours"):
        score([], EVENTS, 0.0)
    with pytest.raises(BadInput, match="tolerance -1"):
        score([], EVENTS, 1.0, -1)
