"""DNSMOS in JAX: the package's scores, and what it is as a loss."""

import dataclasses
import functools
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from aqtaudio.errors import BadInput
from aqtaudio.experiment import load_config
from aqtaudio.tasks import sound_quality
from aqtaudio.tasks.enhancement import dnsmos
from aqtaudio.tasks.enhancement.loss import SpectralLoss
from aqtaudio.tasks.enhancement.task import Enhancement

for package in ("onnx", "onnxruntime", "librosa", "speechmos"):
    pytest.importorskip(package)

CONFIGS = Path(__file__).parents[3] / "configs"
HZ = dnsmos.RATE_HZ


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    """9.01 s each: a voice-like tone that comes and goes, in noise that gets louder."""
    seconds, draw = np.arange(144_160) / HZ, np.random.default_rng(0)
    tone = sum(np.sin(2 * np.pi * 140 * k * seconds) / k for k in range(1, 20))
    voice = 0.05 * tone * np.maximum(np.sin(2 * np.pi * 1.5 * seconds), 0)
    noise = draw.normal(size=len(seconds))
    return np.stack([voice + level * noise for level in (0.0, 0.003, 0.05)]).astype(np.float32)


@functools.cache
def compiled():
    weights = dnsmos.published()
    return jax.jit(lambda clips: dnsmos.scores(clips, weights))


def test_equals_the_package(clips: np.ndarray):
    found = np.asarray(compiled()(clips))
    for clip, ours in zip(clips, found, strict=True):
        theirs = sound_quality.dnsmos(clip, HZ)
        np.testing.assert_allclose(ours, [theirs[x] for x in ("sig", "bak", "ovrl")], atol=2e-4)
    assert found[0, 1] > found[1, 1] > found[2, 1]  # the background


def test_the_loss_asks_every_second_clip_with_speech(clips: np.ndarray):
    loss = SpectralLoss(magnitude_weight=0.0, complex_weight=0.0, dnsmos_weight=2.0)
    short, silence = clips[:, : 3 * HZ], np.zeros((1, 3 * HZ), np.float32)

    def told(enhanced: np.ndarray, clean: np.ndarray) -> float:
        return float(loss(enhanced, clean, HZ))

    expected = 2 * np.mean(5 - np.asarray(compiled()(short[:1])))
    assert told(short[[0, 1]], short[[0, 0]]) == pytest.approx(expected, rel=1e-4)
    assert told(short[[0, 2]], short[[0, 0]]) == pytest.approx(expected, rel=1e-4)
    clean = np.concatenate([short[[0, 0]], silence])
    assert told(short, clean) == pytest.approx(expected, rel=1e-4)
    assert told(short[2:], silence) == 0


def test_its_gradient_takes_noise_away(clips: np.ndarray):
    loss = SpectralLoss(magnitude_weight=0.0, complex_weight=0.0, dnsmos_weight=1.0)
    noise = clips[1, : 3 * HZ] - clips[0, : 3 * HZ]

    def at(level: jax.Array) -> jax.Array:
        return loss((clips[0, : 3 * HZ] + level * noise)[None], clips[:1, : 3 * HZ], HZ)

    value, slope = jax.value_and_grad(at)(np.float32(1.0))
    assert slope > 0 and at(np.float32(0.9)) < value


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "speechmos", None)
    dnsmos.published.cache_clear()
    with pytest.raises(BadInput, match=r"speechmos.*aqtaudio\[quality\]"):
        dnsmos.published()


def test_it_hears_16_khz_alone():
    experiment = load_config(CONFIGS / "denoise_ul_unas.py")
    loss = SpectralLoss(dnsmos_weight=1.0)
    assert isinstance(experiment.task, Enhancement)
    task = dataclasses.replace(experiment.task, loss=loss)
    task.require_fit(experiment.setup)
    slower = dataclasses.replace(experiment.frontend, sample_rate_hz=8000, high_bands=16)
    setup = dataclasses.replace(experiment.setup, frontend=slower)
    with pytest.raises(BadInput, match=r"task\.loss\.dnsmos_weight is 1.* 8000 Hz.*16000"):
        task.require_fit(setup)
