"""How a network's outputs change a spectrum: what every way of it has.

The post-filter is Valin et al.'s (arXiv:2008.04259). Everything goes frame by frame or over any
number of frames at once: what a stream remembers is an argument.
"""

import abc
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.frontends.spectrum import SpectrumFrontend

TINY = 1e-12


class Changing(abc.ABC):
    """What results do to a spectrum. Subclasses are dataclasses with at least these settings.

    Attributes:
      post_filter: strength beta; 0.02 is usual, 0 none. Like the limit, for listeners: training
        goes without.
      attenuation_limit_db: at most so much is taken away; None: no limit.
      behind, ahead: frames that a result sees before and after its own.
      tells_snr: whether a network tells the local signal-to-noise ratio too.
    """

    post_filter: float
    attenuation_limit_db: float | None
    behind: int
    ahead: int
    tells_snr: ClassVar[bool] = False

    @property
    def flushed_hops(self) -> int:
        """Of silence, behind the last sample, until all sound has come out.

        At least one: half of a sample's windows begin with the hop behind it.
        """
        return max(self.ahead, 1)

    def require_listeners_settings(self) -> None:
        """Raises BadInput where post-filter or limit are none."""
        limit = self.attenuation_limit_db
        if not 0 <= self.post_filter < math.inf or (limit is not None and not limit >= 0):
            raise BadInput("post_filter and attenuation_limit_db must be >= 0")

    @abc.abstractmethod
    def require_fit(self, frontend: Any) -> None:
        """Raises BadInput where it does not change what a front end hears."""

    @abc.abstractmethod
    def values(self, frontend: Any) -> int:
        """What a model has to say of a frame."""

    @abc.abstractmethod
    def told(self) -> str:
        """These values, in words."""

    @abc.abstractmethod
    def results(self, outputs: jax.Array, frontend: Any) -> Any:
        """What a model's outputs [B, T, values] say."""

    @abc.abstractmethod
    def changed(self, results: Any, spectrum: jax.Array, frontend: Any) -> jax.Array:
        """As `apply`, without post-filter and limit."""

    @abc.abstractmethod
    def highest(self, results: Any, frontend: Any) -> jax.Array:
        """What the last bin is multiplied by, [B, T], without post-filter and limit."""

    def snr_db(self, results: Any) -> jax.Array:
        """[B, T] local signal-to-noise ratio, where a network tells it."""
        raise NotImplementedError

    def apply(self, results: Any, spectrum: jax.Array, frontend: SpectrumFrontend) -> jax.Array:
        """The enhanced spectrum [B, T, bins].

        Args:
          results: of T frames.
          spectrum: complex [B, behind + T + ahead, bins]: these frames, and those around them.
          frontend: what made them.
        """
        frames = spectrum.shape[1] - self.behind - self.ahead
        noisy = spectrum[:, self.behind : self.behind + frames]
        enhanced = self.changed(results, spectrum, frontend)
        return self._limited(self._post_filtered(enhanced, noisy), noisy)

    def highest_gains(
        self, results: Any, before: jax.Array, frontend: SpectrumFrontend
    ) -> tuple[jax.Array, jax.Array]:
        """What the last bin is multiplied by, sample by sample: [B, T hop], and the last frame's.

        For sound above the network's rate, which it does not hear: with post-filter and limit, and
        faded from frame to frame as synthesis fades. `before`: the frame before, [B].
        """
        gains = self.highest(results, frontend)
        ones = jnp.ones_like(gains)
        gains = self._limited(self._post_filtered(gains, ones), ones)
        rising, falling = jnp.square(frontend.window()).reshape(2, -1)
        earlier = jnp.concatenate([before[:, None], gains[:, :-1]], 1)
        faded = gains[..., None] * rising + earlier[..., None] * falling
        return (faded / (rising + falling)).reshape(len(gains), -1), gains[:, -1]

    def _post_filtered(self, enhanced: jax.Array, noisy: jax.Array) -> jax.Array:
        if not self.post_filter:
            return enhanced
        gain = jnp.clip(jnp.abs(enhanced) / (jnp.abs(noisy) + TINY), TINY, 1)
        ratio = gain / (gain * jnp.maximum(jnp.sin(np.pi * gain / 2), TINY))
        return enhanced * (1 + self.post_filter) / (1 + self.post_filter * ratio**2)

    def _limited(self, enhanced: jax.Array, noisy: jax.Array) -> jax.Array:
        if self.attenuation_limit_db is None:
            return enhanced
        kept = np.float32(10 ** (-self.attenuation_limit_db / 20))
        return kept * noisy + (1 - kept) * enhanced


def synthesise(
    spectrum: jax.Array, tail: jax.Array, frontend: SpectrumFrontend
) -> tuple[jax.Array, jax.Array]:
    """Samples [B, T hop] of a spectrum [B, T, bins], and the half window to be added to the next.

    The samples of a frame are those of the hop before it. `tail`: of the frames before, [B, hop];
    zeros at first.
    """
    windows = jnp.fft.irfft(spectrum * frontend.spectrum_scale, n=frontend.fft_samples)
    halves = (windows * frontend.window()).reshape(*windows.shape[:2], 2, -1)
    late = jnp.concatenate([tail[:, None], halves[:, :, 1]], 1)
    samples = halves[:, :, 0] + late[:, :-1]
    return samples.reshape(len(samples), -1), late[:, -1]
