"""Speech and noise to noisy clips with their targets, at random: jitted, batched, per clip.

What is drawn covers what devices hear: rooms, narrow bands, levels over 60 dB, gains that jump
inside a clip, converters that clip. The same key and the same input give the same output; a
clip's draws depend on the key and its place in the batch alone.
"""

import dataclasses
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from scipy.fft import next_fast_len

from aqtaudio.data import reverberation
from aqtaudio.errors import BadInput

NOISES = 3  # beside each training clip
FULL_SCALE = 32768.0
NOMINAL_DBFS = -25.0  # RMS of a mixture before its level is set
QUIETEST_DBFS = -60.0  # of what a level step may lead to, unless level_dbfs starts lower
SILENT_RMS = 1e-7  # below: nothing there that could be brought to a level
FILTER_ORDER = 6
RING_MS = 100  # room for filters to ring beyond the clip's ends


@dataclasses.dataclass(frozen=True)
class Mixing:
    """How clips are mixed. Ranges are uniform; a probability of zero switches a change off.

    Levels are RMS over a clip, 0 dBFS that of a full-scale square wave: speech passes full scale
    from about -15 dBFS on, and is clipped there as in a device.

    Raises BadInput for settings that make no sense.

    Attributes:
      snr_db: energy of the speech, with the room's reverberation, over the energy of all noises,
        both over the whole clip, before clipping.
      noises: at most so many at once; from one to this, equally often.
      noise_spread_db: each noise is quieter than the loudest possible by up to this much.
      speech_drift_db: speech gets louder or quieter from the clip's start to its end by up to this.
      noise_only_probability: share of the clips without speech; their target is zero.
      speech_only_probability: share of the clips without noise.
      reverb_probability: share of the clips whose speech is in a room. The target keeps the direct
        sound and the first 50 ms; the rest is noise.
      rt60_ms: time in which the room's sound decays by 60 dB.
      band_limit_probability: share of the clips that lack high or low frequencies or both; in half
        of them only the noise does.
      low_pass_hz: upper band limits.
      high_pass_hz: lower band limits.
      level_dbfs: of the mixture, before level steps and clipping.
      level_step_probability: share of the clips whose gain, of mixture and target, jumps at once.
      level_step_db: height of the jump, drawn among those after which the level is still from
        -60 dBFS (or the lowest of level_dbfs) to 0 dBFS.
      clipping_probability: share of the mixtures that are clipped below full scale. Targets never
        are.
      clipping_share: where, relative to the mixture's peak.
    """

    snr_db: tuple[float, float] = (-5.0, 20.0)
    noises: int = NOISES
    noise_spread_db: float = 10.0
    speech_drift_db: float = 6.0
    noise_only_probability: float = 0.03
    speech_only_probability: float = 0.05
    reverb_probability: float = 0.1
    rt60_ms: tuple[float, float] = (100.0, 700.0)
    band_limit_probability: float = 0.2
    low_pass_hz: tuple[float, float] = (2000.0, 7000.0)
    high_pass_hz: tuple[float, float] = (30.0, 300.0)
    level_dbfs: tuple[float, float] = (-60.0, 0.0)
    level_step_probability: float = 0.3
    level_step_db: tuple[float, float] = (-40.0, 40.0)
    clipping_probability: float = 0.1
    clipping_share: tuple[float, float] = (0.25, 0.9)

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                _check_range(field.name, value)
            elif field.name.endswith("_probability") and not 0 <= value <= 1:
                raise BadInput(f"mixing: {field.name} is {value}; allowed: 0 to 1")
        if not 1 <= self.noises <= NOISES:
            raise BadInput(f"mixing: noises is {self.noises}; allowed: 1 to {NOISES}")
        for name in ("noise_spread_db", "speech_drift_db"):
            if not 0 <= getattr(self, name) <= 60:
                raise BadInput(f"mixing: {name} is {getattr(self, name)}; allowed: 0 to 60")
        if self.noise_only_probability + self.speech_only_probability > 1:
            raise BadInput("mixing: noise_only_ and speech_only_probability are over 1 together")


ALLOWED = {
    "snr_db": (-100.0, 100.0),
    "rt60_ms": (50.0, 2000.0),
    "low_pass_hz": (100.0, 48000.0),
    "high_pass_hz": (1.0, 4000.0),
    "level_dbfs": (-90.0, 0.0),
    "level_step_db": (-90.0, 90.0),
    "clipping_share": (0.01, 1.0),
}


def _check_range(name: str, values: tuple[float, ...]) -> None:
    low, high = ALLOWED[name]
    if len(values) != 2 or not low <= values[0] <= values[1] <= high:
        raise BadInput(
            f"mixing: {name} is {values}; allowed: two numbers from {low:g} to {high:g}, "
            "the lower one first"
        )


class Mixture(NamedTuple):
    """Noisy clips and what a model should make of them, float32 [B, N] each, full scale 1.

    Attributes:
      noisy: what the device hears: clipped, rounded to 16 bits.
      clean: the target at the level of `noisy`, neither clipped nor rounded.
      noise: the rest of `noisy` before clipping and rounding.
      gain: the level over time: noisy / gain is at -25 dBFS, a loss on it weighs all levels alike.
    """

    noisy: jax.Array
    clean: jax.Array
    noise: jax.Array
    gain: jax.Array


