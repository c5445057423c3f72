"""Levels of bands in decibels below the loudest one: what L3-Net and its students hear.

A window of audio (one second) becomes a map whose largest value is 0 dB, so that its gain does not
matter. Conventions of the layers that the published networks were trained with (kapre 0.1.4) and of
OpenL3's later versions, which are settings or fixed here:

* The window is padded with zeros, so that frames begin before it and end behind it.
* A periodic Hann window as long as the transform.
* Triangles straight in Hz, each of area 1 Hz; the HTK or the Slaney scale of mel.
* "power": the square root of what the filters sum of the power spectrum (the first weights, and the
  students). "magnitude": what they sum of the magnitude spectrum (OpenL3 from 0.4 on).
* 10 log10 of that, which is like an amplitude: half of the usual decibels. At least 1e-10.
* Differences below -80 are -80.

The largest value of a window is known at its end only, so that `WindowDecibels` does not stream.
`RunningDecibels` has the loudest band that was heard lately in its place, or a fixed level.
"""

import dataclasses
import functools
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.frontends.frontend import Frontend, State, per_feature
from aqtaudio.frontends.spectral import CHUNK_CLIPS, hz_to_mel, mel_to_hz

AMPLITUDE_FLOOR = 1e-10
RANGE_DB = 80.0
SLANEY_LINEAR_TO_HZ = 1000.0
SLANEY_HZ_PER_MEL = 200.0 / 3
SLANEY_LOG_STEP = np.log(6.4) / 27
"""Slaney's scale, Auditory Toolbox (1998): linear to 1 kHz, 27 steps to 6.4 kHz."""


