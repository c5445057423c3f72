"""Functions of int16 codes: lookup tables with linear interpolation, in int32.

The tables do not depend on scales; numpy makes them once, so that no compiler can round them.
Rules: tflite-micro `integer_ops/logistic.h`, `tanh.h` (sigmoid table), `internal/common.h`
(`LUTPopulate`, `LUTLookup`), `micro/kernels/logistic_common.cc`, `tanh.cc` (input multiplier).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.program.kernels import exponential
from aqtaudio.program.kernels.call import Call
from aqtaudio.program.kernels.fixed_point import float64
from aqtaudio.program.kernels.powers_of_two import frexp, ldexp

STEPS_PER_UNIT = 3 * 2**12
"""Of the sigmoid's argument: its table has 24 entries a unit, 512 steps each."""

LAST = 255

Function = Callable[[Any], Any]


def _sigmoid_table() -> np.ndarray:
    """int32 [256]: sigmoid(i / 24) in 1/65536, moved half-way to where midpoints are right."""
    i = np.arange(LAST)

    def sigmoid(i):
        return 2.0**16 / (1 + np.exp(-i / 24))

    error = (sigmoid(i) + sigmoid(i + 1)) / 2 - sigmoid(i + 0.5)
    table = np.rint(sigmoid(i) - error / 2)
    return np.append(table, 2**16 - 1).astype(np.int32)


SIGMOID = _sigmoid_table()


# --- logistic, tanh ----------------------------------------------------------------------------


def input_multiplier(call: Call, powers: tuple[int, ...]) -> dict[str, jax.Array]:
    """What turns codes into steps of the table's argument: code * mantissa / 2**shift.

    Scales that are almost 2**power for one of `powers` count as exactly that. For LiteRT, `power`
    is the index of that one, or -1: its optimized kernel leaves the table aside there.
    """
    scale = jax.lax.stop_gradient(jnp.asarray(call.inputs[0].scale, jnp.float32))
    with jax.enable_x64(True):
        # In (16383.5, 32767] times a power of two, then truncated.
        fraction, exponent = frexp(float64(lambda s: s * STEPS_PER_UNIT, scale))
        is_above = fraction * 2.0**14 > 32767 / 2
        shift = jnp.clip(15 - exponent - is_above, 0, 31).astype(jnp.int32)
        mantissa = jnp.floor(ldexp(fraction, exponent + shift)).astype(jnp.int32)
    found = jnp.int32(-1)
    for index, power in enumerate(powers):
        found = jnp.where(_is_almost(scale, power), index, found)
        mantissa = jnp.where(found == index, 3 << (12 + power), mantissa)
    shift = jnp.where(found < 0, shift, 0)
    constants = {"mantissa": mantissa, "shift": shift}
    constants |= {"power": found} if call.engine.target == "litert" else {}
    return jax.lax.optimization_barrier(constants)


def _is_almost(scale: jax.Array, power: int) -> jax.Array:
    """|log2(scale) - power| < 0.001, as TFLite Micro's float32 logarithm finds."""
    low, high = ALMOST[power]
    return (scale >= low) & (scale <= high)


ALMOST = {
    -12: (np.float32(float.fromhex("0x1.ffa538p-13")), np.float32(float.fromhex("0x1.002d6ap-12"))),
    -11: (np.float32(float.fromhex("0x1.ffa530p-12")), np.float32(float.fromhex("0x1.002d6ep-11"))),
}
"""Least and greatest scale that counts as 2**power; found by bisection on TFLite Micro."""


def logistic(call: Call) -> jax.Array:
    """LOGISTIC of int16 codes, output scale 1/32768."""
    return _by_table_or_power(call, _logistic_of_steps, exponential.logistic)


def tanh(call: Call) -> jax.Array:
    """TANH of int16 codes, output scale 1/32768: from the sigmoid of twice the argument."""
    return _by_table_or_power(call, _tanh_of_steps, exponential.tanh)


def _by_table_or_power(call: Call, by_table: Function, of_fixed_point) -> jax.Array:
    codes = call.codes[0].astype(jnp.int32)
    mantissa, shift = call.constants["mantissa"], call.constants["shift"]

    def table(codes: jax.Array) -> jax.Array:
        return by_table((codes * mantissa + ((jnp.int32(1) << shift) >> 1)) >> shift)

    if call.engine.target == "micro":
        return table(codes).astype(jnp.float32)
    power = call.constants["power"]

    def fixed_point(codes: jax.Array) -> jax.Array:
        return of_fixed_point(exponential.shift_left(codes, power, 15), 3, 15)

    return jax.lax.cond(power >= 0, fixed_point, table, codes).astype(jnp.float32)


def _logistic_of_steps(steps: jax.Array) -> jax.Array:
    y = _sigmoid(jnp.abs(steps), 9, 0x7FFF << 10)
    return jnp.where(steps >= 0, y + 512, 2**25 - y + 511) >> 10


def _tanh_of_steps(steps: jax.Array) -> jax.Array:
    y = _sigmoid(jnp.abs(steps), 8, 0xFFFF << 8)
    return jnp.where(steps >= 0, y - 2**23 + 128, 2**23 - y + 127) >> 8


def _sigmoid(steps: jax.Array, bits: int, end: int) -> jax.Array:
    """The table at steps / 2**bits, interpolated, times 2**bits; `end` behind its last entry."""
    index = steps >> bits
    inside = jnp.minimum(index, LAST - 1)
    rest = steps & ((1 << bits) - 1)
    y = (_at(SIGMOID, inside) << bits) + rest * _at(np.diff(SIGMOID), inside)
    return jnp.where(index >= LAST, end, y)


def _at(table: np.ndarray, index: jax.Array) -> jax.Array:
    return jnp.asarray(table).at[index].get(mode="promise_in_bounds")


# --- functions on an interval ------------------------------------------------------------------

INTERVALS = 512


def table_of(function: Function, low, high, output_range, precision: type) -> np.ndarray:
    """int32 [513]: `function` on [low, high], 65536 codes to `output_range`, midpoints evened out.

    All in `precision`: float32 is TFLite Micro, float64 LiteRT.
    """
    low, high = precision(low), precision(high)
    step = (high - low) / precision(INTERVALS)
    left = low + np.arange(INTERVALS).astype(precision) * step
    right = low + np.arange(1, INTERVALS + 1).astype(precision) * step
    per_code = precision(precision(2**16) / precision(output_range))

    def scaled(x: np.ndarray) -> np.ndarray:
        # Transcendental functions of float32 differ between processors in numpy, not of float64.
        return function(x.astype(np.float64)).astype(precision) * per_code

    sample = _away(scaled(left))
    middle = _away((scaled(right) + sample) / precision(2))
    bias = _away((middle - _away(scaled(left + step / precision(2)))) / precision(2))
    table = np.append(sample - bias, _away(scaled(np.array([high]))))
    return np.clip(table, -32768, 32767).astype(np.int32)


def _away(x: np.ndarray) -> np.ndarray:
    """Rounds, halves away from zero."""
    return np.sign(x) * np.floor(np.abs(x) + x.dtype.type(0.5))


def look_up(table: np.ndarray, x: jax.Array) -> jax.Array:
    """A table [513] of all int16 values, at x, interpolated."""
    index = (x >> 7) + INTERVALS // 2
    return _at(table, index) + ((_at(np.diff(table), index) * (x & 127) + 64) >> 7)
