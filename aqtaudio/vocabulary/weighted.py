"""Layers with a kernel and a bias: convolutions and dense layers."""

import dataclasses
import math
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from aqtaudio.errors import BadInput
from aqtaudio.program import linear as linear_maps
from aqtaudio.vocabulary.edges import Fixed, Same
from aqtaudio.vocabulary.layer import Layer
from aqtaudio.vocabulary.linear import ONE, Linear, Pair
from aqtaudio.vocabulary.signal import Signal

Padding = linear_maps.Padding | Literal["CAUSAL", "CAUSAL_VALID"]
"""CAUSAL: rows (time) see no later row; columns are SAME. CAUSAL_VALID: columns are VALID."""

TINY = 1e-12


def kernel_init(gain: float) -> Any:
    """Initializer of kernels [..., C, D]: variance `gain` over fan-in."""
    return nn.initializers.variance_scaling(gain, "fan_in", "truncated_normal")


def lengths_of(kernel: jax.Array) -> jax.Array:
    """Of the kernel [..., D] of each output channel: [D]."""
    return jnp.sqrt(jnp.sum(jnp.square(kernel), tuple(range(kernel.ndim - 1))) + TINY)


class Weighted(Layer):
    """A layer with a kernel and a bias; the kernel may be in one of three forms.

    "kernel"; "u", "s", "v" (being trained with a singular-value penalty: kernel = u diag(s) v);
    "down", "up" (truncated: two thin layers with a signed edge between them).

    Beside a "kernel" may be its "length" per output channel (`weight_norm`, Salimans and Kingma,
    arXiv:1602.07868): then the kernel says its direction alone, until both are folded.
    """

    def compute(
        self,
        x: Signal,
        shape: tuple[int, ...],
        linear: Linear,
        biased: bool = True,
        weight_norm: bool = False,
    ) -> Signal:
        """Applies a kernel of `shape` (output channels last) in whichever form it is stored."""
        bias = self.parameter("bias", nn.initializers.zeros, (shape[-1],)) if biased else None
        reading = x.reading
        if linear.groups > 1 and not self._is_whole:
            raise BadInput(
                f"layer {self.label}: a grouped convolution has no low-rank form; its rule can "
                "have no svd_penalty"
            )
        if self.has_variable("params", "down"):
            first = dataclasses.replace(linear, relu=False, norm=False, fixed=None)
            second = dataclasses.replace(
                linear, strides=ONE, dilation=ONE, padding="VALID", groups=1
            )
            x = reading.linear(self, "down", x, self._stored("down"), None, first)
            return reading.linear(self, "up", x, self._stored("up"), bias, second)
        if self.has_variable("params", "s"):
            u, s, v = (self._stored(name) for name in "usv")
            kernel = linear_maps.dot(u * s, v, exact=True).reshape(shape)
        else:
            kernel = self.parameter("kernel", self.kernel_init(), shape)
            if weight_norm and (self.is_initializing() or self.has_variable("params", "length")):
                lengths = lengths_of(kernel)
                kernel = kernel * (self.param("length", lambda key: lengths) / lengths)
        return reading.linear(self, "output", x, kernel, bias, linear)

    def kernel_init(self) -> Any:
        """Initializer of the full kernel."""
        return kernel_init(2.0)

    @property
    def _is_whole(self) -> bool:
        return self.is_initializing() or self.has_variable("params", "kernel")

    def _stored(self, name: str) -> jax.Array:
        return self.get_variable("params", name)

    def padded(
        self, x: Signal, kernel: Pair, strides: Pair, dilation: Pair, padding: Padding
    ) -> tuple[Signal, linear_maps.Padding]:
        """x [H, W, C] and the padding that is left to the convolution.

        Causal is zeros before the first rows (time), so many that the first window ends at the
        last row of the first stride. In a stream the rows before are remembered instead. Where a
        window is shorter than a stride, rows that no window sees are cut off.
        """
        causal = padding in ("CAUSAL", "CAUSAL_VALID")
        reach = (kernel[0] - 1) * dilation[0]
        before = max(reach - (strides[0] - 1), 0)
        if self.streams and x.shape[0] % strides[0]:
            raise ValueError(f"layer {self.label}: blocks of {x.shape[0]}, strides of {strides[0]}")
        if causal and reach < strides[0] - 1:
            x = self.later(x, strides[0] - 1 - reach, "seen")
        if self.streams:
            if padding == "SAME" and before:
                raise ValueError(f"layer {self.label}: SAME padding looks ahead; CAUSAL streams")
            x = self.recent(x, before)
        elif not causal:
            return x, padding
        if padding == "VALID":
            return x, padding
        image = x.shape[0], x.shape[1]
        across = "VALID" if padding == "CAUSAL_VALID" else "SAME"
        columns = linear_maps.pad_widths(image, kernel, strides, dilation, across)[1]
        rows = (0, 0) if self.streams else (before, 0)
        if not any(rows + columns):
            return x, "VALID"
        attributes = {"widths": (rows, columns, (0, 0))}
        return x.reading.operation(self, "padded", "pad", (x,), attributes, Same()), "VALID"


