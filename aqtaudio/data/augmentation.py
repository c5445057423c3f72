"""Random changes to training clips, drawn per clip, jitted and batched.

Audio: speed and shift in time, gain, background noise (kws_streaming, arXiv 2005.06720, plus
the gain), and other clips behind them. Features: SpecAugment's masks (arXiv 1904.08779), here
another draw for every clip rather than one for the whole batch. The same key and the same input
give the same output.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from aqtaudio.errors import BadInput

INT16_STEP = 1.0 / 32768.0


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How much to change. Zero switches a change off; the defaults suit one-second keyword clips.

    Raises BadInput for settings that make no sense.

    Attributes:
        time_shift_ms: clips move by up to this much, either way; zeros come in.
        speed_change: clips play faster or slower by up to this share, pitch included.
        gain_db: clips become louder or quieter by up to this much.
        noise_probability: share of the clips that get background noise.
        noise_max_volume: the noise is multiplied with a uniform draw from zero to this.
        babble_probability: share of the clips that get another clip of the batch behind them: what
            streams hear around words.
        babble_max_volume: that clip is multiplied with a uniform draw from zero to this.
        quieter_db: at last, clips become quieter by up to this much, as if the microphone were, and
            are rounded to 16 bits again.
        spec_time_masks: masks in time per clip.
        spec_time_max_frames: longest such mask; lengths are uniform from zero.
        spec_frequency_masks: masks in frequency per clip.
        spec_frequency_max_bands: widest such mask; widths are uniform from zero.
    """

    time_shift_ms: float = 100.0
    speed_change: float = 0.15
    gain_db: float = 6.0
    noise_probability: float = 0.8
    noise_max_volume: float = 0.1
    spec_time_masks: int = 2
    spec_time_max_frames: int = 10
    spec_frequency_masks: int = 2
    spec_frequency_max_bands: int = 5
    babble_probability: float = dataclasses.field(default=0.0, metadata={"added": True})
    babble_max_volume: float = dataclasses.field(default=0.1, metadata={"added": True})
    quieter_db: float = dataclasses.field(default=0.0, metadata={"added": True})

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not 0 <= value < float("inf"):
                raise BadInput(f"augmentation: {field.name} {value} must not be negative")
        for name in ("noise_probability", "babble_probability"):
            if getattr(self, name) > 1:
                raise BadInput(f"augmentation: {name} {getattr(self, name)} is over 1")
        if self.speed_change >= 1:
            raise BadInput(f"augmentation: speed_change {self.speed_change} must be under 1")

    def without_audio(self) -> "Augmentation":
        """The same with masks only: for features that a device computed."""
        names = (field.name for field in dataclasses.fields(self))
        return dataclasses.replace(self, **{n: 0.0 for n in names if not n.startswith("spec_")})

    @property
    def changes_audio(self) -> bool:
        """Whether anything but masks is on."""
        noise = self.noise_probability and self.noise_max_volume
        babble = self.babble_probability and self.babble_max_volume
        changes = self.time_shift_ms, self.speed_change, self.gain_db, self.quieter_db
        return any((*changes, noise, babble))


@functools.partial(jax.jit, static_argnames=("settings", "sample_rate_hz"))
def augment_audio(
    key: jax.Array,
    audio: jax.Array,
    noise: jax.Array | None,
    settings: Augmentation,
    sample_rate_hz: int = 16_000,
) -> jax.Array:
    """Changes each clip's speed, place in time and level, and adds background noise.

    Args:
        key: a random key.
        audio: clips, float32 [B, N] in [-1, 1).
        noise: recordings to crop from, int16 or float [M, L] with L >= N; None for none.
        settings: how much.
        sample_rate_hz: of audio and noise.

    Returns:
        float32 [B, N], clipped to [-1, 1).

    Raises BadInput when the noise is shorter than the clips.
    """
    clips, samples = audio.shape
    warp_key, gain_key, noise_key = jax.random.split(key, 3)
    audio = audio.astype(jnp.float32)
    if settings.time_shift_ms or settings.speed_change:
        audio = _warp(warp_key, audio, settings, sample_rate_hz)
    if settings.gain_db:
        decibels = settings.gain_db * _uniform(gain_key, (clips, 1), -1.0)
        audio = audio * 10.0 ** (decibels / 20.0)
    if settings.babble_probability and settings.babble_max_volume:
        audio = audio + _babble(jax.random.fold_in(noise_key, 1), audio, settings)
    if noise is not None and settings.noise_probability and settings.noise_max_volume:
        audio = audio + _background(noise_key, noise, clips, samples, settings)
    audio = jnp.clip(audio, -1.0, 1.0 - INT16_STEP)
    if settings.quieter_db:
        decibels = -settings.quieter_db * _uniform(jax.random.fold_in(gain_key, 1), (clips, 1))
        audio = jnp.round(audio * 10.0 ** (decibels / 20.0) / INT16_STEP) * INT16_STEP
    return audio


