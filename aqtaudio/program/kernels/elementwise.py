"""Sums, products, requantization and piecewise linear functions, element by element.

Inputs broadcast as numpy's do. TFLite Micro brings them to a common scale with multipliers of 31
fractional bits, in int32, two roundings each. LiteRT's default kernels have rules of their own for
int8 (`xnnpack`); its int16 kernels are TFLite Micro's but for float32 ratios of scales.
"""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.program.kernels import xnnpack
from aqtaudio.program.kernels.call import Call, Grid, Kind
from aqtaudio.program.kernels.fixed_point import high_multiply, rescale, rescale_up
from aqtaudio.program.kernels.rescaling import centred, leave, named, rescaled

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


# --- add, sub ----------------------------------------------------------------------------------

VECTOR = 16
"""Elements that LiteRT's int16 ADD takes at once (AVX2)."""


def _headroom(bits: int) -> int:
    """Bits by which ADD and SUB shift their inputs up."""
    return 15 if bits == 16 else 20


def _prepare_sum(call: Call) -> dict[str, Any]:
    scales = *(grid.scale for grid in call.inputs), call.output.scale
    unit = 2.0 ** -_headroom(call.output.bits)
    constants = (
        named("a", lambda a, b, y: a / (2 * jnp.maximum(a, b)), *scales)
        | named("b", lambda a, b, y: b / (2 * jnp.maximum(a, b)), *scales)
        | named("y", lambda a, b, y: 2 * jnp.maximum(a, b) * unit / y, *scales)
    )
    return constants | (xnnpack.prepare_sum(call) if xnnpack.is_target(call) else {})


def _sum_codes(call: Call) -> jax.Array:
    """Both inputs on twice the larger scale, shifted up; their sum or difference rescaled."""
    a, b = centred(call, 0), centred(call, 1)
    left = _headroom(call.output.bits)
    shifted = _rescaled_input(call, a << left, "a"), _rescaled_input(call, b << left, "b")
    total = shifted[0] + shifted[1] if call.kind == "add" else shifted[0] - shifted[1]
    y = rescaled(call, total, "y")
    if xnnpack.is_target(call):
        y = jnp.where(call.constants["is_short"], xnnpack.sum_or_difference(call, a, b), y)
    return leave(call, y)


def _rescaled_input(call: Call, x: jax.Array, name: str) -> jax.Array:
    """An input on the common scale; LiteRT's int16 ADD rounds once where it takes vectors.

    It does where no input is repeated: axes of one element in front make no difference.
    """
    y = rescaled(call, x, name)
    a, b = (_without_leading_ones(codes.shape[1:]) for codes in call.codes)
    if not (call.engine.target == "litert" and call.is_wide and call.kind == "add" and a == b):
        return y
    size = math.prod(a)
    in_vector = (np.arange(size) < size - size % VECTOR).reshape(x.shape[1:])
    return jnp.where(in_vector, _rounded_once(call, x, name), y)


def _without_leading_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(itertools.dropwhile(lambda size: size == 1, shape))


def _rounded_once(call: Call, x: jax.Array, name: str) -> jax.Array:
    """int32 x by a multiplier of at most 1/2, halves up."""
    mantissa, exponent = call.constants[f"{name}_mantissa"], call.constants[f"{name}_exponent"]
    nearest = high_multiply(x, mantissa)
    # The low half of the product, which tells whether `nearest` was rounded up.
    low = (x.astype(jnp.uint32) * mantissa.astype(jnp.uint32)) & jnp.uint32(2**31 - 1)
    floor = nearest - (low >= jnp.uint32(2**30)).astype(jnp.int32)
    right = -exponent
    return (floor + ((jnp.int32(1) << right) >> 1)) >> right


def _least_sum(inputs: tuple[Grid, ...]) -> jax.Array:
    """TFLite Micro aborts unless the last multiplier is below 1; LiteRT's int8 ADD goes astray."""
    a, b = inputs
    limit = 2.0**14 if a.bits == 16 else xnnpack.SUM_RATIOS[1]
    return jnp.maximum(a.scale, b.scale) * np.float32(MARGIN / limit)


# --- mul ---------------------------------------------------------------------------------------


def _prepare_mul(call: Call) -> dict[str, Any]:
    if xnnpack.is_target(call):
        return xnnpack.prepare_product(call)
    scales = *(grid.scale for grid in call.inputs), call.output.scale
    return named("y", lambda a, b, y: a * b / y, *scales, single=_is_litert(call))


