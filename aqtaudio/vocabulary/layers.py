"""The vocabulary: the only layers a model may use.

Each is one TFLite operation that TFLite Micro runs in int8, or a fixed composition of them. A
layer declares its weights once; its signal's reading decides how it computes. Layers are named by
the model: their paths are what a recipe's patterns match, so generated names are refused.

What is mutable says what happens: "batch_stats" is float training, "ranges" is calibration,
nothing is frozen.
"""

import dataclasses
import re
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.program import linear as linear_maps
from aqtaudio.vocabulary.signal import Fixed, Own, Same, Signal

Pair = tuple[int, int]
ONE: Pair = (1, 1)

kernel_init = nn.initializers.variance_scaling(2.0, "fan_in", "truncated_normal")


@dataclasses.dataclass(frozen=True)
class Linear:
    """Static description of a linear operation, shared by all readings.

    Attributes:
      kind: the program's operation: "conv2d", "depthwise_conv2d" or "dense".
      relu: whether the output edge starts at zero.
      norm: whether batch norm follows, in the floating reading, while the layer is not folded.
    """

    kind: str
    strides: Pair = ONE
    dilation: Pair = ONE
    padding: linear_maps.Padding = "VALID"
    relu: bool = False
    norm: bool = False

    def __call__(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        """The linear map on real values x [B, ...]."""
        if self.kind == "dense":
            return linear_maps.dot(x, kernel)
        size = kernel.shape[0], kernel.shape[1]
        widths = linear_maps.pad_widths(
            x.shape[1:3], size, self.strides, self.dilation, self.padding
        )
        x = linear_maps.pad(x, widths)
        if self.kind == "depthwise_conv2d":
            x = linear_maps.repeat_channels(x, kernel)
            return linear_maps.depthwise_conv2d(x, kernel, self.strides, self.dilation)
        return linear_maps.grouped_conv2d(x, kernel, self.strides, self.dilation)


class Layer(nn.Module):
    """A layer of the vocabulary: it has an explicit name and may own activation ranges."""

    def __post_init__(self):
        super().__post_init__()
        generated = rf"{type(self).__name__}_\d+"
        if isinstance(self.name, str) and re.fullmatch(generated, self.name):
            raise ValueError(f"layer {self.name}: give vocabulary layers explicit names")

    @property
    def label(self) -> str:
        """The path that recipes match and programs show, e.g. "pointwise_2"."""
        return "/".join(self.path)

    def edge_name(self, part: str) -> str:
        """Name of one of the layer's edges in a program."""
        return self.label if part == "output" else f"{self.label}/{part}"

    def owner_name(self, part: str, edge: Own | Fixed) -> str:
        """Who gives an edge its grid; all edges of one prescribed grid share it."""
        return str(edge) if isinstance(edge, Fixed) else self.edge_name(part)

    def range_of(self, part: str) -> nn.Variable:
        """The stored range of an output edge: {"scale": float32, "batches": int32}."""

        def unset() -> dict[str, np.ndarray]:
            return {"scale": np.zeros((), np.float32), "batches": np.zeros((), np.int32)}

        return self.variable("ranges", part, unset)

    def normalise(self, y: jax.Array) -> jax.Array:
        """Batch norm without offset over all axes of y but the last."""
        gamma = self.param("gamma", nn.initializers.ones, (y.shape[-1],))
        mean = self.variable("batch_stats", "mean", jnp.zeros, (y.shape[-1],))
        variance = self.variable("batch_stats", "variance", jnp.ones, (y.shape[-1],))
        if not self.is_mutable_collection("batch_stats") or self.is_initializing():
            return (y - mean.value) * (gamma * jax.lax.rsqrt(variance.value + EPSILON))
        y, batch_mean, batch_variance = linear_maps.batch_norm(y, gamma, EPSILON)
        mean.value = MOMENTUM * mean.value + (1 - MOMENTUM) * batch_mean
        variance.value = MOMENTUM * variance.value + (1 - MOMENTUM) * batch_variance
        return y

    @property
    def is_normalised(self) -> bool:
        """False once batch norm is folded into the kernel (its gamma is gone)."""
        return self.is_initializing() or self.has_variable("params", "gamma")


EPSILON = 1e-3
MOMENTUM = 0.97


class Input(Layer):
    """The model's input edge: signed, symmetric, int8; `shape` is what the model reads it as."""

    shape: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        values = x.values.reshape(x.values.shape[0], *self.shape)
        return x.reading.input(self, dataclasses.replace(x, values=values))


class Weighted(Layer):
    """A layer with a kernel and a bias; the kernel may be in one of three forms.

    "kernel"; "u", "s", "v" (being trained with a singular-value penalty: kernel = u diag(s) v);
    "down", "up" (truncated: two thin layers with a signed edge between them).
    """

    def compute(self, x: Signal, shape: tuple[int, ...], linear: Linear) -> Signal:
        """Applies a kernel of `shape` (output channels last) in whichever form it is stored."""
        bias = self.param("bias", nn.initializers.zeros, (shape[-1],))
        reading = x.reading
        if self.has_variable("params", "down"):
            first = dataclasses.replace(linear, relu=False, norm=False)
            second = Linear(linear.kind, relu=linear.relu, norm=linear.norm)
            x = reading.linear(self, "down", x, self._stored("down"), None, first)
            return reading.linear(self, "up", x, self._stored("up"), bias, second)
        if self.has_variable("params", "s"):
            u, s, v = (self._stored(name) for name in "usv")
            kernel = ((u * s) @ v).reshape(shape)
        else:
            kernel = self.param("kernel", self.kernel_init(), shape)
        return reading.linear(self, "output", x, kernel, bias, linear)

    def kernel_init(self) -> Any:
        """Initializer of the full kernel."""
        return kernel_init

    def _stored(self, name: str) -> jax.Array:
        return self.get_variable("params", name)


class Conv2D(Weighted):
    """2-D convolution of [B, H, W, C], bias, optional batch norm and relu."""

    channels: int
    kernel: Pair = ONE
    strides: Pair = ONE
    dilation: Pair = ONE
    padding: linear_maps.Padding = "SAME"
    relu: bool = True
    norm: bool = True

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        shape = (*self.kernel, x.shape[-1], self.channels)
        linear = Linear("conv2d", self.strides, self.dilation, self.padding, self.relu, self.norm)
        return self.compute(x, shape, linear)


class DepthwiseConv2D(Weighted):
    """Depthwise 2-D convolution of [B, H, W, C], bias, optional batch norm and relu."""

    kernel: Pair = (3, 3)
    strides: Pair = ONE
    dilation: Pair = ONE
    padding: linear_maps.Padding = "SAME"
    relu: bool = True
    norm: bool = True

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        linear = Linear(
            "depthwise_conv2d", self.strides, self.dilation, self.padding, self.relu, self.norm
        )
        return self.compute(x, (*self.kernel, x.shape[-1]), linear)

    def kernel_init(self) -> Any:
        """Fan-in of one channel: the taps."""
        deviation = (2.0 / (self.kernel[0] * self.kernel[1])) ** 0.5
        return nn.initializers.truncated_normal(deviation)


class Dense(Weighted):
    """Dense layer of [B, K], bias, optional relu."""

    channels: int
    relu: bool = False
    norm: bool = False

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        linear = Linear("dense", relu=self.relu, norm=self.norm)
        return self.compute(x, (x.shape[-1], self.channels), linear)


class AveragePool(Layer):
    """Average of windows of [B, H, W, C], VALID; `window` None: everything."""

    window: Pair | None = None
    strides: Pair | None = None

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        window = self.window or (x.shape[0], x.shape[1])
        attributes = {"window": window, "strides": self.strides or window}
        return x.reading.operation(self, "output", "average_pool", (x,), attributes, Same())


class Reshape(Layer):
    """Reshape of everything but the batch axis."""

    shape: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        shape = tuple(int(n) for n in np.empty(x.shape, np.bool_).reshape(self.shape).shape)
        return x.reading.operation(self, "output", "reshape", (x,), {"shape": shape}, Same())
