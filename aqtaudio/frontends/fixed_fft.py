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


def rfft(x: jax.Array) -> tuple[Complex, Complex]:
    """Returns the spectrum of x, int16 [N, ...], but for its ends, bins 0 and N / 2.

    N is a power of two, at least 8. The transform of N / 2 pairs (even, odd) is taken apart into
    that of the N reals (kiss_fftr), whose loop makes two bins at a time; they stay apart here,
    because putting them in order costs as much as the whole transform.

    Returns:
      (real, imaginary) int32 [N / 4, ...] of bins 1 to N / 4, then of bins N / 2 - 1 down to
      N / 4. Bin N / 4 is in both; the library writes it twice, so the second one counts.
    """
    half = len(x) // 2
    re, im = _fft((x[0::2], x[1::2]))
    low, high = slice(1, half // 2 + 1), slice(half - 1, half // 2 - 1, -1)
    a = _divided(re[low], 2), _divided(im[low], 2)
    b = _divided(re[high], 2), _divided(_wrapped(-im[high].astype(jnp.int32)), 2)
    plus = _wrapped(a[0] + b[0]), _wrapped(a[1] + b[1])
    minus = _wrapped(a[0] - b[0]), _wrapped(a[1] - b[1])
    k = np.arange(1, half // 2 + 1)
    turned = _product(minus, _twiddles(-math.pi * (k / half + 0.5), x.ndim - 1))
    first = (plus[0] + turned[0]) >> 1, (plus[1] + turned[1]) >> 1
    second = (plus[0] - turned[0]) >> 1, (turned[1] - plus[1]) >> 1
    return first, second


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
    inputs = [(scaled[0][:, q], scaled[1][:, q]) for q in range(radix)]
    if m > 1:  # the product with 1, which is 32767, leaves divided numbers as they are
        phases = -2 * math.pi * np.outer(np.arange(radix), np.arange(m)) / n
        factors = [_twiddles(phase, re.ndim - 2) for phase in phases]
        inputs[1:] = map(_product, inputs[1:], factors[1:])
    outputs = (_butterfly4 if radix == 4 else _butterfly2)(*inputs)
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
