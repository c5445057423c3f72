"""L2_NORMALIZATION over the last axis, of int8 codes.

Rules: tflite-micro `integer_ops/l2normalization.h`, `internal/quantization_util.cc`
(GetInvSqrtQuantizedMultiplierExp). LiteRT's is the same.
"""

import math

import jax
import jax.numpy as jnp

from aqtaudio.program.kernels.call import Call, Kind
from aqtaudio.program.kernels.fixed_point import high_multiply, leading_zeros, rescale

SMALLEST_SQUARE = 1e-12
"""Rows of a smaller sum of squares are divided by its root."""


def l2_norm(values: tuple[jax.Array, ...], attributes) -> jax.Array:
    """Rows over their Euclidean length; a row of zeros stays."""
    (x,) = values
    square = jnp.sum(jnp.square(x), -1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.maximum(square, SMALLEST_SQUARE))


def _compute(call: Call) -> jax.Array:
    """Codes at 1/128, zero point 0, whatever the input's scale."""
    x = call.codes[0].astype(jnp.int32) - call.inputs[0].zero_point
    mantissa, exponent = inverse_root(jnp.sum(x * x, -1, keepdims=True))
    return jnp.clip(rescale(x, mantissa, exponent + 7), -128, 127).astype(jnp.float32)


def inverse_root(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """1 / sqrt(x) of int32 x >= 0 as (mantissa, exponent): mantissa * 2**(exponent - 31).

    Five Newton steps with 28 fractional bits, from 1. Of 0 it is that of 1.
    """
    is_long = x >= 2**29
    pairs = (leading_zeros(jnp.maximum(x, 1)) - 1) // 2 - 1  # of bits, to move x up by
    pairs = jnp.where(is_long, 0, pairs)
    right = jnp.where(is_long, 12, 11) - pairs
    half = ((jnp.where(is_long, x >> 2, x) << (2 * pairs)) >> 1) + 1 >> 1
    y = jnp.full_like(x, 2**28)
    for _ in range(5):
        cube = high_multiply(high_multiply(y, y), y) << 6
        y = (high_multiply(jnp.int32(3 * 2**27), y) - high_multiply(half, cube)) << 3
    mantissa = high_multiply(y, jnp.int32(round(2**31 * math.sqrt(0.5))))
    mantissa = mantissa << jnp.maximum(-right, 0)
    is_unit = x <= 1
    return jnp.where(is_unit, 2**31 - 1, mantissa), jnp.where(is_unit, 0, -jnp.maximum(right, 0))


KINDS = {"l2_norm": Kind(_compute, l2_norm)}
