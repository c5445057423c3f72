"""Scenes hold what was put in, where their events say, and a seed decides them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqtaudio.detection.scene import Event, make_scene, word_span
from aqtaudio.errors import BadInput

RATE_HZ = 8000
NOTHING = [np.zeros(RATE_HZ, np.int16)]


def word(start_s: float, end_s: float, level: float = 6000, seconds: float = 1.0) -> np.ndarray:
    """Faint noise with a tone in it."""
    times_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    noise = np.random.default_rng(1).normal(0, 20, len(times_s))
    tone = level * np.sin(2 * np.pi * 500 * times_s)
    return (noise + tone * ((times_s >= start_s) & (times_s < end_s))).astype(np.int16)


def noises(*levels: float, seconds: float = 3.0) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [rng.normal(0, level, round(seconds * RATE_HZ)).astype(np.int16) for level in levels]


WORDS = [(f"word{i}", word(0.1 + 0.05 * i, 0.4 + 0.07 * i)) for i in range(6)]


def dbfs(samples: np.ndarray) -> float:
    return 10 * np.log10(np.mean((samples / 32768.0) ** 2))


@given(st.integers(0, 40), st.integers(10, 50), st.sampled_from([300.0, 6000.0, 30000.0]))
def test_span_is_the_tone(start: int, length: int, level: float):
    start_s, end_s = word_span(word(start / 100, (start + length) / 100, level), RATE_HZ)
    assert start / 100 - 0.011 <= start_s < end_s <= (start + length) / 100 + 0.011
    assert end_s - start_s == pytest.approx(0.9 * length / 100, abs=0.021)


def test_a_word_in_loud_noise_is_found():
    noisy = (word(0.4, 0.7, 3000) + np.random.default_rng(3).normal(0, 1500, RATE_HZ)).astype(int)
    start_s, end_s = word_span(noisy.astype(np.int16), RATE_HZ)
    assert start_s == pytest.approx(0.4, abs=0.06) and end_s == pytest.approx(0.7, abs=0.06)


@settings(max_examples=20)
@given(st.integers(0, 1000), st.sampled_from([15.0, 20.0, 60.0]), st.sampled_from([0.0, 1.0]))
def test_words_are_where_events_say(seed: int, seconds: float, gap_s: float):
    scene = make_scene(WORDS, NOTHING, RATE_HZ, seconds, seed, minimum_gap_s=gap_s)
    assert len(scene.samples) == round(seconds * RATE_HZ)
    assert scene.samples.dtype == np.int16
    assert scene.hours == pytest.approx(seconds / 3600)
    assert sorted(event.label for event in scene.events) == [label for label, _ in WORDS]
    clips = dict(WORDS)
    covered = np.zeros(len(scene.samples), bool)
    last_end = 0
    for event in scene.events:
        begin = round((event.start_s - word_span(clips[event.label], RATE_HZ)[0]) * RATE_HZ)
        clip = clips[event.label]
        inner = slice(begin + 80, begin + len(clip) - 80)  # without the fades
        np.testing.assert_array_equal(scene.samples[inner], clip[80:-80])
        assert begin - last_end >= gap_s * RATE_HZ - 1
        last_end = begin + len(clip)
        covered[begin:last_end] = True
    assert len(scene.samples) - last_end >= gap_s * RATE_HZ - 1
    assert not scene.samples[~covered].any()


def test_a_seed_decides_everything():
    background = noises(500, 50, 2000)
    one, same = (make_scene(WORDS, background, RATE_HZ, 30, 7) for _ in range(2))
    np.testing.assert_array_equal(one.samples, same.samples)
    assert one.events == same.events
    other = make_scene(WORDS, background, RATE_HZ, 30, 8)
    assert one.events != other.events
    assert np.any(one.samples != other.samples)


def test_gaps_are_exponential():
    """Of many words the free part of a gap has a deviation as large as its mean."""
    words = [("w", word(0.02, 0.08, seconds=0.1))] * 400
    scene = make_scene(words, NOTHING, RATE_HZ, 2000, 0, minimum_gap_s=0.5)
    starts_s = np.asarray([event.start_s for event in scene.events])
    free_s = np.diff(starts_s) - 0.6
    assert free_s.mean() == pytest.approx(2000 / 400 - 0.6, rel=0.1)
    assert free_s.std() == pytest.approx(free_s.mean(), rel=0.15)


def test_background_has_its_level_all_along():
    scene = make_scene([], noises(20, 300, 6000), RATE_HZ, 20, 3, background_dbfs=-40)
    assert scene.events == ()
    for piece in np.split(scene.samples, 20):
        assert dbfs(piece) == pytest.approx(-40, abs=0.6)


def test_background_may_stay_as_it_is():
    scene = make_scene([], noises(50, 3000, seconds=2.0), RATE_HZ, 4, 0, background_dbfs=None)
    ends = [dbfs(scene.samples[:RATE_HZ]), dbfs(scene.samples[-RATE_HZ:])]
    assert max(ends) - min(ends) == pytest.approx(20 * np.log10(60), abs=1)


def test_no_clicks_where_recordings_meet():
    """Recordings of one level but far from zero: hard cuts would show as steps."""
    flat = [np.full(RATE_HZ, 10000, np.int16), np.full(RATE_HZ, -10000, np.int16)]
    scene = make_scene([], flat, RATE_HZ, 10, 0, background_dbfs=None)
    assert np.abs(np.diff(scene.samples.astype(int))).max() <= 20000 / 80 + 1


def test_recordings_overlap_where_they_meet():
    """The two fades add up to one: nothing dips."""
    flat = [np.full(RATE_HZ, 10000, np.int16)] * 2
    scene = make_scene([], flat, RATE_HZ, 10, 0, background_dbfs=None)
    assert np.abs(scene.samples[RATE_HZ // 100 :].astype(int) - 10000).max() <= 1


def test_sums_are_clipped():
    words = [("loud", word(0.2, 0.8, 30000))]
    scene = make_scene(words, noises(3000), RATE_HZ, 4, 0, background_dbfs=-10)
    assert scene.samples.max() == 32767 and scene.samples.min() == -32768


def test_an_event_is_plain():
    (event,) = make_scene(WORDS[:1], NOTHING, RATE_HZ, 5, 0).events
    assert isinstance(event, Event)
    assert type(event.start_s) is float and type(event.end_s) is float


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"background": []}, "no background"),
        ({"background": [np.zeros(RATE_HZ)]}, "float64"),
        ({"background": [np.zeros(10, np.int16)]}, "at least 161 samples"),
        ({"words": [("w", np.zeros((2, RATE_HZ), np.int16))]}, r"\[2, 8000\]"),
        ({"words": [("w", np.zeros(RATE_HZ, np.int16))]}, "'w'.*evenly loud"),
        ({"words": [("w", np.full(RATE_HZ, 99, np.int16))]}, "'w'.*evenly loud"),
        ({"seconds": 12.0}, "fewer words"),
        ({"seconds": float("nan")}, "seconds nan"),
        ({"sample_rate_hz": 0}, "sample_rate_hz 0"),
        ({"seed": -1}, "seed -1"),
        ({"minimum_gap_s": -1.0}, "minimum_gap_s"),
    ],
)
def test_bad_input(change: dict, message: str):
    good = {
        "words": WORDS,
        "background": NOTHING,
        "sample_rate_hz": RATE_HZ,
        "seconds": 30.0,
        "seed": 0,
    }
    with pytest.raises(BadInput, match=message):
        make_scene(**(good | change))
