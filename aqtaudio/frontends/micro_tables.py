"""The integer tables of the micro front end: window, mel filters, gains, logarithm.

A device with the C library computes them when it starts, so they depend on its mathematics library:
another one gives single entries that differ by one. Here they are computed on the host as C code on
x86-64 does. TFLite Micro's are in the model file, computed by Python; single entries differ too.
"""

import dataclasses
import math

import numpy as np

from aqtaudio.errors import BadInput

WINDOW_BITS = 12
FILTER_BITS = 12
SMOOTHING_ONE = 1 << 14
SNR_BITS = 12
SHRUNK_BITS = 6
INTERVALS = 32

f32 = np.float32


@dataclasses.dataclass(frozen=True)
class Filters:
    """Triangles over spectrum bins `start` to `end`, in 1/4096.

    Attributes:
        channels: filters.
        start: first bin that counts.
        intervals: int32 [bins], between which two centres a bin lies: that of the filter before and
            that of this number. Before the first there is where it begins.
        falling: int32 [bins], the bin's weight in the filter before, which falls there.
        rising: int32 [bins], its weight in the filter of the interval's number.
    """

    channels: int
    start: int
    intervals: np.ndarray
    falling: np.ndarray
    rising: np.ndarray

    @property
    def end(self) -> int:
        """One past the last bin."""
        return self.start + len(self.intervals)

    @property
    def weights(self) -> np.ndarray:
        """int64 [bins, channels], rising and falling sides together."""
        bins = np.arange(len(self.intervals))
        whole = np.zeros((len(bins), self.channels + 2), np.int64)
        whole[bins, self.intervals] = self.falling
        whole[bins, self.intervals + 1] = self.rising
        # What falls before the first filter and rises after the last is nobody's.
        return whole[:, 1:-1]

    def by_halves(self, fft_samples: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns int64 [channels, N / 4] for each of the halves that `fixed_fft.rfft` returns."""
        quarter = fft_samples // 4
        whole = np.zeros((self.weights.shape[1], 2 * quarter + 1), np.int64)
        whole[:, self.start : self.end] = self.weights.T
        low = whole[:, 1 : quarter + 1].copy()
        low[:, -1] = 0
        return low, whole[:, 2 * quarter - 1 : quarter - 1 : -1]


def window(samples: int, in_float32: bool = False, in_python: bool = False) -> np.ndarray:
    """Returns the Hann window between samples, int32 [samples] in 1/4096.

    Args:
        samples: of the window.
        in_float32: whether cosines are float32, as in some builds. With 480 samples entry 17 is
            54 then, else 53.
        in_python: whether it is computed as for TFLite Micro: in float64, halves to even.
    """
    if in_python and not in_float32:
        angles = np.pi * 2 / samples * (np.arange(samples) + 0.5)
        return np.round((0.5 - 0.5 * np.cos(angles)) * (1 << WINDOW_BITS)).astype(np.int32)
    step = f32(math.pi * 2.0 / samples)
    if in_float32:
        cosines = [f32(math.cos(f32(step * f32(i + 0.5)))) for i in range(samples)]
        curve = [f32(f32(0.5) - f32(0.5) * cosine) for cosine in cosines]
    else:
        curve = [f32(0.5 - 0.5 * math.cos(float(step) * (i + 0.5))) for i in range(samples)]
    return _rounded(np.asarray(curve))


def filters(
    bins: int, sample_rate_hz: int, channels: int, lower_hz: float, upper_hz: float, rounded: bool
) -> Filters:
    """Returns the mel filters as the C library or TFLite Micro's Python compute them, in float32.

    Each bin belongs to one interval between two centres. It counts in the channel that rises there
    with what is left of 1 by the one that falls.

    Args:
        bins: of the spectrum.
        sample_rate_hz: of the audio.
        channels: filters.
        lower_hz: where the lowest begins.
        upper_hz: where the highest ends.
        rounded: weights rounded (the C library) or truncated (TFLite Micro). The latter has mel
            values in float32 throughout and halves of the first bin's number to even, too.
    """
    mel_of = _mel if rounded else _mel_in_float32
    low, high = mel_of(f32(lower_hz)), mel_of(f32(upper_hz))
    spacing = f32((high - low) / f32(channels + 1))
    centres = [low] + [f32(low + f32(spacing * f32(i + 1))) for i in range(channels + 1)]
    if rounded:
        hz_per_bin = f32(0.5 * sample_rate_hz / f32(bins - 1))
        start = int(1.5 + float(f32(f32(lower_hz) / hz_per_bin)))
    else:
        hz_per_bin = 0.5 * sample_rate_hz / (bins - 1)
        start = round(1 + lower_hz / hz_per_bin)
    quantized = _rounded if rounded else _truncated
    intervals, shares, bin_ = [], [], start
    for interval in range(channels + 1):
        below, above = centres[interval : interval + 2]
        while bin_ < bins and (mel := mel_of(f32(bin_ * hz_per_bin))) <= above:
            share = f32(f32(above - mel) / f32(above - below))
            rest = 1.0 - float(share) if rounded else f32(f32(1) - share)
            intervals.append(interval)
            shares.append((float(share), float(rest)))
            bin_ += 1
    if not shares or bin_ >= bins:
        raise BadInput(
            f"front end: filters from {lower_hz} to {upper_hz} Hz need bins {start} to {bin_ - 1}"
            f" of a spectrum that has 0 to {bins - 2} for them"
        )
    falling, rising = quantized(np.asarray(shares)).T
    found = Filters(channels, start, np.asarray(intervals, np.int32), falling, rising)
    if found.weights.min() < 0:
        raise BadInput(f"front end: lower_hz {lower_hz} makes a filter weight negative")
    return found


def gains(strength: float, offset: float, gain_bits: int, input_bits: int) -> np.ndarray:
    """Returns 2^gain_bits (x / 2^input_bits + offset)^-strength for 32-bit x, int32 [33, 3].

    Row i is the quadratic of the octave from 2^(i-1), as (y0, a1, a2) in 16 bits; rows 0, 1 and 2
    hold the value at 0, 1 and 2 first.
    """

    def gain(x: int) -> int:
        base = f32(f32(f32(x) / f32(1 << input_bits)) + f32(offset))
        value = f32(f32(1 << gain_bits) * f32(math.pow(float(base), -float(f32(strength)))))
        return 32767 if value > 32767 else int(f32(value + f32(0.5)))

    table = np.zeros((INTERVALS + 1, 3), np.int64)
    table[0, 0], table[1, 0] = gain(0), gain(1)
    for i in range(2, INTERVALS + 1):
        x0 = 1 << (i - 1)
        y0, y1 = gain(x0), gain(x0 + x0 // 2)
        y2 = gain(2 * x0 if i < INTERVALS else 2 * x0 - 1)
        a1 = 4 * (y1 - y0) - (y2 - y0)
        table[i] = y0, a1, y2 - y0 - a1
    return table.astype(np.int16).astype(np.int32)


def logarithms() -> np.ndarray:
    """Returns what log2(1 + i / 128) is above i / 128, int32 [129] in 1/65536."""
    x = np.arange(129) / 128
    return np.rint(65536 * (np.log2(1 + x) - x)).astype(np.int32)


def _mel(frequency_hz: f32) -> f32:
    return f32(1127.0 * math.log1p(float(frequency_hz) / 700.0))


def _mel_in_float32(frequency_hz: f32) -> f32:
    return f32(f32(1127) * f32(math.log1p(float(frequency_hz / f32(700)))))


def _rounded(share: np.ndarray) -> np.ndarray:
    """1/4096 steps, rounded; the product is exact."""
    return np.floor(share.astype(np.float64) * (1 << FILTER_BITS) + 0.5).astype(np.int32)


def _truncated(share: np.ndarray) -> np.ndarray:
    return np.trunc(share.astype(np.float64) * (1 << FILTER_BITS)).astype(np.int32)