@functools.partial(jax.jit, static_argnames=("settings", "sample_rate_hz"))
def mix(
    key: jax.Array,
    speech: jax.Array,
    noises: jax.Array,
    settings: Mixing = Mixing(),
    sample_rate_hz: int = 16000,
) -> Mixture:
    """Mixes every clip with some of its noises.

    Clips whose speech is silent are noise-only; silent noises are no noise.

    Args:
      key: a random key.
      speech: clean clips, float32 [B, N].
      noises: float32 [B, M, N], M >= settings.noises; their levels do not matter.
      settings: how.
      sample_rate_hz: of all audio.

    Raises BadInput for shapes that do not fit.
    """
    clips, samples = speech.shape
    fits = noises.ndim == 3 and (noises.shape[0], noises.shape[2]) == (clips, samples)
    if not fits or noises.shape[1] < settings.noises:
        raise BadInput(
            f"noises have shape {noises.shape}; allowed beside speech {speech.shape}: "
            f"({clips}, {settings.noises} or more, {samples})"
        )
    keys = jax.vmap(functools.partial(jax.random.fold_in, key))(jnp.arange(clips))
    one = functools.partial(_mix_clip, settings=settings, sample_rate_hz=sample_rate_hz)
    return jax.vmap(one)(keys, speech.astype(jnp.float32), noises.astype(jnp.float32))


class _Draws(NamedTuple):
    """All that is random about a clip but its room: uniform in [0, 1), [] each.

    Drawn at once: draws of their own would take half of the time to compile.
    """

    drift: jax.Array
    noise_count: jax.Array
    noise_levels: jax.Array  # [NOISES]
    in_room: jax.Array
    limited: jax.Array
    limits_speech: jax.Array
    limited_sides: jax.Array
    upper_limit: jax.Array
    lower_limit: jax.Array
    snr: jax.Array
    kind: jax.Array
    level: jax.Array
    steps: jax.Array
    step: jax.Array
    step_place: jax.Array
    clipped: jax.Array
    clipping_share: jax.Array


def _draws(key: jax.Array) -> _Draws:
    fields = _Draws._fields
    levels = fields.index("noise_levels")
    values = jax.random.uniform(key, (len(fields) - 1 + NOISES,))
    before, of_noises, after = jnp.split(values, (levels, levels + NOISES))
    return _Draws._make([*before, of_noises, *after])


def _mix_clip(
    key: jax.Array, speech: jax.Array, noises: jax.Array, settings: Mixing, sample_rate_hz: int
) -> Mixture:
    """One clip: [N] and [M, N]."""
    draw_key, room_key = jax.random.split(key)
    draws = _draws(draw_key)
    speech = speech * _drift(draws, len(speech), settings)
    noise = _sum_of_noises(draws, noises[: settings.noises], settings)
    early, late, noise = _shaped(draws, room_key, speech, noise, settings, sample_rate_hz)
    speech_gain, noise_gain = _ratio(draws, early + late, noise, settings)
    early, late, noise = early * speech_gain, late * speech_gain, noise * noise_gain

    gain = _level(draws, len(speech), settings)
    scale = gain * _amplitude(NOMINAL_DBFS) / jnp.maximum(_rms(early + late + noise), SILENT_RMS)
    clean, noise = scale * early, scale * (late + noise)
    return Mixture(_heard(draws, clean + noise, settings), clean, noise, gain)


def _drift(draws: _Draws, samples: int, settings: Mixing) -> jax.Array:
    """Gain of the speech over time, [N]: a line in decibels."""
    decibels = settings.speech_drift_db * (2.0 * draws.drift - 1.0)
    return _amplitude(decibels * jnp.linspace(-0.5, 0.5, samples))


def _sum_of_noises(draws: _Draws, noises: jax.Array, settings: Mixing) -> jax.Array:
    """The first few of the noises [M, N], each brought to a level of its own, as one [N]."""
    heard = jnp.arange(len(noises)) <= _place(draws.noise_count, len(noises))
    levels_db = -settings.noise_spread_db * draws.noise_levels[: len(noises)]
    weights = _amplitude(levels_db) / jnp.maximum(_rms(noises), SILENT_RMS)
    # Accelerators would round samples to 11 bits.
    return jnp.matmul(jnp.where(heard, weights, 0.0), noises, precision="highest")


