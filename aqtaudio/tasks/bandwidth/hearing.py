"""How much an ear would notice: disturbance of loudness in bands, as PESQ weighs it.

After ITU-T P.862 and its differentiable relatives (Martin-Donas et al., "A Deep Learning Loss
Function Based on the Perceptual Evaluation of the Speech Quality", IEEE Signal Processing Letters
2018): Zwicker's loudness in half-Bark bands; small differences are masked; what is added disturbs
more than what is missing. Without P.862's alignment in time and of levels: both signals share them.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

WINDOW_MS = 32.0
BARK_STEP = 0.5
LOWEST_HZ = 100.0
NOMINAL_DBFS, NOMINAL_DB_SPL = -25.0, 79.0
"""Clips at the former are heard at the latter, which P.862 brings speech to."""
LOUDNESS_POWER = 0.23
MASKED = 0.25
"""Share of the quieter loudness below which a difference is not heard."""
ADDED_POWER, ADDED_LEAST, ADDED_MOST, ADDED_FLOOR = 1.2, 3.0, 12.0, 50.0
"""Of the ratio of powers that weighs what was added."""
EVEN_WEIGHT, ADDED_WEIGHT = 0.1, 0.0309
TINY = 1e-6


def disturbance(made: jax.Array, wanted: jax.Array, sample_rate_hz: int) -> jax.Array:
    """Of clips [B, N] at -25 dBFS: points of a PESQ score lost, nearly; a scalar."""
    bands, quiet = _ear(sample_rate_hz)
    ours, theirs = (_powers(x, bands, sample_rate_hz) for x in (made, wanted))
    louder, loud = (_loudness(x, quiet) for x in (ours, theirs))
    apart = jnp.abs(louder - loud) - MASKED * jnp.minimum(louder, loud)
    apart = jnp.maximum(apart, 0.0)
    ratio = ((ours + ADDED_FLOOR) / (theirs + ADDED_FLOOR)) ** ADDED_POWER
    added = jnp.where(ratio < ADDED_LEAST, 0.0, jnp.minimum(ratio, ADDED_MOST))
    count = bands.shape[1]
    even = jnp.sqrt(jnp.mean(jnp.square(apart), -1) + TINY) * np.sqrt(count)
    more = jnp.sum(jax.lax.stop_gradient(added) * apart, -1)
    return EVEN_WEIGHT * _over_time(even) + ADDED_WEIGHT * _over_time(more)


def _over_time(frames: jax.Array) -> jax.Array:
    """Loud disturbances count for more: [B, T] to a scalar."""
    return jnp.mean(jnp.sqrt(jnp.mean(jnp.square(frames), -1) + TINY))


def _powers(clips: jax.Array, bands: np.ndarray, sample_rate_hz: int) -> jax.Array:
    """Powers in bands [B, T, K], 1: 0 dB SPL."""
    size = round(WINDOW_MS * sample_rate_hz / 1000)
    starts = np.arange(0, clips.shape[-1] - size + 1, size // 2)
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    spectrum = jnp.fft.rfft(clips[..., starts[:, None] + np.arange(size)] * window)
    power = jnp.square(jnp.real(spectrum)) + jnp.square(jnp.imag(spectrum))
    full = 10 ** ((NOMINAL_DB_SPL - NOMINAL_DBFS) / 10)  # of samples whose mean square is 1
    gains = bands * np.float32(2 * full / (size * np.square(window).sum()))
    return jnp.matmul(power, gains, precision="highest")


def _loudness(power: jax.Array, quiet: np.ndarray) -> jax.Array:
    """In sone, after Zwicker: [B, T, K]; 0 at the threshold of hearing and below."""
    above = (0.5 + 0.5 * power / quiet) ** LOUDNESS_POWER - 1.0
    return (quiet / 0.5) ** LOUDNESS_POWER * jnp.maximum(above, 0.0)


@functools.cache
def _ear(sample_rate_hz: int) -> tuple[np.ndarray, np.ndarray]:
    """Triangles over bins [bins, K], and thresholds of hearing as powers [K] (Terhardt 1979)."""
    size = round(WINDOW_MS * sample_rate_hz / 1000)
    frequency_hz = np.fft.rfftfreq(size, 1 / sample_rate_hz)
    first, last = (float(_bark(x)) for x in (LOWEST_HZ, sample_rate_hz / 2))
    centers = np.arange(first, last, BARK_STEP)
    distance = np.abs(_bark(frequency_hz)[:, None] - centers) / BARK_STEP
    weights = np.maximum(1.0 - distance, 0.0)
    heard = weights.sum(0) > 0.5  # some bands are narrower than a bin
    center_khz = 0.65 * np.sinh(centers[heard] / 7.0)
    threshold_db = (
        3.64 * center_khz**-0.8
        - 6.5 * np.exp(-0.6 * (center_khz - 3.3) ** 2)
        + 1e-3 * center_khz**4
    )
    quiet = 10.0 ** (threshold_db / 10.0)
    return weights[:, heard].astype(np.float32), quiet.astype(np.float32)


def _bark(frequency_hz: float | np.ndarray) -> np.ndarray:
    return 7.0 * np.arcsinh(np.asarray(frequency_hz) / 650.0)
