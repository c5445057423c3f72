"""Linear maps behind every reading: convolutions written so that they are fast and differentiable.

They carry real values (floating reading) or exact integers (quantized reading) in float32.
Axes: B batch, H rows (time), W columns (bands), C channels.
"""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

Pair = tuple[int, int]
Padding = Literal["SAME", "VALID"]
EXACTLY = lax.Precision.HIGHEST
"""Of float32 products whose operands are not to be rounded."""


def output_size(size: int, kernel: int, stride: int, dilation: int, padding: Padding) -> int:
    """Output length along one axis, TensorFlow's rule. ValueError where nothing is left."""
    if padding == "SAME":
        return -(-size // stride)
    reach = (kernel - 1) * dilation + 1
    if reach > size:
        raise ValueError(f"a window that spans {reach} does not fit an input of {size}")
    return -(-(size - reach + 1) // stride)


def pad_widths(shape: Pair, kernel: Pair, strides: Pair, dilation: Pair, padding: Padding):
    """((top, bottom), (left, right)) that turn a SAME convolution into a VALID one."""
    if padding == "VALID":
        return (0, 0), (0, 0)
    widths = []
    for size, k, stride, d in zip(shape, kernel, strides, dilation, strict=True):
        total = max((-(-size // stride) - 1) * stride + (k - 1) * d + 1 - size, 0)
        widths.append((total // 2, total - total // 2))
    return widths[0], widths[1]


def pad(x: jax.Array, widths: tuple[Pair, Pair], value: float = 0.0) -> jax.Array:
    """Pads rows and columns of x [B, H, W, C] with `value`."""
    if not any(sum(widths, ())):
        return x
    return jnp.pad(x, ((0, 0), *widths, (0, 0)), constant_values=value)


def taps(x: jax.Array, kernel: Pair, strides: Pair, dilation: Pair) -> list[jax.Array]:
    """The shifted views [B, H', W', C] of a padded x that a kernel's taps see, row by row."""
    rows, columns = (
        output_size(size, k, stride, d, "VALID")
        for size, k, stride, d in zip(x.shape[1:3], kernel, strides, dilation, strict=True)
    )
    return [
        x[
            :,
            i * dilation[0] : i * dilation[0] + (rows - 1) * strides[0] + 1 : strides[0],
            j * dilation[1] : j * dilation[1] + (columns - 1) * strides[1] + 1 : strides[1],
        ]
        for i in range(kernel[0])
        for j in range(kernel[1])
    ]


def dot(x: jax.Array, w: jax.Array, exact: bool = False) -> jax.Array:
    """[..., K] times [K, C] in float32; or [N, M, K] times [N, K, C].

    `exact`: no bit of an operand is rounded away. Accelerators do that otherwise (TF32 has 11 of
    24); on a CPU nothing differs.
    """
    return lax.dot_general(x, w, contraction(x, w), precision=EXACTLY if exact else None)


def contraction(x: jax.Array, w: jax.Array):
    """Dimension numbers of `dot`."""
    batch = tuple(range(w.ndim - 2))
    return ((x.ndim - 1,), (w.ndim - 2,)), (batch, batch)


def patches(x: jax.Array, kernel: Pair, strides: Pair, dilation: Pair) -> jax.Array:
    """What each output of a VALID convolution sees: [B, H, W, C] -> [B, H', W', KH * KW * C]."""
    if kernel == (1, 1):
        return x[:, :: strides[0], :: strides[1]]
    return jnp.concatenate(taps(x, kernel, strides, dilation), axis=-1)


def conv2d(x: jax.Array, w: jax.Array, strides: Pair, dilation: Pair) -> jax.Array:
    """VALID convolution of x [B, H, W, C] with w [KH, KW, C, D] as patches and one dot."""
    columns = patches(x, (w.shape[0], w.shape[1]), strides, dilation)
    return dot(columns, w.reshape(-1, w.shape[-1]))


def grouped_conv2d(x: jax.Array, w: jax.Array, strides: Pair, dilation: Pair) -> jax.Array:
    """VALID convolution of x [B, H, W, C] with w [KH, KW, C / groups, D], groups side by side."""
    groups = x.shape[-1] // w.shape[2]
    if groups == 1:
        return conv2d(x, w, strides, dilation)
    parts = zip(jnp.split(x, groups, -1), jnp.split(w, groups, -1), strict=True)
    return jnp.concatenate([conv2d(a, b, strides, dilation) for a, b in parts], -1)


def repeat_channels(x: jax.Array, w: jax.Array) -> jax.Array:
    """x [B, H, W, C] as a depthwise kernel w [KH, KW, C * multiplier] sees it."""
    multiplier = w.shape[-1] // x.shape[-1]
    return x if multiplier == 1 else jnp.repeat(x, multiplier, axis=-1)


def sum_rows(x: jax.Array) -> jax.Array:
    """Sum over all axes but the last, as a dot with ones: faster than a reduction on a CPU."""
    rows = x.reshape(-1, x.shape[-1])
    return jnp.matmul(jnp.ones((rows.shape[0],), x.dtype), rows, precision=EXACTLY)


@jax.custom_vjp
def add_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """x [..., C] plus bias [C]."""
    return x + bias


add_bias.defvjp(lambda x, bias: (x + bias, None), lambda _, g: (g, sum_rows(g)))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def batch_norm(
    x: jax.Array, gamma: jax.Array, epsilon: float
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Batch norm of x [..., C] without offset: (normalised, mean [C], variance [C]).

    Mean and variance are for running statistics: no gradient flows through them.
    """
    return _batch_norm_forward(x, gamma, epsilon)[0]


def _batch_norm_forward(x, gamma, epsilon):
    count = x.size // x.shape[-1]
    mean = sum_rows(x) / count
    variance = sum_rows(jnp.square(x - mean)) / count
    inverse = lax.rsqrt(variance + epsilon)
    return ((x - mean) * (inverse * gamma), mean, variance), (x, mean, inverse, gamma)


def _batch_norm_backward(epsilon, residuals, cotangents):
    x, mean, inverse, gamma = residuals
    g = lax.optimization_barrier(cotangents[0])
    count = x.size // x.shape[-1]
    unit = (x - mean) * inverse
    g_sum, g_unit_sum = sum_rows(g), sum_rows(g * unit)
    dx = (gamma * inverse) * (g - (g_sum + unit * g_unit_sum) / count)
    return lax.optimization_barrier(dx), g_unit_sum


batch_norm.defvjp(_batch_norm_forward, _batch_norm_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def depthwise_conv2d(x: jax.Array, w: jax.Array, strides: Pair, dilation: Pair) -> jax.Array:
    """VALID depthwise convolution of x [B, H, W, C] with w [KH, KW, C]: a sum of shifted products.

    Its own gradient, because XLA's grouped convolution has a weight gradient that dominates the
    training step of a depthwise-separable model on a CPU.
    """
    kernel = w.shape[0], w.shape[1]
    weights = w.reshape(-1, w.shape[-1])
    return sum(
        view * weight
        for view, weight in zip(taps(x, kernel, strides, dilation), weights, strict=True)
    )


def _depthwise_forward(x, w, strides, dilation):
    return depthwise_conv2d(x, w, strides, dilation), (x, w)


def _depthwise_backward(strides, dilation, residuals, g):
    # The barriers keep XLA from recomputing what produced x and g once per tap.
    x, w = residuals
    x, g = lax.optimization_barrier((x, g))
    kernel = w.shape[0], w.shape[1]
    dw = _sums([view * g for view in taps(x, kernel, strides, dilation)])
    spread = _spread(g, x.shape, kernel, strides, dilation)
    dx = depthwise_conv2d(spread, w[::-1, ::-1], (1, 1), dilation)
    return lax.optimization_barrier((dx, dw.reshape(w.shape)))


def _sums(products: list[jax.Array]) -> jax.Array:
    """Sums each [B, H, W, C] over all but C -> [len, C], in one pass: 14 times faster on a CPU."""
    zeros = [jnp.zeros((), products[0].dtype)] * len(products)
    add = lambda a, b: tuple(i + j for i, j in zip(a, b, strict=True))  # noqa: E731
    return jnp.stack(lax.reduce(products, zeros, add, (0, 1, 2)))


def _spread(g: jax.Array, shape, kernel: Pair, strides: Pair, dilation: Pair) -> jax.Array:
    """g with stride holes and the border that makes the input gradient a VALID convolution."""
    config = [(0, 0, 0)]
    for size, out, k, stride, d in zip(
        shape[1:3], g.shape[1:3], kernel, strides, dilation, strict=True
    ):
        reach = (k - 1) * d
        covered = (out - 1) * stride + 1 + reach
        config.append((reach, reach + size - covered, stride - 1))
    return lax.pad(g, jnp.zeros((), g.dtype), [*config, (0, 0, 0)])


depthwise_conv2d.defvjp(_depthwise_forward, _depthwise_backward)
