"""Convolutions and dense layers: exact dots of codes, bias, rescale, clip."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax

from aqtaudio.program import linear
from aqtaudio.program.kernels.call import Call, Kind
from aqtaudio.program.kernels.fixed_point import (
    float64,
    multiplier,
    real_multiplier,
    rescale,
    rescale_up,
)
from aqtaudio.program.kernels.rescaling import in_float32
from aqtaudio.program.kernels.straight_through import step_gradient, straight_through

EXACT = 2**24
"""Float32 holds every integer up to here, so sums that stay below are exact in any order."""

Scaling = Mapping[str, jax.Array]


# --- dots --------------------------------------------------------------------------------------


def carrier_dot(x: jax.Array, zero_point: int, w: jax.Array, weight_bits: int) -> list[jax.Array]:
    """(x - zero_point) [..., K] times w [K, C] in float32, in chunks of K whose sums are exact.

    Or [N, M, K] times [N, K, C], as all dots.
    """

    def dot(a: jax.Array, b: jax.Array) -> jax.Array:
        return linear.dot(a - zero_point, b, exact=True)

    return chunked(dot, x, w, bound(zero_point), weight_bits)


def integer_dot(x: jax.Array, zero_point: int, w: jax.Array, weight_bits: int) -> list[jax.Array]:
    """The same by int8 x int8 -> int32 dots and a correction for the zero point."""

    def dot(a, b):
        codes = lax.dot_general(
            a.astype(jnp.int8),
            b.astype(jnp.int8),
            linear.contraction(a, b),
            preferred_element_type=jnp.int32,
        )
        return (codes - zero_point * column_sums(b.astype(jnp.int32))).astype(jnp.float32)

    return chunked(dot, x, w, bound(zero_point), weight_bits)


def column_sums(w: jax.Array) -> jax.Array:
    """[K, C] to [C]; [N, K, C] to [N, 1, C]."""
    return jnp.sum(w, -2, keepdims=w.ndim > 2)


def bound(zero_point: int | jax.Array) -> int:
    """Largest |code - zero_point| of an int8 edge; of any, where it is traced."""
    return 255 if isinstance(zero_point, jax.Array) else max(127 - zero_point, 128 + zero_point)


def chunked(dot, x, w, x_bound: int, weight_bits: int) -> list[jax.Array]:
    """Applies `dot` to slices of the contracted axis short enough for exact float32 sums."""
    size = EXACT // (x_bound * (2 ** (weight_bits - 1) - 1))
    starts = range(0, w.shape[-2], size)
    return [dot(x[..., i : i + size], w[..., i : i + size, :]) for i in starts]


def bytes_of(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """int16 codes as (high byte, low byte - 128), both int8 codes: x = 256 high + low."""
    high = jnp.floor(x * (1 / 256))
    return high, x - 256 * high - 128


# --- bias and rescale --------------------------------------------------------------------------


Rounding = Literal["away", "up", "short", "single", "float"]
"""How accumulators are rescaled.

