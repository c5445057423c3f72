"""The kernels are TFLite Micro's arithmetic: rescale, multipliers, biases, pooling, dots."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqtaudio.program import kernels
from aqtaudio.program.kernels import fixed_point, weighted
from aqtaudio.program.kernels.call import Engine, Grid
from aqtaudio.vocabulary.aqt_arithmetic import aqt_dot

INT32 = 2**31
LANES = 64
ZERO_POINTS = (-128, 0, 112)
DOTS = {
    "carrier": weighted.carrier_dot,
    "integer": weighted.integer_dot,
    "aqt carrier": aqt_dot(False),
    "aqt integer": aqt_dot(True),
}


def tflm_rescale(accumulator: int, mantissa: int, exponent: int) -> int:
    """MultiplyByQuantizedMultiplier in unbounded integers, as common.h spells it."""
    left, right = max(exponent, 0), max(-exponent, 0)
    shifted = ((accumulator << left) + INT32) % 2**32 - INT32
    product = shifted * mantissa
    nudged = product + (2**30 if product >= 0 else 1 - 2**30)
    high = abs(nudged) // INT32 * (1 if nudged >= 0 else -1)
    mask = (1 << right) - 1
    threshold = (mask >> 1) + (1 if high < 0 else 0)
    return (high >> right) + ((high & mask) > threshold)


def tflm_multiplier(real: float) -> tuple[int, int]:
    """QuantizeMultiplier: what is below 2**-32 is flushed to zero."""
    fraction, exponent = math.frexp(real)
    mantissa = math.floor(fraction * INT32 + 0.5)
    if mantissa == INT32:
        mantissa, exponent = mantissa // 2, exponent + 1
    return (mantissa, exponent) if exponent >= -31 else (0, 0)


def quantized_multiplier(x, w, y):
    return fixed_point.multiplier(lambda x, w, y: x * w / y, x, w, y)


# Compiled once, for one shape.
rescale = jax.jit(fixed_point.rescale)
multiplier = jax.jit(quantized_multiplier)

accumulators = st.one_of(
    st.sampled_from([0, 1, -1, INT32 - 1, -INT32, 2**30, -(2**30), 2**24, -(2**24)]),
    st.integers(-(2**10), 2**10),
    st.integers(-INT32, INT32 - 1),
)
mantissas = st.one_of(
    st.sampled_from([2**30, 2**30 + 1, INT32 - 1, 3 * 2**29]), st.integers(2**30, INT32 - 1)
)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(accumulators, min_size=LANES, max_size=LANES),
    mantissas,
    st.integers(-31, 8),
)
def test_rescale_is_tflite_micros(values: list[int], mantissa: int, exponent: int):
    lanes = np.full(LANES, 1, np.int32)
    found = rescale(np.array(values, np.int32), lanes * mantissa, lanes * exponent)
    expected = [tflm_rescale(value, mantissa, exponent) for value in values]
    assert np.asarray(found).tolist() == expected


@pytest.mark.parametrize("exponent", range(-6, 3))
@pytest.mark.parametrize("mantissa", [2**30, 3 * 2**29, 5 * 2**28])
def test_rescale_breaks_ties_as_tflite_micro_does(mantissa: int, exponent: int):
    values = np.arange(-200, 200, dtype=np.int32)
    found = rescale(values, np.int32(mantissa), np.int32(exponent))
    expected = [tflm_rescale(int(value), mantissa, exponent) for value in values]
    assert np.asarray(found).tolist() == expected


def test_rescale_by_hand():
    """Halves: up at the first rounding, away from zero at the second."""
    half, one_eighth = (jnp.int32(2**30), jnp.int32(0)), (jnp.int32(2**30), jnp.int32(-2))
    values = jnp.array([1, -1, 3, -3])
    assert fixed_point.rescale(values, *half).tolist() == [1, 0, 2, -1]
    assert fixed_point.rescale(values * 4, *one_eighth).tolist() == [1, -1, 2, -2]


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32 - 1))
def test_multiplier_is_formed_in_float64(seed: int):
    rng = np.random.default_rng(seed)
    exponents = rng.uniform([[-26], [-40], [-26]], 2, (3, LANES))
    x, w, y = np.exp2(exponents).astype(np.float32)
    found = np.stack(multiplier(x, w, y), 1).tolist()
    triples = zip(x.tolist(), w.tolist(), y.tolist(), strict=True)
    assert found == [list(tflm_multiplier(a * b / c)) for a, b, c in triples]


def test_multiplier_that_rounds_up_to_a_power_of_two_carries():
    scales = np.float32([0.9569835662841797, 0.5954612493515015, 0.5698466300964355])
    x, w, y = (float(scale) for scale in scales)
    assert 1 - 2**-32 < x * w / y < 1
    assert [int(v) for v in multiplier(*scales)] == [2**30, 1]


def transformed(how: str, triples: np.ndarray) -> np.ndarray:
    """Multipliers [n, 2] of scales [n, 3], computed inside a jax transformation."""

    def of(triple):
        return jnp.stack(quantized_multiplier(*triple), -1)

    if how == "jit":
        return jax.jit(lambda t: of(t.T))(triples)
    if how == "vmap":
        return jax.vmap(of)(triples)
    if how == "scan":
        return jax.lax.scan(lambda carry, t: (carry, of(t)), 0.0, triples)[1]

    def loss(t):
        found = of(t.T)
        return jnp.sum(t), found

    gradient, found = jax.jit(jax.grad(loss, has_aux=True))(triples)
    np.testing.assert_array_equal(gradient, 1)
    return found


@pytest.mark.parametrize("how", ["jit", "vmap", "scan", "grad"])
def test_multiplier_under_transformations(how: str):
    rng = np.random.default_rng(0)
    triples = np.exp2(rng.uniform(-12, 1, (200, 3))).astype(np.float32)
    found = transformed(how, jnp.asarray(triples))
    assert found.dtype == jnp.int32
    expected = [tflm_multiplier(float(x) * float(w) / float(y)) for x, w, y in triples]
    assert np.asarray(found).tolist() == [list(pair) for pair in expected]


def test_float64_does_not_leak():
    ones = jnp.ones(4)
    mantissa, exponent = quantized_multiplier(ones, ones, ones)
    bias = weighted.bias_codes(ones, ones, ones)
    assert {mantissa.dtype, exponent.dtype, bias.dtype} == {jnp.dtype("int32")}
    assert not jax.config.read("jax_enable_x64")
    assert jnp.asarray(0.5).dtype == jnp.float32 and jnp.arange(2).dtype == jnp.int32
    assert (np.float64(1) * jnp.ones(())).dtype == jnp.float32


def test_bias_codes_are_rounded_in_float64():
    rng = np.random.default_rng(1)
    bias = rng.normal(0, 1, 500).astype(np.float32)
    x_scale = np.float32(0.0137)
    weight_scale = np.exp2(rng.uniform(-14, -5, 500)).astype(np.float32)
    step = np.float64(x_scale) * weight_scale.astype(np.float64)
    expected = np.rint(bias.astype(np.float64) / step).astype(np.int64)
    assert np.abs(expected).max() > 2**16
    for function in (weighted.bias_codes, jax.jit(weighted.bias_codes)):
        np.testing.assert_array_equal(function(bias, x_scale, weight_scale), expected)
    in_float32 = np.rint(bias / (x_scale * weight_scale))
    assert (in_float32 != expected).any(), "float64 is needed"


def average_pool(codes: jax.Array, zero_point: int, attributes: dict) -> jax.Array:
    grid = Grid(np.float32(0.1), zero_point)
    engine = Engine(weighted.carrier_dot)
    call = kernels.call_of("average_pool", (codes,), (grid,), grid, attributes, {}, engine)
    return kernels.run(call)


def truncated_mean(total: int, count: int) -> int:
    """C: halves away from zero, by a division that truncates."""
    nudged = total + count // 2 if total > 0 else total - count // 2
    return abs(nudged) // count * (1 if nudged > 0 else -1)


@pytest.mark.parametrize("window", [(2, 2), (3, 1), (5, 3), (8, 6)])
def test_average_pool_divides_as_c_does(window: tuple[int, int]):
    rng = np.random.default_rng(2)
    codes = rng.integers(-128, 128, (6, 8, 6, 5))
    codes[0] = rng.integers(-2, 3, codes[0].shape)  # sums near zero: ties
    codes[1], codes[2] = -128, 127
    attributes = {"window": window, "strides": window}
    found = average_pool(jnp.float32(codes), -128, attributes)
    rows, columns = 8 // window[0], 6 // window[1]
    expected = np.zeros((6, rows, columns, 5), int)
    for b, i, j, c in np.ndindex(expected.shape):
        part = codes[b, i * window[0] :, j * window[1] :, c][: window[0], : window[1]]
        expected[b, i, j, c] = truncated_mean(int(part.sum()), part.size)
    np.testing.assert_array_equal(found, expected)


def test_average_pool_gradient_is_the_means():
    attributes = {"window": (2, 3), "strides": (2, 3)}

    def loss(codes):
        return jnp.sum(average_pool(codes, 0, attributes))

    np.testing.assert_allclose(jax.grad(loss)(jnp.ones((1, 2, 3, 2))), 1 / 6)


def worst_codes(depth: int, zero_point: int, weight_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes [4, depth] and weights [depth, 3]: random ones, and the largest sums there can be."""
    rng = np.random.default_rng(depth)
    peak = 2 ** (weight_bits - 1) - 1
    x = rng.integers(-128, 128, (4, depth))
    x[0] = 127 if zero_point < 0 else -128
    x[1] = zero_point
    w = rng.integers(-peak, peak + 1, (depth, 3))
    w[:, 0], w[:, 1] = peak, -peak
    return x, w


