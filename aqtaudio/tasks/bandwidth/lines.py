"""Lines that speech of a narrow band has come over, as figures are measured on."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import soxr

from aqtaudio.data.codecs import CODECS, coded
from aqtaudio.data.narrowing import mu_law
from aqtaudio.errors import BadInput

FULL_SCALE = 32768.0
GENTLE_ORDER, GENTLE_EDGE = 8, 0.85
"""Of a Butterworth magnitude, as a share of the narrow band."""


@dataclasses.dataclass(frozen=True)
class Condition:
    """How a narrow band is made.

    Attributes:
      level_dbfs: RMS of the wide-band clip.
      is_gentle: whether a filter that begins to fall early comes before the resampler's.
      codec: that samples go through: "mu_law", one of `data.codecs`, or "" for none.
    """

    level_dbfs: float = -25.0
    is_gentle: bool = False
    codec: str = ""


CONDITIONS = {
    "resampled": Condition(),
    "gentle": Condition(is_gentle=True),
    "mu_law": Condition(codec="mu_law"),
    "quiet": Condition(level_dbfs=-50.0),
    "g721": Condition(codec="g721"),
    "gsm": Condition(codec="gsm"),
    "loud": Condition(level_dbfs=-15.0),
}
"""By name. Training has other filters, and levels from -45 dBFS up."""
LISTED = ("resampled", "gentle", "mu_law", "quiet")
"""What lists of validation clips have; the others are asked for by name."""


def narrow_band(samples: np.ndarray, condition: str, sample_rate_hz: int) -> np.ndarray:
    """Wide-band samples [N], full scale 1, over a line of half the rate, and back: [N].

    What a device of the narrow band hands over are 16-bit samples; those are resampled (soxr).
    """
    if condition not in CONDITIONS:
        raise BadInput(f"condition is {condition!r}; allowed: {', '.join(CONDITIONS)}")
    line = CONDITIONS[condition]
    if line.is_gentle:
        share = np.fft.rfftfreq(len(samples), 1 / 4) / GENTLE_EDGE  # 1: the end of the band
        gains = 1 / np.sqrt(1 + share ** (2 * GENTLE_ORDER))
        samples = np.fft.irfft(np.fft.rfft(samples) * gains, len(samples))
    half_hz = sample_rate_hz // 2
    narrow = soxr.resample(samples, sample_rate_hz, half_hz)
    if line.codec == "mu_law":
        narrow = np.asarray(jax.jit(mu_law)(jnp.asarray(narrow, jnp.float32)))
    codes = np.clip(np.rint(narrow * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)
    if line.codec in CODECS:
        codes = coded(codes.astype(np.int16), line.codec, half_hz)
    wide = soxr.resample(codes / FULL_SCALE, half_hz, sample_rate_hz)
    return np.pad(wide, (0, max(0, len(samples) - len(wide))))[: len(samples)]
