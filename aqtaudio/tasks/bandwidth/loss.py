"""What an extended clip is compared by: spectra of several resolutions, and discriminators.

Spectra: Yamamoto, Song and Kim, "Parallel WaveGAN", arXiv:1910.11480 (logarithms of magnitudes
and relative errors). Discriminators: hinge and feature losses as in MelGAN (arXiv:1910.06711) and
SEANet (arXiv:2010.10677), where features weigh 100.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.settings import added
from aqtaudio.tasks.hearing import disturbance

SAMPLE_STEP = 1 / 32768
"""Of 16 bits: below what rounding leaves, there is nothing to compare."""


@dataclasses.dataclass(frozen=True)
class SpectralLoss:
    """Mean absolute error of log magnitudes, and the relative error of magnitudes, over windows.

    Attributes:
      windows_ms: Hann windows, a quarter of them apart.
      log_weight: of the natural logarithms' error.
      relative_weight: of |difference| over |target|, norms over a batch.
      upper_weight: of the logarithms' error above half of the band, once more.
      wave_weight: of the mean absolute error of samples.
      disturbance_weight: of what an ear notices (`tasks.hearing`). Logarithms weigh pauses like
        speech; an ear does not, minds what was added more than what is missing, and forgives
        another average spectrum.
    """

    windows_ms: tuple[float, ...] = (8.0, 16.0, 32.0, 64.0)
    log_weight: float = 1.0
    relative_weight: float = 1.0
    upper_weight: float = 1.0
    wave_weight: float = 1.0
    disturbance_weight: float = added(0.0)

    def __post_init__(self):
        if not self.windows_ms or not all(1 <= w < math.inf for w in self.windows_ms):
            raise BadInput(f"loss.windows_ms is {self.windows_ms}; allowed: lengths of at least 1")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_weight") and not 0 <= value < math.inf:
                raise BadInput(f"loss.{field.name} is {value}; allowed: >= 0")

    def __call__(self, made: jax.Array, wanted: jax.Array, sample_rate_hz: int) -> jax.Array:
        """Of clips [B, N]: a scalar."""
        total = jnp.zeros(())
        for window_ms in self.windows_ms:
            size = round(window_ms * sample_rate_hz / 1000)
            total += self._at(magnitudes(made, size), magnitudes(wanted, size))
        wave = jnp.mean(jnp.abs(made - wanted)) / jnp.mean(jnp.abs(wanted) + SAMPLE_STEP)
        total = total / len(self.windows_ms) + self.wave_weight * wave
        if not self.disturbance_weight:
            return total
        return total + self.disturbance_weight * disturbance(made, wanted, sample_rate_hz)

    def _at(self, ours: jax.Array, theirs: jax.Array) -> jax.Array:
        apart = jnp.abs(jnp.log(ours) - jnp.log(theirs))
        upper = jnp.mean(apart[..., apart.shape[-1] // 2 :])
        relative = _norm(ours - theirs) / _norm(theirs)
        return (
            self.log_weight * jnp.mean(apart)
            + self.upper_weight * upper
            + self.relative_weight * relative
        )


def magnitudes(clips: jax.Array, size: int) -> jax.Array:
    """[B, T, bins] of clips [B, N], windows of so many samples; not below what rounding leaves."""
    hop = max(1, size // 4)
    starts = np.arange(0, clips.shape[-1] - size + 1, hop)
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
    frames = clips[..., starts[:, None] + np.arange(size)] * window
    spectrum = jnp.fft.rfft(frames)
    floor = np.float32(np.square(window).sum() * SAMPLE_STEP**2 / 12)
    return jnp.sqrt(jnp.square(jnp.real(spectrum)) + jnp.square(jnp.imag(spectrum)) + floor)


def _norm(x: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(jnp.square(x)) + 1e-12)


@dataclasses.dataclass(frozen=True)
class Adversary:
    """Discriminators that train beside the generator; with weight 0 there are none.

    Attributes:
      weight: of the hinge loss of the generator.
      feature_weight: of the mean absolute difference of discriminators' layers.
      rates: of the wave discriminators: the signal at 1, 1 / 2 and 1 / 4 of its rate.
      channels: of the first layer of a wave discriminator.
      windows_ms: of the spectrum discriminators.
      spectrum_channels: of their layers.
      learning_rate: of all discriminators.
    """

    weight: float = 0.0
    feature_weight: float = 100.0
    rates: tuple[int, ...] = (1, 2, 4)
    channels: int = 16
    windows_ms: tuple[float, ...] = (16.0, 32.0, 64.0)
    spectrum_channels: int = 16
    learning_rate: float = 1e-4

    def __post_init__(self):
        for name in ("weight", "feature_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise BadInput(f"adversary.{name} is {getattr(self, name)}; allowed: >= 0")
        if self.weight and not (self.rates or self.windows_ms):
            raise BadInput("adversary has a weight and no discriminator: name rates or windows_ms")
        if any(rate < 1 for rate in self.rates):
            raise BadInput(f"adversary.rates is {self.rates}; allowed: numbers from 1 up")


def fooled(judged: list[list[jax.Array]]) -> jax.Array:
    """Hinge loss of a generator: what discriminators say of what it made, layers last."""
    return -sum(jnp.mean(layers[-1]) for layers in judged) / len(judged)


def caught(made: list[list[jax.Array]], true: list[list[jax.Array]]) -> jax.Array:
    """Hinge loss of discriminators."""
    of_made = sum(jnp.mean(jax.nn.relu(1 + layers[-1])) for layers in made)
    of_true = sum(jnp.mean(jax.nn.relu(1 - layers[-1])) for layers in true)
    return (of_made + of_true) / len(made)


def features_apart(made: list[list[jax.Array]], true: list[list[jax.Array]]) -> jax.Array:
    """Mean absolute difference of all layers but the last."""
    pairs = [
        jnp.mean(jnp.abs(ours - theirs))
        for one, other in zip(made, true, strict=True)
        for ours, theirs in zip(one[:-1], other[:-1], strict=True)
    ]
    return sum(pairs) / len(pairs)
