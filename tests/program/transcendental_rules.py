"""TFLite Micro's rules of logistic, tanh, hard-swish, softmax and L2 norm in plain numpy.

An oracle that shares no code with the package: int64 everywhere, saturation spelt out, one
configuration at a time. Codes in, codes out, int64.
"""

import math

import numpy as np
from reference import multiplier, rescale

Array = np.ndarray
F = np.float32


def divided(x: Array, bits: Array | int) -> Array:
    """x / 2**bits, halves away from zero."""
    half = (np.int64(1) << np.asarray(bits, np.int64)) >> 1
    return np.sign(x) * ((np.abs(x) + half) >> bits)


def product(a: Array, b: Array | int, bits: int = 31) -> Array:
    """Of two fractions with `bits` fractional bits: halves up, saturated."""
    return np.minimum((a * b + (1 << (bits - 1))) >> bits, 2**bits - 1)


def saturated(x: Array, bits: int = 31) -> Array:
    return np.clip(x, -(2**bits), 2**bits - 1)


def scaled(x: Array, real: float) -> Array:
    return rescale(x, *multiplier(np.float64(real)))


# --- int8: fixed point -------------------------------------------------------------------------


def exponential(x: Array, integer_bits: int) -> Array:
    """exp of x <= 0 with `integer_bits` integer bits; 31 fractional bits."""
    unit = 2 ** (31 - integer_bits)
    remainder = x % (unit // 4) - unit // 4
    quarters = (remainder - x) // (unit // 4)
    t = remainder * 2**integer_bits + 2**28
    squared = product(t, t)
    cubed, fourth = product(squared, t), product(squared, squared)
    series = product(divided(fourth, 2) + cubed, round(2**31 / 3)) + squared
    middle = round(2**31 * math.exp(-1 / 8))
    y = middle + product(np.int64(middle), t + divided(series, 1))
    for bit in range(integer_bits + 2):
        factor = round(2**31 * math.exp(-(2.0 ** (bit - 2))))
        y = np.where((quarters >> bit) % 2 == 1, product(y, factor), y)
    return np.where(x == 0, 2**31 - 1, y)


def reciprocal(x: Array) -> Array:
    """2 / (1 + x) with 29 fractional bits, of x in [0, 1) with 31."""
    half = (x + 2**31) // 2
    y = round(48 / 17 * 2**29) + product(half, round(-32 / 17 * 2**29))
    for _ in range(3):
        y = y + saturated(product(y, 2**29 - product(half, y)) * 4)
    return y


def reach(integer_bits: int, exponent: int) -> int:
    return math.floor((2**integer_bits - 1) * 2.0 ** (31 - integer_bits - int(exponent)))


def activation(codes: Array, scale: float, zero_point: int, function, bits: int, output: int):
    mantissa, exponent = multiplier(np.float64(F(scale)) * 2**27)
    x = np.asarray(codes, np.int64) - zero_point
    limit = reach(4, exponent)
    inside = np.abs(x) < limit
    y = divided(function(rescale(np.where(inside, x, 0), mantissa, exponent)), bits) + output
    return np.where(inside, np.clip(y, -128, 127), np.where(x > 0, 127, -128))


def logistic(codes: Array, scale: float, zero_point: int) -> Array:
    def function(x):
        y = saturated(2 * reciprocal(exponential(-np.abs(x), 4)))
        return np.where(x == 0, 2**30, np.where(x > 0, y, 2**31 - 1 - y))

    return activation(codes, scale, zero_point, function, 23, -128)


def tanh(codes: Array, scale: float, zero_point: int) -> Array:
    def function(x):
        y = reciprocal(exponential(-np.abs(x), 5)) - 2**29
        return np.sign(x) * saturated(4 * y)

    return activation(codes, scale, zero_point, function, 24, 0)


def hard_swish(codes: Array, scale: float, zero_point: int, out_scale: float, out_zero: int):
    fine = np.float64(F(scale)) / 128
    (m, e), (m3, e3) = multiplier(fine / F(out_scale)), multiplier(fine / np.float64(F(3 / 32768)))
    m, m3 = (min((int(v) + 2**15) // 2**16, 32767) for v in (m, m3))
    x = (np.asarray(codes, np.int64) - zero_point) * 128
    if e3 > 0:
        gate = saturated(2 * product(saturated(x * 2 ** (int(e3) - 1), 15), m3, 15), 15)
    else:
        gate = divided(product(x, m3, 15), -int(e3))
    gate = (gate + 2**15) // 2
    y = gate * product(x, m, 15)
    y = np.sign(y) * (np.abs(y) // 2**15)
    return np.clip(divided(y, -int(e)) + out_zero, -128, 127)


def softmax(codes: Array, scale: float, beta: float) -> Array:
    real = min(np.float64(F(scale)) * np.float64(F(beta)) * 2**26, 2.0**31 - 1)
    mantissa, exponent = multiplier(real)
    x = np.asarray(codes, np.int64)
    x = x - x.max(-1, keepdims=True)
    is_near = -x <= reach(5, exponent)
    powers = exponential(rescale(np.where(is_near, x, 0), mantissa, exponent), 5)
    powers = np.where(is_near, powers, 0)
    total = divided(powers, 12).sum(-1, keepdims=True)
    length = np.floor(np.log2(total)).astype(np.int64)
    inverse = saturated(2 * reciprocal(total * 2 ** (31 - length) - 2**31))
    y = divided(product(inverse, powers), 12 - (31 - length) + 23) - 128
    return np.clip(y, -128, 127)


def l2_norm(codes: Array, zero_point: int) -> Array:
    x = np.asarray(codes, np.int64) - zero_point
    return np.apply_along_axis(_l2_norm_of_row, -1, x)


def _l2_norm_of_row(row: Array) -> Array:
    value = int((row * row).sum())
    if value <= 1:
        return np.clip(rescale(row, np.int64(2**31 - 1), np.int64(7)), -128, 127)
    right = 11
    while value >= 2**29:
        value, right = value // 4, right + 1
    while value < 2**27:
        value, right = value * 4, right - 1
    half = divided(np.int64(value // 2), 1)
    y = np.int64(2**28)
    for _ in range(5):
        cube = saturated(product(product(y, y), y) * 64)
        y = saturated(8 * (product(y, 3 * 2**27) - product(half, cube)))
    y = product(y, round(2**31 * math.sqrt(0.5))) * 2 ** max(-right, 0)
    return np.clip(rescale(row, y, np.int64(7 - max(right, 0))), -128, 127)


# --- int16: tables -----------------------------------------------------------------------------


def sigmoid_table() -> Array:
    i = np.arange(0, 256, 0.5)
    exact = 65536 / (1 + np.exp(-i / 24))
    here, middle = exact[0:510:2], exact[1:511:2]
    chord = (here + exact[2::2]) / 2
    return np.append(np.rint(here + (middle - chord) / 2), 65535).astype(np.int64)


def table_steps(codes: Array, scale: float, powers: tuple[int, ...]) -> Array:
    """Codes in steps of 1/12288; a scale within 0.1 % (in log2) of one of `powers` is that one."""
    x, scale = np.asarray(codes, np.int64), float(F(scale))
    for power in powers:
        if abs(math.log2(scale) - power) < 1e-3:
            return x * 3 * 2 ** (12 + power)
    real, shift = scale * 12288, 0
    while real <= 32767 / 2:
        real, shift = real * 2, shift + 1
    return (x * int(real) + 2**shift // 2) >> shift


def interpolated_sigmoid(steps: Array, bits: int, end: int) -> Array:
    table, index = sigmoid_table(), steps >> bits
    inside = np.minimum(index, 254)
    slope = table[inside + 1] - table[inside]
    return np.where(index >= 255, end, table[inside] * 2**bits + steps % 2**bits * slope)


def logistic_16(codes: Array, scale: float) -> Array:
    x = table_steps(codes, scale, (-12,))
    y = interpolated_sigmoid(np.abs(x), 9, 0x7FFF * 2**10)
    return np.where(x < 0, 2**25 - y + 511, y + 512) >> 10


def tanh_16(codes: Array, scale: float) -> Array:
    x = table_steps(codes, scale, (-12, -11))
    y = interpolated_sigmoid(np.abs(x), 8, 0xFFFF * 2**8) - 2**23
    return np.where(x < 0, 127 - y, y + 128) >> 8


def function_table(function, low: np.float32, high: np.float32) -> Array:
    """513 entries on [low, high] in float32, values in 1/32768."""
    i, step = np.arange(513, dtype=F), (high - low) / F(512)

    def values(x):
        return function(x.astype(np.float64)).astype(F) * F(32768)

    def away(x):
        return np.sign(x) * np.floor(np.abs(x) + F(0.5))

    here = away(values(low + i * step))
    middle = away(values(low + i[:-1] * step + step / F(2)))
    chord = away((values(low + i[1:] * step) + here[:-1]) / F(2))
    here[:-1] -= away((chord - middle) / F(2))
    here[-1] = away(values(np.array([high])))[0]
    return np.clip(here, -32768, 32767).astype(np.int64)


def interpolated(table: Array, x: Array) -> Array:
    index = (x + 32768) // 128
    return table[index] + (((table[index + 1] - table[index]) * (x % 128) + 64) >> 7)


def softmax_16(codes: Array, scale: float, beta: float) -> Array:
    step = F(10) / F(65535)
    x = np.asarray(codes, np.int64)
    x = x - x.max(-1, keepdims=True)
    x = scaled(x, np.float64(F(scale)) * np.float64(F(beta)) / (10 / 65535))
    powers = interpolated(function_table(np.exp, step * F(-65535), F(0)), saturated(x + 32767, 15))
    total = powers.sum(-1, keepdims=True)
    length = np.floor(np.log2(total)).astype(np.int64)
    ones = (total * 2 ** (30 - length) + 2**13) >> 14
    table = function_table(lambda v: 1 / (1 + v), F(0), F(1))
    inverse = interpolated(table, saturated(ones - 2**16 - 2**15, 15))
    return np.clip((powers * inverse + 2 ** (length - 1)) >> length, 0, 32767)
