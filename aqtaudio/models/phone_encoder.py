"""A causal network from vectors of a speech encoder to phones, and to what filters read.

Residual separable convolutions over time, after Hannun et al., "Sequence-to-Sequence Speech
Recognition with Time-Depth Separable Convolutions", arXiv:1904.02619, with one row.
"""

import flax.linen as nn

from aqtaudio.vocabulary.layers import Add, Conv2D, DepthwiseConv2D, Input, Reshape
from aqtaudio.vocabulary.signal import Signal


class PhoneEncoder(nn.Module):
    """[B, T, D] vectors to [B, T, channels].

    Attributes:
      channels: of the output.
      width: of the blocks.
      kernels: frames that each block sees.
    """

    channels: int = 64
    width: int = 112
    kernels: tuple[int, ...] = (5, 5, 5, 5, 5)

    @property
    def outputs(self) -> int:
        """Values per frame."""
        return self.channels

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        frames, dimensions = x.shape
        x = Input((frames, 1, dimensions), name="vectors")(x)
        x = Conv2D(self.width, (3, 1), padding="CAUSAL", name="narrow")(x)
        for number, kernel in enumerate(self.kernels, 1):
            y = DepthwiseConv2D((kernel, 1), padding="CAUSAL", name=f"time_{number}")(x)
            y = Conv2D(self.width, relu=False, name=f"channels_{number}")(y)
            x = Add(relu=True, name=f"sum_{number}")(x, y)
        x = Conv2D(self.channels, relu=False, norm=False, name="phones")(x)
        return Reshape((x.shape[0], self.channels), name="output")(x)
