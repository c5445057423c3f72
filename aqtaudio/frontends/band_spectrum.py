"""Bands of a spectrum: what small networks of noise suppression see, and where their masks apply.

Rong et al., "GTCRN: A Speech Enhancement Model Requiring Ultralow Computational Resources", ICASSP
2024, and "UL-UNAS", arXiv:2503.00340, as in the authors' gtcrn.py and ulunas.py: a window of 512
samples at 16 kHz, the square root of a periodic Hann window, every 256; the low 65 of 257 bins are
bands of their own, the others make 64 triangular bands, equal steps on the ERB scale. A mask of
bands is spread to bins by the same triangles.

All is computed in float64 and rounded once, so that features do not depend on how many frames are
computed at once.
"""

import dataclasses
import functools
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.frontends.spectrum import SpectrumFrontend

SMALLEST = 1e-12
"""Of a magnitude's logarithm, and of the power under a root."""
KINDS = ("spectrum", "log")


@dataclasses.dataclass(frozen=True)
class BandSpectrum(SpectrumFrontend):
    """Audio to [T, bands] or [T, 3 bands].

    Attributes:
      low_bins: bins that are bands.
      high_bands: of the bins above.
      kind: "spectrum": magnitude, real and imaginary part of each band; "log": decadic logarithm of
        the magnitude, which is formed before the bands.
    """

    window_ms: float = 16.0
    hop_ms: float = 16.0
    low_bins: int = 65
    high_bands: int = 64
    kind: Literal["spectrum", "log"] = "spectrum"

    def __post_init__(self):
        super().__post_init__()
        if self.kind not in KINDS:
            raise BadInput(f"frontend: kind is {self.kind!r}; allowed: {', '.join(KINDS)}")
        if not 0 < self.low_bins < self.bins - self.high_bands or self.high_bands < 3:
            raise BadInput(
                f"frontend: {self.low_bins} low_bins and {self.high_bands} high_bands of "
                f"{self.bins} bins; allowed: at least 1 and 3, fewer bands than bins"
            )
        _ = self.triangles()  # raises where bands do not fit

    @property
    def bands(self) -> int:
        """Of a frame."""
        return self.low_bins + self.high_bands

    @property
    def features(self) -> int:
        """Features per frame, F."""
        return self.bands * (1 if self.kind == "log" else 3)

    def window(self) -> np.ndarray:
        """The square root of a periodic Hann window, float32 [2 hop]."""
        places = np.arange(self.fft_samples) / self.fft_samples
        return np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * places)).astype(np.float32)

    def triangles(self) -> np.ndarray:
        """float32 [bins - low_bins, high_bands]: the share of each bin in each band."""
        return _triangles(self.low_bins, self.high_bands, self.bins, self.sample_rate_hz)

    def banded(self, values: jax.Array) -> jax.Array:
        """Bands [..., bands] of bins [..., bins]."""
        high = values[..., self.low_bins :] @ self.triangles().astype(values.dtype)
        return jnp.concatenate([values[..., : self.low_bins], high], -1)

    def spread(self, mask: jax.Array) -> jax.Array:
        """A mask of bands [..., bands] at every bin, [..., bins]."""
        low, high = mask[..., : self.low_bins], mask[..., self.low_bins :]
        high = jnp.matmul(high, self.triangles().T, precision="highest")
        return jnp.concatenate([low, high], -1)

    def initial_state(self, clips: int) -> jax.Array:
        """The hop before the first: zeros."""
        return jnp.zeros((clips, self.hop_samples), jnp.float32)

    def push_with_spectrum(  # noqa: D102
        self, audio: jax.Array, state: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        with jax.enable_x64(True):
            spectrum, state = self.analysed(audio, state)
            features = self.seen(spectrum)
            return features.astype(jnp.float32), spectrum.astype(jnp.complex64), state

    def seen(self, spectrum: jax.Array) -> jax.Array:
        """Features [..., F] of a spectrum [..., bins]."""
        re, im = jnp.real(spectrum), jnp.imag(spectrum)
        power = jnp.square(re) + jnp.square(im)
        if self.kind == "log":
            return self.banded(jnp.log10(jnp.maximum(jnp.sqrt(power), SMALLEST)))
        parts = [self.banded(x) for x in (jnp.sqrt(power + SMALLEST), re, im)]
        return jnp.stack(parts, -1).reshape(*spectrum.shape[:-1], self.features)


def _erb(hz: np.ndarray | float) -> np.ndarray:
    """The ERB rate scale, of Glasberg and Moore."""
    return 21.4 * np.log10(0.00437 * np.asarray(hz) + 1)


def _hz(erb: np.ndarray) -> np.ndarray:
    return (10 ** (erb / 21.4) - 1) / 0.00437


@functools.cache
def _triangles(low_bins: int, bands: int, bins: int, rate_hz: int) -> np.ndarray:
    """Band k rises from peak k - 1 to its own and falls to peak k + 1; the first begins at its peak
    and the last ends there.
    """
    bin_hz = rate_hz / (2 * (bins - 1))
    steps = np.linspace(_erb(low_bins * bin_hz), _erb(rate_hz / 2), bands)
    peaks = np.round(_hz(steps) / bin_hz).astype(int)
    if (np.diff(peaks) < 1).any():
        raise BadInput(
            f"frontend: {bands} high_bands above {low_bins} low_bins are narrower than a bin; "
            "allowed: fewer of them, or more low_bins"
        )
    places = np.arange(bins)
    corners = np.eye(bands)
    found = np.stack([np.interp(places, peaks, corner) for corner in corners], -1)
    return found[low_bins:].astype(np.float32)
