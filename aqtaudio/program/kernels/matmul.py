"""BATCH_MATMUL: products of two tensors of codes."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from aqtaudio.program.kernels import xnnpack
from aqtaudio.program.kernels.call import Call, Kind
from aqtaudio.program.kernels.fixed_point import real_multiplier
from aqtaudio.program.kernels.rescaling import in_float32, named
from aqtaudio.program.kernels.straight_through import straight_through
from aqtaudio.program.kernels.weighted import bytes_of, requantize, rescale_wide

CODE_BITS = 9
"""Codes reach -128, beyond symmetric weights of 8 bits; bounds of sums allow for a bit more."""


def batch_matmul(values: tuple[jax.Array, ...], attributes: Mapping[str, Any]) -> jax.Array:
    """[B, ..., M, K] times [B, ..., K, N]; `transpose_a`, `transpose_b`: stored the other way."""
    a, b = _upright(values, attributes)
    return jnp.matmul(a, b)


def _upright(values: tuple[jax.Array, ...], attributes: Mapping[str, Any]) -> list[jax.Array]:
    flags = attributes["transpose_a"], attributes["transpose_b"]
    return [jnp.swapaxes(x, -1, -2) if flag else x for x, flag in zip(values, flags, strict=True)]


def _prepare(call: Call) -> dict[str, Any]:
    a, b, y = *(grid.scale for grid in call.inputs), call.output.scale
    if _is_float(call):
        return {"multiplier": in_float32(lambda a, b, y: a * b / y, a, b, y)}
    if call.engine.target == "litert":
        return named("y", lambda ab, y: ab / y, in_float32(lambda a, b: a * b, a, b), y)
    return named("y", lambda a, b, y: a * b / y, a, b, y)


def _is_float(call: Call) -> bool:
    """XNNPACK takes symmetric second inputs; else LiteRT computes as TFLite Micro."""
    return xnnpack.is_target(call) and call.inputs[1].zero_point == 0


def _codes(call: Call) -> jax.Array:
    a, b = _upright(call.codes, call.attributes)
    return _wide(call, a, b) if call.is_wide else _narrow(call, a, b)


def _narrow(call: Call, a: jax.Array, b: jax.Array) -> jax.Array:
    """int8 codes: int32 accumulators; gradients through the engine's dots."""
    parts = product(call, a, call.inputs[0].zero_point, b, call.inputs[1].zero_point)
    zero = jnp.zeros((b.shape[-1],), jnp.int32)
    steps = zero.astype(jnp.float32)
    zero_point, scaling = call.output.zero_point, _scaling(call)
    rounding = "float" if _is_float(call) else "away"
    return requantize(rounding, parts, steps, zero, scaling, zero_point, call.bounds, call.step)


def _wide(call: Call, a: jax.Array, b: jax.Array) -> jax.Array:
    """int16 codes, by their bytes: int64 accumulators."""
    scaling = _scaling(call)
    (a_high, a_low), (b_high, b_low) = (bytes_of(lax.stop_gradient(x)) for x in (a, b))
    groups = (
        product(call, a_high, 0, b_high, 0),
        product(call, a_high, 0, b_low, -128) + product(call, a_low, -128, b_high, 0),
        product(call, a_low, -128, b_low, -128),
    )
    real = jnp.matmul(a, b) * real_multiplier(scaling["mantissa"], scaling["exponent"])
    with jax.enable_x64(True):
        high, middle, low = (sum(part.astype(jnp.int64) for part in group) for group in groups)
        accumulator = (high << 16) + (middle << 8) + low
        codes = rescale_wide(accumulator, scaling["mantissa"], scaling["exponent"])
        codes = jnp.clip(codes, *call.bounds).astype(jnp.float32)
    return straight_through(real, codes, call.bounds, 0, call.step)


def _scaling(call: Call) -> dict[str, jax.Array]:
    if _is_float(call):
        return {"multiplier": call.constants["multiplier"]}
    return {"mantissa": call.constants["y_mantissa"], "exponent": call.constants["y_exponent"]}


def product(call: Call, a: jax.Array, a_zero: int, b: jax.Array, b_zero: int) -> list[jax.Array]:
    """Exact float32 parts of (a - a_zero) [..., M, K] times (b - b_zero) [..., K, N].

    The engine multiplies a - a_zero by the raw codes b; a correction takes b_zero off.
    """
    leading = jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (
        jnp.broadcast_to(x, (*leading, *x.shape[-2:])).reshape(-1, *x.shape[-2:]) for x in (a, b)
    )
    parts = call.engine.dot(a, a_zero, b, CODE_BITS)
    if b_zero:
        sums = call.engine.dot(a, a_zero, jnp.ones((a.shape[-1], 1), jnp.float32), CODE_BITS)
        parts = [*parts, *(-b_zero * part for part in sums)]
    shape = *leading, a.shape[-2], b.shape[-1]
    return [jnp.broadcast_to(p, (p.shape[0], *shape[-2:])).reshape(shape) for p in parts]


KINDS = {"batch_matmul": Kind(_codes, batch_matmul, _prepare, differentiable=True)}
