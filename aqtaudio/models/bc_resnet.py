"""BC-ResNet: residual convolutions over frequency, and over time on the mean of all frequencies.

Kim et al., "Broadcasted Residual Learning for Efficient Keyword Spotting", arXiv:2106.04140;
layers as in Qualcomm's bcresnet.py. BC-ResNet-tau has width 8 tau: 9,232 parameters for tau 1 to
321,068 for tau 8, with 40 features and 12 classes. What differs here:

- Layers have a bias even where the original has neither bias nor norm, and a sub-spectral norm is
  one gain and one offset per band and channel (see `SubSpectralNorm`). With batch norm folded, tau
  1 has 9,332 parameters.
- Strided convolutions pad as TensorFlow does, so they sit one band off PyTorch's.
- Channel dropout is left out: the vocabulary has none.
"""

import flax.linen as nn

from aqtaudio.vocabulary.layers import (
    Add,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    GlobalAveragePool,
    Input,
    Mean,
    Pad,
    SubSpectralNorm,
    Swish,
)
from aqtaudio.vocabulary.signal import Signal
from aqtaudio.vocabulary.weighted import Padding

WIDTHS = (1.0, 1.5, 2.0, 2.5)
"""Channels of the stages over `width`."""
STRIDES = (1, 2, 2, 1)
"""Over frequency, of the first block of each stage."""
TAIL = 5
"""Frames that the last depthwise convolution sees."""


class BCResNet(nn.Module):
    """[B, T, F] features to [B, classes] logits.

    Attributes:
      classes: of the output.
      width: channels of the first stage, 8 tau.
      blocks: of each stage; the frames of stage n (from 0) are dilated by 2**n.
      bands: of the sub-spectral norms; they divide F / 2, F / 4 and F / 8.
      causal: whether no frame sees a later one; the paper's does.
    """

    classes: int = 12
    width: int = 8
    blocks: tuple[int, int, int, int] = (2, 2, 4, 4)
    bands: int = 5
    causal: bool = False

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        padding: Padding = "CAUSAL" if self.causal else "SAME"
        x = Input((*x.shape, 1), name="input")(x)
        x = Conv2D(2 * self.width, (5, 5), (1, 2), padding=padding, name="head")(x)
        for stage, (blocks, factor) in enumerate(zip(self.blocks, WIDTHS, strict=True)):
            for number in range(blocks):
                x = _Block(
                    channels=int(self.width * factor),
                    is_first=number == 0,
                    stride=STRIDES[stage] if number == 0 else 1,
                    dilation=2**stage,
                    bands=self.bands,
                    padding=padding,
                    name=f"stage_{stage + 1}_block_{number + 1}",
                )(x)
        if not self.causal:
            x = Pad(((TAIL // 2, TAIL // 2), (0, 0), (0, 0)), name="tail_pad")(x)
        tail: Padding = "CAUSAL_VALID" if self.causal else "VALID"
        window = (TAIL, x.shape[1])
        x = DepthwiseConv2D(window, padding=tail, relu=False, norm=False, name="tail_depth")(x)
        x = Conv2D(4 * self.width, name="tail")(x)
        x = GlobalAveragePool(name="pool")(x)
        return Dense(self.classes, name="logits")(x)


class _Block(nn.Module):
    """f2 over frequency, f1 over time on its mean: relu(x + f2 + f1); no x in a stage's first."""

    channels: int
    is_first: bool
    stride: int
    dilation: int
    bands: int
    padding: Padding

    @nn.compact
    def __call__(self, x: Signal) -> Signal:
        plain = {"relu": False, "norm": False}
        if self.is_first:
            x = Conv2D(self.channels, name="widen")(x)
        y = DepthwiseConv2D((1, 3), (1, self.stride), **plain, name="frequency")(x)
        y = SubSpectralNorm(self.bands, name="sub_spectral")(y)
        z = Mean((1,), keep=True, name="mean")(y)
        dilation = (self.dilation, 1)
        z = DepthwiseConv2D(
            (3, 1), dilation=dilation, padding=self.padding, relu=False, name="time"
        )(z)
        z = Swish(name="swish")(z)
        z = Conv2D(self.channels, **plain, name="mix")(z)
        if not self.is_first:
            y = Add(name="kept")(x, y)
        return Add(relu=True, name="sum")(y, z)
