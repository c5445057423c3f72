"""The rules of LiteRT's default kernels for int8 elementwise operations and reductions.

XNNPACK (October 2026, x86-64): shorter multipliers than TFLite's and one rounding. Where it does
not take an operator, because scales are too far apart, TFLite's own optimized kernel runs.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from aqtaudio.program.kernels.call import Call
from aqtaudio.program.kernels.powers_of_two import frexp, ldexp
from aqtaudio.program.kernels.rescaling import float_product, in_float32

Constants = dict[str, Any]
SUM_RATIOS = 2.0**-10, 2.0**8
SHORT_RATIOS = 2.0**-8, 2.0**7


def is_target(call: Call) -> bool:
    """LiteRT on int8: XNNPACK has no int16 kernels."""
    bits = [grid.bits for grid in (*call.inputs, call.output)]
    return call.engine.target == "litert" and 16 not in bits


def ratio(call: Call, index: int = 0) -> jax.Array:
    """Scale of an input over that of the output, float32."""
    return in_float32(lambda x, y: x / y, call.inputs[index].scale, call.output.scale)


# --- ADD, SUB ----------------------------------------------------------------------------------


def prepare_sum(call: Call) -> Constants:
    """Multipliers of 21 bits on one binary exponent."""
    a, b = ratio(call, 0), ratio(call, 1)
    larger = jnp.maximum(a, b)
    shift = 21 - frexp(larger)[1]
    return {
        "is_short": (jnp.minimum(a, b) >= SUM_RATIOS[0]) & (larger < SUM_RATIOS[1]),
        "a_short": jnp.round(ldexp(a, shift)).astype(jnp.int32),
        "b_short": jnp.round(ldexp(b, shift)).astype(jnp.int32),
        "shift": jnp.clip(shift, 1, 31),
    }


def sum_or_difference(call: Call, a: jax.Array, b: jax.Array) -> jax.Array:
    """int32 steps of the output; halves up."""
    constants = call.constants
    a, b = a * constants["a_short"], b * constants["b_short"]
    total = a + b if call.kind == "add" else a - b
    shift = constants["shift"]
    return (total + (jnp.int32(1) << (shift - 1))) >> shift


# --- MUL ---------------------------------------------------------------------------------------


def prepare_product(call: Call) -> Constants:
    """The float32 multiplier of the product of codes."""
    scales = *(grid.scale for grid in call.inputs), call.output.scale
    return {"multiplier": in_float32(lambda a, b, y: a * b / y, *scales)}


def product(call: Call, a: jax.Array, b: jax.Array) -> jax.Array:
    """int32 steps of the output; halves to even."""
    real = (a * b).astype(jnp.float32) * call.constants["multiplier"]
    return jnp.round(real).astype(jnp.int32)


# --- QUANTIZE, LEAKY_RELU ----------------------------------------------------------------------


def prepare_short(call: Call) -> Constants:
    """Multipliers of 8 fractional bits: of all values, and of negative ones where they differ."""
    above = ratio(call)
    lowest, highest = SHORT_RATIOS
    is_short = (above >= lowest) & (above <= highest)
    constants = {"y_short": _short(above)}
    if "alpha" in call.attributes:
        below = in_float32(lambda r, alpha: r * alpha, above, call.attributes["alpha"])
        is_short &= (jnp.abs(below) >= lowest) & (below > -highest) & (below <= highest)
        constants["negative_short"] = _short(below)
    return constants | {"is_short": is_short}


def _short(real: jax.Array) -> jax.Array:
    return jnp.round(jnp.clip(real, -256, 256) * 256).astype(jnp.int32)


def short(x: jax.Array, multiplier: jax.Array) -> jax.Array:
    """int32 x times multiplier / 256, halves up."""
    return (x * multiplier + 128) >> 8


# --- MEAN, SUM ---------------------------------------------------------------------------------


def reduction(call: Call, total: jax.Array, count: int, divisor: int) -> jax.Array:
    """Output steps, float32, of the sum of `count` centred codes over `divisor`; halves to even.

    The raw codes are summed; one float32 offset holds both zero points.
    """
    zero = count * call.inputs[0].zero_point
    scale = in_float32(lambda r, n: r / n, call.constants["ratio"], divisor)
    offset = np.float32(call.output.zero_point) - float_product(jnp.float32(zero), scale)
    real = float_product((total + zero).astype(jnp.float32), scale) + lax.stop_gradient(offset)
    return jnp.round(real).astype(jnp.int32) - call.output.zero_point
