"""Log-mel and MFCC features: audio in [-1, 1) to frames of features, jitted and batched.

Windows, mel weights and cosine transforms are computed once per settings, in float64, and enter the
compiled function as constants.

Conventions (these are what differs between libraries, so they are settings or fixed here):

* HTK mel scale, 1127 ln(1 + f / 700), or Slaney's, linear below 1 kHz (librosa's default).
* Triangles of height 1, or of area 1 in Hz (Slaney's).
* Triangles are straight in mel, with the zero-frequency bin dropped (tf.signal, kws_streaming), or
  straight in Hz (librosa, torchaudio).
* Natural logarithm, floored by adding or by a maximum.
* DCT-II scaled by 2 cos(.) / sqrt(2 bands) for every coefficient (tf.signal), which makes the first
  one sqrt(2) larger than in the orthonormal transform.
"""

import dataclasses
import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.frontends import mel_header
from aqtaudio.frontends.frontend import Frontend, Quantize, State, cut, normalised, per_feature
from aqtaudio.frontends.running_level import running_maximum
from aqtaudio.program.program import Edge
from aqtaudio.settings import added

# Clips transformed at a time. A chunk's spectra stay in the cache of a CPU: 128 clips take half the
# time that they take in one go. Accelerators have four large steps instead of one.
CHUNK_CLIPS = 32


def _untold(default: Any) -> Any:
    return dataclasses.field(default=default, repr=False, metadata={"added": True})


@dataclasses.dataclass(frozen=True)
class LogMel(Frontend):
    """Log-mel features: audio float32 [B, N] in [-1, 1) to float32 [B, T, F], F = `mel_bands`.

    Raises BadInput for settings that make no sense.

    Attributes:
        fft_length: samples of the transform, None for the next power of two.
        mel_bands: number of triangular filters.
        lower_hz: where the lowest filter begins.
        upper_hz: where the highest filter ends.
        mel_triangles: "mel" or "hz", the scale on which the filters' edges are straight.
        mel_scale: "htk" or "slaney", by which filters are spaced.
        mel_norm: "height", or "area": triangles of area 1, in 1/Hz.
        window: "hann" or "hamming".
        window_periodic: whether the window is one period of a periodic function, or symmetric.
        spectrum: "magnitude" or "power", what the filters sum.
        log_floor: "add" for log(x + floor), "max" for log(max(x, floor)).
        log_floor_value: the floor, positive. The default is about what the rounding of 16-bit
            samples leaves in a band, so that digital silence and a quiet recording look alike.
        mean: subtracted from the features; one value per feature, the last one repeated.
        scale: what the features are then divided by; one value per feature, the last one repeated.
            The defaults bring recorded speech to about zero mean and unit deviation, which suits
            an 8-bit input edge.
        level: "as_is", or "running": logarithms are below the loudest band that was heard lately,
            so that gain does not matter. In whole steps (`LEVEL_STEPS`): a maximum and a difference
            of integers per frame on a device. Features are then at most (0 - mean) / scale.
        level_fall_db_per_s: how fast the loudest band is forgotten.
        level_least: what the loudest band counts as at least, a logarithm: what is quieter than
            about speech at -70 dBFS is not brought up.
    """

    fft_length: int | None = None
    mel_bands: int = 40
    lower_hz: float = 20.0
    upper_hz: float = 7000.0
    mel_triangles: Literal["mel", "hz"] = "mel"
    window: Literal["hann", "hamming"] = "hann"
    window_periodic: bool = True
    spectrum: Literal["magnitude", "power"] = "magnitude"
    log_floor: Literal["add", "max"] = "add"
    log_floor_value: float = 1e-3
    mean: tuple[float, ...] = (-1.0,)
    scale: tuple[float, ...] = (2.5,)
    mel_scale: Literal["htk", "slaney"] = added("htk")
    mel_norm: Literal["height", "area"] = added("height")
    # Not in the repr: features are kept under it, and those of before have none of them.
    level: Literal["as_is", "running"] = _untold("as_is")
    level_fall_db_per_s: float = _untold(10.0)
    level_least: float = _untold(-2.0)

    def __post_init__(self):
        for name in ("mean", "scale"):  # lists, as read from JSON, would not hash
            object.__setattr__(self, name, tuple(getattr(self, name)))
        _check(self)

    @property
    def features(self) -> int:
        """Features per frame, F."""
        return self.mel_bands

    @property
    def fft_samples(self) -> int:
        """Samples of the transform: `fft_length`, or the next power of two."""
        return self.fft_length or 1 << (self.window_samples - 1).bit_length()

    def fingerprint(self) -> str:
        """Returns what tells its features from those of others."""
        if self.level == "as_is":
            return repr(self)
        return f"{self!r} {self.level} {self.level_fall_db_per_s} {self.level_least}"

    def initial_state(self, clips: int) -> State:
        """Returns the loudest band so far, in steps, int32 [clips]; () where it does not matter."""
        if self.level == "as_is":
            return ()
        return jnp.full(clips, round(LEVEL_STEPS * self.level_least), jnp.int32)

    def push(self, audio: jax.Array, state: State) -> tuple[jax.Array, State]:
        """Returns features float32 [B, T, F] of audio float32 [B, N], and the loudest band."""
        if self.level == "as_is":
            return _features(self, audio), state
        return _running(self, audio, state)

    def projection(self) -> np.ndarray | None:
        """Returns what the log-mel frames are multiplied with, float64 [bands, F], or None."""
        return None

    def device_files(self, quantize: Quantize, edge: Edge) -> dict[str, str]:
        """Returns C sources, their constants, and a proof."""
        level = _level_steps(self) if self.level == "running" else {}
        return mel_header.files(self, _constants(self), level, quantize, edge)


