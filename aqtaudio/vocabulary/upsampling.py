"""Upsampling of time: a convolution to stride * channels, and a reshape (sub-pixel convolution).

Shi et al., arXiv:1609.05158. It computes what a transposed convolution computes, with operations
that TFLite Micro and CMSIS-NN have in every precision; `from_transposed` is the exact conversion.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from aqtaudio.vocabulary.signal import Same, Signal
from aqtaudio.vocabulary.weighted import Linear, Weighted


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

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        frames, inputs = x.shape
        operation = x.reading.operation
        x = operation(self, "image", "reshape", (x,), {"shape": (frames, 1, inputs)}, Same())
        x, padding = self.padded(x, (self.kernel, 1), (1, 1), (1, 1), "CAUSAL")
        linear = Linear("conv2d", padding=padding, relu=self.relu, norm=self.norm, most=self.most)
        x = self.compute(x, (self.kernel, 1, inputs, self.stride * self.channels), linear)
        shape = {"shape": (frames * self.stride, self.channels)}
        return operation(self, "frames", "reshape", (x,), shape, Same())


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
