"""A micro front end with the documented deviations of one vendor's port, each of them a setting.

The vendor is Rune (hotg-ai/proc-blocks, 2022), whose blocks "fft" and "noise-filtering" have the
names and defaults of the micro front end and compute something else. A model that was trained on
the one fails on the other; which of the deviations costs how much is what the settings are for.

This is no copy of it to the bit: its spectrogram comes from a library that resamples an image in
time, and is not described well enough. Everything behind the square roots is what the block
computes. With every deviation off the codes are those of `MicroFrontend`.
"""

import dataclasses
import functools
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.frontends import micro, micro_tables
from aqtaudio.frontends.frontend import Frontend, State, int16_samples, normalised
from aqtaudio.frontends.micro import MicroFrontend

LOUDEST = 65536.0
CODES_PER_OCTAVE = 8
"""Of plain logarithms where their range is not stretched: 32 bits are 32 octaves are 256 codes."""
WHOLE_BAND_MARGIN_HZ = 1.0
"""What is left out below half the sampling rate: the library's filters must end before it."""


@dataclasses.dataclass(frozen=True)
class VendorFrontend(Frontend):
    """Features of a vendor's device: audio float32 [B, N] in [-1, 1) to float32 [B, T, channels].

    Clips are scaled by their extremes, so it does not stream. Raises BadInput for settings that
    make no sense or that nothing can be trained for.

    Attributes:
        channels: mel filters.
        whole_band: filters go from 0 Hz to half the sampling rate, not from 125 to 7500 Hz.
        clip_range: square roots are stretched to 0 to 65536 over the clip.
        estimate: of the noise. "cell": every cell of the clip begins with its own, 0, so that a
            constant share is subtracted. "recursive": along time, as it should be. "persistent":
            a cell's own from clip to clip, refused because it only grows (`persistent_trace`).
        correction_bits: that gain control takes for the transform's; 3 are right for 512 samples.
        plain_log: log2(value + 1), not the library's scaled logarithm.
        code_range: logarithms are stretched to -128 to 127 over the clip.
        mean: subtracted from the codes, rounded; one value per channel, the last one repeated.
        scale: what they are then divided by. The defaults bring those of recorded speech to
            about zero mean and unit deviation.
    """

    window_ms: float = 30.0
    hop_ms: float = 20.0
    channels: int = 40
    whole_band: bool = True
    clip_range: bool = True
    estimate: Literal["cell", "recursive", "persistent"] = "cell"
    correction_bits: int = -1
    plain_log: bool = True
    code_range: bool = True
    mean: tuple[float, ...] = (-20.0,)
    scale: tuple[float, ...] = (80.0,)
    streams: ClassVar[bool] = False

    def __post_init__(self):
        for name in ("mean", "scale"):  # lists, as read from JSON, would not hash
            object.__setattr__(self, name, tuple(getattr(self, name)))
        _check(self)

    @property
    def features(self) -> int:
        """Features per frame, F."""
        return self.channels

    @property
    def window_samples(self) -> int:
        """Samples per frame."""
        return self.library.window_samples

    @property
    def hop_samples(self) -> int:
        """Samples from one frame to the next."""
        return self.library.hop_samples

    @functools.cached_property
    def library(self) -> MicroFrontend:
        """The front end that this one deviates from, with its filters."""
        lower_hz, upper_hz = MicroFrontend.lower_hz, MicroFrontend.upper_hz
        if self.whole_band:
            lower_hz, upper_hz = 0.0, self.sample_rate_hz / 2 - WHOLE_BAND_MARGIN_HZ
        return MicroFrontend(
            self.sample_rate_hz,
            self.window_ms,
            self.hop_ms,
            channels=self.channels,
            lower_hz=lower_hz,
            upper_hz=upper_hz,
        )

    def push(self, audio: jax.Array, state: State) -> tuple[jax.Array, State]:
        """Returns normalised features [B, T, F] of whole clips; nothing is remembered."""
        return self.normalised(self.integers(int16_samples(audio))), state

    def normalised(self, codes: jax.Array) -> jax.Array:
        """Returns float32 features [..., channels] of the device's codes [..., channels]."""
        return normalised(codes, self.mean, self.scale)

    def integers(self, samples: jax.Array) -> jax.Array:
        """Returns the device's codes, int32 [B, T, channels], -128 to 127, of 16-bit [B, N]."""
        return _integers(self, samples)


