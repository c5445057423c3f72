"""From a model's results to sound: a mask of bands, real or complex.

Rong et al., "GTCRN", ICASSP 2024 (complex), and "UL-UNAS", arXiv:2503.00340 (real). FastEnhancer,
arXiv:2509.21867 (complex, of a compressed spectrum).
"""

import dataclasses
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp

from aqtaudio.errors import BadInput
from aqtaudio.frontends.band_spectrum import BandSpectrum
from aqtaudio.frontends.frontend import Frontend
from aqtaudio.settings import added
from aqtaudio.tasks.enhancement.changing import TINY, Changing

KINDS = ("complex", "real")


@dataclasses.dataclass(frozen=True)
class Masking(Changing):
    """What each bin is multiplied by.

    Attributes:
      kind: "complex": a model says (re, im) of each band's mask; "real": one number.
      post_filter, attenuation_limit_db: as of `Changing`.
      compression: masks are of spectra whose magnitudes are to this power: a mask M, brought to
        bins, does what |M|^(1 / compression) exp(i arg M) does to the sound's own.
    """

    kind: Literal["complex", "real"] = "complex"
    post_filter: float = 0.0
    attenuation_limit_db: float | None = None
    compression: float = added(1.0)
    behind: ClassVar[int] = 0  # pyright: ignore[reportIncompatibleVariableOverride]
    ahead: ClassVar[int] = 0  # pyright: ignore[reportIncompatibleVariableOverride]

    def __post_init__(self):
        if self.kind not in KINDS:
            raise BadInput(f"kind is {self.kind!r}; allowed: {', '.join(KINDS)}")
        if not 0 < self.compression <= 1:
            raise BadInput(f"compression is {self.compression}; allowed: above 0, up to 1")
        self.require_listeners_settings()

    def require_fit(self, frontend: Frontend) -> None:  # noqa: D102
        if not isinstance(frontend, BandSpectrum):
            raise BadInput(
                f"task.filtering has no {type(frontend).__name__}; allowed: BandSpectrum"
            )

    def values(self, frontend: BandSpectrum) -> int:  # noqa: D102
        return frontend.bands * self.parts

    def told(self) -> str:  # noqa: D102
        return f"a {self.kind} mask"

    @property
    def expanding(self) -> float:
        """The power of a bin's mask to this, times the mask, is one of the sound's own spectrum."""
        return (1 / self.compression - 1) / 2

    @property
    def parts(self) -> int:
        """Numbers of a band's mask."""
        return 2 if self.kind == "complex" else 1

    def results(self, outputs: jax.Array, frontend: BandSpectrum) -> jax.Array:
        """The mask of bins [B, T, bins], of bands [B, T, bands or 2 bands]."""
        bands = outputs.reshape(*outputs.shape[:2], frontend.bands, self.parts)
        parts = [frontend.spread(bands[..., part]) for part in range(self.parts)]
        if self.expanding:
            power = sum(jnp.square(part) for part in parts) + TINY
            parts = [part * power**self.expanding for part in parts]
        return parts[0] if self.kind == "real" else jax.lax.complex(*parts)

    def changed(  # noqa: D102
        self, results: jax.Array, spectrum: jax.Array, frontend: BandSpectrum
    ) -> jax.Array:
        return spectrum * results

    def highest(self, results: jax.Array, frontend: BandSpectrum) -> jax.Array:  # noqa: D102
        return jnp.abs(results[..., -1])
