"""Softmax: TFLite Micro's and LiteRT's integers."""

import jax
import jax.numpy as jnp
import many_scales
import numpy as np
import pytest
import transcendental_rules as rules
from many_scales import Case
from one_operator import Tensor, one_operator

from aqtaudio.program.child import MicroError
from aqtaudio.program.kernels import softmax
from aqtaudio.program.kernels.call import TARGETS
from aqtaudio.program.micro import Micro

LIMIT = softmax.SOFTMAX_WIDTH_LIMIT
SHAPES = [(2, 0.3), (7, 1.7), (LIMIT, 1.0)]
"""Width and beta; each is compiled."""
EXPONENTS = {8: (-8, 2), 16: (-18, -9)}
"""Of the input scale's powers of two."""


def softmax_case(bits: int, width: int, beta: float, count: int, seed: int) -> Case:
    rng = np.random.default_rng([seed, bits, width])
    codes = many_scales.rows(rng, count, width, np.dtype(f"int{bits}").type)
    scales = many_scales.log_uniform(rng, *EXPONENTS[bits], count)
    zeros = many_scales.zero_points(rng, count) if bits == 8 else np.zeros(count, int)
    return Case("softmax", codes, scales, zeros, attributes={"beta": beta})


def ruled(case: Case) -> np.ndarray:
    """What the oracle says."""
    rule = rules.softmax if case.bits == 8 else rules.softmax_16
    beta = case.attributes["beta"]
    return np.stack([rule(x, s, beta) for x, s in zip(case.codes, case.scales, strict=True)])


@pytest.mark.sampled(3)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("width", "beta"), SHAPES)
@pytest.mark.parametrize("bits", [8, 16])
def test_softmax_is_the_runtimes(bits: int, width: int, beta: float, target):
    case = softmax_case(bits, width, beta, 40, seed=2)
    ours = many_scales.ours(case, target)
    np.testing.assert_array_equal(ours, many_scales.runtime(case, target))
    if target == "micro":
        np.testing.assert_array_equal(ours, ruled(case))


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("width", [1, 2, 3, 5, 10, 33, 100, 257, LIMIT])
@pytest.mark.parametrize("bits", [8, 16])
def test_softmax_is_the_runtimes_over_many_scales(bits: int, width: int, target):
    beta = float(np.float32([1, 0.7, 1.9][width % 3]))
    case = softmax_case(bits, width, beta, 1000 if width < 50 else 300, seed=3)
    np.testing.assert_array_equal(many_scales.ours(case, target), many_scales.runtime(case, target))


def test_every_difference_of_two_codes_at_many_scales():
    """Rows [127, code]: the whole table of exponentials, and where it ends."""
    rng = np.random.default_rng(4)
    count = 60
    pairs = np.stack([np.full(256, 127), np.arange(-128, 128)], -1).astype(np.int8)
    scales = many_scales.log_uniform(rng, -12, 5, count)
    codes = np.repeat(pairs[None], count, 0)
    case = Case("softmax", codes, scales, np.zeros(count, int), attributes={"beta": 1.0})
    ours = many_scales.ours(case)
    np.testing.assert_array_equal(ours, ruled(case))
    np.testing.assert_array_equal(ours, many_scales.runtime(case))


def file_of(width: int, scale: float) -> bytes:
    source, result = (Tensor((1, width), "int8", s, z) for s, z in ((scale, 0), (1 / 256, -128)))
    return one_operator("SOFTMAX", [source], result, {"beta": 1.0})


def test_the_width_limit_is_where_tflite_micro_aborts():
    with Micro(file_of(LIMIT, 0.1)) as interpreter:
        interpreter.invoke(np.zeros((1, LIMIT), np.int8))
    with pytest.raises(MicroError, match="crashed"), Micro(file_of(LIMIT + 1, 0.1)) as interpreter:
        interpreter.invoke(np.zeros((1, LIMIT + 1), np.int8))


def test_the_finest_scale_is_where_tflite_micro_aborts():
    finest = softmax.SOFTMAX_FINEST_SCALE
    with Micro(file_of(4, 1.01 * finest)):
        pass
    with pytest.raises(MicroError, match="crashed"):
        Micro(file_of(4, finest))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("bits", [8, 16])
def test_every_transformation_computes_the_same(bits: int, target):
    codes = np.float32([[-128, 127, 5], [3, 0, -77]])
    scale = np.float32(0.037 if bits == 8 else 0.001)
    zeros = np.zeros(2, int)
    case = Case(
        "softmax", codes.astype(f"int{bits}"), np.full(2, scale), zeros, None, {"beta": 1.0}
    )
    (out_scale, _), (out_zero, _) = case.output_grids

    def function(codes, scale=scale):
        return many_scales.call(case, codes, scale, 0, out_scale, int(out_zero), target)

    def in_scan(codes):
        return jax.lax.scan(lambda carry, x: (carry, function(x)), 0, codes)[1]

    expected = many_scales.ours(case, target)
    constant, traced = jax.jit(function)(codes), jax.jit(function)(codes, jnp.float32(scale))
    deep = jax.jit(function)(codes[:, None, None])[:, 0, 0]
    for found in (constant, traced, deep, in_scan(codes)):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("bits", [8, 16])
def test_gradient_is_the_real_functions(bits: int):
    codes = np.float32([[-128, -60, -3, 0, 1, 40, 127], [3, 2, 1, 0, 9, 9, 9]])
    scale, beta = np.float32(0.02), 1.5
    weights = np.arange(7, dtype=np.float32)
    case = Case("softmax", codes.astype(f"int{bits}"), scale[None], np.zeros(1, int), None)
    case = case._replace(attributes={"beta": beta})
    (out_scale, _), (out_zero, _) = case.output_grids

    def total(codes):
        return (many_scales.call(case, codes, scale, 4, out_scale, int(out_zero)) * weights).sum()

    def real(codes):
        return (jax.nn.softmax(beta * (codes - 4) * scale) * weights).sum() / out_scale

    found, expected = jax.jit(jax.grad(total))(codes), jax.jit(jax.grad(real))(codes)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
