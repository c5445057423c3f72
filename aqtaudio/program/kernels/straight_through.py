"""Straight-through gradients: the value of an exact computation, the gradient of a real one."""

import jax
import jax.numpy as jnp


@jax.custom_vjp
def straight_through(real: jax.Array, exact: jax.Array, bounds: tuple[int, int]) -> jax.Array:
    """The exact codes; the gradient of the real ones where the clip to `bounds` does not bite."""
    return exact


def _forward(real, exact, bounds):
    low, high = bounds
    return exact, (real >= low - 0.5) & (real <= high + 0.5)


def _backward(inside, g):
    return jnp.where(inside, g, 0), None, None


straight_through.defvjp(_forward, _backward)
