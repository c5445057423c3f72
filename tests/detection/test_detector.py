"""What fires and when, against a detector written down block by block."""

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqtaudio.detection.detector import (
    Detection,
    Detector,
    DetectorSettings,
    sweep,
    threshold_grid,
)
from aqtaudio.detection.posteriors import Smoother, softmax
from aqtaudio.errors import BadInput

pytestmark = pytest.mark.optimized(False)

CLASSES = ("yes", "no", "unknown", "silence")
TARGETS = ("no", "yes")
BLOCK_MS = 20.0
SHARP = DetectorSettings(smoothing_ms=0, threshold=0.5, refractory_ms=100)


def wandering(blocks: int, seed: int) -> np.ndarray:
    """Logits that stay a while where they are, as a model's do."""
    steps = np.random.default_rng(seed).normal(0, 1.5, (blocks, len(CLASSES)))
    return Smoother(steps.shape[1], 3).push(steps.cumsum(axis=0) % 9).astype(np.float32)


def planted(**peaks: dict[int, float]) -> np.ndarray:
    """Logits of 60 blocks with these posteriors: silence but for label={block: posterior}."""
    posteriors = np.full((60, len(CLASSES)), 1e-4)
    for label, values in peaks.items():
        for block, value in values.items():
            posteriors[block, CLASSES.index(label)] = value
    posteriors[:, -1] = 1 - posteriors[:, :-1].sum(axis=1)
    return np.log(posteriors)


def detect(logits: np.ndarray, at: DetectorSettings = SHARP) -> list[Detection]:
    detector = Detector(CLASSES, TARGETS, BLOCK_MS, at)
    return detector.push(logits) + detector.finish()


def fired(logits: np.ndarray, at: DetectorSettings = SHARP) -> list[tuple[str, int]]:
    """(label, block in which it rose) of detections, in the order of blocks."""
    found = [(d.label, round(1000 * d.time_s / BLOCK_MS) - 1) for d in detect(logits, at)]
    return sorted(found, key=lambda pair: (pair[1], TARGETS.index(pair[0])))


def by_the_book(values: np.ndarray, at: DetectorSettings) -> list[tuple[int, float, int]]:
    """(block of the rise, peak, block in which it is told) of one word's smoothed posteriors."""
    rises, since, last_ms = [], 0, -np.inf  # armed since this block; None: not armed
    for block, value in enumerate(values):
        if since is None:
            peak = values[rises[-1] : block + 1].max()
            dips = value < at.threshold or value <= 0.75 * peak
            since = block if dips else None
        if since is None or value < at.threshold:
            continue
        lowest = values[since : block + 1].min()
        rose = lowest < at.threshold or since == 0 or 0.75 * value >= lowest
        if rose and block * BLOCK_MS - last_ms >= at.refractory_ms:
            rises.append(block)
            since, last_ms = None, block * BLOCK_MS
    found = []
    for rise in rises:
        told = rise
        while told < len(values) - 1 and (told - rise) * BLOCK_MS < at.report_ms:
            told += 1
            peak = values[rise : told + 1].max()
            if values[told] < at.threshold or values[told] <= 0.75 * peak:
                break
        found.append((rise, values[rise : told + 1].max(), told))
    return found


SETTINGS = st.builds(
    DetectorSettings,
    smoothing_ms=st.sampled_from([0, 20, 60, 300]),
    threshold=st.sampled_from([0.05, 0.3, 0.5, 0.9]),
    refractory_ms=st.sampled_from([0, 20, 30, 100, 700]),
    report_ms=st.sampled_from([0, 30, 300]),
)


