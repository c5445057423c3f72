"""Unary functions of int8 and int16 codes: logistic, tanh, hard-swish, ELU.

Of int8 codes each is a table of 256 entries, made once from the scale.
Rules: tflite-micro `integer_ops/logistic.h`, `tanh.h`, `reference/hard_swish.h`, `elu.cc`;
XNNPACK's reference unary kernels.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.program.kernels import exponential, interpolation
from aqtaudio.program.kernels.call import Call, Grid, Kind
from aqtaudio.program.kernels.fixed_point import float64, multiplier, rescale, rounding_shift
from aqtaudio.program.kernels.float_functions import expf, single, tanhf

INPUT_SCALE_LIMIT = 2.0
"""Input scales of int8 logistic and tanh stay below: TFLite Micro saturates too early from here on.

From scale 8 it gives -128 for the code of zero.
"""

CODES = np.arange(-128, 128, dtype=np.int32)
INT16_MAX = 2**15 - 1


# --- the functions -----------------------------------------------------------------------------


def logistic(values: tuple[jax.Array, ...], attributes) -> jax.Array:
    """LOGISTIC."""
    return jax.nn.sigmoid(values[0])


def tanh(values: tuple[jax.Array, ...], attributes) -> jax.Array:
    """TANH."""
    return jnp.tanh(values[0])


def hard_swish(values: tuple[jax.Array, ...], attributes) -> jax.Array:
    """HARD_SWISH: x * clip(x + 3, 0, 6) / 6."""
    return jax.nn.hard_swish(values[0])


def elu(values: tuple[jax.Array, ...], attributes) -> jax.Array:
    """ELU: exp(x) - 1 below zero."""
    return jax.nn.elu(values[0])


# --- tables of int8 codes ----------------------------------------------------------------------


def _look_up(call: Call) -> jax.Array:
    index = call.codes[0].astype(jnp.int32) + 128
    return call.constants["table"].at[index].get(mode="promise_in_bounds").astype(jnp.float32)


def _once(table: jax.Array) -> dict[str, Any]:
    # The barrier keeps XLA from computing an entry anew for every code.
    return {"table": jax.lax.optimization_barrier(table)}


def _logistic_table(grid: Grid) -> jax.Array:
    """int32 [256]: codes of LOGISTIC at 1/256, zero point -128."""
    return _saturating(grid, lambda x: rounding_shift(exponential.logistic(x, 4), 23) - 128)


def _tanh_table(grid: Grid) -> jax.Array:
    """int32 [256]: codes of TANH at 1/128, zero point 0."""
    return _saturating(grid, lambda x: rounding_shift(exponential.tanh(x, 4), 24))


def _saturating(grid: Grid, function: Callable[[jax.Array], jax.Array]) -> jax.Array:
    """`function` of the real values in Q4; -128 and 127 where they do not fit."""
    mantissa, exponent = multiplier(lambda scale: scale * 2.0**27, grid.scale)
    centred = CODES - grid.zero_point
    radius = radius_of(4, exponent)
    inside = jnp.where(jnp.abs(centred) < radius, centred, 0)
    y = jnp.clip(function(rescale(inside, mantissa, exponent)), -128, 127)
    return jnp.where(centred <= -radius, -128, jnp.where(centred >= radius, 127, y))


def radius_of(integer_bits: int, exponent: jax.Array) -> jax.Array:
    """Largest code distance that a left shift by `exponent` keeps inside Q`integer_bits`.

    floor((2**n - 1) * 2**(31 - n - exponent)); what int8 codes cannot reach is cut short.
    """
    shift = 31 - integer_bits - exponent
    return ((2**integer_bits - 1) << jnp.clip(shift, 0, 16)) >> jnp.clip(-shift, 0, 31)


def _float_logistic_table(grid: Grid) -> jax.Array:
    """int32 [256]: XNNPACK's codes of LOGISTIC, the zero point added before rounding."""
    return _float_table(grid, lambda x: single(single(1 / (1 + jnp.exp(-x))) * 256 - 128))


def _float_tanh_table(grid: Grid) -> jax.Array:
    """int32 [256]: XNNPACK's codes of TANH."""
    return _float_table(grid, lambda x: tanhf(x) * 128)


def _float_table(grid: Grid, function: Callable[[jax.Array], jax.Array]) -> jax.Array:
    with jax.enable_x64(True):
        real = float64(lambda scale: single(scale * (CODES - grid.zero_point)), grid.scale)
        return jnp.clip(jnp.round(function(real)), -128, 127).astype(jnp.int32)