@dataclasses.dataclass(frozen=True)
class Mfcc(LogMel):
    """Mel-frequency cepstral coefficients: as LogMel, then a DCT-II over the bands.

    F = `coefficients`, the lowest ones, the first (the loudness) included.
    """

    coefficients: int = 10
    mean: tuple[float, ...] = (-14.0, 0.0)
    scale: tuple[float, ...] = (18.0, 4.0, 2.5, 1.5)

    @property
    def features(self) -> int:
        """Features per frame, F."""
        return self.coefficients

    def projection(self) -> np.ndarray:
        """Returns the cosine transform, float64 [bands, coefficients]."""
        return dct_matrix(self.mel_bands, self.coefficients)


LEVEL_STEPS = 1024
"""Steps of a logarithm, which levels are told in: 0.0085 dB."""


def hz_to_mel(frequency_hz: np.ndarray | float) -> np.ndarray:
    """Returns the HTK mel value of a frequency in Hz."""
    return 1127.0 * np.log1p(np.asarray(frequency_hz, np.float64) / 700.0)


def mel_to_hz(mel: np.ndarray | float) -> np.ndarray:
    """Returns the frequency in Hz of an HTK mel value."""
    return 700.0 * np.expm1(np.asarray(mel, np.float64) / 1127.0)


SLANEY_HZ_PER_MEL = 200 / 3
SLANEY_LINEAR_TO_HZ = 1000.0
SLANEY_OCTAVE_STEP = np.log(6.4) / 27
"""Slaney's Auditory Toolbox: 15 mel are 1 kHz, from there 27 mel are a factor of 6.4."""


def hz_to_slaney(frequency_hz: np.ndarray | float) -> np.ndarray:
    """Returns Slaney's mel value of a frequency in Hz."""
    hz = np.asarray(frequency_hz, np.float64)
    above = np.log(np.maximum(hz, SLANEY_LINEAR_TO_HZ) / SLANEY_LINEAR_TO_HZ) / SLANEY_OCTAVE_STEP
    return np.minimum(hz, SLANEY_LINEAR_TO_HZ) / SLANEY_HZ_PER_MEL + above


def slaney_to_hz(mel: np.ndarray | float) -> np.ndarray:
    """Returns the frequency in Hz of Slaney's mel value."""
    mel, knee = np.asarray(mel, np.float64), SLANEY_LINEAR_TO_HZ / SLANEY_HZ_PER_MEL
    below = np.minimum(mel, knee) * SLANEY_HZ_PER_MEL
    return below * np.exp(SLANEY_OCTAVE_STEP * np.maximum(mel - knee, 0.0))


