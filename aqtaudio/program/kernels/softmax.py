"""SOFTMAX over the last axis."""

import jax
import jax.numpy as jnp

from aqtaudio.program.kernels.call import Call, Kind

SOFTMAX_WIDTH_LIMIT = 511
"""TFLite Micro aborts the process when the sum of exponentials reaches 512."""


def softmax(values: tuple[jax.Array, ...], attributes) -> jax.Array:
    """SOFTMAX of `beta` times the values."""
    return jax.nn.softmax(attributes["beta"] * values[0], -1)


def _compute(call: Call) -> jax.Array:
    (x,), (grid,) = call.codes, call.inputs
    y = softmax(((x - grid.zero_point) * grid.scale,), call.attributes)
    return jnp.clip(jnp.round(y / call.output.scale) + call.output.zero_point, *call.bounds)


KINDS = {"softmax": Kind(_compute, softmax)}