@functools.partial(jax.jit, static_argnames="settings")
def mask_features(key: jax.Array, features: jax.Array, settings: Augmentation) -> jax.Array:
    """Sets random stretches of frames and of bands to zero, the mean of normalised features.

    Args:
        key: a random key.
        features: float32 [B, T, F].
        settings: how many stretches, and how long.

    Returns:
        float32 [B, T, F].
    """
    clips, frames, bands = features.shape
    time_key, band_key = jax.random.split(key)
    time, band = settings.spec_time_masks, settings.spec_frequency_masks
    in_time = _stretches(time_key, (clips, time), frames, settings.spec_time_max_frames)
    in_band = _stretches(band_key, (clips, band), bands, settings.spec_frequency_max_bands)
    return jnp.where(in_time[:, :, None] | in_band[:, None, :], 0.0, features)


def _uniform(key: jax.Array, shape: tuple[int, ...], low: float = 0.0) -> jax.Array:
    return jax.random.uniform(key, shape, jnp.float32, low, 1.0)


def _warp(
    key: jax.Array, audio: jax.Array, settings: Augmentation, sample_rate_hz: int
) -> jax.Array:
    """Shifts by whole samples and resamples linearly about the clip's middle, [B, N]."""
    clips, samples = audio.shape
    shift_key, speed_key = jax.random.split(key)
    reach = round(settings.time_shift_ms * sample_rate_hz / 1000)
    shift = jax.random.randint(shift_key, (clips, 1), -reach, reach + 1)
    change = settings.speed_change * _uniform(speed_key, (clips, 1), -1.0)
    time = jnp.arange(samples) - shift
    # How far from `time` to read: small, so float32 resolves it, and zero at unchanged speed.
    drift = (time - samples // 2) * change
    whole = jnp.floor(drift)
    before = time + whole.astype(jnp.int32)
    fraction = drift - whole
    padded = jnp.pad(audio, ((0, 0), (1, 1)))

    def at(index: jax.Array) -> jax.Array:
        index = jnp.clip(index + 1, 0, samples + 1)
        return jnp.take_along_axis(padded, index, axis=1, mode="promise_in_bounds")

    return (1.0 - fraction) * at(before) + fraction * at(before + 1)


def _babble(key: jax.Array, audio: jax.Array, settings: Augmentation) -> jax.Array:
    """Other clips of the batch at random volumes, zero where a clip gets none, [B, N]."""
    clips = audio.shape[0]
    which_key, volume_key, chance_key = jax.random.split(key, 3)
    others = jnp.roll(audio, jax.random.randint(which_key, (), 1, max(clips, 2)), axis=0)
    volume = settings.babble_max_volume * _uniform(volume_key, (clips, 1))
    chosen = _uniform(chance_key, (clips, 1)) < settings.babble_probability
    return jnp.where(chosen, volume, 0.0) * others


def _background(
    key: jax.Array, noise: jax.Array, clips: int, samples: int, settings: Augmentation
) -> jax.Array:
    """Random crops of random recordings at random volumes, zero where a clip gets none, [B, N]."""
    recordings, length = noise.shape
    if length < samples:
        raise BadInput(f"noise of {length} samples is shorter than the clips, {samples} samples")
    which_key, start_key, volume_key, chance_key = jax.random.split(key, 4)
    which = jax.random.randint(which_key, (clips,), 0, recordings)
    start = jax.random.randint(start_key, (clips,), 0, length - samples + 1)
    volume = settings.noise_max_volume * _uniform(volume_key, (clips, 1))
    chosen = _uniform(chance_key, (clips, 1)) < settings.noise_probability
    if jnp.issubdtype(noise.dtype, jnp.integer):
        volume = volume * INT16_STEP

    def crop(recording: jax.Array, first: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(noise, (recording, first), (1, samples))[0]

    return jnp.where(chosen, volume, 0.0) * jax.vmap(crop)(which, start).astype(jnp.float32)


def _stretches(key: jax.Array, draws: tuple[int, int], size: int, longest: int) -> jax.Array:
    """Which of `size` places some of a clip's stretches cover, bool [B, size] for draws [B, K]."""
    length_key, start_key = jax.random.split(key)
    length = jax.random.randint(length_key, draws, 0, min(longest, size) + 1)
    start = jax.random.randint(start_key, draws, 0, size - length + 1)
    place = jnp.arange(size)
    covered = (place >= start[..., None]) & (place < (start + length)[..., None])
    return covered.any(axis=1)
