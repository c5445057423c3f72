"""Distances of spectra whose difference is known, and answers without a network."""

import numpy as np
import pytest

from aqtaudio.errors import BadInput
from aqtaudio.tasks.bandwidth.baselines import Baselines
from aqtaudio.tasks.bandwidth.scores import log_spectral_distances_db, scores

pytestmark = pytest.mark.optimized(False)

HZ = 16000


def band(low_hz: float, high_hz: float, seed: int = 0, samples: int = HZ) -> np.ndarray:
    """Noise between two frequencies, RMS 0.1."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=samples))
    frequency_hz = np.fft.rfftfreq(samples, 1 / HZ)
    noise = np.fft.irfft(spectrum * ((frequency_hz >= low_hz) & (frequency_hz < high_hz)), samples)
    return 0.1 * noise / np.sqrt(np.mean(noise**2))


def test_distance_of_a_gain_is_the_gain():
    sound = band(0, 8000)
    found = log_spectral_distances_db(sound, 0.5 * sound, HZ)
    assert found["lsd_db"] == pytest.approx(6.0206, abs=1e-3)
    assert found["lsd_high_db"] == pytest.approx(6.0206, abs=1e-3)


def test_upper_band_alone():
    low, high = band(0, 4000), band(4000, 8000, 1)
    found = log_spectral_distances_db(low + high, low + 0.1 * high, HZ)
    assert found["lsd_high_db"] == pytest.approx(20, abs=0.2)
    assert found["lsd_db"] == pytest.approx(20 / np.sqrt(2), abs=0.3)


def test_what_rounding_leaves_is_no_distance():
    quiet = 1e-6 * band(0, 8000)
    assert log_spectral_distances_db(quiet, 0 * quiet, HZ)["lsd_db"] == 0
    assert np.isnan(log_spectral_distances_db(0 * quiet, quiet, HZ)["lsd_db"])


def test_lengths():
    with pytest.raises(BadInput, match="as many of both"):
        log_spectral_distances_db(np.ones(HZ), np.ones(HZ - 1), HZ)


def test_scores_tell_what_is_gained_over_the_narrow_band():
    low, high = band(0, 4000), band(4000, 8000, 1)
    found = scores(low + high, low, low + 0.5 * high, HZ, with_models=False)
    assert found["lsd_high_gain"] == pytest.approx(
        1 - found["lsd_high_db"] / found["narrow_lsd_high_db"]
    )
    assert 0.5 < found["lsd_high_gain"] < 1
    assert found["si_sdr_db"] > found["narrow_si_sdr_db"]


@pytest.fixture(scope="module")
def pairs() -> tuple[np.ndarray, np.ndarray]:
    """Narrow and wide clips: an upper band whose level is that of the lower one's upper half."""
    wide, narrow = [], []
    for seed in range(6):
        swell = 0.55 - 0.45 * np.cos(2 * np.pi * (1 + seed / 3) * np.arange(HZ) / HZ)
        low = band(200, 2000, seed) + swell * band(2000, 4000, seed + 10)
        narrow.append(low)
        wide.append(low + 0.3 * swell * band(4000, 8000, seed + 20))
    return np.stack(narrow), np.stack(wide)


def test_a_predicted_envelope_is_nearer_than_a_mirror_which_is_nearer_than_nothing(pairs):
    narrow, wide = (x[:4] for x in pairs)
    answers = Baselines.fitted(narrow, wide, HZ)
    heard, true = (x[4:] for x in pairs)

    def apart(made: np.ndarray) -> float:
        both = zip(true, made, strict=True)
        distances = [log_spectral_distances_db(*pair, HZ)["lsd_high_db"] for pair in both]
        return float(np.mean(distances))

    found = [apart(x) for x in (answers.predicted(heard), answers.folded(heard), heard)]
    assert found == sorted(found) and found[1] < 0.7 * found[2]


def test_a_mirror_mirrors():
    tone = np.sin(2 * np.pi * 1000 * np.arange(HZ) / HZ)
    made = Baselines(HZ, 0.5, np.zeros((17, 8))).folded(tone[None])[0]
    spectrum = np.abs(np.fft.rfft(made)) / (HZ / 2)
    assert spectrum[1000] == pytest.approx(1) and spectrum[7000] == pytest.approx(0.5)
