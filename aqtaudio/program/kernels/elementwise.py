"""Sums, products, requantization and piecewise linear functions, element by element.

Inputs broadcast as numpy's do. TFLite Micro brings them to a common scale with multipliers of 31
fractional bits, in int32, two roundings each; LiteRT's default kernels (XNNPACK) have shorter
rules of their own for int8.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from aqtaudio.program.kernels.call import Call, Grid, Kind
from aqtaudio.program.kernels.fixed_point import multiplier, rescale

Attributes = Mapping[str, Any]
Values = tuple[jax.Array, ...]

MARGIN = np.float32(1 + 2**-20)
"""Keeps a ratio of scales below its limit through float32 rounding."""


def add(values: Values, attributes: Attributes) -> jax.Array:
    """ADD."""
    a, b = values
    return a + b


def sub(values: Values, attributes: Attributes) -> jax.Array:
    """SUB."""
    a, b = values
    return a - b


def mul(values: Values, attributes: Attributes) -> jax.Array:
    """MUL."""
    a, b = values
    return a * b


def requantize(values: Values, attributes: Attributes) -> jax.Array:
    """QUANTIZE between integer types: the same values on another grid."""
    (x,) = values
    return x


def relu(values: Values, attributes: Attributes) -> jax.Array:
    """RELU onto a grid of its own."""
    (x,) = values
    return jax.nn.relu(x)


def leaky_relu(values: Values, attributes: Attributes) -> jax.Array:
    """LEAKY_RELU: negative values times `alpha`."""
    (x,) = values
    return jnp.where(x >= 0, x, np.float32(attributes["alpha"]) * x)


def prelu(values: Values, attributes: Attributes) -> jax.Array:
    """PRELU of x and slope: negative x times its slope."""
    x, slope = values
    return jnp.where(x >= 0, x, slope * x)


# --- integers ----------------------------------------------------------------------------------


def centred(call: Call, index: int = 0) -> jax.Array:
    """Codes of an input less their zero point, int32; gradients do not pass."""
    zero_point = call.inputs[index].zero_point
    return lax.stop_gradient(call.codes[index]).astype(jnp.int32) - zero_point


def leave(call: Call, y: jax.Array, low: int | None = None) -> jax.Array:
    """int32 y, in steps of the output, as output codes: zero point, clip (from `low`), float32."""
    lowest, highest = call.bounds
    codes = jnp.clip(
        y + call.output.zero_point, max(lowest, lowest if low is None else low), highest
    )
    # The barrier keeps XLA from repeating the integer arithmetic in every consumer.
    return lax.optimization_barrier(codes.astype(jnp.float32))


def rescaled(call: Call, x: jax.Array, name: str) -> jax.Array:
    """int32 x by the prepared multiplier of that name."""
    return rescale(x, call.constants[f"{name}_mantissa"], call.constants[f"{name}_exponent"])


def named(name: str, compute: Callable[..., jax.Array], *scales) -> dict[str, jax.Array]:
    """A multiplier, formed in float64, as constants NAME_mantissa and NAME_exponent."""
    mantissa, exponent = multiplier(compute, *scales)
    return {f"{name}_mantissa": mantissa, f"{name}_exponent": exponent}


def _headroom(bits: int) -> int:
    """Bits by which ADD and SUB shift their inputs up."""
    return 15 if bits == 16 else 20


def _prepare_sum(call: Call) -> dict[str, Any]:
    scales = *(grid.scale for grid in call.inputs), call.output.scale
    unit = 2.0 ** -_headroom(call.output.bits)
    return (
        named("a", lambda a, b, y: a / (2 * jnp.maximum(a, b)), *scales)
        | named("b", lambda a, b, y: b / (2 * jnp.maximum(a, b)), *scales)
        | named("y", lambda a, b, y: 2 * jnp.maximum(a, b) * unit / y, *scales)
    )


def _sum_codes(call: Call) -> jax.Array:
    """Both inputs on twice the larger scale, shifted up; their sum or difference rescaled."""
    left = _headroom(call.output.bits)
    a = rescaled(call, centred(call, 0) << left, "a")
    b = rescaled(call, centred(call, 1) << left, "b")
    return leave(call, rescaled(call, a + b if call.kind == "add" else a - b, "y"))


def _least_sum(inputs: tuple[Grid, ...]) -> jax.Array:
    """TFLite Micro aborts unless the last multiplier is below 1."""
    a, b = inputs
    return jnp.maximum(a.scale, b.scale) * (2.0 ** (1 - _headroom(a.bits)) * MARGIN)


def _prepare_mul(call: Call) -> dict[str, Any]:
    scales = *(grid.scale for grid in call.inputs), call.output.scale
    return named("y", lambda a, b, y: a * b / y, *scales)


def _mul_codes(call: Call) -> jax.Array:
    return leave(call, rescaled(call, centred(call, 0) * centred(call, 1), "y"))


def _least_mul(inputs: tuple[Grid, ...]) -> jax.Array:
    """A multiplier of 1 and more shifts the product left, and int32 wraps."""
    a, b = inputs
    spare = 1.0 if a.bits == 16 else 2.0**-14
    return a.scale * b.scale * (spare * MARGIN)


def _prepare_ratio(call: Call) -> dict[str, Any]:
    return named("y", lambda x, y: x / y, call.inputs[0].scale, call.output.scale)


def _requantize_codes(call: Call) -> jax.Array:
    return leave(call, rescaled(call, centred(call), "y"))


def _relu_codes(call: Call) -> jax.Array:
    return leave(call, rescaled(call, centred(call), "y"), call.output.zero_point)


def _prepare_leaky_relu(call: Call) -> dict[str, Any]:
    alpha = np.float32(call.attributes["alpha"])
    scales = call.inputs[0].scale, alpha, call.output.scale
    return _prepare_ratio(call) | named("negative", lambda x, alpha, y: x * alpha / y, *scales)


def _leaky_relu_codes(call: Call) -> jax.Array:
    """A negative alpha multiplies by its magnitude and negates: halves round as they do there."""
    x = centred(call)
    mantissa, exponent = call.constants["negative_mantissa"], call.constants["negative_exponent"]
    negative = jnp.sign(mantissa) * rescale(x, jnp.abs(mantissa), exponent)
    return leave(call, jnp.where(x >= 0, rescaled(call, x, "y"), negative))


def _prepare_prelu(call: Call) -> dict[str, Any]:
    scales = *(grid.scale for grid in call.inputs), call.output.scale
    return _prepare_ratio(call) | named("negative", lambda x, slope, y: x * slope / y, *scales)


def _prelu_codes(call: Call) -> jax.Array:
    x = centred(call)
    negative = rescaled(call, x * centred(call, 1), "negative")
    return leave(call, jnp.where(x >= 0, rescaled(call, x, "y"), negative))


KINDS = {
    "add": Kind(_sum_codes, add, _prepare_sum, least_scale=_least_sum),
    "sub": Kind(_sum_codes, sub, _prepare_sum, least_scale=_least_sum),
    "mul": Kind(_mul_codes, mul, _prepare_mul, least_scale=_least_mul),
    "requantize": Kind(_requantize_codes, requantize, _prepare_ratio),
    "relu": Kind(_relu_codes, relu, _prepare_ratio),
    "leaky_relu": Kind(_leaky_relu_codes, leaky_relu, _prepare_leaky_relu),
    "prelu": Kind(_prelu_codes, prelu, _prepare_prelu),
}