@settings(max_examples=100)
@given(st.integers(0, 300), st.integers(0, 99), SETTINGS)
def test_it_is_the_book(blocks: int, seed: int, at: DetectorSettings):
    logits = wandering(blocks, seed)
    smoothed = Smoother(len(CLASSES), max(1, round(at.smoothing_ms / BLOCK_MS)))
    values = smoothed.push(softmax(logits))
    detections = detect(logits, at)
    assert [d.reported_s for d in detections] == sorted(d.reported_s for d in detections)
    for label in TARGETS:
        found = [
            (round(1000 * d.time_s / BLOCK_MS) - 1, d.confidence, d.reported_s)
            for d in detections
            if d.label == label
        ]
        expected = by_the_book(values[:, CLASSES.index(label)], at)
        assert found == [(a, peak, pytest.approx((b + 1) * 0.02)) for a, peak, b in expected]


@settings(max_examples=100)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=10), st.integers(0, 99), SETTINGS)
def test_stream_is_whole(cuts: list[int], seed: int, at: DetectorSettings):
    logits = wandering(sum(cuts), seed)
    detector = Detector(CLASSES, TARGETS, BLOCK_MS, at)
    pieces = [detector.push(piece) for piece in np.split(logits, np.cumsum(cuts)[:-1])]
    assert sum(pieces, []) + detector.finish() == detect(logits, at)


@settings(max_examples=20)
@given(st.integers(0, 99), SETTINGS)
def test_sweep_is_a_detector_for_each_threshold(seed: int, at: DetectorSettings):
    logits = wandering(400, seed)
    for threshold, found in sweep(logits, CLASSES, TARGETS, BLOCK_MS, at, threshold_grid(7)):
        alone = detect(logits, dataclasses.replace(at, threshold=threshold))
        assert sorted(found, key=str) == sorted(alone, key=str)


def test_the_examples_do_fire():
    counts = [len(detect(wandering(300, seed))) for seed in range(20)]
    assert min(counts) > 0 and max(counts) > 3


def test_time_is_the_end_of_the_block():
    logits = planted(yes={10: 0.8})
    (found,) = detect(logits)
    assert found.label == "yes"
    assert found.time_s == pytest.approx(0.22)
    assert found.confidence == pytest.approx(0.8)
    (late,) = Detector(CLASSES, TARGETS, BLOCK_MS, SHARP, delay_ms=10).push(logits)
    assert late.time_s == pytest.approx(0.23) and late.reported_s == pytest.approx(0.25)


def test_smoothing_waits_for_more_than_one_block():
    logits = planted(yes={10: 0.9, 30: 0.9, 31: 0.9, 32: 0.9})
    assert fired(logits) == [("yes", 10), ("yes", 30)]
    slow = dataclasses.replace(SHARP, smoothing_ms=80)
    assert fired(logits, slow) == [("yes", 32)]


def test_held_posterior_fires_once():
    assert fired(planted(yes=dict.fromkeys(range(10, 50), 0.9))) == [("yes", 10)]


def test_refractory_time_ends_when_it_is_over():
    assert fired(planted(yes={10: 0.9, 14: 0.9})) == [("yes", 10)]
    assert fired(planted(yes={10: 0.9, 15: 0.9})) == [("yes", 10), ("yes", 15)]


def test_a_rise_in_the_refractory_time_waits_for_its_end():
    held = dict.fromkeys(range(12, 40), 0.9)
    assert fired(planted(yes={10: 0.9} | held)) == [("yes", 10), ("yes", 15)]


def test_no_word_silences_another():
    no = dict.fromkeys(range(12, 40), 0.9)
    assert fired(planted(yes={10: 0.9}, no=no)) == [("yes", 10), ("no", 12)]
    low = dataclasses.replace(SHARP, threshold=0.2)
    assert fired(planted(yes={10: 0.3}, no={10: 0.4}), low) == [("no", 10), ("yes", 10)]


def test_a_word_said_twice_is_heard_twice():
    """Words of 0.4 s, 0.3 s apart: by the default settings the mean does not fall under 0.3."""
    said = [*range(20, 40), *range(55, 75)]
    logits = np.full((100, 4), -3.0)
    logits[:, CLASSES.index("silence")] = 3.0
    logits[said, CLASSES.index("yes")] = 8.0
    logits[[*range(40, 43), *range(52, 55)], CLASSES.index("yes")] = 3.0
    for threshold in (0.2, 0.5, 0.9):
        found = fired(logits, DetectorSettings(threshold=threshold))
        assert [label for label, _ in found] == ["yes", "yes"], threshold