def _elu_table(call: Call) -> jax.Array:
    """int32 [256], in float32; halves away from zero, or with XNNPACK to even codes."""
    (grid,), output = call.inputs, call.output
    with jax.enable_x64(True):
        real = float64(lambda scale: single(scale * (CODES - grid.zero_point)), grid.scale)
        y = jnp.where(real < 0, single(expf(jnp.minimum(real, 0)) - 1), real)
        steps = single(y * float64(lambda scale: single(1 / scale), output.scale))
        if call.engine.target == "litert":
            rounded = jnp.round(single(steps + output.zero_point))
        else:
            rounded = jnp.trunc(steps + jnp.sign(steps) * 0.5) + output.zero_point
        return jnp.clip(rounded, -128, 127).astype(jnp.int32)


def _hard_swish_table(call: Call) -> jax.Array:
    """int32 [256], in 16-bit arithmetic; LiteRT divides the scales in float32."""
    (grid,), output = call.inputs, call.output
    precision = single if call.engine.target == "litert" else _double
    scale_to_output = multiplier(lambda x, y: precision(x / 128 / y), grid.scale, output.scale)
    third = np.float32(3 / 32768)
    scale_to_thirds = multiplier(lambda x, t: x / 128 / t, grid.scale, third)
    x = (CODES - grid.zero_point) << 7
    gate = _gate(x, _short(scale_to_thirds[0]), scale_to_thirds[1])
    product = gate * _short_multiply(x, _short(scale_to_output[0]))
    product = jnp.sign(product) * (jnp.abs(product) >> 15)
    y = rounding_shift(product, -scale_to_output[1]) + output.zero_point
    return jnp.clip(y, -128, 127)


def _double(x: jax.Array) -> jax.Array:
    return x


def _gate(x: jax.Array, mantissa: jax.Array, exponent: jax.Array) -> jax.Array:
    """clip(x + 3, 0, 6) / 6 with 15 fractional bits."""
    left = jnp.clip(exponent - 1, 0, 15)  # 15 saturate every code but zero's
    thirds = _short_multiply(_saturated(x << left), mantissa)
    doubled = jnp.where(exponent > 0, _saturated(thirds << 1), thirds)
    thirds = jnp.where(exponent > 0, doubled, rounding_shift(thirds, jnp.clip(-exponent, 0, 31)))
    return (thirds + 2**15) >> 1


def _short(mantissa: jax.Array) -> jax.Array:
    """A 31-bit mantissa in 15 bits."""
    largest = 2**31 - 1 - 2**15
    return jnp.where(mantissa >= largest, INT16_MAX, (jnp.minimum(mantissa, largest) + 2**15) >> 16)


def _short_multiply(a: jax.Array, b: jax.Array) -> jax.Array:
    """floor((a * b + 2**14) / 2**15) of int16 values."""
    return (a * b + 2**14) >> 15


def _saturated(x: jax.Array) -> jax.Array:
    return jnp.clip(x, -INT16_MAX - 1, INT16_MAX)


def _least_hard_swish_scale(inputs: tuple[Grid, ...]) -> jax.Array:
    """TFLite Micro wants more than 1/128 of the input scale."""
    return inputs[0].scale * np.float32(1.001 / 128)


# --- kinds -------------------------------------------------------------------------------------


def _kind(real, micro_table, float_table, wide, powers) -> Kind:
    """A function that TFLite Micro has for int8 and int16 codes, and XNNPACK for int8 ones."""

    def prepare(call: Call) -> dict[str, Any]:
        if call.is_wide:
            return interpolation.input_multiplier(call, powers)
        table = float_table if call.engine.target == "litert" else micro_table
        return _once(table(call.inputs[0]))

    def compute(call: Call) -> jax.Array:
        return wide(call) if call.is_wide else _look_up(call)

    return Kind(compute, real, prepare)


KINDS = {
    "logistic": _kind(
        logistic,
        _logistic_table,
        _float_logistic_table,
        interpolation.logistic,
        powers=(-12,),
    ),
    "tanh": _kind(
        tanh,
        _tanh_table,
        _float_tanh_table,
        interpolation.tanh,
        powers=(-12, -11),
    ),
    "elu": Kind(_look_up, elu, lambda call: _once(_elu_table(call))),
    "hard_swish": Kind(
        _look_up,
        hard_swish,
        lambda call: _once(_hard_swish_table(call)),
        least_scale=_least_hard_swish_scale,
    ),
}
