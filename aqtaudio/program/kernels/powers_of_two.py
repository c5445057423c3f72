"""frexp and ldexp of float32 and float64, by the bits.

Since jax 0.12 (tested: 0.12.0.1) `jnp.frexp` and `jnp.ldexp` are expanded after tracing, outside of
the `jax.enable_x64` block in which they were called, and lose half of a float64.

Subnormal numbers count as zero. None occurs: ratios and products of two or three float32 scales are
normal in float64, and such a ratio in float32 is beyond every limit of the kernels that use it.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

INTEGERS = {32: jnp.uint32, 64: jnp.uint64}


def frexp(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(fraction, exponent int32): x = fraction * 2**exponent, 1/2 <= |fraction| < 1; of 0 (0, 0).

    x is finite, float32 or (inside `jax.enable_x64`) float64; so is the fraction.
    """
    form = jnp.finfo(x.dtype)
    integer = INTEGERS[form.bits]
    field = integer(2**form.nexp - 1) << integer(form.nmant)
    bits = lax.bitcast_convert_type(x, integer)
    exponent = ((bits & field) >> integer(form.nmant)).astype(jnp.int32)
    is_zero = exponent == 0
    half = integer(form.maxexp - 2) << integer(form.nmant)
    fraction = lax.bitcast_convert_type((bits & ~field) | half, x.dtype)
    return jnp.where(is_zero, 0, fraction), jnp.where(is_zero, 0, exponent - (form.maxexp - 2))


def ldexp(x: jax.Array, exponent: jax.Array) -> jax.Array:
    """x * 2**exponent, in the type of x; `exponent` int32, see `power_of_two`."""
    return x * power_of_two(exponent, x.dtype)


def power_of_two(exponent: jax.Array, dtype: Any) -> jax.Array:
    """2**exponent as float32 or float64; exponents beyond the normal numbers are cut short."""
    form = jnp.finfo(dtype)
    integer = INTEGERS[form.bits]
    biased = jnp.clip(exponent, form.minexp, form.maxexp - 1) + (form.maxexp - 1)
    return lax.bitcast_convert_type(biased.astype(integer) << integer(form.nmant), form.dtype)
