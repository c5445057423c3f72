"""Pooling and reductions."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from aqtaudio.program import linear
from aqtaudio.program.kernels import xnnpack
from aqtaudio.program.kernels.call import Call, Kind
from aqtaudio.program.kernels.fixed_point import rescale
from aqtaudio.program.kernels.rescaling import centred, float_product, leave, named, rescaled


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
    # A traced zero would hide from JAX that this is a sum, which it can differentiate.
    zero = np.zeros((), x.dtype)
    return lax.reduce_window(x, zero, lax.add, (1, *window, 1), (1, *strides, 1), "VALID")


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


def mean(values: tuple[jax.Array, ...], attributes) -> jax.Array:
    """MEAN over `axes` (after the batch, from 0); `keep`: axes of size 1 stay."""
    return jnp.mean(values[0], _axes(attributes), keepdims=attributes["keep"])


def sum_(values: tuple[jax.Array, ...], attributes) -> jax.Array:
    """SUM over `axes` (after the batch, from 0); `keep`: axes of size 1 stay."""
    return jnp.sum(values[0], _axes(attributes), keepdims=attributes["keep"])


def _axes(attributes) -> tuple[int, ...]:
    return tuple(axis + 1 for axis in attributes["axes"])


def _prepare_sum(call: Call) -> dict[str, Any]:
    if _is_float(call):
        return {"ratio": xnnpack.ratio(call)}
    return named("y", lambda x, y: x / y, call.inputs[0].scale, call.output.scale)


def _is_float(call: Call) -> bool:
    """LiteRT rescales in float32, but for the mean of int16."""
    return xnnpack.is_target(call) or (call.engine.target == "litert" and call.kind == "sum")


def _sum_codes(call: Call) -> jax.Array:
    total = jnp.sum(centred(call), _axes(call.attributes), keepdims=call.attributes["keep"])
    count = call.codes[0].size // total.size
    if xnnpack.is_target(call):
        divisor = count if call.kind == "mean" else 1
        return leave(call, xnnpack.reduction(call, total, count, divisor))
    if _is_float(call):
        return leave(
            call, _rounded(float_product(total.astype(jnp.float32), call.constants["ratio"]))
        )
    if call.kind == "mean":
        return leave(call, rescale(total, *_divided(call, count)))
    return leave(call, rescaled(call, total, "y"))


def _rounded(x: jax.Array) -> jax.Array:
    """To int32, halves away from zero."""
    whole = jnp.floor(jnp.abs(x))
    return (jnp.sign(x) * (whole + (jnp.abs(x) - whole >= 0.5))).astype(jnp.int32)


def _divided(call: Call, count: int) -> tuple[jax.Array, jax.Array]:
    """The multiplier over a count, truncated: as many bits as the count allows are kept."""
    mantissa, exponent = call.constants["y_mantissa"], call.constants["y_exponent"]
    with jax.enable_x64(True):
        shift = jnp.minimum(min(count.bit_length() - 1, 32), 31 + exponent)
        divided = (mantissa.astype(jnp.int64) << shift) // count
        return divided.astype(jnp.int32), exponent - shift.astype(jnp.int32)


KINDS = {
    "mean": Kind(_sum_codes, mean, _prepare_sum),
    "sum": Kind(_sum_codes, sum_, _prepare_sum),
    "average_pool": Kind(_average_pool_codes, average_pool, differentiable=True),
    "max_pool": Kind(_max_pool_codes, max_pool, differentiable=True),
}
