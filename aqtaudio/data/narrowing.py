"""Speech as a narrow-band device hands it over: half of the band, at random filters and levels.

A model that hears one anti-alias filter learns that filter. So every clip has another one: its
edge, how steep it is, whether its phase is linear; a high pass as telephones have; a level of its
own, mu-law codes (G.711), ADPCM or GSM in some, and a little noise. Jitted, batched, per clip; the
same key and the same input give the same output.
"""

import dataclasses
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.data import codecs
from aqtaudio.data.codecs import CODECS
from aqtaudio.errors import BadInput
from aqtaudio.settings import added

NOMINAL_DBFS = -25.0
SILENT_RMS = 1e-7
FULL_SCALE = 32768.0
RING_SAMPLES = 1024
"""Room for filters to ring beyond a clip's ends."""
FLOOR_DB = -100.0
"""Of a stop band."""


@dataclasses.dataclass(frozen=True)
class Narrowing:
    """How clips lose their upper half. Ranges are uniform; a probability of zero switches off.

    Attributes:
      edge: where filters begin to fall, as a share of the narrow band's upper end (of 4 kHz).
      order: of Butterworth filters: their slope.
      steep_probability: share of filters that are as steep as resamplers': a cosine from the edge
        to the band's end.
      causal_probability: share of filters whose phase is that of the Butterworth filter; the others
        have none.
      high_pass_probability: share of clips without their lowest tones.
      high_pass_hz: where these begin.
      level_dbfs: RMS of the clips.
      noise_probability: share of clips with white noise in the narrow band.
      noise_dbfs: its level, on a clip at -25 dBFS.
      mu_law_probability: share of clips in codes of G.711 mu-law.
      codec_probability: share of clips, of all, that go through G.721 or GSM 06.10, half of them
        each. The processor does that, wherever the rest is computed.
    """

    edge: tuple[float, float] = (0.8, 1.0)
    order: tuple[float, float] = (6.0, 30.0)
    steep_probability: float = 0.5
    causal_probability: float = 0.25
    high_pass_probability: float = 0.2
    high_pass_hz: tuple[float, float] = (50.0, 300.0)
    level_dbfs: tuple[float, float] = (-45.0, -15.0)
    noise_probability: float = 0.2
    noise_dbfs: tuple[float, float] = (-80.0, -60.0)
    mu_law_probability: float = 0.1
    codec_probability: float = added(0.0)

    def __post_init__(self):
        limits = {
            "edge": (0.5, 1.0),
            "order": (1.0, 100.0),
            "high_pass_hz": (1.0, 1000.0),
            "level_dbfs": (-90.0, 0.0),
            "noise_dbfs": (-120.0, 0.0),
        }
        for name, (low, high) in limits.items():
            values = getattr(self, name)
            if len(values) != 2 or not low <= values[0] <= values[1] <= high:
                raise BadInput(
                    f"narrowing: {name} is {values}; allowed: two numbers from {low:g} to "
                    f"{high:g}, the lower one first"
                )
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_probability") and not 0 <= value <= 1:
                raise BadInput(f"narrowing: {field.name} is {value}; allowed: 0 to 1")


class Narrowed(NamedTuple):
    """Clips at the wide rate, float32 [B, N], full scale 1.

    Attributes:
      narrow: what a model hears: 16-bit samples of the lower half band, at the wide rate again.
      wide: the whole band, at the same level.
      level: RMS of `wide` over -25 dBFS, [B, 1].
    """

    narrow: jax.Array
    wide: jax.Array
    level: jax.Array


@functools.partial(jax.jit, static_argnames=("settings", "sample_rate_hz"))
def narrowed(
    key: jax.Array,
    speech: jax.Array,
    settings: Narrowing = Narrowing(),
    sample_rate_hz: int = 16000,
) -> Narrowed:
    """Narrow-band clips and what they come from.

    Args:
      key: a random key.
      speech: wide-band clips, float32 [B, N]; their levels do not matter.
      settings: how.
      sample_rate_hz: of both sides.
    """
    one = functools.partial(_narrow_clip, settings=settings, sample_rate_hz=sample_rate_hz)
    keys = jax.vmap(functools.partial(jax.random.fold_in, key))(jnp.arange(len(speech)))
    return Narrowed(*jax.vmap(one)(keys, speech.astype(jnp.float32)))