SCALES = {"htk": (hz_to_mel, mel_to_hz), "slaney": (hz_to_slaney, slaney_to_hz)}


def mel_matrix(settings: LogMel) -> np.ndarray:
    """Returns weights from spectrum bins to bands, float64 [fft_samples // 2 + 1, mel_bands]."""
    bins_hz = np.fft.rfftfreq(settings.fft_samples, 1 / settings.sample_rate_hz)
    to_mel, to_hz = SCALES[settings.mel_scale]
    edges = np.linspace(
        to_mel(settings.lower_hz), to_mel(settings.upper_hz), settings.mel_bands + 2
    )
    edges_hz, bins = to_hz(edges), to_mel(bins_hz)
    if settings.mel_triangles == "hz":
        edges, bins = edges_hz, bins_hz
    widths = np.diff(edges)
    rising = (bins[:, None] - edges[:-2]) / widths[:-1]
    falling = (edges[2:] - bins[:, None]) / widths[1:]
    weights = np.maximum(0.0, np.minimum(rising, falling))
    if settings.mel_triangles == "mel":
        weights[0] = 0.0
    if settings.mel_norm == "area":
        weights = weights * (2.0 / (edges_hz[2:] - edges_hz[:-2]))
    return weights


def dct_matrix(bands: int, coefficients: int) -> np.ndarray:
    """Returns the DCT-II as tf.signal scales it, float64 [bands, coefficients]."""
    angles = np.pi * np.outer(np.arange(bands) + 0.5, np.arange(coefficients)) / bands
    return 2.0 * np.cos(angles) / np.sqrt(2.0 * bands)


def window_curve(settings: LogMel) -> np.ndarray:
    """Returns the window, float64 [window_samples]."""
    length = settings.window_samples
    make = np.hanning if settings.window == "hann" else np.hamming
    return make(length + 1)[:-1] if settings.window_periodic else make(length)


