"""Conformer encoder that streams: causal convolutions, self-attention to a window of past frames.

Gulati et al., "Conformer: Convolution-augmented Transformer for Speech Recognition",
arXiv:2005.08100, in the causal form of Lingvo's conformer_layer.py: the convolution comes before
attention and is followed by a layer norm. The defaults are the 17-layer causal configuration with
local attention to 60 past frames; width 32, layers 2 and front 8 train on a laptop. What differs:

- Attention has no relative positions: the convolution before it knows the order of frames.
- A feed-forward's half step is in its last weights, which are as free as half of them.
- The encoder ends in the mean over frames and logits; dropout is left out: the vocabulary has none.
"""

import flax.linen as nn

from aqtaudio.vocabulary.layers import (
    Add,
    Attention,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    GlobalAveragePool,
    Input,
    LayerNorm,
    Mul,
    Reshape,
    Sigmoid,
    Swish,
)
from aqtaudio.vocabulary.signal import Signal


class Conformer(nn.Module):
    """[B, T, F] features to [B, classes] logits; causal.

    Attributes:
      classes: of the output.
      width: channels of a frame.
      layers: encoder blocks.
      heads: `width` is divided among them.
      window: earlier frames that a frame attends to, counted after the front.
      kernel: frames that a block's convolution sees.
      expansion: channels inside a feed-forward over `width`.
      front: channels of the two convolutions that leave every fourth frame.
    """

    classes: int = 12
    width: int = 512
    layers: int = 17
    heads: int = 8
    window: int = 60
    kernel: int = 32
    expansion: int = 4
    front: int = 512

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        x = Input((*x.shape, 1), name="input")(x)
        for number in (1, 2):
            x = Conv2D(
                self.front, (3, 3), (2, 2), padding="CAUSAL", norm=False, name=f"front_{number}"
            )(x)
        frames, bands, channels = x.shape
        x = Reshape((frames, bands * channels), name="frames")(x)
        x = Dense(self.width, gain=1.0, name="front_out")(x)
        for number in range(1, self.layers + 1):
            x = Block(self.heads, self.window, self.kernel, self.expansion, name=f"block_{number}")(
                x
            )
        x = GlobalAveragePool(name="pool")(x)
        return Dense(self.classes, name="logits")(x)


class Block(nn.Module):
    """Frames [T, C] to [T, C]: half a feed-forward, convolution, attention, half a feed-forward."""

    heads: int
    window: int
    kernel: int
    expansion: int

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        x = Add(name="fed_1")(x, _FeedForward(self.expansion, name="feed_1")(x))
        x = Add(name="convolved")(x, _Convolution(self.kernel, name="convolution")(x))
        y = LayerNorm(name="attention_norm")(x)
        y = Attention(self.heads, (self.window, 0), name="attention")(y)
        x = Add(name="attended")(x, y)
        x = Add(name="fed_2")(x, _FeedForward(self.expansion, name="feed_2")(x))
        return LayerNorm(name="norm")(x)


class _FeedForward(nn.Module):
    """Half a step: the last layer starts at half the size of others (a quarter of the variance)."""

    expansion: int

    @nn.compact
    def __call__(self, x: Signal) -> Signal:
        channels = x.shape[-1]
        x = LayerNorm(name="norm")(x)
        x = Dense(self.expansion * channels, name="in")(x)
        x = Swish(name="swish")(x)
        return Dense(channels, gain=0.25, name="out")(x)


class _Convolution(nn.Module):
    """A gated linear unit, a causal depthwise convolution, a norm, swish and a linear layer."""

    kernel: int

    @nn.compact
    def __call__(self, x: Signal) -> Signal:
        frames, channels = x.shape
        x = LayerNorm(name="norm_in")(x)
        value = Dense(channels, gain=1.0, name="value")(x)
        gate = Sigmoid(name="open")(Dense(channels, gain=1.0, name="gate")(x))
        x = Mul(name="gated")(value, gate)
        x = Reshape((frames, 1, channels), name="image")(x)
        x = DepthwiseConv2D(
            (self.kernel, 1), padding="CAUSAL", relu=False, norm=False, name="depthwise"
        )(x)
        x = Reshape((frames, channels), name="frames")(x)
        x = LayerNorm(name="norm")(x)
        x = Swish(name="swish")(x)
        return Dense(channels, gain=1.0, name="out")(x)
