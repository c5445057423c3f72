"""The integer rules of elementwise operations, matrix products and reductions in plain numpy.

An oracle that shares no code with the package: int64 throughout, int32 wrapped by hand. "micro" is
TFLite Micro, "litert" LiteRT's default kernels: XNNPACK where it takes an operator, else TFLite's
own, which form some ratios of scales in float32.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from reference import multiplier, rescale

from aqtaudio.program.kernels.call import Grid

F = np.float32
Codes = list[np.ndarray]


def run(
    kind: str,
    codes: Codes,
    inputs: list[Grid],
    output: Grid,
    attributes: Mapping[str, Any],
    target: str = "micro",
) -> np.ndarray:
    """Output codes, int64 [B, ...]."""
    centred = [np.asarray(x, np.int64) - g.zero_point for x, g in zip(codes, inputs, strict=True)]
    rule = {
        "add": _sum,
        "sub": _sum,
        "mul": _product,
        "requantize": _requantize,
        "relu": _relu,
        "leaky_relu": _leaky,
        "prelu": _prelu,
        "batch_matmul": _matmul,
        "mean": _reduction,
        "sum": _reduction,
    }[kind]
    y = rule(kind, centred, inputs, output, attributes, target) + output.zero_point
    low = attributes.get("low", output.lowest)
    if kind == "relu":
        low = max(low, output.zero_point)
    return np.clip(y, low, attributes.get("high", output.highest))


def scaled(x: np.ndarray, real: float) -> np.ndarray:
    """int32 x by a multiplier of 31 fractional bits, rounded twice."""
    mantissa, exponent = multiplier(np.float64(real))
    return rescale(x, mantissa, exponent)


def scaled_once(x: np.ndarray, real: float) -> np.ndarray:
    """int32 x by a multiplier of 31 fractional bits below 1, rounded once, halves up."""
    mantissa, exponent = (int(value) for value in multiplier(np.float64(real)))
    return (x * mantissa + (1 << (30 - exponent))) >> (31 - exponent)


def scaled_up(x: np.ndarray, real: float) -> np.ndarray:
    """int32 x by a multiplier of 31 fractional bits, rounded twice, halves up."""
    mantissa, exponent = (int(value) for value in multiplier(np.float64(real)))
    high = ((x << max(exponent, 0)) * mantissa + 2**30) >> 31
    return (high + ((1 << max(-exponent, 0)) >> 1)) >> max(-exponent, 0)


def scaled_wide(x: np.ndarray, real: float) -> np.ndarray:
    """int64 x by a multiplier of 15 fractional bits, rounded once, halves up."""
    mantissa, exponent = (int(value) for value in multiplier(np.float64(real)))
    short = (mantissa + 2**15) >> 16 if mantissa < 0x7FFF0000 else 0x7FFF
    return (x * short + (1 << (14 - exponent))) >> (15 - exponent)


def scaled_float(x: np.ndarray, real: np.float32) -> np.ndarray:
    """XNNPACK: the float32 product, halves to even."""
    return np.rint(x.astype(F) * F(real)).astype(np.int64)


def scaled_short(x: np.ndarray, ratio: np.float32) -> np.ndarray:
    """XNNPACK: a multiplier of 8 fractional bits, halves up."""
    return (x * int(np.rint(256 * F(ratio))) + 128) >> 8


def is_xnnpack(output: Grid, target: str) -> bool:
    """XNNPACK has no int16 kernels."""
    return target == "litert" and output.bits == 8


def _sum(kind, x, inputs, output, attributes, target):
    sign = 1 if kind == "add" else -1
    scales = [F(grid.scale) for grid in inputs]
    ratios = [scale / F(output.scale) for scale in scales]
    if is_xnnpack(output, target) and min(ratios) >= 2**-10 and max(ratios) < 2**8:
        shift = 21 - int(np.frexp(max(ratios))[1])
        a, b = (int(np.rint(float(ratio) * 2.0**shift)) for ratio in ratios)
        return (x[0] * a + sign * x[1] * b + (1 << (shift - 1))) >> shift
    left = 15 if output.bits == 16 else 20
    unit = 2 * float(max(scales))
    a, b = (scaled(v << left, s / unit) for v, s in zip(x, map(float, scales), strict=True))
    sizes = {x[0][0].size, x[1][0].size, np.broadcast(x[0][0], x[1][0]).size}
    if target == "litert" and kind == "add" and len(sizes) == 1:
        # int16: vectors of 16 elements round once
        vectors = np.arange(a[0].size).reshape(a.shape[1:]) < a[0].size // 16 * 16
        once = [
            scaled_once(v << left, s / unit) for v, s in zip(x, map(float, scales), strict=True)
        ]
        a, b = (np.where(vectors, i, j) for i, j in zip(once, (a, b), strict=True))
    return scaled(a + sign * b, unit / (2.0**left * float(output.scale)))


def _product(kind, x, inputs, output, attributes, target):
    a, b, y = (F(scale) for scale in (inputs[0].scale, inputs[1].scale, output.scale))
    if is_xnnpack(output, target):
        return scaled_float(x[0] * x[1], a * b / y)
    real = float(a * b / y) if target == "litert" else float(a) * float(b) / float(y)
    return scaled(x[0] * x[1], real)


def _ratio(inputs, output, target) -> float:
    x, y = F(inputs[0].scale), F(output.scale)
    return float(x / y) if target == "litert" else float(x) / float(y)


def _requantize(kind, x, inputs, output, attributes, target):
    if target == "litert" and inputs[0].bits == output.bits == 8:
        ratio = F(inputs[0].scale) / F(output.scale)
        if 2**-8 <= ratio <= 2**7:
            return scaled_short(x[0], ratio)
        return scaled_up(x[0], float(F(inputs[0].scale)) / float(F(output.scale)))
    return scaled(x[0], float(F(inputs[0].scale)) / float(F(output.scale)))


def _relu(kind, x, inputs, output, attributes, target):
    return scaled(x[0], _ratio(inputs, output, target))


def takes_leaky(above: np.float32, below: np.float32) -> bool:
    """Whether XNNPACK runs a LEAKY_RELU of these two multipliers."""
    return 2**-8 <= above <= 2**7 and 2**-8 <= abs(below) and -(2**7) < below <= 2**7


def _leaky(kind, x, inputs, output, attributes, target):
    ratio, alpha = _ratio(inputs, output, target), F(attributes["alpha"])
    x_to_y = F(inputs[0].scale) / F(output.scale)
    if is_xnnpack(output, target) and takes_leaky(x_to_y, x_to_y * alpha):
        ratio = x_to_y
        return np.where(x[0] >= 0, scaled_short(x[0], ratio), scaled_short(x[0], ratio * alpha))
    below = float(F(inputs[0].scale)) * float(alpha) / float(F(output.scale))
    if target == "litert":
        below = float(F(inputs[0].scale) * alpha / F(output.scale))
    negative = int(np.sign(below)) * scaled(x[0], abs(below))
    return np.where(x[0] >= 0, scaled(x[0], ratio), negative)


def _prelu(kind, x, inputs, output, attributes, target):
    a, slope, y = (F(scale) for scale in (inputs[0].scale, inputs[1].scale, output.scale))
    below = float(a * slope / y) if target == "litert" else float(a) * float(slope) / float(y)
    above = _ratio(inputs, output, target)
    return np.where(x[0] >= 0, scaled(x[0], above), scaled(x[0] * x[1], below))


def _matmul(kind, x, inputs, output, attributes, target):
    a, b = (
        np.swapaxes(v, -1, -2) if attributes[flag] else v
        for v, flag in zip(x, ("transpose_a", "transpose_b"), strict=True)
    )
    total = np.matmul(a, b)
    s, t, y = (F(scale) for scale in (inputs[0].scale, inputs[1].scale, output.scale))
    if is_xnnpack(output, target) and inputs[1].zero_point == 0:
        return scaled_float(total, s * t / y)
    real = float(s * t) / float(y) if target == "litert" else float(s) * float(t) / float(y)
    return (scaled if output.bits == 8 else scaled_wide)(total, real)


def _reduction(kind, x, inputs, output, attributes, target):
    axes = tuple(axis + 1 for axis in attributes["axes"])
    total = x[0].sum(axes, keepdims=attributes["keep"])
    count = x[0].size // total.size if kind == "mean" else 1
    if is_xnnpack(output, target):  # the raw sum; both zero points in one float32 offset
        scale = F(inputs[0].scale) / F(output.scale) / F(count)
        zero = x[0].size // total.size * inputs[0].zero_point
        offset = F(output.zero_point) - F(zero) * scale
        y = np.rint((total + zero).astype(F) * scale + offset)
        return y.astype(np.int64) - output.zero_point
    if kind == "sum" and target == "litert":  # int16, in float32: halves away from zero
        product = (total.astype(F) * (F(inputs[0].scale) / F(output.scale))).astype(np.float64)
        return (np.sign(product) * np.floor(np.abs(product) + 0.5)).astype(np.int64)
    real = float(F(inputs[0].scale)) / float(F(output.scale))
    mantissa, exponent = (int(value) for value in multiplier(np.float64(real)))
    shift = min(count.bit_length() - 1, 32, 31 + exponent)
    return rescale(total, np.int64((mantissa << shift) // count), np.int64(exponent - shift))