def _shaped(
    draws: _Draws,
    room_key: jax.Array,
    speech: jax.Array,
    noise: jax.Array,
    settings: Mixing,
    sample_rate_hz: int,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Room and band limits: early speech, late speech and noise, [N] each.

    Both are products of spectra, so that every signal goes there and back once.
    """
    if not (settings.reverb_probability or settings.band_limit_probability):
        return speech, jnp.zeros_like(speech), noise
    samples = len(speech)
    tail = math.ceil(settings.rt60_ms[1] * sample_rate_hz / 1000)
    reverbs = settings.reverb_probability > 0
    size = samples + RING_MS * sample_rate_hz // 1000 + (tail if reverbs else 0)
    size = next_fast_len(size, real=True)
    frequency_hz = jnp.fft.rfftfreq(size, 1 / sample_rate_hz)
    speech_filter, noise_filter = _band_limits(draws, frequency_hz, settings)

    dry = jnp.fft.rfft(speech, size) * speech_filter
    noise = jnp.fft.irfft(jnp.fft.rfft(noise, size) * noise_filter, size)[:samples]
    if not reverbs:
        return jnp.fft.irfft(dry, size)[:samples], jnp.zeros(samples), noise
    room = reverberation.response(room_key, settings.rt60_ms, tail, sample_rate_hz)
    in_room = draws.in_room < settings.reverb_probability
    early = jnp.where(in_room, jnp.fft.rfft(room.early, size), 1.0)
    late = jnp.where(in_room, jnp.fft.rfft(room.late, size), 0.0)
    back = jnp.fft.irfft(jnp.stack([dry * early, dry * late]), size)[:, :samples]
    return back[0], back[1], noise


def _band_limits(
    draws: _Draws, frequency_hz: jax.Array, settings: Mixing
) -> tuple[jax.Array, jax.Array]:
    """Gains of the speech and of the noise by frequency: Butterworth magnitudes without phase."""
    upper_hz = _between(settings.low_pass_hz, draws.upper_limit)
    lower_hz = _between(settings.high_pass_hz, draws.lower_limit)
    power = 2 * FILTER_ORDER
    low_pass = jax.lax.rsqrt(1.0 + (frequency_hz / upper_hz) ** power)
    high_pass = jax.lax.rsqrt(1.0 + (lower_hz / jnp.maximum(frequency_hz, 0.1)) ** power)
    sides = _place(draws.limited_sides, 3)  # upper, lower, both
    gains = jnp.where(sides == 1, 1.0, low_pass) * jnp.where(sides == 0, 1.0, high_pass)
    of_noise = jnp.where(draws.limited < settings.band_limit_probability, gains, 1.0)
    return jnp.where(draws.limits_speech < 0.5, of_noise, 1.0), of_noise


def _ratio(
    draws: _Draws, speech: jax.Array, noise: jax.Array, settings: Mixing
) -> tuple[jax.Array, jax.Array]:
    """Gains of speech and noise [N] that give the ratio drawn."""
    no_speech = draws.kind < settings.noise_only_probability
    no_noise = draws.kind >= 1.0 - settings.speech_only_probability
    speech_rms, noise_rms = _rms(speech), _rms(noise)
    ratio = _amplitude(_between(settings.snr_db, draws.snr))
    noise_gain = speech_rms / jnp.maximum(noise_rms, SILENT_RMS) / ratio
    noise_gain = jnp.where(no_noise, 0.0, noise_gain)
    alone = no_speech | (speech_rms <= SILENT_RMS)
    return jnp.where(no_speech, 0.0, 1.0), jnp.where(alone, 1.0, noise_gain)


def _level(draws: _Draws, samples: int, settings: Mixing) -> jax.Array:
    """Gain over time, [N], on a mixture at NOMINAL_DBFS."""
    level_dbfs = _between(settings.level_dbfs, draws.level)
    quietest = min(settings.level_dbfs[0], QUIETEST_DBFS)
    low_db, high_db = (
        jnp.clip(step_db, quietest - level_dbfs, -level_dbfs) for step_db in settings.level_step_db
    )
    steps = draws.steps < settings.level_step_probability
    step_db = jnp.where(steps, _between((low_db, high_db), draws.step), 0.0)
    # Not in the first and last tenth, so that there is something to hear on both sides.
    place = samples // 10 + _place(draws.step_place, samples - 2 * (samples // 10))
    after = jnp.arange(samples) >= place
    return _amplitude(level_dbfs - NOMINAL_DBFS + jnp.where(after, step_db, 0.0))


def _heard(draws: _Draws, mixture: jax.Array, settings: Mixing) -> jax.Array:
    """What a converter of 16 bits makes of it, [N]."""
    limit = _between(settings.clipping_share, draws.clipping_share) * jnp.max(jnp.abs(mixture))
    limit = jnp.where(draws.clipped < settings.clipping_probability, limit, jnp.inf)
    codes = jnp.round(jnp.clip(mixture, -limit, limit) * FULL_SCALE)
    return jnp.clip(codes, -FULL_SCALE, FULL_SCALE - 1.0) / FULL_SCALE


def _between(
    limits: tuple[float, float] | tuple[jax.Array, jax.Array], draw: jax.Array
) -> jax.Array:
    return limits[0] + (limits[1] - limits[0]) * draw


def _place(draw: jax.Array, places: int) -> jax.Array:
    """One of the numbers from 0 to `places` - 1."""
    # The product rounds to `places` itself for draws next to 1.
    return jnp.minimum(jnp.floor(draw * places).astype(jnp.int32), places - 1)


def _rms(signal: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.mean(signal**2, axis=-1))


def _amplitude(decibels: jax.Array | float) -> jax.Array:
    return jnp.asarray(10.0, jnp.float32) ** (decibels / 20.0)
