"""DS-CNN: depthwise-separable convolutions over MFCCs.

Zhang et al., "Hello Edge: Keyword Spotting on Microcontrollers", arXiv:1711.07128; layers as in
Arm's ML-KWS-for-MCU. With width 64 and 12 classes: 22,604 parameters once batch norm is folded.
"""

import dataclasses

import flax.linen as nn

from aqtaudio.vocabulary.layers import AveragePool, Conv2D, Dense, DepthwiseConv2D, Input, Reshape
from aqtaudio.vocabulary.signal import Signal
from aqtaudio.vocabulary.weighted import Padding


class DSCNN(nn.Module):
    """[B, T, F] features to [B, classes] logits.

    Attributes:
      classes: of the output.
      width: channels of every convolution (S: 64, M: 172, L: 276).
      blocks: depthwise-separable blocks (S and M: 4, L: 5).
      kernel: of the first convolution, (frames, bands).
      strides: of the first convolution.
      block_strides: of the first block.
      causal: whether no frame sees a later one.
    """

    classes: int = 12
    width: int = 64
    blocks: int = 4
    kernel: tuple[int, int] = (10, 4)
    strides: tuple[int, int] = (2, 2)
    block_strides: tuple[int, int] = (1, 1)
    causal: bool = dataclasses.field(default=False, metadata={"added": True})

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        padding: Padding = "CAUSAL" if self.causal else "SAME"
        x = Input((*x.shape, 1), name="input")(x)
        x = Conv2D(self.width, self.kernel, self.strides, padding=padding, name="conv")(x)
        for block in range(1, self.blocks + 1):
            strides = self.block_strides if block == 1 else (1, 1)
            x = DepthwiseConv2D(strides=strides, padding=padding, name=f"depthwise_{block}")(x)
            x = Conv2D(self.width, name=f"pointwise_{block}")(x)
        x = AveragePool(name="pool")(x)
        x = Reshape((self.width,), name="flatten")(x)
        return Dense(self.classes, name="logits")(x)
