"""Fixed-point arithmetic as TFLite Micro does it, on 32-bit integers.

Products have 64 bits, multipliers are formed in float64: in `jax.enable_x64` blocks, nothing of
which gets out.
Rules: tflite-micro `common.h`, `common.cc` (MultiplyByQuantizedMultiplier in its double-rounding
form, SaturatingRoundingDoublingHighMul, RoundingDivideByPOT).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from aqtaudio.program.kernels.powers_of_two import frexp, ldexp

Multiplier = tuple[jax.Array, jax.Array]


def float64(compute: Callable[..., jax.Array], *scales) -> jax.Array:
    """`compute` of scales in float64. Call it, and use the result, inside `jax.enable_x64(True)`.

    The barrier hides constants: XLA would turn a division by one into a product.
    """
    values = [lax.stop_gradient(jnp.asarray(scale)).astype(jnp.float64) for scale in scales]
    return compute(*lax.optimization_barrier(values))


def multiplier(compute: Callable[..., jax.Array], *scales) -> Multiplier:
    """The real multiplier `compute(*scales)` as (mantissa with 31 fractional bits, exponent).

    Both int32, of the result's shape. A multiplier that would shift everything out is zero.
    Negative multipliers keep their sign in the mantissa. Callable inside jit, grad and vmap.
    """
    with jax.enable_x64(True):
        real = float64(compute, *scales)
        fraction, exponent = frexp(jnp.abs(real))
        mantissa = jnp.floor(fraction * 2.0**31 + 0.5).astype(jnp.int64)
        carry = mantissa == 2**31
        mantissa = jnp.where(carry, mantissa // 2, mantissa)
        exponent = exponent + carry
        flushed = exponent < -31
        mantissa = jnp.where(flushed, 0, jnp.where(real < 0, -mantissa, mantissa))
        exponent = jnp.where(flushed, 0, exponent)
        return lax.optimization_barrier((mantissa.astype(jnp.int32), exponent.astype(jnp.int32)))


def real_multiplier(mantissa: jax.Array, exponent: jax.Array) -> jax.Array:
    """The float32 value of a quantized multiplier, for gradients."""
    return lax.optimization_barrier(ldexp(mantissa.astype(jnp.float32), exponent - 31))


def rescale(x: jax.Array, mantissa: jax.Array, exponent: jax.Array) -> jax.Array:
    """int32 x times mantissa * 2**(exponent - 31), TFLite Micro's two roundings.

    First the high half of the doubled 64-bit product, then a right shift, both halves away from
    zero. A left shift wraps, as it does there.
    """
    left, right = jnp.maximum(exponent, 0), jnp.maximum(-exponent, 0)
    return rounding_shift(high_multiply(x << left, mantissa), right)


def rescale_up(x: jax.Array, mantissa: jax.Array, exponent: jax.Array) -> jax.Array:
    """As `rescale`, but the second rounding takes halves up: LiteRT's optimized kernels."""
    left, right = jnp.maximum(exponent, 0), jnp.maximum(-exponent, 0)
    half = (jnp.int32(1) << right) >> 1
    return (high_multiply(x << left, mantissa) + half) >> right


def rounding_shift(x: jax.Array, right: jax.Array | int) -> jax.Array:
    """int32 x / 2**right, halves away from zero."""
    mask = (jnp.int32(1) << right) - 1
    return (x >> right) + ((x & mask) > (mask >> 1) + (x < 0))


def high_multiply(a: jax.Array, b: jax.Array) -> jax.Array:
    """floor((a * b + 2**30) / 2**31) for int32 a and b, not both -2**31.

    Processors multiply 32 by 32 bits to 64. Putting the product together from 16-bit limbs takes
    longer, and LLVM's vectorizer (jaxlib 0.12.0.1) never ends on long chains of such products: it
    follows every path from a value to its uses.
    """
    with jax.enable_x64(True):
        product = a.astype(jnp.int64) * b.astype(jnp.int64)
        return ((product + 2**30) >> 31).astype(jnp.int32)


def saturating_left_shift(x: jax.Array, left: int) -> jax.Array:
    """int32 x * 2**left, clipped to int32."""
    limit = 2**31 - 1
    shifted = x << left
    return jnp.where(shifted >> left == x, shifted, jnp.where(x > 0, limit, -limit - 1))


def leading_zeros(x: jax.Array) -> jax.Array:
    """Leading zero bits of int32 x > 0."""
    return lax.clz(x)
