"""RSQRT of int8 codes, element by element: one over the square root.

Rules: tflite-micro `kernels/elementwise.cc` (RsqrtEvalQuantized), `internal/quantization_util.cc`
(GetInvSqrtQuantizedMultiplierExp). LiteRT's is the same in int8, but not in int16, where releases
of TFLite Micro differ too (whether the scales' product is float32).
"""

from typing import Any

import jax
import jax.numpy as jnp

from aqtaudio.program.kernels.call import Call, Grid, Kind
from aqtaudio.program.kernels.fixed_point import multiplier, rescale
from aqtaudio.program.kernels.l2_norm import inverse_root

SHIFT = 20
"""Fractional bits of the root between the two multipliers."""
SMALLEST = 1e-12
"""What is smaller has its root; the code of zero has the greatest code."""


def rsqrt(values: tuple[jax.Array, ...], attributes) -> jax.Array:
    """RSQRT of values >= 0."""
    return jax.lax.rsqrt(jnp.maximum(values[0], SMALLEST))


def _prepare(call: Call) -> dict[str, Any]:
    scales = call.inputs[0].scale, call.output.scale
    mantissa, exponent = multiplier(lambda x, y: 1 / (jnp.sqrt(x) * y), *scales)
    return {"mantissa": mantissa, "exponent": exponent}


def _compute(call: Call) -> jax.Array:
    value = call.codes[0].astype(jnp.int32) - call.inputs[0].zero_point
    mantissa, exponent = inverse_root(jnp.maximum(value, 0))
    root = rescale(jnp.ones_like(value), mantissa, exponent + SHIFT)
    constants = call.constants
    y = rescale(root, constants["mantissa"], constants["exponent"] - SHIFT)
    y = jnp.clip(y + call.output.zero_point, call.output.lowest, call.output.highest)
    return jnp.where(value == 0, call.output.highest, y).astype(jnp.float32)


def _least_scale(inputs: tuple[Grid, ...]) -> jax.Array:
    """So that the multiplier stays below 2**29: shifts of 2**20 do not leave 32 bits."""
    return 2.0**-29 * jax.lax.rsqrt(jnp.asarray(inputs[0].scale, jnp.float32))


KINDS = {"rsqrt": Kind(_compute, rsqrt, _prepare, least_scale=_least_scale)}