def _mul_codes(call: Call) -> jax.Array:
    a, b = centred(call, 0), centred(call, 1)
    if xnnpack.is_target(call):
        return leave(call, xnnpack.product(call, a, b))
    return leave(call, rescaled(call, a * b, "y"))


def _least_mul(inputs: tuple[Grid, ...]) -> jax.Array:
    """int16: a multiplier of 1 and more shifts the product left, and int32 wraps; int8: XNNPACK."""
    a, b = inputs
    limit = 1.0 if a.bits == 16 else 2.0**8
    return a.scale * b.scale * np.float32(MARGIN / limit)


# --- one input ---------------------------------------------------------------------------------


def _is_litert(call: Call) -> bool:
    return call.engine.target == "litert"


def _prepare_ratio(call: Call, single: bool) -> dict[str, Any]:
    scales = call.inputs[0].scale, call.output.scale
    return named("y", lambda x, y: x / y, *scales, single=single)


def _prepare_requantize(call: Call) -> dict[str, Any]:
    constants = _prepare_ratio(call, single=False)
    return constants | (xnnpack.prepare_short(call) if xnnpack.is_target(call) else {})


def _requantize_codes(call: Call) -> jax.Array:
    x = centred(call)
    if not xnnpack.is_target(call):
        return leave(call, rescaled(call, x, "y"))
    short = xnnpack.short(x, call.constants["y_short"])
    # Else TFLite's own optimized kernel.
    other = rescale_up(x, call.constants["y_mantissa"], call.constants["y_exponent"])
    return leave(call, jnp.where(call.constants["is_short"], short, other))


def _prepare_relu(call: Call) -> dict[str, Any]:
    return _prepare_ratio(call, single=_is_litert(call))


def _relu_codes(call: Call) -> jax.Array:
    return leave(call, rescaled(call, centred(call), "y"), call.output.zero_point)


def _prepare_leaky_relu(call: Call) -> dict[str, Any]:
    scales = call.inputs[0].scale, np.float32(call.attributes["alpha"]), call.output.scale
    constants = _prepare_ratio(call, single=_is_litert(call)) | named(
        "negative", lambda x, alpha, y: x * alpha / y, *scales, single=_is_litert(call)
    )
    return constants | (xnnpack.prepare_short(call) if xnnpack.is_target(call) else {})


def _leaky_relu_codes(call: Call) -> jax.Array:
    """A negative alpha multiplies by its magnitude and negates: halves round as they do there."""
    x, constants = centred(call), call.constants
    mantissa = constants["negative_mantissa"]
    negative = rescale(x, jnp.abs(mantissa), constants["negative_exponent"])
    y = jnp.where(x >= 0, rescaled(call, x, "y"), jnp.sign(mantissa) * negative)
    if xnnpack.is_target(call):
        multiplier = jnp.where(x >= 0, constants["y_short"], constants["negative_short"])
        y = jnp.where(constants["is_short"], xnnpack.short(x, multiplier), y)
    return leave(call, y)


def _prepare_prelu(call: Call) -> dict[str, Any]:
    scales = *(grid.scale for grid in call.inputs), call.output.scale
    return _prepare_ratio(call, single=_is_litert(call)) | named(
        "negative", lambda x, slope, y: x * slope / y, *scales, single=_is_litert(call)
    )


def _prelu_codes(call: Call) -> jax.Array:
    x = centred(call)
    negative = rescaled(call, x * centred(call, 1), "negative")
    return leave(call, jnp.where(x >= 0, rescaled(call, x, "y"), negative))


KINDS = {
    "add": Kind(_sum_codes, add, _prepare_sum, least_scale=_least_sum),
    "sub": Kind(_sum_codes, sub, _prepare_sum, least_scale=_least_sum),
    "mul": Kind(_mul_codes, mul, _prepare_mul, least_scale=_least_mul),
    "requantize": Kind(_requantize_codes, requantize, _prepare_requantize),
    "relu": Kind(_relu_codes, relu, _prepare_relu),
    "leaky_relu": Kind(_leaky_relu_codes, leaky_relu, _prepare_leaky_relu),
    "prelu": Kind(_prelu_codes, prelu, _prepare_prelu),
}
