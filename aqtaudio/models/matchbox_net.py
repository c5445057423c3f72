"""MatchboxNet: residual separable convolutions over time, with features as channels.

Majumdar and Ginsburg, "MatchboxNet: 1D Time-Channel Separable Convolutional Neural Network
Architecture for Speech Commands Recognition", arXiv:2004.08531; layers as in NeMo's configuration.
3x1x64 (repeats 1) is kws_streaming's ds_tc_resnet, whose last block has a depthwise convolution of
one tap more. With 40 features and 12 classes that has 71,684 parameters, 87,236 for 3x2x64. Here:
71,148 and 86,700 once batch norm is folded, where a depthwise convolution has a bias.
"""

import flax.linen as nn

from aqtaudio.settings import added
from aqtaudio.vocabulary.layers import (
    Add,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    GlobalAveragePool,
    Input,
)
from aqtaudio.vocabulary.signal import Signal
from aqtaudio.vocabulary.weighted import Padding


class MatchboxNet(nn.Module):
    """[B, T, F] features to [B, classes] logits.

    Attributes:
      classes: of the output.
      width: channels of the residual blocks; those around them have twice as many.
      repeats: separable convolutions per residual block.
      first_kernel: frames that the first block sees.
      kernels: frames that each residual block's convolutions see.
      last_kernel: frames that the block after them sees, dilated by 2.
      causal: whether no frame sees a later one.
      first_stride: frames that the first block takes for each that it puts out.
      first_full: the first block is one convolution over all features instead of a separable one,
        which would leave a stride only a weighted mean of each feature.
    """

    classes: int = 12
    width: int = 64
    repeats: int = 1
    first_kernel: int = 11
    kernels: tuple[int, ...] = (13, 15, 17)
    last_kernel: int = 29
    causal: bool = False
    first_stride: int = added(1)
    first_full: bool = added(False)

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        frames, features = x.shape
        padding: Padding = "CAUSAL" if self.causal else "SAME"
        x = Input((frames, 1, features), name="input")(x)
        strides = (self.first_stride, 1)
        if self.first_full:
            size = (self.first_kernel, 1)
            x = Conv2D(2 * self.width, size, strides, padding=padding, name="first")(x)
        else:
            x = _Separable(2 * self.width, self.first_kernel, padding, strides, name="first")(x)
        for number, kernel in enumerate(self.kernels, 1):
            x = _Residual(self.width, kernel, self.repeats, padding, name=f"block_{number}")(x)
        x = _Separable(2 * self.width, self.last_kernel, padding, dilation=2, name="dilated")(x)
        x = Conv2D(2 * self.width, name="last")(x)
        x = GlobalAveragePool(name="pool")(x)
        return Dense(self.classes, name="logits")(x)


class _Separable(nn.Module):
    """A depthwise convolution over time, then a 1x1 convolution with batch norm."""

    channels: int
    kernel: int
    padding: Padding
    strides: tuple[int, int] = (1, 1)
    dilation: int = 1
    relu: bool = True

    @nn.compact
    def __call__(self, x: Signal) -> Signal:
        x = DepthwiseConv2D(
            (self.kernel, 1),
            self.strides,
            dilation=(self.dilation, 1),
            padding=self.padding,
            relu=False,
            norm=False,
            name="depthwise",
        )(x)
        return Conv2D(self.channels, relu=self.relu, name="pointwise")(x)


class _Residual(nn.Module):
    """Separable convolutions, and a projection of what they start from."""

    channels: int
    kernel: int
    repeats: int
    padding: Padding

    @nn.compact
    def __call__(self, x: Signal) -> Signal:
        y = x
        for number in range(1, self.repeats + 1):
            relu = number < self.repeats
            y = _Separable(
                self.channels, self.kernel, self.padding, relu=relu, name=f"separable_{number}"
            )(y)
        x = Conv2D(self.channels, relu=False, name="projection")(x)
        return Add(relu=True, name="sum")(x, y)