"away", "up": twice, the second time halves away from zero or up. "short": once, by a multiplier of
16 bits. "single": once, halves up. "float": a float32 product, halves to even.
"""


def rounding_of(call: Call) -> Rounding:
    """TFLite Micro's rule; or LiteRT's: what XNNPACK does not take, its own kernels do.

    XNNPACK leaves out int16, 4-bit convolutions, and 4-bit dense layers of an odd number of inputs;
    grouped convolutions and dilated depthwise ones of 4 bits even go to the reference kernels.
    """
    litert = call.engine.target == "litert"
    if call.is_wide:
        return "single" if litert and call.kind == "dense" else "short"
    if not litert:
        return "away"
    even = call.kind == "dense" and call.constants["weights"].shape[0] % 2 == 0
    if call.attributes["weight_bits"] == 8 or even:
        return "float"
    dilated = call.attributes.get("dilation", (1, 1)) != (1, 1)
    plain = call.kind == "depthwise_conv2d" and dilated or call.attributes.get("groups", 1) > 1
    return "away" if plain else "up"


def prepare(call: Call) -> dict[str, Any]:
    """The multiplier of the accumulator: mantissa and exponent [C], or float32 (XNNPACK)."""
    scales = call.inputs[0].scale, call.constants["weight_scale"], call.output.scale
    if rounding_of(call) == "float":
        return {"multiplier": in_float32(lambda x, w, y: x * w / y, *scales)}
    mantissa, exponent = multiplier(lambda x, w, y: x * w / y, *scales)
    return {"mantissa": mantissa, "exponent": exponent}


def bias_codes(bias: jax.Array, x_scale: jax.Array, weight_scale: jax.Array) -> jax.Array:
    """Real bias [C] to int32 accumulator steps [C], rounded in float64."""
    with jax.enable_x64(True):
        codes = float64(lambda b, x, w: jnp.round(b / (x * w)), bias, x_scale, weight_scale)
        return lax.optimization_barrier(codes.astype(jnp.int32))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def requantize(
    rounding: Rounding, parts, bias_steps, bias, scaling, zero_point, bounds, step=None
) -> jax.Array:
    """Accumulators to output codes: add bias, rescale, add zero point, clip.

    Args:
      rounding: "away", "up" or "float".
      parts: exact float32 partial accumulators [..., C]; their sum is the int32 accumulator.
      bias_steps: real bias in accumulator steps [C]: where the bias gets its gradient.
      bias: int32 [C].
      scaling: what `prepare` made.
      zero_point: of the output.
      bounds: (low, high) codes.
      step: the output's scale where it is trained.

    Returns:
      float32 codes [..., C]. Gradient: the multiplier where the clip does not bite, else 0.
    """
    codes = _requantize(rounding, _accumulator(parts, bias), scaling, zero_point)
    return jnp.clip(codes, *bounds).astype(jnp.float32)


def _accumulator(parts, bias):
    return bias + sum(part.astype(jnp.int32) for part in parts)


def _requantize(rounding, accumulator, scaling, zero_point):
    # The barrier keeps XLA from repeating the integer arithmetic in every consumer.
    return lax.optimization_barrier(_rescaled(rounding, accumulator, scaling) + zero_point)


def _rescaled(rounding: Rounding, accumulator: jax.Array, scaling: Scaling) -> jax.Array:
    if rounding == "float":
        return jnp.round(accumulator.astype(jnp.float32) * scaling["multiplier"]).astype(jnp.int32)
    function = {"away": rescale, "up": rescale_up}[rounding]
    return function(accumulator, scaling["mantissa"], scaling["exponent"])


def _real(scaling: Scaling) -> jax.Array:
    if "multiplier" in scaling:
        return scaling["multiplier"]
    return real_multiplier(scaling["mantissa"], scaling["exponent"])


def _requantize_forward(rounding, parts, bias_steps, bias, scaling, zero_point, bounds, step):
    accumulator = _accumulator(parts, bias)
    codes = _requantize(rounding, accumulator, scaling, zero_point)
    low, high = bounds
    inside = (codes >= low) & (codes <= high)
    learned = None if step is None else (accumulator, codes, bounds, zero_point, step)
    residuals = inside, _real(scaling), len(parts), learned
    return jnp.clip(codes, *bounds).astype(jnp.float32), residuals


def _requantize_backward(rounding, residuals, g):
    inside, multiplier, count, learned = residuals
    gradient = None
    if learned is not None:
        accumulator, codes, (low, high), zero_point, step = learned
        clipped = (jnp.clip(codes, low, high) - zero_point).astype(jnp.float32)
        real = accumulator.astype(jnp.float32) * multiplier
        gradient = step_gradient(g, inside, real, clipped, high - zero_point, step)
    g = lax.optimization_barrier(jnp.where(inside, g, 0) * multiplier)
    return [g] * count, linear.sum_rows(g), None, None, None, None, gradient


requantize.defvjp(_requantize_forward, _requantize_backward)


def finish(call: Call, parts: list[jax.Array]) -> jax.Array:
    """Output codes from partial accumulators of int8 codes."""
    bias = call.constants["bias"]
    steps = call.constants.get("bias_steps", jnp.zeros(bias.shape, jnp.float32))
    zero_point, scaling = call.output.zero_point, scaling_of(call)
    rounding = rounding_of(call)
    return requantize(rounding, parts, steps, bias, scaling, zero_point, call.bounds, call.step)


def finish_wide(
    call: Call, real: jax.Array, high: list[jax.Array], low: list[jax.Array]
) -> jax.Array:
    """Output codes of int16 activations (16x8).

    Args:
      call: its int32 bias counts accumulator steps.
      real: the accumulator without bias in float32: where gradients go.
      high: exact partial accumulators of the high bytes [..., C].
      low: of the low bytes.
    """
    scaling = scaling_of(call)
    steps = call.constants.get("bias_steps", call.constants["bias"].astype(jnp.float32))
    real = linear.add_bias(real, steps) * _real(scaling)
    parts = lax.stop_gradient((high, low))
    with jax.enable_x64(True):
        high_sum, low_sum = (sum(p.astype(jnp.int64) for p in group) for group in parts)
        accumulator = 256 * high_sum + low_sum + call.constants["bias"].astype(jnp.int64)
        function = {"short": rescale_wide, "single": rescale_once}[rounding_of(call)]
        codes = function(accumulator, scaling["mantissa"], scaling["exponent"])
        codes = jnp.clip(codes, *call.bounds).astype(jnp.float32)
    return straight_through(real, codes, call.bounds, 0, call.step)


def rescale_wide(accumulator: jax.Array, mantissa: jax.Array, exponent: jax.Array) -> jax.Array:
    """int64 accumulator by a multiplier of 16 bits, one rounding, halves up. Needs x64.

    tflite-micro, MultiplyByQuantizedMultiplier for int64.
    """
    mantissa, exponent = mantissa.astype(jnp.int64), exponent.astype(jnp.int64)
    short = jnp.where(mantissa < 0x7FFF0000, (mantissa + 2**15) >> 16, 0x7FFF)
    return (accumulator * short + (jnp.int64(1) << (14 - exponent))) >> (15 - exponent)


def rescale_once(accumulator: jax.Array, mantissa: jax.Array, exponent: jax.Array) -> jax.Array:
    """int64 accumulator below 2**32 by a multiplier of 31 bits, one rounding, halves up.

    LiteRT's dense layers of int16 activations. Needs x64.
    """
    mantissa, total = mantissa.astype(jnp.int64), 31 - exponent.astype(jnp.int64)
    return (accumulator * mantissa + (jnp.int64(1) << (total - 1))) >> total


def scaling_of(call: Call) -> Scaling:
    """The prepared multiplier of a call's target."""
    names = ("multiplier",) if rounding_of(call) == "float" else ("mantissa", "exponent")
    return {name: call.constants[name] for name in names}


