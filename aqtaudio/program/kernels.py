"""The operations of a program in TFLite Micro's integer arithmetic.

One set of kernels serves training and execution. Codes travel in float32, which holds them
exactly, so that gradients can flow; every kernel's forward value is the integer that TFLite Micro
computes, and its gradient is that of the real function (straight-through).

Rules: TensorFlow Lite's quantization specification and the reference kernels of TFLite Micro
(MultiplyByQuantizedMultiplier in its double-rounding form; integer average pooling).
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from aqtaudio.program import linear

EXACT = 2**24
"""Float32 holds every integer up to here, so sums that stay below are exact in any order."""


# --- rescale -----------------------------------------------------------------------------------


def quantized_multiplier(x_scale, weight_scale, y_scale) -> tuple[jax.Array, jax.Array]:
    """x_scale * weight_scale / y_scale as (mantissa with 31 fractional bits, exponent), int32 [C].

    Formed in float64, as TFLite Micro does. Callable inside jit, grad and vmap.
    """
    with jax.enable_x64(True):
        x_scale, weight_scale, y_scale = (
            lax.stop_gradient(s).astype(jnp.float64) for s in (x_scale, weight_scale, y_scale)
        )
        fraction, exponent = jnp.frexp(x_scale * weight_scale / y_scale)
        mantissa = jnp.floor(fraction * 2.0**31 + 0.5).astype(jnp.int64)
        carry = mantissa == 2**31
        mantissa = jnp.where(carry, mantissa // 2, mantissa)
        exponent = exponent + carry
        # As in TFLite Micro, a multiplier that would shift everything out (a dead channel) is zero.
        mantissa = jnp.where(exponent < -31, 0, mantissa)
        exponent = jnp.where(exponent < -31, 0, exponent)
        return lax.optimization_barrier((mantissa.astype(jnp.int32), exponent.astype(jnp.int32)))


def bias_codes(bias: jax.Array, x_scale: jax.Array, weight_scale: jax.Array) -> jax.Array:
    """Real bias [C] to int32 accumulator steps [C], rounded in float64 like the converter does."""
    with jax.enable_x64(True):
        bias, x_scale, weight_scale = (
            lax.stop_gradient(v).astype(jnp.float64) for v in (bias, x_scale, weight_scale)
        )
        codes = jnp.round(bias / (x_scale * weight_scale)).astype(jnp.int32)
        return lax.optimization_barrier(codes)


def real_multiplier(mantissa: jax.Array, exponent: jax.Array) -> jax.Array:
    """The float32 value of a quantized multiplier, for gradients."""
    return lax.optimization_barrier(jnp.ldexp(mantissa.astype(jnp.float32), exponent - 31))


def rescale(accumulator: jax.Array, mantissa: jax.Array, exponent: jax.Array) -> jax.Array:
    """int32 accumulator times mantissa * 2**(exponent - 31), TFLite Micro's two roundings.

    First the high half of the doubled 64-bit product, halves up; then a right shift, halves away
    from zero. The 64-bit product is put together from 16-bit limbs, so that x64 can stay off.
    """
    left, right = jnp.maximum(exponent, 0), jnp.maximum(-exponent, 0)
    high = _high_product(accumulator << left, mantissa)
    mask = (jnp.int32(1) << right) - 1
    threshold = (mask >> 1) + (high < 0)
    return (high >> right) + ((high & mask) > threshold)


def _high_product(a: jax.Array, b: jax.Array) -> jax.Array:
    """floor((a * b + 2**30) / 2**31) for int32 a and b >= 0."""
    a_high, a_low = a >> 16, a & 0xFFFF
    b_high, b_low = b >> 16, b & 0xFFFF
    cross_1 = a_high * b_low
    cross_2 = a_low * b_high
    low = (a_low.astype(jnp.uint32) * b_low.astype(jnp.uint32) >> 16).astype(jnp.int32)
    low = low + (cross_1 & 0xFFFF) + (cross_2 & 0xFFFF)
    high = a_high * b_high + (cross_1 >> 16) + (cross_2 >> 16)
    return 2 * high + ((low + 2**14) >> 15)


@jax.custom_vjp
def requantize(parts, bias_steps, bias, mantissa, exponent, zero_point, bounds) -> jax.Array:
    """Accumulators to output codes: add bias, rescale, add zero point, clip.

    Args:
      parts: exact float32 partial accumulators [..., C]; their sum is the int32 accumulator.
      bias_steps: real bias in accumulator steps [C]: where the bias gets its gradient.
      bias: int32 [C].
      mantissa, exponent: int32 [C] or [1].
      zero_point: of the output.
      bounds: (low, high) codes.

    Returns:
      float32 codes [..., C]. Gradient: the multiplier where the clip does not bite, else 0.
    """
    codes = _requantize(parts, bias, mantissa, exponent, zero_point)
    return jnp.clip(codes, *bounds).astype(jnp.float32)


def _requantize(parts, bias, mantissa, exponent, zero_point):
    accumulator = bias + sum(part.astype(jnp.int32) for part in parts)
    # The barrier keeps XLA from repeating the integer arithmetic in every consumer.
    return lax.optimization_barrier(rescale(accumulator, mantissa, exponent) + zero_point)


def _requantize_forward(parts, bias_steps, bias, mantissa, exponent, zero_point, bounds):
    codes = _requantize(parts, bias, mantissa, exponent, zero_point)
    residuals = codes, real_multiplier(mantissa, exponent), bounds, len(parts)
    return jnp.clip(codes, *bounds).astype(jnp.float32), residuals


def _requantize_backward(residuals, g):
    codes, multiplier, (low, high), count = residuals
    inside = (codes >= low) & (codes <= high)
    g = lax.optimization_barrier(jnp.where(inside, g, 0) * multiplier)
    return [g] * count, linear.sum_rows(g), None, None, None, None, None


requantize.defvjp(_requantize_forward, _requantize_backward)


# --- dots --------------------------------------------------------------------------------------


def carrier_dot(x: jax.Array, zero_point: int, w: jax.Array, weight_bits: int) -> list[jax.Array]:
    """(x - zero_point) [..., K] times w [K, C] in float32, in chunks of K whose sums are exact."""
    return chunked(lambda a, b: linear.dot(a - zero_point, b), x, w, bound(zero_point), weight_bits)


def integer_dot(x: jax.Array, zero_point: int, w: jax.Array, weight_bits: int) -> list[jax.Array]:
    """The same by int8 x int8 -> int32 dots and a correction for the zero point."""

    def dot(a, b):
        codes = lax.dot_general(
            a.astype(jnp.int8),
            b.astype(jnp.int8),
            (((a.ndim - 1,), (0,)), ((), ())),
            preferred_element_type=jnp.int32,
        )
        return (codes - zero_point * jnp.sum(b.astype(jnp.int32), 0)).astype(jnp.float32)

    return chunked(dot, x, w, bound(zero_point), weight_bits)


def bound(zero_point: int) -> int:
    """Largest |code - zero_point| of an int8 edge."""
    return max(127 - zero_point, 128 + zero_point)


def chunked(dot, x, w, x_bound: int, weight_bits: int) -> list[jax.Array]:
    """Applies `dot` to slices of the contracted axis short enough for exact float32 sums."""
    size = EXACT // (x_bound * (2 ** (weight_bits - 1) - 1))
    depth = w.shape[0]
    return [dot(x[..., i : i + size], w[i : i + size]) for i in range(0, depth, size)]


# --- operations --------------------------------------------------------------------------------


def conv2d(codes, zero_points, constants, attributes, dot) -> jax.Array:
    """CONV_2D of codes [B, H, W, C] with int weights [KH, KW, C, D]."""
    (x,), (x_zero, y_zero) = codes, zero_points
    w = constants["weights"]
    x = linear.pad(x, _pad_widths(x, w, attributes), x_zero)
    columns = linear.patches(x, w.shape[:2], attributes["strides"], attributes["dilation"])
    parts = dot(columns, x_zero, w.reshape(-1, w.shape[-1]), attributes["weight_bits"])
    return _finish(parts, constants, attributes, y_zero)


def depthwise_conv2d(codes, zero_points, constants, attributes, dot) -> jax.Array:
    """DEPTHWISE_CONV_2D of codes [B, H, W, C] with int weights [KH, KW, C]."""
    (x,), (x_zero, y_zero) = codes, zero_points
    w = constants["weights"]
    largest = w.shape[0] * w.shape[1] * bound(x_zero) * 127
    assert largest < EXACT, f"depthwise kernel {w.shape} sums beyond exact float32"
    x = linear.pad(x - x_zero, _pad_widths(x, w, attributes))
    y = linear.depthwise_conv2d(x, w, attributes["strides"], attributes["dilation"])
    return _finish([y], constants, attributes, y_zero)


def dense(codes, zero_points, constants, attributes, dot) -> jax.Array:
    """FULLY_CONNECTED of codes [B, ..., K] with int weights [K, D]."""
    (x,), (x_zero, y_zero) = codes, zero_points
    parts = dot(x, x_zero, constants["weights"], attributes["weight_bits"])
    return _finish(parts, constants, attributes, y_zero)


def average_pool(codes, zero_points, constants, attributes, dot) -> jax.Array:
    """AVERAGE_POOL_2D of codes [B, H, W, C], VALID; scale and zero point of the input."""
    (x,) = codes
    window = attributes["window"]
    return _mean(window_sum(x, window, attributes["strides"]), window[0] * window[1])


def window_sum(x: jax.Array, window, strides) -> jax.Array:
    """Sum of each window of x [B, H, W, C], VALID."""
    if x.shape[1:3] == window:
        return jnp.sum(x, (1, 2), keepdims=True)
    return lax.reduce_window(
        x, jnp.zeros((), x.dtype), lax.add, (1, *window, 1), (1, *strides, 1), "VALID"
    )


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _mean(total: jax.Array, count: int) -> jax.Array:
    """Sum of raw codes over their count, halves away from zero by C's truncating division."""
    whole = total.astype(jnp.int32)
    half = jnp.where(whole > 0, count // 2, -(count // 2))
    return lax.div(whole + half, jnp.full(whole.shape, count, jnp.int32)).astype(jnp.float32)


@_mean.defjvp
def _mean_jvp(count, primals, tangents):
    return _mean(primals[0], count), tangents[0] / count


def reshape(codes, zero_points, constants, attributes, dot) -> jax.Array:
    """RESHAPE; the batch axis stays."""
    (x,) = codes
    return x.reshape(x.shape[0], *attributes["shape"])


def _pad_widths(x, w, attributes):
    return linear.pad_widths(
        x.shape[1:3],
        w.shape[:2],
        attributes["strides"],
        attributes["dilation"],
        attributes["padding"],
    )


def _finish(parts, constants, attributes, y_zero):
    bias = constants["bias"]
    steps = constants.get("bias_steps", jnp.zeros(bias.shape, jnp.float32))
    bounds = attributes["low"], attributes["high"]
    return requantize(
        parts, steps, bias, constants["mantissa"], constants["exponent"], y_zero, bounds
    )


KERNELS = {
    "conv2d": conv2d,
    "depthwise_conv2d": depthwise_conv2d,
    "dense": dense,
    "average_pool": average_pool,
    "reshape": reshape,
}


def run(
    kind: str,
    codes: tuple[jax.Array, ...],
    zero_points: tuple[int, ...],
    constants: Mapping[str, Any],
    attributes: Mapping[str, Any],
    dot=carrier_dot,
) -> jax.Array:
    """Runs one operation on float32-carried codes; zero points: of the inputs, then the output."""
    return KERNELS[kind](codes, zero_points, constants, attributes, dot)


def quantize(x: jax.Array, scale: jax.Array, zero_point: int) -> jax.Array:
    """Real values to int8 codes, carried in float32. The reciprocal is formed first: one rule."""
    codes = jnp.round(x * (np.float32(1) / scale)) + zero_point
    return jnp.clip(codes, -128, 127)
