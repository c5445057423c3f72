"""Upsampling of time or of bands: a convolution to more channels, and a reshape; resampling.

Sub-pixel convolution: Shi et al., arXiv:1609.05158. It computes what a transposed convolution
computes, with operations that TFLite Micro and CMSIS-NN have in every precision;
`from_transposed` is the exact conversion, and `DoubledDepthwise` can be trained in either form.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.vocabulary.edges import Same
from aqtaudio.vocabulary.linear import Linear, Pair
from aqtaudio.vocabulary.movement import cut
from aqtaudio.vocabulary.signal import Signal
from aqtaudio.vocabulary.weighted import Weighted, kernel_init


class SubPixelConv1D(Weighted):
    """Frames [T, C] to [T * stride, channels]; causal: a frame sees itself and earlier ones.

    Attributes:
      channels: of the output.
      stride: output frames per input frame.
      kernel: input frames that are seen.
      relu: whether the output starts at zero, and ends at `most`.
    """

    channels: int
    stride: int
    kernel: int = 1
    relu: bool = False
    norm: bool = False
    most: float = math.inf
    biased: bool = True
    weight_norm: bool = False
    gain: float = 2.0

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        frames, inputs = x.shape
        operation = x.reading.operation
        x = operation(self, "image", "reshape", (x,), {"shape": (frames, 1, inputs)}, Same())
        x, padding = self.padded(x, (self.kernel, 1), (1, 1), (1, 1), "CAUSAL")
        linear = Linear("conv2d", padding=padding, relu=self.relu, norm=self.norm, most=self.most)
        kernel = self.kernel, 1, inputs, self.stride * self.channels
        x = self.compute(x, kernel, linear, self.biased, self.weight_norm)
        shape = {"shape": (frames * self.stride, self.channels)}
        return operation(self, "frames", "reshape", (x,), shape, Same())

    def kernel_init(self) -> Any:
        """`gain` is the variance of initial weights times fan-in."""
        return kernel_init(self.gain)


class DoubledDepthwise(Weighted):
    """Depthwise convolution over W that doubles it: [H, W, C] to [H, 2 W, C]; no bias, no relu.

    Output 2w and 2w + 1 each have three taps on w - 1, w, w + 1. `tied`: they share three, as in
    the transposed convolution of stride 2, padding 1 and output padding 1: with taps a, b, c,
    y[2w] = b x[w] and y[2w + 1] = c x[w] + a x[w + 1].
    """

    tied: bool = False

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        rows, columns, channels = x.shape
        operation = x.reading.operation
        x = operation(self, "twice", "concat", (x, x), {"axis": 2}, Same())
        linear = Linear("depthwise_conv2d", padding="SAME")
        if self.tied:
            taps = self.parameter("taps", self.kernel_init(), (3, channels))
            x = x.reading.linear(self, "output", x, phases_of(taps), None, linear)
        else:
            x = self.compute(x, (1, 3, 2 * channels), linear, biased=False)
        shape = {"shape": (rows, 2 * columns, channels)}
        return operation(self, "doubled", "reshape", (x,), shape, Same())

    def kernel_init(self) -> Any:
        """Fan-in of one channel: the taps."""
        return nn.initializers.truncated_normal((2.0 / 3) ** 0.5)


class DoubledConv2D(Weighted):
    """Transposed convolution over W of stride 2: [H, W, C] to [H, 2 W - 1, channels]; with bias.

    `kernel` is (frames, taps): output w is the sum over j of tap j on input (w + taps // 2 - j) / 2
    where that is whole; causal along H. Two phases of a convolution of three taps, side by side.
    `depthwise`: each channel on its own.
    """

    channels: int
    kernel: Pair = (1, 3)
    depthwise: bool = False

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        rows, columns, depth = x.shape
        operation, wide = x.reading.operation, self.channels
        shape = (*self.kernel, wide) if self.depthwise else (*self.kernel, depth, wide)
        taps = self.parameter("taps", self.kernel_init(), shape)
        bias = self.parameter("bias", nn.initializers.zeros, (wide,))
        if self.depthwise:
            x = operation(self, "twice", "concat", (x, x), {"axis": 2}, Same())
        x, padding = self.padded(x, (self.kernel[0], 3), (1, 1), (1, 1), "CAUSAL")
        linear = Linear("depthwise_conv2d" if self.depthwise else "conv2d", padding=padding)
        bias = jnp.concatenate([bias, bias])
        x = x.reading.linear(self, "output", x, doubling(taps), bias, linear)
        shape = {"shape": (rows, 2 * columns, wide)}
        x = operation(self, "doubled", "reshape", (x,), shape, Same())
        return cut(self, "without_last", x, 1, 0, 2 * columns - 1)

    def kernel_init(self) -> Any:
        """Fan-in: half of the taps fall on inputs."""
        fan_in = self.kernel[0] * self.kernel[1] / 2
        if not self.depthwise:
            return kernel_init(2.0)
        return nn.initializers.truncated_normal((2.0 / fan_in) ** 0.5)


class TransposedConv2D(Weighted):
    """Transposed convolution over W: [H, W, C] to [H, stride W, channels]; with bias.

    Two strides of taps, and as much padding as leaves whole strides: output w is the sum over j of
    tap j on input (w + stride / 2 - j) / stride where that is whole. So each output sees two
    inputs, and `taps` are [older and own input, C, phase and channel]. `gain` is the variance of
    initial weights times the channels of both inputs.
    """

    channels: int
    stride: int = 4
    gain: float = 1.0

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        rows, columns, depth = x.shape
        operation, half = x.reading.operation, self.stride // 2
        if self.stride % 2:
            raise ValueError(f"layer {self.label}: stride {self.stride}; allowed: even numbers")
        taps = self.parameter("taps", self.kernel_init(), (2, depth, self.stride * self.channels))
        bias = self.parameter("bias", nn.initializers.zeros, (self.channels,))
        widths = {"widths": ((0, 0), (1, 1), (0, 0))}
        x = operation(self, "padded", "pad", (x,), widths, Same())
        bias = jnp.tile(bias, self.stride)
        x = x.reading.linear(self, "output", x, taps[None], bias, Linear("conv2d"))
        shape = {"shape": (rows, (columns + 1) * self.stride, self.channels)}
        x = operation(self, "phases", "reshape", (x,), shape, Same())
        return cut(self, "whole", x, 1, half, half + columns * self.stride)

    def kernel_init(self) -> Any:
        """Fan-in: the inputs of one output."""
        return kernel_init(self.gain)


class Resampled(Weighted):
    """[T, F, C] with other rows, first and last ones in place: [T, rows, C]; not trained.

    To more rows by linear interpolation; to fewer by triangles as wide as two steps, whose shares
    sum to 1.
    """

    rows: int

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        operation, turned = x.reading.operation, {"permutation": (0, 2, 1)}
        x = operation(self, "rows_last", "transpose", (x,), turned, Same())
        shares = jnp.asarray(resampling(x.shape[-1], self.rows))
        x = x.reading.linear(self, "output", x, shares, None, Linear("dense"))
        return operation(self, "rows_first", "transpose", (x,), turned, Same())


def resampling(given: int, made: int) -> np.ndarray:
    """float32 [given, made]: shares of rows in those that are made; each of these sums to 1."""
    few, many = sorted((given, made))
    peaks, places = np.linspace(0, 1, few), np.linspace(0, 1, many)
    corners = np.stack([np.interp(places, peaks, corner) for corner in np.eye(few)])
    shares = corners if given == few else corners.T
    return (shares / shares.sum(0)).astype(np.float32)


def doubling(taps: jax.Array) -> jax.Array:
    """Kernel [T, 3, ..., 2 C] of a convolution that doubles, from `taps` [T, K, ..., C].

    Phase r of output 2 w + r sees input w + d through tap r + K // 2 - 2 d.
    """
    count = taps.shape[1]
    nothing = jnp.zeros_like(taps[:, 0])

    def tap(number: int) -> jax.Array:
        return taps[:, number] if 0 <= number < count else nothing

    phases = [
        jnp.stack([tap(phase + count // 2 - 2 * d) for d in (-1, 0, 1)], 1) for phase in (0, 1)
    ]
    return jnp.concatenate(phases, -1)


def phases_of(taps: jax.Array) -> jax.Array:
    """The free kernel [1, 3, 2 C] of a `DoubledDepthwise` that equals the tied `taps` [3, C]."""
    a, b, c = taps
    even, odd = jnp.stack([0 * b, b, 0 * b]), jnp.stack([0 * c, c, a])
    return jnp.concatenate([even, odd], -1)[None]


def from_transposed(kernel: jax.Array, bias: jax.Array, stride: int) -> dict[str, jax.Array]:
    """Parameters of a `SubPixelConv1D` from those of a transposed convolution.

    Args:
      kernel: [K, C, D]: input frame t adds x[t] @ kernel[j] to output frame t * stride + j.
      bias: [D].
      stride: output frames per input frame.

    Returns:
      {"kernel": [ceil(K / stride), 1, C, stride * D], "bias": [stride * D]}; the layer puts out the
      first T * stride frames of the transposed convolution's.
    """
    size, inputs, outputs = kernel.shape
    frames = -(-size // stride)
    whole = jnp.pad(kernel, ((0, frames * stride - size), (0, 0), (0, 0)))
    # Output frame m * stride + p sees input frame m - i through kernel[i * stride + p].
    phases = whole.reshape(frames, stride, inputs, outputs)[::-1]
    kernel = phases.transpose(0, 2, 1, 3).reshape(frames, 1, inputs, stride * outputs)
    return {"kernel": kernel, "bias": jnp.tile(bias, stride)}