@pytest.mark.sampled(3)
@pytest.mark.parametrize("weight_bits", [8, 4])
@pytest.mark.parametrize("zero_point", ZERO_POINTS)
@pytest.mark.parametrize("name", DOTS)
def test_every_dot_gives_the_integers(name: str, zero_point: int, weight_bits: int):
    for depth in (518, 2000):
        x, w = worst_codes(depth, zero_point, weight_bits)
        parts = DOTS[name](jnp.float32(x), zero_point, jnp.float32(w), weight_bits)
        assert all(np.abs(part).max() < weighted.EXACT for part in parts)
        total = sum(np.asarray(part).astype(np.int64) for part in parts)
        np.testing.assert_array_equal(total, (x - zero_point) @ w, err_msg=f"depth {depth}")
    assert len(parts) > 1 or weight_bits == 4


@pytest.mark.parametrize("weight_bits", [8, 4])
@pytest.mark.parametrize("zero_point", ZERO_POINTS)
def test_chunks_are_the_longest_exact_ones(zero_point: int, weight_bits: int):
    sizes = weighted.chunked(
        lambda x, w: x.shape[-1],
        np.empty((1, 20000)),
        np.empty((20000, 1)),
        weighted.bound(zero_point),
        weight_bits,
    )
    largest = max(127 - zero_point, zero_point + 128) * (2 ** (weight_bits - 1) - 1)
    assert sum(sizes) == 20000
    assert sizes[0] * largest < 2**24 <= (sizes[0] + 1) * largest


