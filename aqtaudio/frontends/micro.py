"""The TensorFlow micro front end, bit for bit: what microcontrollers compute, jitted and batched.

Window, fixed-point FFT, mel filters, square root, noise reduction, PCAN gain control, logarithm:
integers throughout (tensorflow/lite/experimental/microfrontend; the signal library of
tflite-micro). Two builds are in use: the C library, whose filter weights are rounded, and TFLite
Micro's operators, whose weights are truncated and whose features end at 15 bits.
"""

import dataclasses
import functools
import math
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.frontends import fixed_fft, micro_header, micro_tables
from aqtaudio.frontends.frontend import Frontend, Quantize, cut, int16_samples, normalised
from aqtaudio.frontends.micro_tables import SHRUNK_BITS, SMOOTHING_ONE, SNR_BITS, WINDOW_BITS
from aqtaudio.program.program import Edge
from aqtaudio.settings import added

# Windows transformed at a time on a CPU: their spectra stay in its cache.
CHUNK_WINDOWS = 256
GROUP_CHANNELS = 8
LOG_COEFFICIENT = 45426  # ln 2 in 1/65536
STEPS_PER_UNIT = 25.6
"""Feature steps per unit of what models are trained on: 10 / 256 (kws_streaming, microWakeWord)."""
ESPHOME_STEPS = 666
"""That ESPHome's micro_wake_word divides into 256 codes, the first of them -128."""
ESPHOME_STEP = 1 / 64
"""What one of these codes is to a model: a power of two, near to that of other settings."""