@functools.partial(jax.jit, static_argnums=0)
def _integers(settings: VendorFrontend, samples: jax.Array) -> jax.Array:
    """Codes int32 [B, T, C] of samples [B, N]."""
    library = settings.library
    signal = micro.channels(library, samples)
    with jax.enable_x64(True):
        if settings.clip_range:
            signal = _stretched(signal, LOUDEST, flat=0).astype(jnp.uint32)
        return codes(settings, noise_filtered(settings, signal))


def noise_filtered(settings: VendorFrontend, signal: jax.Array) -> jax.Array:
    """Returns uint32 [B, T, C] after noise reduction and gain control of uint32 [B, T, C].

    Under `jax.enable_x64`.
    """
    library, shape = settings.library, signal.shape
    if settings.estimate == "cell":
        signal = signal.reshape(-1, 1, shape[-1])
    silence = library.initial_state(len(signal))
    signal, estimates, _ = micro.without_noise(library, signal, silence)
    gains, snr_shift = _gains(settings)
    return micro.with_gain(signal, estimates, gains, snr_shift).reshape(shape)


def _gains(settings: VendorFrontend) -> tuple[np.ndarray, int]:
    """The table of gains and the shift of their product."""
    library = settings.library
    input_bits = library.smoothing_bits - settings.correction_bits
    gains = micro_tables.gains(
        library.pcan_strength, library.pcan_offset, library.gain_bits, input_bits
    )
    return gains, library.gain_bits - settings.correction_bits - micro_tables.SNR_BITS


def codes(settings: VendorFrontend, values: jax.Array) -> jax.Array:
    """Returns int32 [B, T, C], -128 to 127, of uint32. Under `jax.enable_x64`."""
    if settings.plain_log:
        logarithms = jnp.log2(values.astype(jnp.float64) + 1)
        steps = CODES_PER_OCTAVE * logarithms
    else:
        logarithms = jnp.minimum(micro.logarithm(settings.library, values), 65535)
        steps = ((logarithms << 8) + 333) // 666  # as published models quantize them
    if settings.code_range:
        steps = _stretched(logarithms, 255.0, flat=128)
    return jnp.minimum(jnp.trunc(steps.astype(jnp.float64) - 128), 127).astype(jnp.int32)


def _stretched(values: jax.Array, most: float, flat: float) -> jax.Array:
    """float64 [B, T, C] from 0 to `most` in each clip.

    `flat` where all values are the same: the block divides 0 by 0 and casts that to 0, which of
    codes is the middle.
    """
    values = values.astype(jnp.float64)
    least = values.min((1, 2), keepdims=True)
    width = values.max((1, 2), keepdims=True) - least
    stretched = most * (values - least) / jnp.maximum(width, 1e-9)
    return jnp.where(width == 0, flat, stretched)


def persistent_trace(signal: np.ndarray, calls: int) -> np.ndarray:
    """What calls leave of the same signal while the block's estimate persists, int64 [calls, C].

    A slip makes the share of the old estimate 1 where it should be 1 less the smoothing, so the
    estimate grows until the least that remains is all that remains. Channels are even and odd by
    turns, with the library's defaults.
    """
    library = MicroFrontend()
    *shares, least = micro.smoothing(library)
    smoothing = np.resize(shares, len(signal)).astype(np.int64)
    up = signal.astype(np.int64) << library.smoothing_bits
    estimate, left = np.zeros_like(up), []
    for _ in range(calls):
        estimate = ((up * smoothing >> 14) + estimate) & 0xFFFFFFFF
        rest = (up - np.minimum(estimate, up)) >> library.smoothing_bits
        left.append(np.maximum(rest, signal * least >> 14))
    return np.stack(left)


def _check(settings: VendorFrontend) -> None:
    """Raises BadInput, naming the setting and what is allowed."""
    s = settings
    _ = s.library  # has rules of its own
    rules = (
        (s.estimate in ("cell", "recursive", "persistent"), f"estimate {s.estimate!r}"),
        (
            s.estimate != "persistent",
            "estimate 'persistent': it only grows, so that features depend on how many clips came"
            " before and no model can be trained for them; allowed: cell, recursive (reset it on"
            " the device before every clip)",
        ),
        (-9 <= s.correction_bits <= 9, f"correction_bits {s.correction_bits}: -9 to 9"),
        (1 <= len(s.mean) <= s.channels, f"mean has {len(s.mean)} values: 1 to {s.channels}"),
        (
            1 <= len(s.scale) <= s.channels and min(s.scale) > 0,
            f"scale {s.scale}: 1 to {s.channels} values, each positive",
        ),
    )
    for holds, message in rules:
        if not holds:
            raise BadInput(f"front end: {message}")
