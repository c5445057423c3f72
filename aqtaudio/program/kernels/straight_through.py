"""Straight-through gradients: the value of an exact computation, the gradient of a real one."""

import jax
import jax.numpy as jnp


@jax.custom_vjp
def straight_through(
    real: jax.Array,
    exact: jax.Array,
    bounds: tuple[int, int],
    zero_point: int = 0,
    step: jax.Array | None = None,
) -> jax.Array:
    """The exact codes; the gradient of the real ones where the clip to `bounds` does not bite.

    Where the scale of the codes is trained it is given as `step`, and gets its gradient.
    """
    return exact


def _forward(real, exact, bounds, zero_point, step):
    low, high = bounds
    inside = (real >= low - 0.5) & (real <= high + 0.5)
    if step is None:
        return exact, (inside, None)
    return exact, (inside, (real - zero_point, exact - zero_point, high - zero_point, step))


def _backward(residuals, g):
    inside, learned = residuals
    gradient = None if learned is None else step_gradient(g, inside, *learned)
    return jnp.where(inside, g, 0), None, None, None, gradient


straight_through.defvjp(_forward, _backward)


def step_gradient(
    g: jax.Array,
    inside: jax.Array,
    real: jax.Array,
    codes: jax.Array,
    levels: int,
    step: jax.Array,
) -> jax.Array:
    """The gradient of a quantizer's step size: LSQ (Esser et al., arXiv:1902.08153, equation 3).

    What follows takes steps as constants, so that all of a step's gradient is here.

    Args:
      g: gradient of the codes [B, ...].
      inside: where the clip does not bite.
      real: unrounded values in steps, less the zero point.
      codes: rounded, clipped, less the zero point.
      levels: the greatest of them.
      step: [].

    Returns:
      [], times LSQ's 1 / sqrt(values of one example * levels).
    """
    moved = codes - jnp.where(inside, real, 0)
    count = codes.size // codes.shape[0]
    return jnp.sum(g * moved) / (step * jnp.sqrt(jnp.float32(count * levels)))