def test_dots_have_the_same_gradients():
    rng, depth = np.random.default_rng(3), 700
    x = jnp.float32(rng.integers(-128, 128, (5, depth)))
    w = jnp.float32(rng.integers(-127, 128, (depth, 4)))
    g = jnp.float32(rng.normal(size=(5, 4)))
    for zero_point in ZERO_POINTS:
        for name, dot in DOTS.items():
            if name == "integer":  # for execution only
                continue

            def loss(x, w, dot=dot, zero_point=zero_point):
                return jnp.sum(g * sum(dot(x, zero_point, w, 8)))

            dx, dw = jax.jit(jax.grad(loss, (0, 1)))(x, w)
            np.testing.assert_allclose(dx, g @ w.T, rtol=1e-5, atol=1e-2, err_msg=name)
            expected = (x - zero_point).T @ g
            np.testing.assert_allclose(dw, expected, rtol=1e-5, atol=1e-2, err_msg=name)


def requantized(parts, bias_steps, bounds=(-128, 127), zero_point=-128):
    scaling = {"mantissa": jnp.int32(2**30), "exponent": jnp.int32(-3)}  # 1/16
    bias = jnp.round(bias_steps).astype(jnp.int32)
    return weighted.requantize("away", parts, bias_steps, bias, scaling, zero_point, bounds)


def test_straight_through_gradient_stops_at_the_clip():
    accumulator = jnp.array([[-5000.0], [-4.0], [100.0], [4079.0], [4100.0]])
    bias = jnp.array([0.0])
    codes = requantized([accumulator], bias)
    assert codes[:, 0].tolist() == [-128, -128, -122, 127, 127]

    def loss(accumulator, bias):
        return jnp.sum(requantized([accumulator], bias))

    d_accumulator, d_bias = jax.grad(loss, (0, 1))(accumulator, bias)
    # -4 / 16 rounds to 0: the code is the lowest but the clip does not bite.
    assert d_accumulator[:, 0].tolist() == [0, 1 / 16, 1 / 16, 1 / 16, 0]
    assert d_bias.tolist() == [3 / 16]


def test_every_part_gets_the_gradient():
    parts = [jnp.full((2, 1), 40.0), jnp.full((2, 1), 60.0)]
    gradients = jax.grad(lambda p: jnp.sum(requantized(p, jnp.zeros(1))))(parts)
    for gradient in gradients:
        np.testing.assert_array_equal(gradient, 1 / 16)


@settings(deadline=None, max_examples=50)
@given(st.integers(-14, 0), st.integers(0, 2**32 - 1))
def test_input_quantization_clips_and_rounds(exponent: int, seed: int):
    rng = np.random.default_rng(seed)
    scale = np.float32(2.0**exponent * rng.uniform(1, 2))
    x = rng.normal(0, 200 * scale, 64).astype(np.float32)
    found = np.asarray(kernels.quantize(jnp.asarray(x), Grid(scale, 0)))
    assert found.min() >= -128 and found.max() <= 127
    real = x.astype(np.float64) / scale
    inside = (real > -128) & (real < 127)
    np.testing.assert_allclose(found[inside], real[inside], atol=0.5 + 1e-4)
