"""Losses of enhancement: compressed spectra in several resolutions, and the local SNR.

Schröter et al., arXiv:2305.08227, and the authors' loss.py; the weight on what was taken from the
speech is that of DPDFNet (arXiv:2512.16420).
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.settings import added
from aqtaudio.tasks.enhancement import dnsmos
from aqtaudio.tasks.enhancement.filtering import LEAST_SNR_DB, MOST_SNR_DB
from aqtaudio.tasks.hearing import disturbance

TINY = 1e-12
JUDGED_EVERY = 2
"""DNSMOS takes longer than a small network: so many clips apart are those that it judges."""
FIRST_SNR_DB, LAST_SNR_DB = LEAST_SNR_DB - 1, MOST_SNR_DB + 1
"""Of the target: a little beyond what a model can say, so that it says it."""


@dataclasses.dataclass(frozen=True)
class SpectralLoss:
    """Mean squared error of compressed spectra |Y|^c and |Y|^c exp(i arg Y), over resolutions.

    Attributes:
      windows_ms: Hann windows, a quarter of them apart.
      compression: c.
      magnitude_weight, complex_weight: of the two parts; real and imaginary parts are elements.
      lost_weight: of the magnitudes once more, where there is less than in the target.
      disturbance_weight: of what an ear notices (`tasks.hearing`), beside the spectra's.
      dnsmos_weight: of what DNSMOS' scores miss (`dnsmos`; 16 kHz), beside the others. Every second
        clip is judged, if it has speech.
    """

    windows_ms: tuple[float, ...] = (5.0, 10.0, 20.0, 40.0)
    compression: float = 0.3
    magnitude_weight: float = 500.0
    complex_weight: float = 500.0
    lost_weight: float = 0.0
    disturbance_weight: float = added(0.0)
    dnsmos_weight: float = added(0.0)

    def __post_init__(self):
        if not self.windows_ms or not all(1 <= w < math.inf for w in self.windows_ms):
            raise BadInput(f"loss.windows_ms is {self.windows_ms}; allowed: lengths of at least 1")
        if not 0 < self.compression <= 1:
            raise BadInput(f"loss.compression is {self.compression}; allowed: above 0, up to 1")
        spectral = self.magnitude_weight, self.complex_weight, self.lost_weight
        weights = *spectral, self.disturbance_weight, self.dnsmos_weight
        if not all(0 <= weight < math.inf for weight in weights):
            raise BadInput("loss: weights must be >= 0")

    def __call__(self, enhanced: jax.Array, clean: jax.Array, sample_rate_hz: int) -> jax.Array:
        """Of clips [B, N], -25 dBFS where they are mixtures: a scalar."""
        total = jnp.zeros(())
        for window_ms in self.windows_ms:
            size = round(window_ms * sample_rate_hz / 1000)
            total += self._at(_spectrum(enhanced, size), _spectrum(clean, size))
        if self.disturbance_weight:
            total += self.disturbance_weight * disturbance(enhanced, clean, sample_rate_hz)
        if self.dnsmos_weight:
            total += self.dnsmos_weight * _unconvincing(enhanced, clean)
        return total

    def _at(self, y: tuple[jax.Array, jax.Array], s: tuple[jax.Array, jax.Array]) -> jax.Array:
        """Of spectra as real and imaginary parts."""
        ours, theirs = (self._magnitude(*parts) for parts in (y, s))
        error = self.magnitude_weight * jnp.mean(jnp.square(ours - theirs))
        if self.lost_weight:
            lost = jnp.maximum(theirs - ours, 0)
            error += self.lost_weight * jnp.mean(jnp.square(lost))
        # |Y|^c exp(i arg Y) = Y |Y|^(c - 1)
        shrink, other = (self._magnitude(*parts, self.compression - 1) for parts in (y, s))
        pairs = zip(y, s, strict=True)
        parts = sum(jnp.mean(jnp.square(a * shrink - b * other)) for a, b in pairs)
        return error + self.complex_weight * parts / 2

    def _magnitude(
        self, real: jax.Array, imaginary: jax.Array, power: float | None = None
    ) -> jax.Array:
        squared = jnp.square(real) + jnp.square(imaginary) + TINY
        return squared ** ((self.compression if power is None else power) / 2)


def _unconvincing(enhanced: jax.Array, clean: jax.Array) -> jax.Array:
    """Mean over the judged clips with speech: silence has a fair score and should be silence."""
    judged = slice(None, None, JUDGED_EVERY)
    has_speech = jnp.any(clean[judged] != 0, -1)
    missed = dnsmos.unconvincing(enhanced[judged], dnsmos.published())
    return jnp.sum(jnp.where(has_speech, missed, 0.0)) / jnp.maximum(jnp.sum(has_speech), 1)


def _spectrum(clips: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """Real and imaginary parts [B, T, bins], divided by sqrt(size)."""
    hop = max(1, size // 4)
    starts = np.arange(0, clips.shape[-1] - size + 1, hop)
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
    frames = clips[..., starts[:, None] + np.arange(size)] * window
    spectrum = jnp.fft.rfft(frames) / np.float32(math.sqrt(size))
    return jnp.real(spectrum), jnp.imag(spectrum)


def local_snr_db(clean: jax.Array, noise: jax.Array) -> jax.Array:
    """The target [B, T] of the local SNR, from spectra [B, T, bins].

    Energies over bins; the noise's is smoothed over three frames; within what a model can say.
    """
    speech, rest = (jnp.sum(jnp.abs(x) ** 2, -1) for x in (clean, noise))
    padded = jnp.pad(rest, ((0, 0), (1, 1)), mode="edge")
    smooth = (0.75 * padded[:, :-2] + 1.0 * padded[:, 1:-1] + 0.75 * padded[:, 2:]) / 2.5
    ratio = 10 * jnp.log10((speech + TINY) / (smooth + TINY))
    return jnp.clip(ratio, FIRST_SNR_DB, LAST_SNR_DB)