def test_a_ripple_is_no_dip():
    ripple = {block: 0.9 - 0.15 * (block % 2) for block in range(10, 50)}
    assert fired(planted(yes=ripple), dataclasses.replace(SHARP, refractory_ms=0)) == [("yes", 10)]
    dip = ripple | {30: 0.65}  # under 0.75 of 0.9, over the threshold
    again = fired(planted(yes=dip), dataclasses.replace(SHARP, refractory_ms=0))
    assert again == [("yes", 10), ("yes", 32)]  # 0.65 is not 0.75 of 0.75, it is of 0.9


def test_confidence_is_the_peak_within_a_bounded_time():
    rising = {10 + n: 0.5 + 0.02 * n for n in range(20)}
    (found,) = detect(planted(yes=rising))
    assert found.reported_s - found.time_s == pytest.approx(0.3)
    assert found.confidence == pytest.approx(0.8)
    (early,) = detect(planted(yes={10: 0.6, 11: 0.8, 12: 0.7, 13: 0.2}))
    assert early.confidence == pytest.approx(0.8)
    assert early.reported_s == pytest.approx(0.28)


def test_words_have_their_own_settings():
    loose = dataclasses.replace(SHARP, threshold=0.2)
    logits = planted(yes={10: 0.4}, no={20: 0.4})
    detector = Detector(CLASSES, TARGETS, BLOCK_MS, {"yes": loose, "no": SHARP})
    assert [d.label for d in detector.push(logits)] == ["yes"]
    with pytest.raises(BadInput, match="no settings of 'no'"):
        Detector(CLASSES, TARGETS, BLOCK_MS, {"yes": loose})


def test_one_that_is_up_already_does_not_compete():
    low = dataclasses.replace(SHARP, threshold=0.2)
    yes = dict.fromkeys(range(10, 30), 0.5)
    assert fired(planted(yes=yes, no={20: 0.3}), low) == [("yes", 10), ("no", 20)]


def test_other_classes_never_fire():
    assert fired(planted(unknown={10: 0.99})) == []


def test_memory_is_constant():
    detector = Detector(CLASSES, TARGETS, BLOCK_MS, DetectorSettings())
    sizes = []
    for seed in range(40):
        detector.push(wandering(200, seed))
        sizes.append(len(pickle.dumps(detector)))
    assert max(sizes) - min(sizes) < 120  # a rise that waits, the digits of a block's number


@pytest.mark.parametrize("count", [2, 50])
def test_threshold_grid_ascends(count: int):
    grid = threshold_grid(count)
    assert len(grid) == count
    assert grid == sorted(set(grid))
    assert grid[0] == pytest.approx(0.05) and grid[-1] == pytest.approx(0.9999)


@pytest.mark.parametrize(
    "change",
    [
        {"smoothing_ms": -1.0},
        {"smoothing_ms": float("nan")},
        {"refractory_ms": float("inf")},
        {"report_ms": -1.0},
        {"threshold": 0.0},
        {"threshold": 1.5},
    ],
)
def test_bad_settings(change: dict[str, float]):
    with pytest.raises(BadInput, match=f"{next(iter(change))}.*allowed"):
        DetectorSettings(**change)


@pytest.mark.parametrize(
    ("targets", "block_ms", "message"),
    [
        (("maybe",), 20, "'maybe' is no class; allowed: yes, no"),
        ((), 20, "no targets"),
        (("yes", "yes"), 20, "one twice"),
        (("yes",), 0, "0 ms"),
    ],
)
def test_bad_detectors(targets: tuple[str, ...], block_ms: float, message: str):
    with pytest.raises(BadInput, match=message):
        Detector(CLASSES, targets, block_ms, SHARP)


def test_bad_logits():
    with pytest.raises(BadInput, match=r"\[5, 3\]; allowed: \[n, 4\]"):
        detect(np.zeros((5, 3)))
