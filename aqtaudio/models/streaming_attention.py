"""A keyword transformer that streams: self-attention to a window of past frames.

Berg, O'Connor and Cruz, "Keyword Transformer: A Self-Attention Model for Keyword Spotting",
arXiv:2104.00769, made causal and local. In place of its linear embedding of frames and its learned
positions there is a causal convolution, in place of its class token the mean over frames, and norms
come before what they norm. Dropout is left out: the vocabulary has none.
"""

import flax.linen as nn

from aqtaudio.vocabulary.layers import (
    Add,
    Attention,
    Conv2D,
    Dense,
    GlobalAveragePool,
    Input,
    LayerNorm,
    Reshape,
)
from aqtaudio.vocabulary.signal import Signal


class StreamingAttention(nn.Module):
    """[B, T, F] features to [B, classes] logits; causal.

    Attributes:
      classes: of the output.
      width: channels of a frame.
      blocks: attention and feed-forward, with a residual each.
      heads: `width` is divided among them.
      window: earlier frames that a frame attends to, counted after the stride.
      expansion: channels inside a feed-forward over `width`.
      kernel: frames that the convolution sees.
      stride: frames of the input per frame of attention.
    """

    classes: int = 12
    width: int = 64
    blocks: int = 3
    heads: int = 4
    window: int = 24
    expansion: int = 2
    kernel: int = 5
    stride: int = 2

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        frames, features = x.shape
        x = Input((frames, 1, features), name="input")(x)
        strides = (self.stride, 1)
        x = Conv2D(self.width, (self.kernel, 1), strides, padding="CAUSAL", name="conv")(x)
        x = Reshape((-1, self.width), name="frames")(x)
        for number in range(1, self.blocks + 1):
            x = _Block(self.heads, self.window, self.expansion, name=f"block_{number}")(x)
        x = GlobalAveragePool(name="pool")(x)
        return Dense(self.classes, name="logits")(x)


class _Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x)), of frames [T, C]."""

    heads: int
    window: int
    expansion: int

    @nn.compact
    def __call__(self, x: Signal) -> Signal:
        y = LayerNorm(name="attention_norm")(x)
        y = Attention(self.heads, (self.window, 0), name="attention")(y)
        x = Add(name="attended")(x, y)
        y = LayerNorm(name="feed_norm")(x)
        y = Dense(self.expansion * x.shape[-1], relu=True, name="feed_in")(y)
        y = Dense(x.shape[-1], gain=1.0, name="feed_out")(y)
        return Add(name="fed")(x, y)
