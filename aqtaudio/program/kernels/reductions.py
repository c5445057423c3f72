"""Pooling and reductions."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from aqtaudio.program import linear
from aqtaudio.program.kernels.call import Call, Kind


def average_pool(values: tuple[jax.Array, ...], attributes) -> jax.Array:
    """AVERAGE_POOL_2D of [B, H, W, C], VALID, on the grid of its input."""
    window = attributes["window"]
    return window_sum(values[0], window, attributes["strides"]) / (window[0] * window[1])


def _average_pool_codes(call: Call) -> jax.Array:
    window = call.attributes["window"]
    total = window_sum(call.codes[0], window, call.attributes["strides"])
    return jnp.clip(_mean(total, window[0] * window[1]), *call.bounds)


def window_sum(x: jax.Array, window, strides) -> jax.Array:
    """Sum of each window of x [B, H, W, C], VALID."""
    if x.shape[1:3] == window:
        return jnp.sum(x, (1, 2), keepdims=True)
    return lax.reduce_window(
        x, jnp.zeros((), x.dtype), lax.add, (1, *window, 1), (1, *strides, 1), "VALID"
    )


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _mean(total: jax.Array, count: int) -> jax.Array:
    """Sum of raw codes over their count, halves away from zero by C's truncating division."""
    whole = total.astype(jnp.int32)
    half = jnp.where(whole > 0, count // 2, -(count // 2))
    return lax.div(whole + half, jnp.full(whole.shape, count, jnp.int32)).astype(jnp.float32)


@_mean.defjvp
def _mean_jvp(count, primals, tangents):
    return _mean(primals[0], count), tangents[0] / count


def max_pool(values: tuple[jax.Array, ...], attributes) -> jax.Array:
    """MAX_POOL_2D of [B, H, W, C], VALID, on the grid of its input."""
    taps = linear.taps(values[0], attributes["window"], attributes["strides"], (1, 1))
    return functools.reduce(jnp.maximum, taps)


def _max_pool_codes(call: Call) -> jax.Array:
    return jnp.clip(max_pool(call.codes, call.attributes), *call.bounds)


KINDS = {
    "average_pool": Kind(_average_pool_codes, average_pool, differentiable=True),
    "max_pool": Kind(_max_pool_codes, max_pool, differentiable=True),
}