def _check(settings: LogMel) -> None:
    """Raises BadInput, naming the setting and what is allowed."""
    s = settings
    nyquist_hz = s.sample_rate_hz / 2
    rules = (
        (s.sample_rate_hz > 0, f"sample_rate_hz {s.sample_rate_hz} must be positive"),
        (s.window_samples > 1, f"window_ms {s.window_ms} must be at least two samples"),
        (s.hop_samples > 0, f"hop_ms {s.hop_ms} must be at least one sample"),
        (
            s.fft_samples >= s.window_samples,
            f"fft_length {s.fft_length} is shorter than the window, {s.window_samples} samples",
        ),
        (s.mel_bands > 0, f"mel_bands {s.mel_bands} must be positive"),
        (
            0 <= s.lower_hz < s.upper_hz <= nyquist_hz,
            f"lower_hz {s.lower_hz}, upper_hz {s.upper_hz} must rise within 0 to {nyquist_hz} Hz",
        ),
        (s.mel_triangles in ("mel", "hz"), f"mel_triangles {s.mel_triangles!r}: mel or hz"),
        (s.mel_scale in SCALES, f"mel_scale {s.mel_scale!r}: {' or '.join(SCALES)}"),
        (s.mel_norm in ("height", "area"), f"mel_norm {s.mel_norm!r}: height or area"),
        (s.window in ("hann", "hamming"), f"window {s.window!r}: hann or hamming"),
        (s.spectrum in ("magnitude", "power"), f"spectrum {s.spectrum!r}: magnitude or power"),
        (s.log_floor in ("add", "max"), f"log_floor {s.log_floor!r}: add or max"),
        (s.level in ("as_is", "running"), f"level {s.level!r}: as_is or running"),
        (
            0 <= s.level_fall_db_per_s < 1e4,
            f"level_fall_db_per_s {s.level_fall_db_per_s} must be within 0 to 10000",
        ),
        (abs(s.level_least) < 100, f"level_least {s.level_least} must be within -100 to 100"),
        (s.log_floor_value > 0, f"log_floor_value {s.log_floor_value} must be positive"),
        (
            0 < s.features <= s.mel_bands,
            f"coefficients {s.features} must be within 1 to mel_bands, {s.mel_bands}",
        ),
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
    empty = np.flatnonzero(~mel_matrix(s).any(axis=0))
    if empty.size:
        raise BadInput(
            f"front end: mel band {empty[0]} of {s.mel_bands} holds no bin of a"
            f" {s.fft_samples} point transform: fewer mel_bands or a longer fft_length"
        )


@dataclasses.dataclass(frozen=True)
class _Constants:
    """Float32 arrays and the range of bins that any band uses."""

    window: np.ndarray
    mel: np.ndarray
    bins: slice
    projection: np.ndarray | None
    offset: np.ndarray
    gain: np.ndarray


@functools.lru_cache(maxsize=64)
def _constants(settings: LogMel) -> _Constants:
    """Computes in float64, rounds once to float32."""
    mel = mel_matrix(settings)
    used = np.flatnonzero(mel.any(axis=1))
    bins = slice(int(used[0]), int(used[-1]) + 1)
    projection = settings.projection()
    gain = 1.0 / per_feature(settings.scale, settings.features)
    return _Constants(
        window=window_curve(settings).astype(np.float32),
        mel=mel[bins].astype(np.float32),
        bins=bins,
        projection=None if projection is None else projection.astype(np.float32),
        offset=per_feature(settings.mean, settings.features).astype(np.float32),
        gain=gain.astype(np.float32),
    )


@functools.partial(jax.jit, static_argnums=0)
def _features(settings: LogMel, audio: jax.Array) -> jax.Array:
    """[B, N] to [B, T, F], `CHUNK_CLIPS` clips at a time."""
    one_clip = functools.partial(_clip_features, settings, _constants(settings))
    return jax.lax.map(one_clip, audio.astype(jnp.float32), batch_size=CHUNK_CLIPS)


def _clip_features(settings: LogMel, constants: _Constants, audio: jax.Array) -> jax.Array:
    """[N] to [T, F]."""
    frames = cut(audio, settings)
    spectrum = jnp.fft.rfft(frames * constants.window, settings.fft_samples)[:, constants.bins]
    power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    energy = power if settings.spectrum == "power" else jnp.sqrt(power)
    # Accelerators round the operands of a default float32 product to fewer bits.
    dot = functools.partial(jnp.dot, precision=jax.lax.Precision.HIGHEST)
    mel = dot(energy, constants.mel)
    floor = settings.log_floor_value
    logs = jnp.log(mel + floor if settings.log_floor == "add" else jnp.maximum(mel, floor))
    if settings.level == "running":
        return logs
    return _told(settings, constants, logs)


def _told(settings: LogMel, constants: _Constants, logs: jax.Array) -> jax.Array:
    """Logarithms [..., bands] to features [..., F]."""
    dot = functools.partial(jnp.dot, precision=jax.lax.Precision.HIGHEST)
    features = logs if constants.projection is None else dot(logs, constants.projection)
    return (features - constants.offset) * constants.gain


def _level_steps(settings: LogMel) -> dict[str, int]:
    """Steps of a logarithm, and in them what the loudest band loses per frame and is at least."""
    seconds = settings.hop_samples / settings.sample_rate_hz
    per_db = np.log(10.0) / (10.0 if settings.spectrum == "power" else 20.0)
    fall = round(LEVEL_STEPS * settings.level_fall_db_per_s * per_db * seconds)
    return {"steps": LEVEL_STEPS, "fall": fall, "least": round(LEVEL_STEPS * settings.level_least)}


@functools.partial(jax.jit, static_argnums=0)
def _running(settings: LogMel, audio: jax.Array, loudest: jax.Array) -> tuple[jax.Array, jax.Array]:
    """[B, N] and the loudest band before, [B], to [B, T, F] and that after."""
    logs = jnp.rint(LEVEL_STEPS * _features(settings, audio)).astype(jnp.int32)
    if not logs.shape[1]:
        return jnp.zeros((len(audio), 0, settings.features), jnp.float32), loudest
    level = _level_steps(settings)
    running = running_maximum(jnp.maximum(logs.max(-1), level["least"]), loudest, level["fall"])
    below = logs - running[..., None]
    if settings.projection() is None:
        features = normalised(below, settings.mean, settings.scale, LEVEL_STEPS)
    else:
        features = _told(settings, _constants(settings), below / np.float32(LEVEL_STEPS))
    return features, running[:, -1]
