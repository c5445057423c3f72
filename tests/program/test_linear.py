"""Our convolutions, batch norm and bias against XLA's own, values and gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from aqtaudio.program import linear

pytestmark = pytest.mark.optimized("slow")

# kernel, strides, dilation, padding
GEOMETRIES = [
    ((3, 3), (1, 1), (1, 1), "SAME"),
    ((4, 2), (2, 1), (1, 1), "SAME"),
    ((10, 4), (2, 2), (1, 1), "SAME"),
    ((3, 3), (2, 3), (1, 1), "VALID"),
    ((3, 2), (1, 1), (2, 3), "SAME"),
    ((2, 3), (2, 2), (3, 1), "VALID"),
    ((1, 1), (2, 1), (1, 1), "SAME"),
]
SHAPE = (2, 13, 9, 3)
CHANNELS = 5


def ours(function, geometry, x, w):
    kernel, strides, dilation, padding = geometry
    widths = linear.pad_widths(x.shape[1:3], kernel, strides, dilation, padding)
    return function(linear.pad(x, widths), w, strides, dilation)


def xlas(geometry, groups: int, x, w):
    kernel, strides, dilation, padding = geometry
    return lax.conv_general_dilated(
        x,
        w.reshape(*kernel, SHAPE[-1] // groups, -1),
        strides,
        padding,
        rhs_dilation=dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def normal(shape, seed: int) -> jax.Array:
    return jnp.float32(np.random.default_rng(seed).normal(size=shape))


def assert_same_map(ours, xlas, x, w):
    """Equal values, and equal gradients of a random projection."""
    g = normal(jax.eval_shape(xlas, x, w).shape, 9)

    def with_gradients(function):
        def run(x, w):
            y, pull = jax.vjp(function, x, w)
            return y, *pull(g)

        return jax.jit(run)(x, w)

    for found, wanted in zip(with_gradients(ours), with_gradients(xlas), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_conv2d(geometry):
    w = normal((*geometry[0], SHAPE[-1], CHANNELS), 1)
    mine = functools.partial(ours, linear.conv2d, geometry)
    assert_same_map(mine, functools.partial(xlas, geometry, 1), normal(SHAPE, 0), w)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_depthwise_conv2d(geometry):
    w = normal((*geometry[0], SHAPE[-1]), 1)
    mine = functools.partial(ours, linear.depthwise_conv2d, geometry)
    assert_same_map(mine, functools.partial(xlas, geometry, SHAPE[-1]), normal(SHAPE, 0), w)


@pytest.mark.parametrize("size", range(1, 12))
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_output_size_is_xlas(size: int, padding: str):
    for kernel, stride, dilation in [(3, 1, 1), (1, 2, 1), (2, 3, 2), (4, 2, 1)]:
        shape = jax.eval_shape(
            lambda x, w, s=stride, d=dilation: lax.conv_general_dilated(
                x, w, (s,), padding, rhs_dilation=(d,), dimension_numbers=("NWC", "WIO", "NWC")
            ),
            jnp.zeros((1, size, 1)),
            jnp.zeros((kernel, 1, 1)),
        )
        if shape.shape[1] == 0:
            with pytest.raises(ValueError, match=f"does not fit an input of {size}"):
                linear.output_size(size, kernel, stride, dilation, padding)
        else:
            found = linear.output_size(size, kernel, stride, dilation, padding)
            assert found == shape.shape[1]


def assert_derivative(function, at: jax.Array, step: float = 1e-2):
    """The gradient predicts what the function does along random directions."""
    gradient = jax.grad(function)(at)
    for seed in range(3):
        direction = normal(at.shape, 20 + seed)
        ahead, behind = function(at + step * direction), function(at - step * direction)
        slope = (ahead - behind) / (2 * step)
        np.testing.assert_allclose(jnp.sum(gradient * direction), slope, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("name", ["conv2d", "depthwise_conv2d"])
def test_gradients_against_finite_differences(name: str):
    geometry = ((3, 2), (2, 1), (1, 2), "SAME")
    tail = (SHAPE[-1], CHANNELS) if name == "conv2d" else (SHAPE[-1],)
    x, w = normal(SHAPE, 0), normal((*geometry[0], *tail), 1)
    mine = jax.jit(functools.partial(ours, getattr(linear, name), geometry))
    g = normal(mine(x, w).shape, 2)

    def loss(x, w):  # bilinear: central differences have no error of their own
        return jnp.sum(g * mine(x, w))

    assert_derivative(lambda value: loss(value, w), x)
    assert_derivative(lambda value: loss(x, value), w)


def plain_norm(x, gamma):
    mean, variance = jnp.mean(x, (0, 1)), jnp.var(x, (0, 1))
    return (x - mean) * lax.rsqrt(variance + 1e-3) * gamma


def test_batch_norm():
    x, gamma = 3 * normal((40, 6, 4), 3) + 1, normal((4,), 4)
    y, mean, variance = linear.batch_norm(x, gamma, 1e-3)
    np.testing.assert_allclose(y, plain_norm(x, gamma), atol=1e-4)
    np.testing.assert_allclose(mean, x.mean((0, 1)), atol=1e-4)
    np.testing.assert_allclose(variance, x.var((0, 1)), rtol=1e-4)
    assert_same_map(lambda x, g: linear.batch_norm(x, g, 1e-3)[0], plain_norm, x, gamma)


def test_batch_norm_gradient_against_finite_differences():
    x, gamma, g = normal((30, 4), 5), 1 + 0.3 * normal((4,), 6), normal((30, 4), 7)
    loss = jax.jit(lambda x, gamma: jnp.sum(g * linear.batch_norm(x, gamma, 1e-3)[0]))
    assert_derivative(lambda value: loss(value, gamma), x)
    assert_derivative(lambda value: loss(x, value), gamma)


def test_add_bias():
    assert_same_map(linear.add_bias, lambda x, b: x + b, normal((2, 3, 4, 5), 0), normal((5,), 1))
