"""Exponential, logistic and tanh in gemmlowp's fixed point, elementwise, in int32.

Values are the raw integers of int32 (`width` 31: its bits without the sign) or int16 (15) fixed
point. Qn has n integer bits and `width` - n fractional ones. Additions that cannot overflow are
not saturated.
"""

import math

import jax
import jax.numpy as jnp

from aqtaudio.program.kernels.fixed_point import (
    high_multiply,
    rounding_shift,
    saturating_left_shift,
)


def logistic(x: jax.Array, integer_bits: int, width: int = 31) -> jax.Array:
    """1 / (1 + exp(-x)), Q`integer_bits` to Q0."""
    positive = twice_reciprocal(exp_of_negative(-jnp.abs(x), integer_bits, width), width)
    positive = shift_left(positive, 1, width)
    one = 2**width - 1
    return jnp.where(x == 0, 2 ** (width - 1), jnp.where(x > 0, positive, one - positive))


def tanh(x: jax.Array, integer_bits: int, width: int = 31) -> jax.Array:
    """(1 - exp(-2|x|)) / (1 + exp(-2|x|)) with the sign of x, Q`integer_bits` to Q0."""
    # With one more integer bit the same bits mean twice the value.
    exponential = exp_of_negative(-jnp.abs(x), integer_bits + 1, width)
    magnitude = twice_reciprocal(exponential, width) - 2 ** (width - 2)
    return jnp.sign(x) * shift_left(magnitude, 2, width)


def exp_of_negative(x: jax.Array, integer_bits: int, width: int = 31) -> jax.Array:
    """exp(x) in Q0 of x <= 0 in Q`integer_bits`.

    A polynomial on [-1/4, 0), times exp(-2**k) for every higher bit that is set.
    """
    fraction_bits = width - integer_bits
    quarter = 1 << (fraction_bits - 2)
    small = (x & (quarter - 1)) - quarter
    result = _exp_near_minus_eighth((small << integer_bits) + 2 ** (width - 3), width)
    rest = small - x
    for power in range(-2, integer_bits):
        is_set = (rest >> (fraction_bits + power)) & 1
        scaled = _multiply(result, _constant(2**31 * math.exp(-(2.0**power)), width), width)
        result = jnp.where(is_set == 1, scaled, result)
    return jnp.where(x == 0, 2**width - 1, result)


def _exp_near_minus_eighth(x: jax.Array, width: int) -> jax.Array:
    """exp(x - 1/8) for |x| <= 1/8, all in Q0: a Taylor polynomial of degree 4."""
    x2 = _multiply(x, x, width)
    x3, x4 = _multiply(x2, x, width), _multiply(x2, x2, width)
    third = _constant(2**31 / 3, width)
    middle = _constant(2**31 * math.exp(-1 / 8), width)
    cubic = _multiply(rounding_shift(x4, 2) + x3, third, width)
    return middle + _multiply(middle, x + rounding_shift(cubic + x2, 1), width)


def twice_reciprocal(x: jax.Array, width: int = 31) -> jax.Array:
    """2 / (1 + x) in Q2 of x in [0, 1] in Q0: three Newton steps."""
    half = (x >> 1) + 2 ** (width - 1)
    slope = _constant(-32 / 17 * 2**29, width)
    y = _constant(48 / 17 * 2**29, width) + _multiply(half, slope, width)
    for _ in range(3):
        error = 2 ** (width - 2) - _multiply(half, y, width)
        y = y + (_multiply(y, error, width) << 2)
    return y


def shift_left(x: jax.Array, left: jax.Array | int, width: int) -> jax.Array:
    """x * 2**left, saturated."""
    if width == 31:
        return saturating_left_shift(x, left)
    return jnp.clip(x << left, -(2**15), 2**15 - 1)


def _multiply(a: jax.Array, b: jax.Array, width: int) -> jax.Array:
    """a * b / 2**width, halves up."""
    return high_multiply(a, b) if width == 31 else (a * b + 2**14) >> 15


def _constant(value: float, width: int) -> jax.Array:
    """A constant of the int32 format; gemmlowp rounds it to int16 from there."""
    raw = round(value)
    return jnp.int32(raw if width == 31 else (raw + 2**15) >> 16)