@dataclasses.dataclass(frozen=True)
class MicroFrontend(Frontend):
    """Micro features: audio float32 [B, N] in [-1, 1) to float32 [B, T, F], F = `channels`.

    Raises BadInput for settings that make no sense.

    Attributes:
        window_ms: whole samples of it count.
        hop_ms: whole samples of it count.
        variant: "c", the C library and TensorFlow's operator; "tflm", TFLite Micro's operators.
        channels: mel filters.
        lower_hz: where the lowest begins.
        upper_hz: where the highest ends.
        smoothing_bits: fraction bits of the noise estimate.
        even_smoothing: share of a frame in the noise estimate of even channels.
        odd_smoothing: the same of odd channels.
        min_signal_remaining: share of a signal that noise reduction leaves at least.
        pcan: whether gain control is on.
        pcan_strength: exponent of the noise in its gain.
        pcan_offset: added to the noise.
        gain_bits: fraction bits of the gain.
        log: whether the logarithm is taken; only "c" can do without.
        scale_shift: fraction bits of the logarithm.
        window_cosine: "float64", or "float32" for devices whose window was computed so.
        mean: subtracted from features / 25.6; one value per channel, the last one repeated.
        scale: what they are then divided by. The defaults put the values of speech, 0 to 26,
            evenly around zero.
        codes: "esphome": a model sees the int8 codes that ESPHome's micro_wake_word makes of the
            features, in steps of 1/64, and is trained and served on these very codes; `mean` and
            `scale` do not count. "calibrated": the input edge has a grid of its own.
    """

    window_ms: float = 30.0
    hop_ms: float = 20.0
    variant: Literal["c", "tflm"] = "c"
    channels: int = 40
    lower_hz: float = 125.0
    upper_hz: float = 7500.0
    smoothing_bits: int = 10
    even_smoothing: float = 0.025
    odd_smoothing: float = 0.06
    min_signal_remaining: float = 0.05
    pcan: bool = True
    pcan_strength: float = 0.95
    pcan_offset: float = 80.0
    gain_bits: int = 21
    log: bool = True
    scale_shift: int = 6
    window_cosine: Literal["float64", "float32"] = "float64"
    mean: tuple[float, ...] = (13.0,)
    scale: tuple[float, ...] = (6.5,)
    codes: Literal["calibrated", "esphome"] = added("calibrated")

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
        return int(self.window_ms * self.sample_rate_hz / 1000)

    @property
    def hop_samples(self) -> int:
        """Samples from one frame to the next."""
        return int(self.hop_ms * self.sample_rate_hz / 1000)

    @property
    def fft_samples(self) -> int:
        """Samples of the transform, the next power of two."""
        return 1 << (self.window_samples - 1).bit_length()

    @property
    def correction_bits(self) -> int:
        """Fraction bits that the transform takes away, less those that filters add."""
        return self.fft_samples.bit_length() - 1 - micro_tables.FILTER_BITS // 2

    @property
    def snr_shift(self) -> int:
        """What the signal times its gain is shifted by; TFLite Micro's is fixed."""
        return 6 if self.variant == "tflm" else self.gain_bits - self.correction_bits - SNR_BITS

    @property
    def features_scale(self) -> float | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The step of the codes where `codes` fixes them."""
        return ESPHOME_STEP if self.codes == "esphome" else None

    def initial_state(self, clips: int) -> jax.Array:
        """Returns the noise estimate, uint32 [clips, channels]."""
        return jnp.zeros((clips, self.channels), jnp.uint32)

    def device_files(self, quantize: Quantize, edge: Edge) -> dict[str, str]:
        """Returns C++ headers: settings, tables, input codes of every feature value, a proof."""
        return micro_header.files(self, tables(self), quantize, math.prod(edge.shape))

    def push(self, audio: jax.Array, state: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Returns normalised features [B, T, F] and the noise estimate."""
        steps, state = self.integers(int16_samples(audio), state)
        return self.normalised(steps), state

    def normalised(self, steps: jax.Array) -> jax.Array:
        """Returns float32 features [..., channels] of the device's [..., channels]."""
        if self.codes == "esphome":
            return esphome_codes(steps).astype(jnp.float32) * np.float32(ESPHOME_STEP)
        return normalised(steps, self.mean, self.scale, STEPS_PER_UNIT)

    def integers(self, samples: jax.Array, state: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Returns the device's features, int32 [B, T, channels], of 16-bit samples [B, N]."""
        return _integers(self, samples, state)


def esphome_codes(steps: jax.Array) -> jax.Array:
    """Returns what ESPHome makes of features, int32 [...]: codes -128 to 127, int32 [...].

    256 / 666 code per step (666 is 25.6 * 26, rounded), halves up (micro_wake_word.cpp).
    """
    codes = (steps * 256 + ESPHOME_STEPS // 2) // ESPHOME_STEPS - 128
    return jnp.clip(codes, -128, 127)


@dataclasses.dataclass(frozen=True)
class Tables:
    """The integer tables of some settings, see `micro_tables`."""

    window: np.ndarray
    filters: micro_tables.Filters
    gains: np.ndarray
    logarithms: np.ndarray


@functools.lru_cache(maxsize=64)
def tables(settings: MicroFrontend) -> Tables:
    """Returns the tables of these settings."""
    s = settings
    input_bits = s.smoothing_bits - s.correction_bits
    return Tables(
        micro_tables.window(s.window_samples, s.window_cosine == "float32", s.variant == "tflm"),
        micro_tables.filters(
            s.fft_samples // 2 + 1,
            s.sample_rate_hz,
            s.channels,
            s.lower_hz,
            s.upper_hz,
            rounded=s.variant == "c",
        ),
        micro_tables.gains(s.pcan_strength, s.pcan_offset, s.gain_bits, input_bits),
        micro_tables.logarithms(),
    )


def smoothing(settings: MicroFrontend) -> tuple[int, int, int]:
    """Returns even_smoothing, odd_smoothing and min_signal_remaining in 1/16384.

    The C library holds them in float32. In TFLite Micro's Python odd_smoothing 0 means the same as
    for even channels.
    """
    s = settings
    if s.variant == "c":
        shares = map(np.float32, (s.even_smoothing, s.odd_smoothing, s.min_signal_remaining))
    else:
        shares = (s.even_smoothing, s.odd_smoothing or s.even_smoothing, s.min_signal_remaining)
    even, odd, least = (int(share * SMOOTHING_ONE) for share in shares)
    return even, odd, least


@functools.partial(jax.jit, static_argnums=0)
def _integers(
    settings: MicroFrontend, samples: jax.Array, estimate: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Features int32 [B, T, C] and noise estimate [B, C] of samples [B, N]."""
    signal = channels(settings, samples)
    with jax.enable_x64(True):
        signal, estimates, estimate = without_noise(settings, signal, estimate)
        if settings.pcan:
            signal = with_gain(signal, estimates, tables(settings).gains, settings.snr_shift)
        if settings.log:
            signal = logarithm(settings, signal)
        most = 65535 if settings.variant == "c" else 32767
        return jnp.minimum(signal, most).astype(jnp.int32), estimate


def channels(settings: MicroFrontend, samples: jax.Array) -> jax.Array:
    """Returns square roots of filter sums, uint32 [B, T, channels], of 16-bit samples [B, N]."""
    windows = cut(samples.astype(jnp.int16), settings)
    clips, frames, length = windows.shape
    return _in_chunks(settings, windows.reshape(-1, length)).reshape(clips, frames, -1)


def _in_chunks(settings: MicroFrontend, windows: jax.Array) -> jax.Array:
    """Channels uint32 [R, C] of windows int16 [R, W]."""
    rows, length = windows.shape
    size = CHUNK_WINDOWS if jax.default_backend() == "cpu" else rows
    size = max(1, min(size, rows))
    count = -(-rows // size)
    padded = jnp.pad(windows, ((0, count * size - rows), (0, 0))).reshape(count, size, length)
    transform = functools.partial(_channels, settings)
    if count == 1:
        return transform(padded[0])[:rows]
    return jax.lax.map(transform, padded).reshape(count * size, -1)[:rows]


def _channels(settings: MicroFrontend, windows: jax.Array) -> jax.Array:
    """Square roots of filter sums, uint32 [R, C], of windows int16 [R, W]."""
    first, second, shift = spectrum(settings, windows)
    with jax.enable_x64(True):
        weights = tables(settings).filters.by_halves(settings.fft_samples)
        sums = _filtered(weights, first, second)
        root = jnp.floor(jnp.sqrt(sums))
        up = (sums - root * root > root) & ~((sums < 2.0**32) & (root == 0xFFFF))
        return ((root + up).astype(jnp.uint32) >> shift.astype(jnp.uint32)).T


def spectrum(
    settings: MicroFrontend, windows: jax.Array
) -> tuple[fixed_fft.Complex, fixed_fft.Complex, jax.Array]:
    """Returns halves as of `fixed_fft.rfft`, [N / 4, R], of windows int16 [R, W], and their shifts.

    Windows go along the last axis, where vector units work.
    """
    windows = windows.T.astype(jnp.int32)
    weighted = ((windows * tables(settings).window[:, None]) >> WINDOW_BITS).astype(jnp.int16)
    shift = 15 - _bit_length(_loudest(settings, weighted).astype(jnp.uint32))
    scaled = (weighted.astype(jnp.int32) << shift).astype(jnp.int16)
    padding = settings.fft_samples - settings.window_samples
    return *fixed_fft.rfft(jnp.pad(scaled, ((0, padding), (0, 0)))), shift


def _loudest(settings: MicroFrontend, weighted: jax.Array) -> jax.Array:
    """The largest magnitude int16 [R] of windows [W, R], as the libraries find it.

    |-32768| wraps. The C library ignores it. TFLite Micro takes it for the largest so far, a
    negative one, from which it recovers with the first value that does not rise or is positive.
    """
    size = jnp.maximum(jnp.abs(weighted), 0)
    if settings.variant == "c":
        return jnp.max(size, 0)
    index = jnp.arange(len(weighted))[:, None]
    lowest = jnp.max(jnp.where(weighted == -32768, index, -1), 0)
    rises = (weighted < 0) & (weighted > jnp.roll(weighted, 1, 0))
    recovers = jnp.where((index > lowest) & ~rises, index, len(weighted))
    first = jnp.where(lowest < 0, 0, jnp.min(recovers, 0))
    found = jnp.max(jnp.where(index >= first, size, 0), 0)
    return jnp.where(found > 0, found, 32767)  # 0 and negative numbers have 32 bits there


def _filtered(
    weights: tuple[np.ndarray, np.ndarray], first: fixed_fft.Complex, second: fixed_fft.Complex
) -> jax.Array:
    """Filter sums float64 [C, R] of both halves of the spectrum, [N / 4, R] each.

    Sums of integers below 2^53: exact, whatever the order.
    """

    def energy(bins: fixed_fft.Complex) -> jax.Array:
        return (bins[0] * bins[0] + bins[1] * bins[1]).astype(jnp.uint32).astype(jnp.float64)

    low, high = weights
    above = int(np.argmax(high.any(axis=1)))  # the channels below have nothing there
    sums = _banded(low, energy(first))
    both = sums[above:] + _banded(high[above:], energy(second))
    return jnp.concatenate([sums[:above], both])


def _banded(weights: np.ndarray, energy: jax.Array) -> jax.Array:
    """weights [C, N] @ energy [N, R] by groups of neighbours, which share few bins."""
    sums = []
    for group in np.array_split(weights.astype(np.float64), -(-len(weights) // GROUP_CHANNELS)):
        used = np.flatnonzero(group.any(axis=0))
        bins = slice(used[0], used[-1] + 1) if len(used) else slice(0, 1)
        sums.append(group[:, bins] @ energy[bins])
    return jnp.concatenate(sums)


def without_noise(
    settings: MicroFrontend, signal: jax.Array, estimate: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns signal less noise uint32 [B, T, C], the estimate of every frame, and the last one."""
    s = settings
    *shares, least = smoothing(s)
    new = np.resize(shares, s.channels).astype(np.uint64)
    up = signal << np.uint32(s.smoothing_bits)

    def track(estimate: jax.Array, up: jax.Array) -> tuple[jax.Array, jax.Array]:
        sums = up.astype(jnp.uint64) * new + estimate.astype(jnp.uint64) * (SMOOTHING_ONE - new)
        estimate = (sums // SMOOTHING_ONE).astype(jnp.uint32)
        return estimate, estimate

    last, estimates = jax.lax.scan(track, estimate, up.swapaxes(0, 1))
    estimates = estimates.swapaxes(0, 1)
    rest = (up - jnp.minimum(estimates, up)) >> np.uint32(s.smoothing_bits)
    floor = (signal.astype(jnp.uint64) * np.uint64(least) // SMOOTHING_ONE).astype(jnp.uint32)
    return jnp.maximum(rest, floor), estimates, last


def with_gain(
    signal: jax.Array, estimates: jax.Array, gains: np.ndarray, snr_shift: int
) -> jax.Array:
    """Returns PCAN, the signal over a power of its noise, uint32 [B, T, C]."""
    gain = _gain(gains, estimates).astype(jnp.uint32).astype(jnp.uint64)
    snr = ((signal.astype(jnp.uint64) * gain) >> np.uint64(snr_shift)).astype(jnp.uint32)
    square = (snr * snr) >> np.uint32(2 + 2 * SNR_BITS - SHRUNK_BITS)
    straight = (snr >> np.uint32(SNR_BITS - SHRUNK_BITS)) - np.uint32(1 << SHRUNK_BITS)
    return jnp.where(snr < 2 << SNR_BITS, square, straight)


def _gain(table: np.ndarray, x: jax.Array) -> jax.Array:
    """int32: the quadratic of x's octave; x is uint32."""
    octave = _bit_length(x)
    y0, a1, a2 = (jnp.asarray(column)[octave] for column in table.T)
    above = jnp.maximum(octave - 11, 0).astype(jnp.uint32)
    below = jnp.maximum(11 - octave, 0).astype(jnp.uint32)
    fraction = (((x << below) >> above) & 0x3FF).astype(jnp.int32)
    slope = ((a2 * fraction) >> 5) + (a1 << 5)
    value = y0 + ((slope * fraction + (1 << 14)) >> 15)
    return jnp.where(x <= 2, y0, value).astype(jnp.int16).astype(jnp.int32)


def logarithm(settings: MicroFrontend, signal: jax.Array) -> jax.Array:
    """Returns the natural logarithm in steps of 2^-scale_shift, uint32 [B, T, C]."""
    bits = settings.correction_bits
    x = signal << np.uint32(bits) if bits >= 0 else signal >> np.uint32(-bits)
    integer = _bit_length(jnp.maximum(x, 1)) - 1
    shift = integer.astype(jnp.uint64)
    fraction = (((x.astype(jnp.uint64) << np.uint64(16)) >> shift) & 0xFFFF).astype(jnp.int32)
    table = jnp.asarray(tables(settings).logarithms)
    segment = fraction >> 9
    low, high = table[segment], table[segment + 1]
    # The library shifts by 16 where 9 would interpolate.
    fraction = fraction + low + (((high - low) * (fraction & 511)) >> 16)
    log2 = ((integer << 16) + fraction).astype(jnp.uint64)
    natural = ((log2 * LOG_COEFFICIENT + 32768) >> np.uint64(16)).astype(jnp.uint32)
    scaled = (natural << np.uint32(settings.scale_shift)) + np.uint32(32768)
    return jnp.where(x > 1, scaled >> np.uint32(16), 0)


def _bit_length(x: jax.Array) -> jax.Array:
    """int32 bits that uint32 x takes."""
    return 32 - jax.lax.clz(x).astype(jnp.int32)


def _check(settings: MicroFrontend) -> None:
    """Raises BadInput, naming the setting and what is allowed."""
    s = settings
    rules = (
        (s.sample_rate_hz > 0, f"sample_rate_hz {s.sample_rate_hz} must be positive"),
        (4 < s.window_samples <= 32768, f"window_ms {s.window_ms} must be 5 to 32768 samples"),
        (
            0 < s.hop_samples <= s.window_samples,
            f"hop_ms {s.hop_ms} must be at least a sample and at most window_ms, {s.window_ms}",
        ),
        (s.variant in ("c", "tflm"), f"variant {s.variant!r}: c or tflm"),
        (s.channels > 0, f"channels {s.channels} must be positive"),
        (
            0 <= s.lower_hz < s.upper_hz,
            f"lower_hz {s.lower_hz}, upper_hz {s.upper_hz} must rise from 0 Hz",
        ),
        (0 <= s.smoothing_bits <= 16, f"smoothing_bits {s.smoothing_bits}: 0 to 16"),
        *(
            (0 <= getattr(s, name) <= 1, f"{name} {getattr(s, name)}: 0 to 1")
            for name in ("even_smoothing", "odd_smoothing", "min_signal_remaining")
        ),
        (s.pcan_strength >= 0, f"pcan_strength {s.pcan_strength} must not be negative"),
        (s.pcan_offset > 0, f"pcan_offset {s.pcan_offset} must be positive"),
        (0 <= s.gain_bits <= 30, f"gain_bits {s.gain_bits}: 0 to 30"),
        (0 <= s.scale_shift <= 15, f"scale_shift {s.scale_shift}: 0 to 15"),
        (
            s.correction_bits >= 0 or s.variant == "c",
            f"window_ms {s.window_ms}: TFLite Micro's operators need at least 33 samples",
        ),
        (s.log or s.variant == "c", "log false: TFLite Micro's operators always take it"),
        (s.window_cosine in ("float64", "float32"), f"window_cosine {s.window_cosine!r}"),
        (s.codes in ("calibrated", "esphome"), f"codes {s.codes!r}: calibrated or esphome"),
        (1 <= len(s.mean) <= s.channels, f"mean has {len(s.mean)} values: 1 to {s.channels}"),
        (
            1 <= len(s.scale) <= s.channels and min(s.scale) > 0,
            f"scale {s.scale}: 1 to {s.channels} values, each positive",
        ),
    )
    for holds, message in rules:
        if not holds:
            raise BadInput(f"front end: {message}")
    input_bits = s.smoothing_bits - s.correction_bits
    snr_shift, least = s.gain_bits - s.correction_bits - SNR_BITS, int(s.variant == "tflm")
    if s.pcan and not (least <= snr_shift < 64 and 0 <= input_bits < 32):
        raise BadInput(
            f"front end: a {s.fft_samples} point transform allows no gain_bits {s.gain_bits} with"
            f" smoothing_bits {s.smoothing_bits}"
        )
    tables(s)
