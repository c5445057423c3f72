"""From a model's results to sound: gains and complex filters.

Schröter et al., arXiv:2305.08227, section 2.
"""

import dataclasses
from typing import ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp

from aqtaudio.errors import BadInput
from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.frontends.frontend import Frontend
from aqtaudio.tasks.enhancement.changing import Changing

LEAST_SNR_DB, MOST_SNR_DB = -15.0, 35.0
"""What the model's local SNR, 0 to 1, stands for."""


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
class Filtering(Changing):
    """Gains of bands, and a complex filter over frames for each low bin.

    Attributes:
      taps: frames that a complex filter sees; the last `ahead` of them lie after its own.
      ahead: look-ahead in frames, that of the front end.
      gains: "above": bins above the filtered ones get the gains, these are filtered (as published);
        "all": filtered or not, all bins get them.
      post_filter, attenuation_limit_db: as of `Changing`.
    """

    taps: int = 5
    ahead: int = 2
    gains: Literal["above", "all"] = "above"
    post_filter: float = 0.0
    attenuation_limit_db: float | None = None
    tells_snr: ClassVar[bool] = True

    def __post_init__(self):
        if self.gains not in ("above", "all"):
            raise BadInput(f"gains is {self.gains!r}; allowed: above, all")
        if not 0 <= self.ahead < self.taps:
            raise BadInput(f"ahead is {self.ahead}; allowed: 0 to {self.taps - 1}, below taps")
        self.require_listeners_settings()

    @property
    def behind(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Frames that a filter sees before its own."""
        return self.taps - 1 - self.ahead

    def require_fit(self, frontend: Frontend) -> None:  # noqa: D102
        if not isinstance(frontend, DeepFilterFeatures):
            raise BadInput(
                f"task.filtering has no {type(frontend).__name__}; allowed: DeepFilterFeatures"
            )
        if self.ahead != frontend.skipped_frames:
            raise BadInput(
                f"task.filtering.ahead is {self.ahead}; allowed: {frontend.skipped_frames}, the "
                "look-ahead of the front end"
            )

    def values(self, frontend: DeepFilterFeatures) -> int:
        """Gains, complex taps of filters, local SNR."""
        return frontend.bands + 2 * self.taps * frontend.filtered_bins + 1

    def told(self) -> str:  # noqa: D102
        return f"gains, {self.taps} taps, SNR"

    def results(self, outputs: jax.Array, frontend: DeepFilterFeatures) -> Results:
        """What a model's outputs [B, T, bands + 2 taps filtered_bins + 1] say."""
        batch, frames, _ = outputs.shape
        bands, bins = frontend.bands, frontend.filtered_bins
        parts = outputs[..., bands:-1].reshape(batch, frames, bins, self.taps, 2)
        filters = jax.lax.complex(parts[..., 0], parts[..., 1])
        snr_db = LEAST_SNR_DB + (MOST_SNR_DB - LEAST_SNR_DB) * outputs[..., -1]
        return Results(outputs[..., :bands], filters, snr_db)

    def changed(  # noqa: D102
        self, results: Results, spectrum: jax.Array, frontend: DeepFilterFeatures
    ) -> jax.Array:
        frames, low = results.gains.shape[1], frontend.filtered_bins
        noisy = spectrum[:, self.behind : self.behind + frames]
        gains = jnp.matmul(results.gains, frontend.band_members().T, precision="highest")
        filtered = sum(
            results.filters[..., tap] * spectrum[:, tap : tap + frames, :low]
            for tap in range(self.taps)
        )
        if self.gains == "all":
            filtered = filtered * gains[..., :low]
        return jnp.concatenate([filtered, noisy[..., low:] * gains[..., low:]], -1)

    def highest(self, results: Results, frontend: DeepFilterFeatures) -> jax.Array:  # noqa: D102
        return jnp.matmul(results.gains, frontend.band_members().T, precision="highest")[..., -1]

    def snr_db(self, results: Results) -> jax.Array:  # noqa: D102
        return results.snr_db
