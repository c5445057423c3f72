"""Bands of a spectrum: what small networks of noise suppression see, and where their masks apply.

Rong et al., "GTCRN: A Speech Enhancement Model Requiring Ultralow Computational Resources", ICASSP
2024, and "UL-UNAS", arXiv:2503.00340, as in the authors' gtcrn.py and ulunas.py: a window of 512
samples at 16 kHz, the square root of a periodic Hann window, every 256; the low 65 of 257 bins are
bands of their own, the others make 64 triangular bands, equal steps on the ERB scale. A mask of
bands is spread to bins by the same triangles.

As published, features are of the level that is heard. With a running level they are of one that is
always about the same: that of the loudest frame of late, in whole steps, so that a device and a
clip of any length know the same one.

FastEnhancer (arXiv:2509.21867) sees and masks bins as they are, all but the last (`low_bins` 256,
`high_bands` 0), of a compressed spectrum, |X|^c exp(i arg X). Here the last is masked as the one
below it, where the authors' is 0, and the window is this one, where theirs is Hann's for analysis.

All is computed in float64 and rounded once, so that features do not depend on how many frames are
computed at once.
"""

import dataclasses
import functools
import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.frontends.running_level import running_maximum
from aqtaudio.frontends.spectrum import SpectrumFrontend
from aqtaudio.settings import added

SMALLEST = 1e-12
"""Of a magnitude's logarithm, and of the power under a root."""
KINDS = {"spectrum": 3, "log": 1, "compressed": 2}
"""Numbers of a band."""
LEVELS = ("as_is", "running")
LEVEL_STEPS = 4096
"""Of a running level, per dB."""
LEVEL_FROM_HZ = 100.0
"""What is lower, hum and a microphone's offset, is no level of speech."""


class BandSpectrumState(NamedTuple):
    """After a frame, of B streams.

    Attributes:
      before: float32 [B, hop], samples of the hop before.
      level: int32 [B], the running level in steps; () where the level is as it is.
    """

    before: jax.Array
    level: jax.Array | tuple[()]