class Conv2D(Weighted):
    """2-D convolution of [H, W, C], bias (unless not `biased`), optional batch norm and relu.

    Output channels are split into `groups`, each seeing its own group of input channels. `edge` is
    the output's grid, where the model prescribes it. `gain` is as of `Dense`.
    """

    channels: int
    kernel: Pair = ONE
    strides: Pair = ONE
    dilation: Pair = ONE
    padding: Padding = "SAME"
    relu: bool = True
    norm: bool = True
    groups: int = 1
    most: float = math.inf
    biased: bool = True
    edge: Fixed | None = None
    weight_norm: bool = False
    gain: float = 2.0

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        if x.shape[-1] % self.groups or self.channels % self.groups:
            raise ValueError(
                f"layer {self.label}: {self.groups} groups do not divide {x.shape[-1]} input and "
                f"{self.channels} output channels"
            )
        x, padding = self.padded(x, self.kernel, self.strides, self.dilation, self.padding)
        shape = (*self.kernel, x.shape[-1] // self.groups, self.channels)
        linear = Linear(
            "conv2d", self.strides, self.dilation, padding, self.relu, self.norm, self.most,
            self.groups, self.edge,
        )  # fmt: skip
        return self.compute(x, shape, linear, self.biased, self.weight_norm)

    def kernel_init(self) -> Any:  # noqa: D102
        return kernel_init(self.gain)


class DepthwiseConv2D(Weighted):
    """Depthwise 2-D convolution of [H, W, C], otherwise as `Conv2D`.

    Every input channel has `multiplier` filters of its own: [H', W', C * multiplier].
    """

    kernel: Pair = (3, 3)
    strides: Pair = ONE
    dilation: Pair = ONE
    padding: Padding = "SAME"
    relu: bool = True
    norm: bool = True
    multiplier: int = 1
    most: float = math.inf
    biased: bool = True
    weight_norm: bool = False

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        x, padding = self.padded(x, self.kernel, self.strides, self.dilation, self.padding)
        linear = Linear(
            "depthwise_conv2d", self.strides, self.dilation, padding, self.relu, self.norm,
            self.most,
        )  # fmt: skip
        shape = (*self.kernel, x.shape[-1] * self.multiplier)
        return self.compute(x, shape, linear, self.biased, self.weight_norm)

    def kernel_init(self) -> Any:
        """Fan-in of one channel: the taps."""
        deviation = (2.0 / (self.kernel[0] * self.kernel[1])) ** 0.5
        return nn.initializers.truncated_normal(deviation)


class Dense(Weighted):
    """Dense layer of [..., K], bias (unless not `biased`), optional relu.

    `gain` is the variance of initial weights times K: 2 before a relu, 1 elsewhere, roughly.
    With 4-bit weights it has one weight scale, which is all that TFLite Micro's dense layer can do,
    or (`Rule.int4_dense`) one per channel as a 1x1 convolution.
    """

    channels: int
    relu: bool = False
    norm: bool = False
    most: float = math.inf
    biased: bool = True
    gain: float = 2.0

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        linear = Linear("dense", relu=self.relu, norm=self.norm, most=self.most)
        return self.compute(x, (x.shape[-1], self.channels), linear, self.biased)

    def kernel_init(self) -> Any:  # noqa: D102
        return kernel_init(self.gain)


class BlockDense(Weighted):
    """Dense layer of [H, W, K] in `blocks` that do not see each other, with bias.

    Block b of the inputs makes block b of each of `parts` of the outputs: with parts P and blocks
    B, channel (p, b, i) sees inputs (b, ...). It is one 1x1 convolution whose other weights are
    zeros, exactly: a recurrent product is small, and operations cost more than zeros.
    """

    channels: int
    blocks: int
    parts: int = 1

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        depth, places = x.shape[-1], self.blocks * self.parts
        if depth % self.blocks or self.channels % places:
            raise ValueError(
                f"layer {self.label}: {self.blocks} blocks do not divide {depth} inputs, or with "
                f"{self.parts} parts {self.channels} outputs"
            )
        shape = (self.blocks, depth // self.blocks, self.channels // self.blocks)
        kernel = block_diagonal(self.parameter("taps", self.kernel_init(), shape), self.parts)
        bias = self.parameter("bias", nn.initializers.zeros, (self.channels,))
        return x.reading.linear(self, "output", x, kernel[None, None], bias, Linear("conv2d"))

    def kernel_init(self) -> Any:
        """Fan-in of one block."""
        return nn.initializers.variance_scaling(
            1.0, "fan_in", "truncated_normal", in_axis=1, out_axis=2, batch_axis=0
        )


def block_diagonal(taps: jax.Array, parts: int) -> jax.Array:
    """Kernel [B K, P B C] of blocks [B, K, P C] that see their own inputs."""
    blocks, depth, channels = taps.shape
    taps = taps.reshape(blocks, depth, parts, channels // parts)
    own = jnp.eye(blocks, dtype=taps.dtype)[:, None, None, :, None]
    kernel = taps[:, :, :, None] * own  # block, input, part, block, output
    return kernel.reshape(blocks * depth, blocks * channels)


class GroupedDense(Weighted):
    """Dense layer of [T, K] in `groups`, without bias; optional relu.

    Slice g of the K inputs makes slice g of the outputs. It is a grouped 1x1 convolution.
    """

    channels: int
    groups: int
    relu: bool = False
    gain: float = 2.0

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        frames, depth = x.shape
        if depth % self.groups or self.channels % self.groups:
            raise ValueError(
                f"layer {self.label}: {self.groups} groups do not divide {depth} inputs and "
                f"{self.channels} outputs"
            )
        operation = x.reading.operation
        x = operation(self, "image", "reshape", (x,), {"shape": (frames, 1, depth)}, Same())
        linear = Linear("conv2d", relu=self.relu, groups=self.groups)
        x = self.compute(x, (1, 1, depth // self.groups, self.channels), linear, biased=False)
        return operation(self, "rows", "reshape", (x,), {"shape": (frames, self.channels)}, Same())

    def kernel_init(self) -> Any:  # noqa: D102
        return kernel_init(self.gain)
