"""The 16-bit fixed-point real FFT of KissFFT (v130), bit for bit, over the leading axis.

Decimation in time, radix 4 while it divides, then radix 2. Every stage divides its inputs by its
radix, so the result is the transform over N. Sums wrap in 16 bits; products round to nearest.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

ONE = 32767
"""What stands for 1 in a twiddle factor."""

Complex = tuple[jax.Array, jax.Array]


def rfft(x: jax.Array) -> Complex:
    """Returns the spectrum, (real, imaginary) int32 [N / 2 + 1, ...], of x, int16 [N, ...].

    N is a power of two, at least 4. The transform of N / 2 pairs (even, odd) is taken apart into
    that of the N reals (kiss_fftr).
    """
    half = len(x) // 2
    re, im = _fft((x[0::2], x[1::2]))
    zero_re, zero_im = _divided(re[0], 2), _divided(im[0], 2)
    ends_re = [_wrapped(zero_re + zero_im)[None], _wrapped(zero_re - zero_im)[None]]
    ends_im = jnp.zeros_like(ends_re[0])

    low, high = slice(1, half // 2 + 1), slice(half - 1, half // 2 - 1, -1)
    a = _divided(re[low], 2), _divided(im[low], 2)
    b = _divided(re[high], 2), _divided(_wrapped(-im[high].astype(jnp.int32)), 2)
    plus = _wrapped(a[0] + b[0]), _wrapped(a[1] + b[1])
    minus = _wrapped(a[0] - b[0]), _wrapped(a[1] - b[1])
    k = np.arange(1, half // 2 + 1)
    turned = _product(minus, _twiddles(-math.pi * (k / half + 0.5), x.ndim - 1))
    first = (plus[0] + turned[0]) >> 1, (plus[1] + turned[1]) >> 1
    second = (plus[0] - turned[0]) >> 1, (turned[1] - plus[1]) >> 1
    # The middle bin is in both halves; the library writes it twice and the second time stays.
    spectrum_re = [ends_re[0], first[0][:-1], second[0][::-1], ends_re[1]]
    spectrum_im = [ends_im, first[1][:-1], second[1][::-1], ends_im]
    return jnp.concatenate(spectrum_re), jnp.concatenate(spectrum_im)


def _fft(x: Complex) -> Complex:
    """The complex transform over the leading axis, int16 [n, ...]."""
    n = x[0].shape[0]
    if n == 1:
        return x
    radix = 4 if n % 4 == 0 else 2
    m = n // radix
    parts = tuple(part.reshape(m, radix, *part.shape[1:]) for part in x)
    re, im = _fft(parts)
    scaled = _divided(re, radix), _divided(im, radix)
    phases = -2 * math.pi * np.outer(np.arange(m), np.arange(radix)) / n
    first = scaled[0][:, 0], scaled[1][:, 0]  # is not multiplied
    factors = _twiddles(phases[:, 1:], re.ndim - 2)
    rest = _product((scaled[0][:, 1:], scaled[1][:, 1:]), factors)
    others = [(rest[0][:, q], rest[1][:, q]) for q in range(radix - 1)]
    outputs = (_butterfly4 if radix == 4 else _butterfly2)(first, *others)
    # Sums wrap in 16 bits; wrapped at their end they are the same.
    return tuple(
        jnp.concatenate([output[part].astype(jnp.int16) for output in outputs]) for part in (0, 1)
    )


def _butterfly2(a: Complex, b: Complex) -> list[Complex]:
    return [(a[0] + b[0], a[1] + b[1]), (a[0] - b[0], a[1] - b[1])]


def _butterfly4(a: Complex, b: Complex, c: Complex, d: Complex) -> list[Complex]:
    (even, odd), (sums, differences) = _butterfly2(a, c), _butterfly2(b, d)
    return [
        (even[0] + sums[0], even[1] + sums[1]),
        (odd[0] + differences[1], odd[1] - differences[0]),
        (even[0] - sums[0], even[1] - sums[1]),
        (odd[0] - differences[1], odd[1] + differences[0]),
    ]


def _divided(x: jax.Array, divisor: int) -> jax.Array:
    """int32: x over 2 or 4, nearly: times floor(32767 / divisor) over 32768, rounded."""
    return _rounded(x.astype(jnp.int32) * (ONE // divisor))


def _product(x: Complex, factor: tuple[np.ndarray, np.ndarray]) -> Complex:
    """int32 complex product of 16-bit numbers."""
    (a, b), (c, d) = x, factor
    return _rounded(a * c - b * d), _rounded(a * d + b * c)


def _rounded(product: jax.Array) -> jax.Array:
    return _wrapped((product + (1 << 14)) >> 15)


def _wrapped(x: jax.Array) -> jax.Array:
    return x.astype(jnp.int16).astype(jnp.int32)


def _twiddles(phases: np.ndarray, trailing: int) -> tuple[np.ndarray, np.ndarray]:
    """int32 [..., 1, ...] with so many axes of one behind."""

    def fixed(values: np.ndarray) -> np.ndarray:
        codes = np.floor(0.5 + ONE * values).astype(np.int32)
        return codes.reshape(*phases.shape, *(1,) * trailing)

    return fixed(np.cos(phases)), fixed(np.sin(phases))
