"""TC-ResNet: residual convolutions over time alone, with features as channels.

Choi et al., "Temporal Convolution for Real-time Keyword Spotting on Mobile Devices",
arXiv:1904.03814; layers as in kws_streaming's tc_resnet.py. With 40 features and 12 classes
TC-ResNet8 has 65,180 parameters, TC-ResNet14 135,868; 64,852 and 135,332 once batch norm is folded.
The paper's dropout before the logits is left out: the vocabulary has none.
"""

import flax.linen as nn

from aqtaudio.vocabulary.layers import Add, Conv2D, Dense, GlobalAveragePool, Input
from aqtaudio.vocabulary.signal import Signal
from aqtaudio.vocabulary.weighted import Padding


class TCResNet(nn.Module):
    """[B, T, F] features to [B, classes] logits.

    Attributes:
      classes: of the output.
      channels: of the first convolution, then of each residual block. TC-ResNet8: 16, 24, 32, 48;
        TC-ResNet14: 16, 24, 24, 32, 32, 48, 48. A block that changes them halves the frames.
      width: factor on all channels (the paper's 1.5).
      kernel: frames that a block's convolutions see.
      first_kernel: frames that the first convolution sees.
      causal: whether no frame sees a later one.
    """

    classes: int = 12
    channels: tuple[int, ...] = (16, 24, 32, 48)
    width: float = 1.0
    kernel: int = 9
    first_kernel: int = 3
    causal: bool = False

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        frames, features = x.shape
        padding: Padding = "CAUSAL" if self.causal else "SAME"
        first, *others = (round(self.width * channels) for channels in self.channels)
        x = Input((frames, 1, features), name="input")(x)
        x = Conv2D(first, (self.first_kernel, 1), padding=padding, name="conv")(x)
        for number, channels in enumerate(others, 1):
            x = _Block(channels, self.kernel, padding, name=f"block_{number}")(x)
        x = GlobalAveragePool(name="pool")(x)
        return Dense(self.classes, name="logits")(x)


class _Block(nn.Module):
    """Two convolutions over time and a shortcut, which is one too where the channels change."""

    channels: int
    kernel: int
    padding: Padding

    @nn.compact
    def __call__(self, x: Signal) -> Signal:
        changes = x.shape[-1] != self.channels
        strides = (2, 1) if changes else (1, 1)
        size = (self.kernel, 1)
        y = Conv2D(self.channels, size, strides, padding=self.padding, name="conv_1")(x)
        y = Conv2D(self.channels, size, padding=self.padding, relu=False, name="conv_2")(y)
        if changes:
            x = Conv2D(self.channels, strides=strides, padding=self.padding, name="shortcut")(x)
        return Add(relu=True, name="sum")(x, y)
