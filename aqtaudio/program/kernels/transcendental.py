"""Unary functions of int8 and int16 codes: logistic, tanh, hard-swish."""

import jax
import jax.numpy as jnp

from aqtaudio.program.kernels.call import Call, Kind


def logistic(values: tuple[jax.Array, ...], attributes) -> jax.Array:
    """LOGISTIC."""
    return jax.nn.sigmoid(values[0])


def tanh(values: tuple[jax.Array, ...], attributes) -> jax.Array:
    """TANH."""
    return jnp.tanh(values[0])


def hard_swish(values: tuple[jax.Array, ...], attributes) -> jax.Array:
    """HARD_SWISH: x * clip(x + 3, 0, 6) / 6."""
    return jax.nn.hard_swish(values[0])


def _nearest(real):
    def compute(call: Call) -> jax.Array:
        (x,), (grid,) = call.codes, call.inputs
        y = real(((x - grid.zero_point) * grid.scale,), call.attributes)
        return jnp.clip(jnp.round(y / call.output.scale) + call.output.zero_point, *call.bounds)

    return compute


KINDS = {
    "logistic": Kind(_nearest(logistic), logistic),
    "tanh": Kind(_nearest(tanh), tanh),
    "hard_swish": Kind(_nearest(hard_swish), hard_swish),
}
