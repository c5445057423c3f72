"""Conditions: what they change is what they say, and nothing passes 16 bits."""

import numpy as np
import pytest

from aqtaudio.data import conditions

RNG = np.random.default_rng(0)
CLIPS = (2000 * RNG.normal(size=(6, 4000))).astype(np.int16)
CLIPS[-1] = 0
NOISES = [RNG.integers(-3000, 3000, size).astype(np.int16) for size in (9000, 2500)]


def dbfs(clips: np.ndarray) -> np.ndarray:
    return 20 * np.log10(np.sqrt(np.mean(np.square(clips / 32768.0), axis=-1)))


@pytest.mark.parametrize("level", [-60.0, -40.0, -25.0])
def test_clips_are_at_their_level(level):
    out = conditions.at_level(CLIPS, level)
    np.testing.assert_allclose(dbfs(out[:-1]), level, atol=0.1)
    assert not out[-1].any()


def test_what_passes_full_scale_is_cut_off():
    out = conditions.at_level(CLIPS, 0.0)
    assert out.max() == 32767 and out.min() == -32768
    assert np.mean(np.abs(out[0].astype(int)) >= 32767) > 0.2


@pytest.mark.parametrize("step", [-30.0, 15.0])
def test_a_step_is_in_the_middle(step):
    out = conditions.stepped(CLIPS, step)[:-1].astype(float)
    usual = conditions.at_level(CLIPS, conditions.NOMINAL_DBFS)[:-1].astype(float)
    change_db = dbfs(out) - dbfs(usual)
    assert (np.abs(change_db) > 2).all()
    before, after = (dbfs(out[:, half]) for half in (slice(0, 2000), slice(2000, None)))
    expected = dbfs(usual[:, 2000:]) - dbfs(usual[:, :2000]) + step
    np.testing.assert_allclose(after - before, expected, atol=0.2)


def test_an_offset_is_a_constant():
    out = conditions.with_offset(CLIPS, 0.05)
    np.testing.assert_allclose(out[-1], 0.05 * 32768, atol=0.5)
    np.testing.assert_allclose(out[0].mean(), 0.05 * 32768, atol=100)


def test_clipping_is_of_the_peak():
    usual = conditions.at_level(CLIPS, conditions.NOMINAL_DBFS)
    out = conditions.clipped(CLIPS, 0.25)
    limits = np.rint(0.25 * np.abs(usual.astype(int)).max(1))
    np.testing.assert_allclose(np.abs(out.astype(int)).max(1), limits, atol=1)
    small = np.abs(usual) < 0.2 * np.abs(usual.astype(int)).max(1, keepdims=True)
    np.testing.assert_array_equal(out[small], usual[small])


def test_noise_is_at_its_ratio():
    words = np.zeros_like(CLIPS)
    words[:, 1000:1500] = CLIPS[:, 1000:1500]
    loud, even = (conditions.in_noise(words, NOISES, snr).astype(float) for snr in (-10.0, 0.0))
    np.testing.assert_allclose(dbfs(loud[:-1]), conditions.NOMINAL_DBFS, atol=0.1)
    outside = np.r_[0:1000, 1500:4000]
    share = [np.mean(x[:-1, outside] ** 2) / np.mean(x[:-1] ** 2) for x in (loud, even)]
    assert share[0] == pytest.approx(10 / 11, rel=0.02)
    assert share[1] == pytest.approx(1 / 2, rel=0.05)
    # What a clip gets depends on its place alone.
    np.testing.assert_array_equal(conditions.in_noise(words[:3], NOISES, 0.0), even[:3])


def test_all_of_them():
    found = conditions.conditions(NOISES)
    assert len({one.name for one in found}) == len(found)
    for one in found:
        out = one.change(CLIPS)
        assert out.shape == CLIPS.shape and out.dtype == np.int16
    assert {one.kind for one in found} - {one.kind for one in conditions.conditions([])} == {"snr"}
    names = [one.name for one in found]
    assert {"level -60 dBFS", "step +30 dB", "step -30 dB", "snr 5 dB"} <= set(names)
