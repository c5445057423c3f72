"""Kinds of noise: enhancers whose answer is known."""

import numpy as np
import pytest

from aqtaudio.tasks.enhancement import noise_kinds

pytestmark = pytest.mark.optimized(False)

HZ, SECONDS = 16_000, 4
SPEECH = [0.1 * np.random.default_rng(1).normal(size=HZ * SECONDS)]


def rows(enhance, noises=None) -> dict[str, dict]:
    noises = noise_kinds.made(HZ, HZ * SECONDS) if noises is None else noises
    found = noise_kinds.by_kind(enhance, noises, SPEECH, HZ, with_models=False)
    return {row["kind"]: row for row in found}


def test_an_enhancer_that_does_nothing():
    for row in rows(lambda x: x).values():
        assert row["attenuation_db"] == pytest.approx(0, abs=1e-6)
        assert row["si_sdr_improvement_db"] == pytest.approx(0, abs=1e-6)


def test_an_enhancer_that_halves():
    """Noise is 6 dB less; a gain changes nothing of the speech's share."""
    for row in rows(lambda x: x / 2).values():
        assert row["attenuation_db"] == pytest.approx(6.02, abs=0.01)
        assert row["si_sdr_improvement_db"] == pytest.approx(0, abs=1e-4)


def test_an_enhancer_that_knows_one_kind():
    """Below 1,100 Hz nothing passes: all of the hum is gone, the half of it behind speech too."""

    def high_pass(x: np.ndarray) -> np.ndarray:
        spectrum = np.fft.rfft(x)
        spectrum[np.fft.rfftfreq(len(x), 1 / HZ) < 1100] = 0
        return np.fft.irfft(spectrum, len(x))

    found = rows(high_pass)
    assert found["mains hum (made)"]["attenuation_db"] > 60
    assert found["keys (made)"]["attenuation_db"] < 3
    assert found["mains hum (made)"]["si_sdr_improvement_db"] > 0


def test_silence_says_nothing_and_all_may_be_taken():
    silent = {"nothing": [np.zeros(HZ)], "all": [np.ones(HZ)]}
    found = noise_kinds.by_kind(lambda x: 0 * x, silent, [SPEECH[0][:HZ]], HZ, with_models=False)
    assert [row["attenuation_db"] for row in found] == [None, 120]
    told = noise_kinds.lines(found)
    assert "alone ? dB" in told[0] and "alone 120.0 dB" in told[1]


def test_made_noises_are_the_same_every_time_and_come_and_go():
    first, again = (noise_kinds.made(HZ, HZ * SECONDS) for _ in range(2))
    assert first.keys() == again.keys()
    for name, (sound,) in first.items():
        np.testing.assert_array_equal(sound, again[name][0])
        assert sound.shape == (HZ * SECONDS,) and np.isfinite(sound).all()
    (fan,) = first["a fan that starts (made)"]
    before, after = np.std(fan[: HZ * SECONDS // 4]), np.std(fan[-HZ:])
    assert 20 * np.log10(after / before) == pytest.approx(40, abs=2)
    (taps,) = first["taps on a desk (made)"]
    assert np.abs(taps).max() > 5 * np.std(taps)