@dataclasses.dataclass(frozen=True)
class _Decibels(Frontend):
    """Settings and arithmetic of both kinds; defaults are those of the 8 kHz students.

    Attributes:
        mel_bands: number of triangular filters; 0: every bin is a feature. A filter that holds no
            bin, as the lowest of OpenL3's 256, is at the floor.
        mel_scale: "htk" or "slaney".
        spectrum: "power" or "magnitude", see above.
        mean: subtracted from the levels; one value per feature, the last one repeated.
        scale: what the levels are then divided by; one value per feature, the last one repeated.
            Together the batch norm of the input of the published student of 64 values.
    """

    sample_rate_hz: int = 8000
    window_ms: float = 128.0
    hop_ms: float = 20.0
    mel_bands: int = 64
    mel_scale: Literal["htk", "slaney"] = "htk"
    spectrum: Literal["power", "magnitude"] = "power"
    mean: tuple[float, ...] = (-24.1501,)
    scale: tuple[float, ...] = (11.68916,)

    def __post_init__(self):
        for name in ("mean", "scale"):  # lists, as read from JSON, would not hash
            object.__setattr__(self, name, tuple(getattr(self, name)))
        _check(self)

    @property
    def features(self) -> int:
        """Features per frame, F."""
        return self.mel_bands or self.window_samples // 2 + 1

    def levels(self, audio: jax.Array) -> jax.Array:
        """Levels float32 [B, T, F], dB, of the whole frames in audio float32 [B, N]."""
        constants = _constants(self)
        values = self._powers(audio.astype(jnp.float32))
        if self.spectrum == "magnitude":
            values = jnp.sqrt(values)
        if constants.mel is not None:
            # Accelerators round the operands of a default float32 product to fewer bits.
            values = jnp.dot(values, constants.mel, precision=jax.lax.Precision.HIGHEST)
        amplitudes = jnp.sqrt(values) if self.spectrum == "power" else values
        return 10.0 * jnp.log10(jnp.maximum(amplitudes, AMPLITUDE_FLOOR))

    def _powers(self, audio: jax.Array) -> jax.Array:
        """Power spectrum float32 [B, T, bins], transformed in float64.

        What float32 rounds in a transform lies 70 dB below a tone: louder than the noise of 16-bit
        samples between its lines, so that such features would differ from machine to machine.
        """
        frames = max(0, 1 + (audio.shape[1] - self.window_samples) // self.hop_samples)
        places = np.arange(frames)[:, None] * self.hop_samples + np.arange(self.window_samples)
        with jax.enable_x64(True):
            spectrum = jnp.fft.rfft(audio[:, places].astype(jnp.float64) * window_curve(self))
            powers = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
            return powers.astype(jnp.float32)

    def normalised(self, levels: jax.Array, reference: jax.Array) -> jax.Array:
        """Features of levels [B, T, F] and what they are below, dB, broadcast to them."""
        constants = _constants(self)
        below = jnp.maximum(levels - reference, -RANGE_DB)
        return (below - constants.offset) * constants.gain


@dataclasses.dataclass(frozen=True)
class WindowDecibels(_Decibels):
    """Audio float32 [B, N] to float32 [B, T, F], decibels below the loudest value of all.

    A window of N samples has as many frames as begin in it: 50 of one second at 8 kHz.

    Attributes:
        padding: where zeros go: "same" (both sides, so many that the last frame ends with them),
            "centre" (half a frame on both sides; one frame more where the hop divides the samples),
            "end", or "none", as other front ends: whole frames only.
    """

    padding: Literal["same", "centre", "end", "none"] = "same"
    streams: ClassVar[bool] = False

    def frames(self, samples: int) -> int:
        """Returns the number of frames, T, of a window of that many samples."""
        if self.padding == "none" or samples < 1:
            return super().frames(samples)
        if self.padding == "centre":
            return 1 + samples // self.hop_samples
        return -(-samples // self.hop_samples)

    def padding_samples(self, samples: int) -> tuple[int, int]:
        """Returns the zeros before and behind a window of that many samples."""
        if self.padding == "none":
            return 0, 0
        needed = (self.frames(samples) - 1) * self.hop_samples + self.window_samples
        before = {"same": (needed - samples) // 2, "centre": self.window_samples // 2, "end": 0}
        return before[self.padding], max(needed - samples - before[self.padding], 0)

    def push(self, audio: jax.Array, state: State) -> tuple[jax.Array, State]:
        """Returns features float32 [B, T, F] of whole windows float32 [B, N]; there is no state."""
        return _window_features(self, audio), state


@dataclasses.dataclass(frozen=True)
class RunningDecibels(_Decibels):
    """Audio to float32 [B, T, F], decibels below the loudest band that was heard lately.

    Nothing is padded: 50 frames are 8,864 samples at 8 kHz. Above 0 dB there is nothing, unless the
    reference is fixed.

    Attributes:
        decay_db_per_s: how fast the loudest band is forgotten, in decibels as above: 10 are 20 of
            the usual ones.
        fixed_db: the reference; None: the loudest band. With one, gain matters again.
    """

    decay_db_per_s: float = 5.0
    fixed_db: float | None = None

    def initial_state(self, clips: int) -> jax.Array:
        """Returns the loudest band so far, dB [B]: the floor."""
        return jnp.full((clips,), 10 * np.log10(AMPLITUDE_FLOOR), jnp.float32)

    def push(self, audio: jax.Array, state: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Returns features of whole frames, and the loudest band, dB [B], after them."""
        levels = self.levels(audio)
        if self.fixed_db is not None:
            return self.normalised(levels, jnp.float32(self.fixed_db)), state
        decay = np.float32(self.decay_db_per_s * self.hop_samples / self.sample_rate_hz)

        def step(loudest: jax.Array, now: jax.Array) -> tuple[jax.Array, jax.Array]:
            loudest = jnp.maximum(now, loudest - decay)
            return loudest, loudest

        state, loudest = jax.lax.scan(step, state, levels.max(-1).T)
        return self.normalised(levels, loudest.T[..., None]), state


def mel_matrix(settings: _Decibels) -> np.ndarray:
    """Returns weights from spectrum bins to bands, float64 [window_samples // 2 + 1, mel_bands].

    From 0 Hz to half the rate; each band has an area of 1 Hz.
    """
    bins_hz = np.fft.rfftfreq(settings.window_samples, 1 / settings.sample_rate_hz)
    to_mel, to_hz = SCALES[settings.mel_scale]
    highest_hz = settings.sample_rate_hz / 2
    edges_hz = to_hz(np.linspace(0.0, to_mel(highest_hz), settings.mel_bands + 2))
    edges_hz[-1] = highest_hz  # which rounding would put a hair above the last bin
    widths_hz = np.diff(edges_hz)
    rising = (bins_hz[:, None] - edges_hz[:-2]) / widths_hz[:-1]
    falling = (edges_hz[2:] - bins_hz[:, None]) / widths_hz[1:]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return triangles * 2 / (edges_hz[2:] - edges_hz[:-2])


def window_curve(settings: _Decibels) -> np.ndarray:
    """Returns the periodic Hann window, float64 [window_samples]."""
    turn = 2 * np.pi * np.arange(settings.window_samples) / settings.window_samples
    return 0.5 - 0.5 * np.cos(turn)


def slaney_to_mel(frequency_hz: np.ndarray | float) -> np.ndarray:
    """Returns Slaney's mel value of a frequency in Hz."""
    hz = np.asarray(frequency_hz, np.float64)
    corner = SLANEY_LINEAR_TO_HZ / SLANEY_HZ_PER_MEL
    above = corner + np.log(np.maximum(hz, 1.0) / SLANEY_LINEAR_TO_HZ) / SLANEY_LOG_STEP
    return np.where(hz < SLANEY_LINEAR_TO_HZ, hz / SLANEY_HZ_PER_MEL, above)


def mel_to_slaney_hz(mel: np.ndarray | float) -> np.ndarray:
    """Returns the frequency in Hz of Slaney's mel value."""
    mel = np.asarray(mel, np.float64)
    corner = SLANEY_LINEAR_TO_HZ / SLANEY_HZ_PER_MEL
    above = SLANEY_LINEAR_TO_HZ * np.exp(SLANEY_LOG_STEP * (mel - corner))
    return np.where(mel < corner, mel * SLANEY_HZ_PER_MEL, above)


SCALES = {"htk": (hz_to_mel, mel_to_hz), "slaney": (slaney_to_mel, mel_to_slaney_hz)}


@dataclasses.dataclass(frozen=True)
class _Constants:
    """Float32 arrays."""

    mel: np.ndarray | None
    offset: np.ndarray
    gain: np.ndarray


@functools.lru_cache(maxsize=64)
def _constants(settings: _Decibels) -> _Constants:
    """Computes in float64, rounds once to float32."""
    gain = 1.0 / per_feature(settings.scale, settings.features)
    return _Constants(
        mel=mel_matrix(settings).astype(np.float32) if settings.mel_bands else None,
        offset=per_feature(settings.mean, settings.features).astype(np.float32),
        gain=gain.astype(np.float32),
    )


@functools.partial(jax.jit, static_argnums=0)
def _window_features(settings: WindowDecibels, audio: jax.Array) -> jax.Array:
    """[B, N] to [B, T, F], `CHUNK_CLIPS` windows at a time."""
    before, behind = settings.padding_samples(audio.shape[1])

    def one_window(samples: jax.Array) -> jax.Array:
        levels = settings.levels(jnp.pad(samples, (before, behind))[None])[0]
        return settings.normalised(levels, levels.max())

    return jax.lax.map(one_window, audio.astype(jnp.float32), batch_size=CHUNK_CLIPS)


def _check(settings: _Decibels) -> None:
    """Raises BadInput, naming the setting and what is allowed."""
    s = settings
    padding = getattr(s, "padding", "none")
    decay = getattr(s, "decay_db_per_s", 0.0)
    fixed = getattr(s, "fixed_db", None)
    rules = (
        (s.sample_rate_hz > 0, f"sample_rate_hz {s.sample_rate_hz} must be positive"),
        (s.window_samples > 1, f"window_ms {s.window_ms} must be at least two samples"),
        (s.hop_samples > 0, f"hop_ms {s.hop_ms} must be at least one sample"),
        (s.mel_bands >= 0, f"mel_bands {s.mel_bands} must be positive, or 0 for every bin"),
        (s.mel_scale in SCALES, f"mel_scale {s.mel_scale!r}: {' or '.join(SCALES)}"),
        (s.spectrum in ("power", "magnitude"), f"spectrum {s.spectrum!r}: power or magnitude"),
        (
            padding in ("same", "centre", "end", "none"),
            f"padding {padding!r}: same, centre, end or none",
        ),
        (0 <= decay < np.inf, f"decay_db_per_s {decay} must be at least 0"),
        (fixed is None or np.isfinite(fixed), f"fixed_db {fixed} must be finite, or none"),
    )
    for holds, message in rules:
        if not holds:
            raise BadInput(f"front end: {message}")
    _check_lists(s)


def _check_lists(s: _Decibels) -> None:
    rules = (
        (
            1 <= len(s.mean) <= s.features,
            f"mean has {len(s.mean)} values: 1 to {s.features}, the features",
        ),
        (
            1 <= len(s.scale) <= s.features and min(s.scale) > 0,
            f"scale {s.scale}: 1 to {s.features} values, the features, each positive",
        ),
    )
    for holds, message in rules:
        if not holds:
            raise BadInput(f"front end: {message}")


MEL_256 = WindowDecibels(
    sample_rate_hz=48_000, window_ms=2048 / 48, hop_ms=242 / 48, mel_bands=256,
    mel_scale="slaney", spectrum="magnitude", padding="end", mean=(0.0,), scale=(1.0,),
)  # fmt: skip
"""OpenL3's (from 0.4 on), 256x199. Its weights files say what `mean` and `scale` must be, and
`models.published.normalisation` reads it. The first weights, and EdgeL3, heard `mel_scale` "htk",
`spectrum` "power" and `padding` "same"."""
MEL_128 = dataclasses.replace(MEL_256, mel_bands=128)
LINEAR = dataclasses.replace(MEL_256, window_ms=512 / 48, mel_bands=0, padding="none")
"""257x197."""
