"""Disturbance of loudness: nothing where nothing differs, more of what was added, PESQ's order."""

import jax
import numpy as np
import pytest

from aqtaudio.tasks.hearing import disturbance, disturbances, score

HZ = 16000
pytestmark = pytest.mark.optimized(False)


@pytest.fixture(scope="module")
def told():
    """Value and gradient, of clips of two seconds."""
    return jax.jit(jax.value_and_grad(lambda made, wanted: disturbance(made, wanted, HZ)))


def band(low_hz: float, high_hz: float, seed: int) -> np.ndarray:
    """Noise between two frequencies at -25 dBFS that swells: [1, 2 HZ]."""
    size = 2 * HZ
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=size))
    frequency_hz = np.fft.rfftfreq(size, 1 / HZ)
    noise = np.fft.irfft(spectrum * ((frequency_hz >= low_hz) & (frequency_hz < high_hz)), size)
    noise *= 1.1 - np.cos(2 * np.pi * 3 * np.arange(size) / HZ)
    return (10 ** (-25 / 20) * noise / np.std(noise))[None].astype(np.float32)


def test_what_disturbs(told):
    low, high = band(100, 4000, 0), 0.1 * band(4000, 8000, 1)
    wanted = low + high
    same, _ = told(wanted, wanted)
    softer, _ = told(low + 0.5 * high, wanted)
    gone, _ = told(low, wanted)
    elsewhere, _ = told(low + np.roll(high, HZ // 6, -1), wanted)  # of three swells a second
    assert same < 0.002
    # A spectrum that is another on average is forgiven, up to 20 dB.
    assert softer < 0.2 * gone
    # An upper band at the wrong times is worse than none.
    assert gone < 0.7 * elsewhere
    # Where nothing was, it disturbs more than where one was and is gone.
    added, _ = told(wanted, low)
    assert added > 1.5 * gone


def test_follows_pesq():
    pesq = pytest.importorskip("pesq").pesq
    low, high = band(100, 4000, 0), 0.1 * band(4000, 8000, 1)
    wanted, noise = low + high, band(100, 8000, 2)
    rolled = np.roll(high, HZ // 6, -1)
    made = [low, low + rolled, low + 0.3 * rolled, wanted + 3 * high]
    made += [wanted + share * noise for share in (0.01, 0.03, 0.1, 0.3)]
    theirs = np.array([pesq(HZ, wanted[0], x[0], "wb") for x in made])
    lost = disturbances(np.concatenate(made), np.repeat(wanted, len(made), 0), HZ)
    ours = score(np.asarray(lost))
    assert np.corrcoef(ours, theirs)[0, 1] > 0.95, (ours, theirs)


def test_gradients_lead_there(told):
    low, high = band(100, 4000, 0), 0.1 * band(4000, 8000, 1)
    wanted, made = low + high, low + 0.3 * high
    before, gradient = told(made, wanted)
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
    assert (np.asarray(gradient) * high).sum() < 0
    after, _ = told(made - 1e-3 * np.asarray(gradient) / np.abs(gradient).max(), wanted)
    assert after < before
    silent = np.zeros_like(low)
    assert np.isfinite(told(silent, silent)[1]).all()
