"""From a model's results to sound: gains, complex filters, post-filter, synthesis.

Schröter et al., arXiv:2305.08227, section 2; the post-filter is Valin et al.'s (arXiv:2008.04259).
Everything goes frame by frame or over any number of frames at once: what a stream remembers is an
argument.
"""

import dataclasses
import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.frontends.deep_filter import DeepFilterFeatures

LEAST_SNR_DB, MOST_SNR_DB = -15.0, 35.0
"""What the model's local SNR, 0 to 1, stands for."""
TINY = 1e-12


class Results(NamedTuple):
    """What a model says of T frames.

    Attributes:
      gains: [B, T, E] of bands, 0 to 1.
      filters: complex [B, T, D, taps], oldest frame first.
      snr_db: [B, T] local signal-to-noise ratio.
    """

    gains: jax.Array
    filters: jax.Array
    snr_db: jax.Array


@dataclasses.dataclass(frozen=True)
class Filtering:
    """How results change a spectrum.

    Attributes:
      taps: frames that a complex filter sees; the last `ahead` of them lie after its own.
      ahead: look-ahead in frames, that of the front end.
      gains: "above": bins above the filtered ones get the gains, these are filtered (as published);
        "all": filtered or not, all bins get them.
      post_filter: strength beta; 0.02 is usual, 0 none. Like the limit, for listeners: training
        goes without.
      attenuation_limit_db: at most so much is taken away; None: no limit.
    """

    taps: int = 5
    ahead: int = 2
    gains: Literal["above", "all"] = "above"
    post_filter: float = 0.0
    attenuation_limit_db: float | None = None

    def __post_init__(self):
        if self.gains not in ("above", "all"):
            raise BadInput(f"gains is {self.gains!r}; allowed: above, all")
        if not 0 <= self.ahead < self.taps:
            raise BadInput(f"ahead is {self.ahead}; allowed: 0 to {self.taps - 1}, below taps")
        limit = self.attenuation_limit_db
        if not 0 <= self.post_filter < math.inf or (limit is not None and not limit >= 0):
            raise BadInput("post_filter and attenuation_limit_db must be >= 0")

    def values(self, frontend: DeepFilterFeatures) -> int:
        """What a model has to say of a frame: gains, complex taps of filters, local SNR."""
        return frontend.bands + 2 * self.taps * frontend.filtered_bins + 1

    def results(self, outputs: jax.Array, frontend: DeepFilterFeatures) -> Results:
        """What a model's outputs [B, T, bands + 2 taps filtered_bins + 1] say."""
        batch, frames, _ = outputs.shape
        bands, bins = frontend.bands, frontend.filtered_bins
        parts = outputs[..., bands:-1].reshape(batch, frames, bins, self.taps, 2)
        filters = jax.lax.complex(parts[..., 0], parts[..., 1])
        snr_db = LEAST_SNR_DB + (MOST_SNR_DB - LEAST_SNR_DB) * outputs[..., -1]
        return Results(outputs[..., :bands], filters, snr_db)

    def apply(
        self, results: Results, spectrum: jax.Array, frontend: DeepFilterFeatures
    ) -> jax.Array:
        """The enhanced spectrum [B, T, bins].

        Args:
          results: of T frames.
          spectrum: complex [B, taps - 1 + T, bins]: these frames, `ahead` after them and the rest
            before them.
          frontend: what made them.
        """
        frames, low = results.gains.shape[1], frontend.filtered_bins
        first = self.taps - 1 - self.ahead
        noisy = spectrum[:, first : first + frames]
        gains = jnp.matmul(results.gains, frontend.band_members().T, precision="highest")
        filtered = sum(
            results.filters[..., tap] * spectrum[:, tap : tap + frames, :low]
            for tap in range(self.taps)
        )
        if self.gains == "all":
            filtered = filtered * gains[..., :low]
        enhanced = jnp.concatenate([filtered, noisy[..., low:] * gains[..., low:]], -1)
        return self._limited(self._post_filtered(enhanced, noisy), noisy)

    def highest_gains(
        self, results: Results, before: jax.Array, frontend: DeepFilterFeatures
    ) -> tuple[jax.Array, jax.Array]:
        """What the last bin is multiplied by, sample by sample: [B, T hop], and the last frame's.

        For sound above the network's rate, which it does not hear: with post-filter and limit, and
        faded from frame to frame as synthesis fades. `before`: the frame before, [B].
        """
        gains = jnp.matmul(results.gains, frontend.band_members().T, precision="highest")[..., -1]
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
    spectrum: jax.Array, tail: jax.Array, frontend: DeepFilterFeatures
) -> tuple[jax.Array, jax.Array]:
    """Samples [B, T hop] of a spectrum [B, T, bins], and the half window to be added to the next.

    The samples of a frame are those of the hop before it. `tail`: of the frames before, [B, hop];
    zeros at first.
    """
    windows = jnp.fft.irfft(spectrum * frontend.fft_samples, n=frontend.fft_samples)
    halves = (windows * frontend.window()).reshape(*windows.shape[:2], 2, -1)
    late = jnp.concatenate([tail[:, None], halves[:, :, 1]], 1)
    samples = halves[:, :, 0] + late[:, :-1]
    return samples.reshape(len(samples), -1), late[:, -1]
