"""L2_NORMALIZATION over the last axis."""

import jax
import jax.numpy as jnp

from aqtaudio.program.kernels.call import Call, Kind

SMALLEST_SQUARE = 1e-12
"""Rows of a smaller sum of squares are divided by its root: TFLite's epsilon."""


def l2_norm(values: tuple[jax.Array, ...], attributes) -> jax.Array:
    """Rows over their Euclidean length; a row of zeros stays."""
    (x,) = values
    square = jnp.sum(jnp.square(x), -1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.maximum(square, SMALLEST_SQUARE))


def _compute(call: Call) -> jax.Array:
    (x,), (grid,) = call.codes, call.inputs
    y = l2_norm(((x - grid.zero_point) * grid.scale,), call.attributes)
    return jnp.clip(jnp.round(y / call.output.scale) + call.output.zero_point, *call.bounds)


KINDS = {"l2_norm": Kind(_compute, l2_norm)}