# --- operations --------------------------------------------------------------------------------


def dense(call: Call) -> jax.Array:
    """FULLY_CONNECTED of codes [B, ..., K] with int weights [K, D]."""
    return _dot(call, call.codes[0], call.constants["weights"])


def conv2d(call: Call) -> jax.Array:
    """CONV_2D of codes [B, H, W, C] with int weights [KH, KW, C / groups, D]."""
    w = call.constants["weights"]
    x = linear.pad(call.codes[0], _pad_widths(call), call.inputs[0].zero_point)
    groups = x.shape[-1] // w.shape[2]
    if groups > 1:
        return _grouped(call, x, w, groups)
    columns = linear.patches(
        x, w.shape[:2], call.attributes["strides"], call.attributes["dilation"]
    )
    return _dot(call, columns, w.reshape(-1, w.shape[-1]))


def _grouped(call: Call, x: jax.Array, w: jax.Array, groups: int) -> jax.Array:
    """A convolution whose groups of output channels see their own group of input channels."""
    per_channel = ("weight_scale", "bias", "bias_steps", "mantissa", "exponent", "multiplier")
    outputs, width = w.shape[-1] // groups, w.shape[2]
    codes = []
    for group in range(groups):
        mine = slice(group * outputs, (group + 1) * outputs)
        constants = {
            name: value[mine] if name in per_channel and value.size > 1 else value
            for name, value in call.constants.items()
        }
        part = dataclasses.replace(call, constants=constants)
        columns = linear.patches(
            x[..., group * width : (group + 1) * width],
            w.shape[:2],
            call.attributes["strides"],
            call.attributes["dilation"],
        )
        codes.append(_dot(part, columns, w[..., mine].reshape(-1, outputs)))
    return jnp.concatenate(codes, -1)


def _dot(call: Call, x: jax.Array, w: jax.Array) -> jax.Array:
    """Output codes of x [..., K] with int weights [K, D]."""
    zero_point, bits = call.inputs[0].zero_point, call.attributes["weight_bits"]
    dot = call.engine.dot
    if not call.is_wide:
        return finish(call, dot(x, zero_point, w, bits))
    high, low = bytes_of(lax.stop_gradient(x))
    still = lax.stop_gradient(w)
    parts = dot(high, 0, still, bits), dot(low, -128, still, bits)
    return finish_wide(call, linear.dot(x, w), *parts)


def depthwise_conv2d(call: Call) -> jax.Array:
    """DEPTHWISE_CONV_2D of codes [B, H, W, C] with int weights [KH, KW, C * multiplier]."""
    w, zero_point = call.constants["weights"], call.inputs[0].zero_point
    largest = w.shape[0] * w.shape[1] * 255 * 127
    assert largest < EXACT, f"depthwise kernel {w.shape} sums beyond exact float32"
    x = linear.pad(call.codes[0] - zero_point, _pad_widths(call))
    strides, dilation = call.attributes["strides"], call.attributes["dilation"]

    def accumulate(x: jax.Array, w: jax.Array) -> jax.Array:
        return linear.depthwise_conv2d(linear.repeat_channels(x, w), w, strides, dilation)

    y = accumulate(x, w)
    if not call.is_wide:
        return finish(call, [y])
    high, low = bytes_of(lax.stop_gradient(x))
    still = lax.stop_gradient(w)
    return finish_wide(call, y, [accumulate(high, still)], [accumulate(low + 128, still)])


def _pad_widths(call: Call):
    attributes = call.attributes
    return linear.pad_widths(
        call.codes[0].shape[1:3],
        call.constants["weights"].shape[:2],
        attributes["strides"],
        attributes["dilation"],
        attributes["padding"],
    )


KINDS = {
    "conv2d": Kind(conv2d, prepare=prepare, differentiable=True),
    "depthwise_conv2d": Kind(depthwise_conv2d, prepare=prepare, differentiable=True),
    "dense": Kind(dense, prepare=prepare, differentiable=True),
}
