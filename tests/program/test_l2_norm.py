"""L2 norm: TFLite Micro's and LiteRT's integers."""

import jax
import jax.numpy as jnp
import many_scales
import numpy as np
import pytest
import transcendental_rules as rules
from many_scales import Case

from aqtaudio.program.kernels import l2_norm
from aqtaudio.program.kernels.call import TARGETS, Grid

WIDTHS = [1, 3, 64, 1000]


def l2_case(width: int, count: int, seed: int) -> Case:
    rng = np.random.default_rng([seed, width])
    codes = many_scales.rows(rng, count, width, np.int8)
    zeros = many_scales.zero_points(rng, count)
    codes[:, 0] = zeros[:, None]  # zeros
    codes[:, 1, 1:] = zeros[:, None]  # one alone
    return Case("l2_norm", codes, many_scales.log_uniform(rng, -9, 2, count), zeros)


@pytest.mark.parametrize("width", WIDTHS)
def test_l2_norm_is_the_rules_and_the_runtimes(width: int):
    """LiteRT's is TFLite Micro's."""
    case = l2_case(width, 30, seed=2)
    ours = many_scales.ours(case)
    expected = [rules.l2_norm(x, z) for x, z in zip(case.codes, case.zero_points, strict=True)]
    np.testing.assert_array_equal(ours, np.stack(expected))
    for target in TARGETS:
        np.testing.assert_array_equal(ours, many_scales.runtime(case, target))


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("width", [2, 5, 33, 128, 512, 3000])
def test_l2_norm_is_the_runtimes_over_many_rows(width: int, target):
    case = l2_case(width, 1500 if width < 100 else 200, seed=3)
    np.testing.assert_array_equal(many_scales.ours(case, target), many_scales.runtime(case, target))


def test_every_pair_of_codes_is_tflite_micros():
    grid = np.stack(np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)), -1)
    codes = grid.reshape(1, -1, 2).astype(np.int8)
    for zero_point in (-128, 0, 3):
        case = Case("l2_norm", codes, np.ones(1, np.float32), np.array([zero_point]))
        np.testing.assert_array_equal(many_scales.ours(case), many_scales.runtime(case))


def test_inverse_root_of_long_and_short_integers():
    """Sums of up to 33 000 squares; five Newton steps come within 2e-6 of the real function."""
    rng = np.random.default_rng(4)
    values = np.exp2(rng.uniform(1, 31, 5000)).astype(np.int64)
    values = np.concatenate([values, [2, 3, 4, 2**27, 2**29 - 1, 2**29, 2**31 - 1]])
    mantissa, exponent = jax.jit(l2_norm.inverse_root)(values.astype(np.int32))
    found = np.ldexp(np.asarray(mantissa, np.float64), np.asarray(exponent) - 31)
    np.testing.assert_allclose(found, 1 / np.sqrt(values), rtol=2e-6)


def function(codes, scale, zero_point):
    case = Case("l2_norm", np.int8([[0]]), np.ones(1), np.zeros(1))
    return many_scales.call(case, codes, scale, zero_point, np.float32(1 / 128), 0)


def test_every_transformation_computes_the_same():
    codes = np.float32([[-128, 127, 5], [3, 0, -77]])
    expected = rules.l2_norm(codes, -7)

    def in_scan(codes):
        return jax.lax.scan(lambda c, x: (c, function(x[None], 0.1, -7)[0]), 0, codes)[1]

    traced = jax.jit(function)(codes, jnp.float32(0.1), -7)
    mapped = jax.jit(jax.vmap(lambda x: function(x, 0.1, -7)))(codes)
    for found in (traced, mapped, in_scan(codes)):
        np.testing.assert_array_equal(found, expected)


def test_gradient_is_the_real_functions():
    codes = np.float32([[-100, -60, -3, 30], [4, 4, 4, 4], [9, 8, 7, 6]])
    scale, weights = np.float32(0.02), np.float32([1, 2, 3, 4])

    def total(codes):
        return (function(codes, scale, 4) * weights).sum()

    def real(codes):
        x = (codes - 4) * scale
        length = jnp.linalg.norm(x, axis=-1, keepdims=True)
        return 128 * (x / length * weights).sum()

    found, expected = jax.jit(jax.grad(total))(codes), jax.jit(jax.grad(real))(codes)
    np.testing.assert_allclose(found[::2], expected[::2], rtol=1e-4, atol=1e-4)
    assert np.isfinite(found).all()  # at a row of zeros too


def test_a_row_of_zeros_stays():
    grid = Grid(np.float32(0.1), 7)
    assert not np.asarray(l2_norm.l2_norm((jnp.zeros((2, 5)),), {})).any()
    assert not np.asarray(function(np.full((2, 5), 7.0, np.float32), *grid[:2])).any()