def _narrow_clip(
    key: jax.Array, speech: jax.Array, settings: Narrowing, sample_rate_hz: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    draw_key, noise_key = jax.random.split(key)
    draws = iter(jax.random.uniform(draw_key, (10,)))
    level = _amplitude(_between(settings.level_dbfs, next(draws)) - NOMINAL_DBFS)
    rms = jnp.maximum(jnp.sqrt(jnp.mean(jnp.square(speech))), SILENT_RMS)
    wide = speech * (_amplitude(NOMINAL_DBFS) / rms)
    noise = jax.random.normal(noise_key, speech.shape)
    noise_level = _amplitude(_between(settings.noise_dbfs, next(draws)))
    noise *= jnp.where(next(draws) < settings.noise_probability, noise_level, 0.0)

    size = len(speech) + RING_SAMPLES + len(speech) % 2
    frequency_hz = np.fft.rfftfreq(size, 1 / sample_rate_hz).astype(np.float32)
    band = response(draws, frequency_hz, sample_rate_hz / 4, settings)
    heard = jnp.fft.irfft(jnp.fft.rfft(wide + noise, size) * band, size)
    taken = level * heard[::2]  # nothing above its half rate is left
    coded = jnp.where(next(draws) < settings.mu_law_probability, mu_law(taken), taken)
    codes = jnp.clip(jnp.round(coded * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1.0)
    if settings.codec_probability:
        share = jax.random.uniform(jax.random.fold_in(key, 2)) / settings.codec_probability
        codes = _through_codecs(codes, share, sample_rate_hz // 2)
    return resampled(codes / FULL_SCALE)[: len(speech)], level * wide, level[None]


def _through_codecs(codes: jax.Array, share: jax.Array, sample_rate_hz: int) -> jax.Array:
    """Codes [N] through the codec that a share of 0 to 1 falls on; beyond 1 through none."""
    names = list(CODECS)

    def through(codes: np.ndarray, share: np.ndarray) -> np.ndarray:
        made = np.array(codes, np.float32)
        for place in np.ndindex(made.shape[:-1]):
            number = int(share[place] * len(names))
            if number < len(names):
                samples = made[place].astype(np.int16)
                made[place] = codecs.coded(samples, names[number], sample_rate_hz)
        return made

    told = jax.ShapeDtypeStruct(codes.shape, jnp.float32)
    return jax.pure_callback(through, told, codes, share, vmap_method="broadcast_all")


def resampled(samples: jax.Array) -> jax.Array:
    """Samples [N] at twice the rate, [2 N], as if they went on for ever."""
    spectrum = jnp.fft.rfft(samples)
    return 2 * jnp.fft.irfft(jnp.pad(spectrum, (0, len(samples) // 2)), 2 * len(samples))


def response(draws, frequency_hz: np.ndarray, end_hz: float, settings: Narrowing) -> jax.Array:
    """Complex gains by frequency of one clip's filters; nothing is left above `end_hz`."""
    edge = _between(settings.edge, next(draws))
    order = _between(settings.order, next(draws))
    is_steep = next(draws) < settings.steep_probability
    is_causal = next(draws) < settings.causal_probability
    share = frequency_hz / end_hz
    gentle = jax.lax.rsqrt(1 + (share / edge) ** (2 * order))
    width = jnp.maximum(1 - edge, 0.01)
    steep = 0.5 + 0.5 * jnp.cos(math.pi * jnp.clip((share - edge) / width, 0, 1))
    magnitude = jnp.where(is_steep, steep, gentle)
    lowest_hz = _between(settings.high_pass_hz, next(draws))
    high = jax.lax.rsqrt(1 + (lowest_hz / jnp.maximum(frequency_hz, 0.1)) ** 4)
    high = jnp.where(next(draws) < settings.high_pass_probability, high, 1.0)
    magnitude = jnp.where(share >= 1, _amplitude(FLOOR_DB), magnitude * high)
    return magnitude * jnp.where(is_causal & ~is_steep, _delay(share, edge), 1.0)


def _delay(share: jax.Array, edge: jax.Array) -> jax.Array:
    """Phase of a second-order low pass at the edge, less the delay that it has at 0 Hz.

    So what a model is to make lies where it heard the rest.
    """
    x = share / edge
    phase = -jnp.arctan2(math.sqrt(2) * x, 1 - x * x)
    return jnp.exp(1j * (phase + math.sqrt(2) * x))


def mu_law(samples: jax.Array) -> jax.Array:
    """G.711 mu-law there and back: 8 bits, of which three are an exponent.

    ITU-T G.711, table 2: magnitudes in 14 bits with a bias of 33, segments of 16 steps.
    """
    magnitude = jnp.minimum(jnp.abs(samples) * 8192.0, 8158.0) + 33.0
    ends = 2.0 ** np.arange(6, 13, dtype=np.float32)
    segment = jnp.sum(magnitude[..., None] >= ends, -1).astype(jnp.float32)
    step = 2.0 ** (segment + 1.0)
    place = jnp.floor((magnitude - 2.0 ** (segment + 5.0)) / step)
    decoded = 2.0 ** (segment + 5.0) + (jnp.clip(place, 0, 15) + 0.5) * step - 33.0
    return jnp.sign(samples) * decoded / 8192.0


def _between(limits: tuple[float, float], draw: jax.Array) -> jax.Array:
    return limits[0] + (limits[1] - limits[0]) * draw


def _amplitude(decibels: jax.Array | float) -> jax.Array:
    return jnp.asarray(10.0, jnp.float32) ** (decibels / 20.0)