@dataclasses.dataclass(frozen=True)
class BandSpectrum(SpectrumFrontend):
    """Audio to [T, bands], [T, 2 bands] or [T, 3 bands].

    Attributes:
      low_bins: bins that are bands.
      high_bands: of the bins above; 0: these are not heard, and masked as the last of the low ones.
      kind: "spectrum": magnitude, real and imaginary part of each band; "log": decadic logarithm of
        the magnitude, which is formed before the bands; "compressed": real and imaginary part of
        the spectrum whose magnitudes are to the power of `compression`, before the bands.
      level: "as_is", or "running": features are those of the sound brought to `level_shown_dbfs`.
      level_fall_db_per_s: how fast a loud frame is forgotten.
      level_least_dbfs: what the running level is at least: what is quieter is not brought up.
      level_shown_dbfs: of the loudest frame of late.
      compression: of kind "compressed".
    """

    window_ms: float = 16.0
    hop_ms: float = 16.0
    low_bins: int = 65
    high_bands: int = 64
    kind: Literal["spectrum", "log", "compressed"] = "spectrum"
    level: Literal["as_is", "running"] = added("as_is")
    level_fall_db_per_s: float = added(1.0)
    level_least_dbfs: float = added(-75.0)
    level_shown_dbfs: float = added(-20.0)
    compression: float = added(0.3)

    def __post_init__(self):
        super().__post_init__()
        if self.kind not in KINDS:
            raise BadInput(f"frontend: kind is {self.kind!r}; allowed: {', '.join(KINDS)}")
        if not 0 < self.compression <= 1:
            raise BadInput(
                f"frontend: compression is {self.compression}; allowed: above 0, up to 1"
            )
        self._check_level()
        too_few = self.high_bands < 3 and self.high_bands != 0
        if too_few or not 0 < self.low_bins < self.bins - self.high_bands:
            raise BadInput(
                f"frontend: {self.low_bins} low_bins and {self.high_bands} high_bands of "
                f"{self.bins} bins; allowed: at least 1 and 3 (or none), fewer bands than bins"
            )
        _ = self.triangles()  # raises where bands do not fit

    def _check_level(self) -> None:
        if self.level not in LEVELS:
            raise BadInput(f"frontend: level is {self.level!r}; allowed: {', '.join(LEVELS)}")
        if not 0 <= self.level_fall_db_per_s <= 1000:
            raise BadInput(
                f"frontend: level_fall_db_per_s is {self.level_fall_db_per_s}; allowed: 0 to 1000"
            )
        for name in ("level_least_dbfs", "level_shown_dbfs"):
            if not -120 <= getattr(self, name) <= 0:
                raise BadInput(
                    f"frontend: {name} is {getattr(self, name)}; allowed: -120 to 0, as level 0 is "
                    "full scale"
                )

    @property
    def bands(self) -> int:
        """Of a frame."""
        return self.low_bins + self.high_bands

    @property
    def features(self) -> int:
        """Features per frame, F."""
        return self.bands * KINDS[self.kind]

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
        if self.high_bands:
            high = jnp.matmul(high, self.triangles().T, precision="highest")
        else:
            high = jnp.repeat(low[..., -1:], self.bins - self.low_bins, -1)
        return jnp.concatenate([low, high], -1)

    @property
    def level_least(self) -> int:
        """Of a running level, steps."""
        return round(LEVEL_STEPS * self.level_least_dbfs)

    @property
    def level_fall(self) -> int:
        """Of a running level, steps per frame."""
        return round(
            LEVEL_STEPS * self.level_fall_db_per_s * self.hop_samples / self.sample_rate_hz
        )

    @property
    def level_from_bin(self) -> int:
        """The first that counts for a running level."""
        return math.ceil(LEVEL_FROM_HZ * self.fft_samples / self.sample_rate_hz)

    def initial_state(self, clips: int) -> BandSpectrumState:
        """The hop before the first: zeros. The least level."""
        before = jnp.zeros((clips, self.hop_samples), jnp.float32)
        is_running = self.level == "running"
        level = jnp.full(clips, self.level_least, jnp.int32) if is_running else ()
        return BandSpectrumState(before, level)

    def push_with_spectrum(  # noqa: D102
        self, audio: jax.Array, state: BandSpectrumState
    ) -> tuple[jax.Array, jax.Array, BandSpectrumState]:
        with jax.enable_x64(True):
            spectrum, before = self.analysed(audio, state.before)
            shown, level = self._shown(spectrum, state.level)
            features = self.seen(shown).astype(jnp.float32)
            return features, spectrum.astype(jnp.complex64), BandSpectrumState(before, level)

    def _shown(
        self, spectrum: jax.Array, level: jax.Array | tuple[()]
    ) -> tuple[jax.Array, jax.Array | tuple[()]]:
        """A spectrum [B, T, bins] at the level that the features are of, and the level after it."""
        if isinstance(level, tuple) or not spectrum.shape[1]:
            return spectrum, level
        steps = jnp.rint(LEVEL_STEPS * self.level_dbfs(spectrum)).astype(jnp.int64)
        running = running_maximum(jnp.maximum(steps, self.level_least), level, self.level_fall)
        gain = 10 ** ((self.level_shown_dbfs - running / LEVEL_STEPS) / 20)
        return spectrum * gain[..., None], running[:, -1].astype(jnp.int32)

    def level_dbfs(self, spectrum: jax.Array) -> jax.Array:
        """Root mean square [...] of the samples of frames [..., bins], dB below full scale.

        A sine of full scale has -3 dBFS.
        """
        counted = spectrum[..., self.level_from_bin :]
        power = jnp.square(jnp.real(counted)) + jnp.square(jnp.imag(counted))
        # Every bin stands for two but the last; the window's squares have a mean of a half.
        twice = 2 * power.sum(-1) - power[..., -1]
        return 10 * jnp.log10(jnp.maximum(twice * 2 / self.fft_samples**2, SMALLEST))

    def seen(self, spectrum: jax.Array) -> jax.Array:
        """Features [..., F] of a spectrum [..., bins]."""
        re, im = jnp.real(spectrum), jnp.imag(spectrum)
        power = jnp.square(re) + jnp.square(im)
        if self.kind == "log":
            return self.banded(jnp.log10(jnp.maximum(jnp.sqrt(power), SMALLEST)))
        if self.kind == "compressed":
            shrink = (power + SMALLEST) ** self.shrinking
            parts = re * shrink, im * shrink
        else:
            parts = jnp.sqrt(power + SMALLEST), re, im
        banded = jnp.stack([self.banded(x) for x in parts], -1)
        return banded.reshape(*spectrum.shape[:-1], self.features)

    @property
    def shrinking(self) -> float:
        """The power of a bin to this, times the bin, is compressed."""
        return (self.compression - 1) / 2


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
    if not bands:
        return np.zeros((bins - low_bins, 0), np.float32)
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
