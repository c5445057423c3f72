"""The operations of a program in a device's integer arithmetic.

One set of kernels serves training and execution. Codes travel in float32, which holds them
exactly, so that gradients can flow; every kernel's forward value is the integer that the target
computes, and its gradient is that of the real function (straight-through).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from aqtaudio.program.kernels import (
    elementwise,
    inverse_roots,
    l2_norm,
    matmul,
    movement,
    reductions,
    softmax,
    transcendental,
    weighted,
)
from aqtaudio.program.kernels.call import Call, Engine, Grid, Kind
from aqtaudio.program.kernels.rescaling import in_float32
from aqtaudio.program.kernels.straight_through import straight_through

KINDS: dict[str, Kind] = (
    weighted.KINDS
    | elementwise.KINDS
    | matmul.KINDS
    | reductions.KINDS
    | movement.KINDS
    | transcendental.KINDS
    | softmax.KINDS
    | l2_norm.KINDS
    | inverse_roots.KINDS
)


def call_of(
    kind: str,
    codes: tuple[jax.Array, ...],
    inputs: tuple[Grid, ...],
    output: Grid,
    attributes: Mapping[str, Any],
    constants: Mapping[str, Any],
    engine: Engine,
    step: jax.Array | None = None,
) -> Call:
    """A call with its prepared constants."""
    call = Call(kind, codes, inputs, output, attributes, constants, engine, step)
    return dataclasses.replace(call, constants={**constants, **prepare(call)})


def prepare(call: Call) -> dict[str, Any]:
    """The integer constants that follow from a call's grids."""
    return KINDS[call.kind].prepare(call)


def safe_scale(kind: str, inputs: tuple[Grid, ...], scale: jax.Array) -> jax.Array:
    """An output scale that the targets can compute with: `scale`, or the least that is safe."""
    least = KINDS[kind].least_scale
    return scale if least is None else jnp.maximum(scale, least(inputs))


def run(call: Call) -> jax.Array:
    """Output codes [B, ...] of a call whose constants are prepared, in float32."""
    kind = KINDS[call.kind]
    if kind.differentiable:
        return kind.compute(call)
    assert kind.real is not None
    exact = lax.stop_gradient(kind.compute(call)).astype(jnp.float32)
    values = [
        (x - grid.zero_point) * grid.scale for x, grid in zip(call.codes, call.inputs, strict=True)
    ]
    real = kind.real(tuple(values), call.attributes)
    zero_point = call.output.zero_point
    real = real / call.output.scale + zero_point
    return straight_through(real, exact, call.bounds, zero_point, call.step)


def quantize(x: jax.Array, grid: Grid, step: jax.Array | None = None) -> jax.Array:
    """Real values to codes, carried in float32. The reciprocal is formed first: one rule.

    `step`: the scale, where it is trained; gets the only gradient.
    """
    real = x * in_float32(lambda one, scale: one / scale, np.float32(1), grid.scale)
    bounds = grid.lowest, grid.highest
    codes = jnp.clip(jnp.round(real) + grid.zero_point, *bounds)
    if step is None:
        return codes
    real = lax.stop_gradient(real + grid.zero_point)
    return straight_through(real, lax.stop_gradient(codes), bounds, grid.zero_point, step)
