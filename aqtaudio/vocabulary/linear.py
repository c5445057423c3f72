"""What a linear operation is, without its weights."""

import dataclasses
import math

import jax

from aqtaudio.program import linear as linear_maps
from aqtaudio.vocabulary.edges import Fixed, Own

Pair = tuple[int, int]
"""Rows and columns."""
ONE: Pair = (1, 1)


@dataclasses.dataclass(frozen=True)
class Linear:
    """Static description of a linear operation, shared by all readings.

    Attributes:
      kind: the program's operation: "conv2d", "depthwise_conv2d" or "dense".
      relu: whether the output edge starts at zero.
      most: where a relu ends; 6 is relu6.
      norm: whether batch norm follows, in the floating reading, while the layer is not folded.
      groups: of a convolution's channels.
      fixed: the output edge, where the model prescribes its grid.
    """

    kind: str
    strides: Pair = ONE
    dilation: Pair = ONE
    padding: linear_maps.Padding = "VALID"
    relu: bool = False
    norm: bool = False
    most: float = math.inf
    groups: int = 1
    fixed: Fixed | None = None

    @property
    def edge(self) -> Own | Fixed:
        """The output edge."""
        return self.fixed or Own(self.relu, self.most)

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
