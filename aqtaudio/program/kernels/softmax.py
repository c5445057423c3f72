"""SOFTMAX over the last axis.

Rules: tflite-micro `reference/softmax.h`, `micro/kernels/softmax_common.cc`; LiteRT's optimized
kernel (XNNPACK leaves quantized softmax to it).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from aqtaudio.program.kernels.call import Call, Kind
from aqtaudio.program.kernels.exponential import exp_of_negative, twice_reciprocal
from aqtaudio.program.kernels.fixed_point import (
    float64,
    high_multiply,
    leading_zeros,
    multiplier,
    rescale,
    rounding_shift,
    saturating_left_shift,
)
from aqtaudio.program.kernels.float_functions import expf, single
from aqtaudio.program.kernels.interpolation import look_up, table_of
from aqtaudio.program.kernels.transcendental import radius_of

SOFTMAX_WIDTH_LIMIT = 511
"""TFLite Micro aborts the process when the sum of exponentials reaches 512 (int8)."""

SOFTMAX_FINEST_SCALE = 2.0**-26
"""beta * input scale of int8 codes must be above: TFLite Micro aborts while loading."""

DIFFERENCES = np.arange(256, dtype=np.int32)
"""Of the row's maximum and a code."""

EXP_RANGE = 10.0
"""int16: exponentials are tabulated on [-10, 0]; what is further away counts as -10."""

_STEP = np.float32(EXP_RANGE) / np.float32(65535)
EXPONENTIAL = table_of(np.exp, _STEP * np.float32(-65535), 0, 2, np.float32)
RECIPROCAL = {
    "micro": table_of(lambda x: 1 / (1 + x), 0, 1, 2, np.float32),
    "litert": table_of(lambda x: 1 / (1 + x), 0, 1, 2, np.float64),
}
"""1 / (1 + x) on [0, 1]. The exponential's table is the same for both targets."""


def softmax(values: tuple[jax.Array, ...], attributes) -> jax.Array:
    """SOFTMAX of `beta` times the values."""
    return jax.nn.softmax(attributes["beta"] * values[0], -1)


def _prepare(call: Call) -> dict[str, Any]:
    scale, beta = call.inputs[0].scale, np.float32(call.attributes["beta"])
    litert = call.engine.target == "litert"
    if call.is_wide:
        steps = _steps_of_product if litert else _steps
        mantissa, exponent = multiplier(steps, scale, beta)
        return {"mantissa": mantissa, "exponent": exponent}
    exponentials = (_float_exponentials if litert else _exponentials)(scale, beta)
    # The barrier keeps XLA from computing an entry anew for every code.
    return {"exponentials": lax.optimization_barrier(exponentials)}


def _compute(call: Call) -> jax.Array:
    x = call.codes[0].astype(jnp.int32)
    differences = jnp.max(x, -1, keepdims=True) - x
    if call.is_wide:
        return _wide(call, differences)
    exponentials = _at(call.constants["exponentials"], differences)
    if call.engine.target == "litert":
        return _float_normalized(exponentials)
    return _normalized(exponentials)


def _at(table: jax.Array, index: jax.Array) -> jax.Array:
    return table.at[index].get(mode="promise_in_bounds")


# --- int8, TFLite Micro ------------------------------------------------------------------------


def _exponentials(scale: jax.Array, beta: np.float32) -> jax.Array:
    """int32 [256]: exp(-beta * scale * difference) in Q0; 0 where its argument does not fit Q5."""
    mantissa, exponent = multiplier(
        lambda s, b: jnp.minimum(b * s * 2.0**26, 2.0**31 - 1), scale, beta
    )
    is_near = radius_of(5, exponent) >= DIFFERENCES
    arguments = rescale(jnp.where(is_near, -DIFFERENCES, 0), mantissa, exponent)
    return jnp.where(is_near, exp_of_negative(arguments, 5), 0)


def _normalized(exponentials: jax.Array) -> jax.Array:
    """Codes at 1/256, zero point -128."""
    total = jnp.sum(rounding_shift(exponentials, 12), -1, keepdims=True)
    zeros = leading_zeros(total)
    # The leading one is worth 1; the rest is the argument of 1 / (1 + x).
    fraction = (total << zeros) & (2**31 - 1)
    reciprocal = saturating_left_shift(twice_reciprocal(fraction), 1)
    # 12 integer bits of the sum, its leading zeros, 23 bits that codes do not have.
    y = rounding_shift(high_multiply(reciprocal, exponentials), 12 - zeros + 23) - 128
    return jnp.clip(y, -128, 127).astype(jnp.float32)


# --- int8, LiteRT ------------------------------------------------------------------------------


def _float_exponentials(scale: jax.Array, beta: np.float32) -> jax.Array:
    """float32 [256]."""
    with jax.enable_x64(True):
        step = float64(lambda s, b: single(s * b), scale, beta)
        return expf(single(-step * DIFFERENCES)).astype(jnp.float32)


def _float_normalized(exponentials: jax.Array) -> jax.Array:
    """Codes at 1/256, zero point -128; float32 sums in the order of the row."""

    def add(total: jax.Array, column: jax.Array):
        return total + column, None

    columns = jnp.moveaxis(exponentials, -1, 0)
    total, _ = lax.scan(add, jnp.zeros_like(columns[0]), columns)
    with jax.enable_x64(True):
        reciprocal = single(256 / total.astype(jnp.float64))[..., None]
        y = jnp.floor(single(exponentials.astype(jnp.float64) * reciprocal) + 0.5) - 128
        return jnp.clip(y, -128, 127).astype(jnp.float32)


# --- int16 -------------------------------------------------------------------------------------


def _steps(scale: jax.Array, beta: jax.Array) -> jax.Array:
    """Of the exponential's table, per code."""
    return scale * beta / (EXP_RANGE / 65535)


def _steps_of_product(scale: jax.Array, beta: jax.Array) -> jax.Array:
    """The same; LiteRT multiplies in float32."""
    return single(scale * beta) / (EXP_RANGE / 65535)


def _wide(call: Call, differences: jax.Array) -> jax.Array:
    """Codes at 1/32768, zero point 0."""
    steps = rescale(-differences, call.constants["mantissa"], call.constants["exponent"])
    exponentials = look_up(EXPONENTIAL, jnp.maximum(steps, -65535) + 32767)
    total = jnp.sum(exponentials, -1, keepdims=True)
    zeros = leading_zeros(total)
    ones = total << (zeros - 1)  # in [1, 2), 30 fractional bits
    rounded = (ones >> 14) + ((ones >> 13) & 1)
    # 1 is the lowest code of the reciprocal's table.
    argument = jnp.minimum(rounded - 2**16 - 2**15, 32767)
    reciprocal = look_up(RECIPROCAL[call.engine.target], argument)
    y = (exponentials * reciprocal + (1 << (30 - zeros))) >> (31 - zeros)
    return jnp.clip(y, 0, 32767).astype(jnp.float32)


KINDS = {"softmax": Kind(_compute, softmax, _prepare)}
