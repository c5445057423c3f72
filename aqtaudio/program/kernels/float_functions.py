"""Functions that LiteRT's kernels compute in float32 on processors, to the bit.

Compilers may fuse and reorder float32 arithmetic. So a step here is a float64 operation rounded to
float32 (`single`), which for +, -, * and / is what float32 hardware gives. Call all of it inside
`jax.enable_x64(True)`.

`expf` and `tanhf` are those of glibc (tested with 2.36) and, tanhf, of other C libraries that come
from fdlibm. Newer ones may round differently in the last place; codes can then differ where the
real value lies within about 1e-6 of a half.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.program.kernels.powers_of_two import ldexp, power_of_two

_POWERS = np.exp2(np.arange(32) / 32)
_EXP_POLYNOMIAL = (
    float.fromhex("0x1.c6af84b912394p-5") / 32**3,
    float.fromhex("0x1.ebfce50fac4f3p-3") / 32**2,
    float.fromhex("0x1.62e42ff0c52d6p-1") / 32,
)
_LN2_HIGH, _LN2_LOW, _LOG2_E = (
    float(np.float32(value)) for value in (6.9313812256e-01, 9.0580006145e-06, 1.4426950216)
)
_EXPM1_POLYNOMIAL = tuple(
    float(np.float32(value))
    for value in (
        -3.3333335072e-2,
        1.5873016091e-3,
        -7.9365076090e-5,
        4.0082177293e-6,
        -2.0109921195e-7,
    )
)


def single(x: jax.Array) -> jax.Array:
    """float64 x rounded to float32 precision, still float64."""
    return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=23)


def expf(x: jax.Array) -> jax.Array:
    """exp of float32 values <= 0, in float32; both held in float64.

    2**(k / 32) from a table, times a cubic polynomial of the remainder, in float64.
    """
    z = jnp.maximum(x, -110.0) * (32 * math.log2(math.e))  # float32 has no positive exp(-110)
    k = jnp.round(z)
    r = z - k
    whole = k.astype(jnp.int32)
    power = ldexp(jnp.asarray(_POWERS)[whole & 31], whole >> 5)
    cubic, square, linear = _EXP_POLYNOMIAL
    return single(((cubic * r + square) * (r * r) + (linear * r + 1)) * power)


def tanhf(x: jax.Array) -> jax.Array:
    """tanh of float32 values in float32, both held in float64.

    Exact up to |x| = 6; larger values give tanh(6), 0.99999.
    """
    magnitude = jnp.minimum(jnp.abs(x), 6.0)
    is_large = magnitude >= 1
    t = _expm1f(jnp.where(is_large, 2 * magnitude, -2 * magnitude))
    quotient = single(jnp.where(is_large, 2.0, -t) / single(t + 2))
    return jnp.sign(x) * jnp.where(is_large, single(1 - quotient), quotient)


def _expm1f(x: jax.Array) -> jax.Array:
    """exp(x) - 1 of float32 x in [-2, 0] or [2, 12], fdlibm's way."""
    half = jnp.sign(x) * 0.5
    k = jnp.trunc(single(single(_LOG2_E * x) + half))
    k = jnp.where(jnp.abs(x) < np.float32(1.5 * math.log(2)), -1.0, k)
    k = jnp.where(jnp.abs(x) > np.float32(0.5 * math.log(2)), k, 0.0)
    high, low = single(x - single(k * _LN2_HIGH)), single(k * _LN2_LOW)
    r = single(high - low)
    error = single(single(high - r) - low)
    return _expm1_times_power(r, error, k)


def _expm1_times_power(r: jax.Array, error: jax.Array, k: jax.Array) -> jax.Array:
    """exp(r + error + k ln 2) - 1 for |r| <= ln(2) / 2, k <= 0 or 3 <= k < 23."""
    half = 0.5 * r
    square = single(r * half)
    rational = 0.0
    for coefficient in reversed(_EXPM1_POLYNOMIAL):
        rational = single(coefficient + single(square * rational))
    rational = single(1 + single(square * rational))
    t = single(3 - single(rational * half))
    e = single(single(rational - t) / single(6 - single(r * t)))
    e = single(square * e)
    without_power = single(r - single(single(r * e) - square))
    e = single(single(single(r * single(e - error)) - error) - square)
    rest = single(e - r)
    whole = k.astype(jnp.int32)
    power, inverse = power_of_two(whole, jnp.float64), power_of_two(-whole, jnp.float64)
    for_minus_one = single(0.5 * single(r - e) - 0.5)
    for_less = single(single(single(1 - rest) * power) - 1)
    for_more = single(single((1 - inverse) - rest) * power)
    # Not jnp.select, whose lowering forgets x64.
    negative = jnp.where(k == 0, without_power, jnp.where(k == -1, for_minus_one, for_less))
    return jnp.where(k > 0, for_more, negative)
