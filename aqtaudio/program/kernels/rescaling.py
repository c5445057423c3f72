"""What elementwise operations and reductions share: codes in, prepared multipliers, codes out."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from aqtaudio.program.kernels.call import Call
from aqtaudio.program.kernels.fixed_point import multiplier, rescale
from aqtaudio.program.kernels.float_functions import single


def centred(call: Call, index: int = 0) -> jax.Array:
    """Codes of an input less their zero point, int32; gradients do not pass."""
    zero_point = call.inputs[index].zero_point
    return lax.stop_gradient(call.codes[index]).astype(jnp.int32) - zero_point


def leave(call: Call, y: jax.Array, low: int | None = None) -> jax.Array:
    """int32 y, in steps of the output, as output codes: zero point, clip (from `low`), float32."""
    lowest, highest = call.bounds
    lowest = lowest if low is None else max(low, lowest)
    codes = jnp.clip(y + call.output.zero_point, lowest, highest)
    # The barrier keeps XLA from repeating the integer arithmetic in every consumer.
    return lax.optimization_barrier(codes.astype(jnp.float32))


def rescaled(call: Call, x: jax.Array, name: str) -> jax.Array:
    """int32 x by the prepared multiplier of that name."""
    return rescale(x, call.constants[f"{name}_mantissa"], call.constants[f"{name}_exponent"])


def named(
    name: str, compute: Callable[..., jax.Array], *scales, single: bool = False
) -> dict[str, jax.Array]:
    """A multiplier as constants NAME_mantissa and NAME_exponent.

    `compute` works in float64, or (`single`) in float32 up to the quantized multiplier.
    """
    if single:
        mantissa, exponent = multiplier(lambda real: real, in_float32(compute, *scales))
    else:
        mantissa, exponent = multiplier(compute, *scales)
    return {f"{name}_mantissa": mantissa, f"{name}_exponent": exponent}


def in_float32(compute: Callable[..., Any], *scales) -> jax.Array:
    """`compute` of scales in float32, every step rounded: products and quotients only.

    Each is a float64 one, rounded, which is the float32 one: XLA's float32 quotients on a GPU may
    be two units of the last place off. The barrier hides constants: XLA would turn a division by
    one into a product.
    """
    values = [lax.stop_gradient(jnp.asarray(scale, jnp.float32)) for scale in scales]
    with jax.enable_x64(True):
        wide = [x.astype(jnp.float64) for x in lax.optimization_barrier(values)]
        return lax.optimization_barrier(compute(*map(_Single, wide)).value.astype(jnp.float32))


@dataclasses.dataclass(frozen=True)
class _Single:
    """A float32 number, held in float64."""

    value: jax.Array

    def __mul__(self, other: "_Single") -> "_Single":
        return _Single(single(self.value * other.value))

    def __truediv__(self, other: "_Single") -> "_Single":
        return _Single(single(self.value / other.value))


def float_product(x: jax.Array, scale: jax.Array) -> jax.Array:
    """The float32 product of float32 values, rounded before anything is added to it.

    Compilers fuse a product and a sum and round once, even where the product went through float64;
    not where its bits were cut to float32's 23.
    """
    with jax.enable_x64(True):
        exact = x.astype(jnp.float64) * scale.astype(jnp.float64)
        return lax.reduce_precision(exact, 11, 23).astype(jnp.float32)
