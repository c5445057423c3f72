"""Disturbance of loudness: nothing where nothing differs, more of what was added, PESQ's order."""

import jax
import numpy as np
import pytest

from aqtaudio.tasks.bandwidth.hearing import disturbance

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
    gone, _ = told(low, wanted)
    nearly, _ = told(low + 0.7 * high, wanted)
    assert same < 0.002 < nearly < gone
    # Where nothing was, an upper band disturbs more than where one was and is gone.
    added, _ = told(wanted, low)
    assert added > 1.5 * gone


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
