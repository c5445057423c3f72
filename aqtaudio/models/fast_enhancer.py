"""FastEnhancer: a complex mask of linear bins, by GRUs over time and attention over frequency.

Ahn et al., "FastEnhancer: Speed-Optimized Streaming Neural Speech Enhancement", arXiv:2509.21867;
layers as in the authors' model.py and configs t.yaml and b.yaml. The spectrum and what the mask
does are the front end's and the task's (`frontends.band_spectrum`, kind "compressed"). No published
weights are read.

Parameters, with norms folded into the layers before them; c channels, d of the blocks' rows:

| part | of each | T: c = 24, d = 20 | B: c = 48, d = 36 |
|---|---|---:|---:|
| first convolution | 16 c + c | 408 | 816 |
| encoder, two convolutions | 3 c c + c | 3504 | 13,920 |
| to rows and back | 2 c d + d + c | 1004 | 3540 |
| blocks, 2 and 3: a GRU | 6 d d + 6 d | 5040 | 23,976 |
| their three projections, no bias | 3 d d | 2400 | 11,664 |
| their two outputs | 2 d d + 2 d | 1680 | 7992 |
| positional embedding, 16 and 24 rows | d a row | 320 | 864 |
| decoder, two pairs of convolutions | 2 c c + c, 3 c c + c | 5856 | 23,232 |
| last convolution, transposed one | 2 c c + c, 16 c + 2 | 1562 | 5426 |
| | | 21,774 | 91,430 |

Beside them are the fixed shares of rows (`Resampled`), 2 * 64 * 16 and 2 * 64 * 24 of a program.

What differs here: kernels have no weight norm in training, the shares of the first and last of few
rows are those of whole triangles, which the authors cut at 1, and the transposed convolution has
two taps per phase on one place more than there are (24,960 products of T a frame, not 24,576).
"""

import flax.linen as nn

from aqtaudio.vocabulary.layers import (
    Add,
    Attention,
    Concat,
    Conv2D,
    GroupedGRU,
    Input,
    PositionalEmbedding,
    Resampled,
    Reshape,
    Swish,
    TransposedConv2D,
)
from aqtaudio.vocabulary.linear import ONE, Pair
from aqtaudio.vocabulary.signal import Signal

PARTS = 2
"""Real and imaginary part."""
STRIDE = 4
"""Of the first convolution, over bins; it has two strides of taps."""
TAPS = 3
"""Of the other convolutions."""
SHORT = 1 / (PARTS * STRIDE)
"""Gain of the last kernel: at first, as the authors', one of length 1 in all."""


class FastEnhancer(nn.Module):
    """[T, 2 bins] to [T, 2 bins].

    In: real and imaginary part of each bin of a compressed spectrum. Out: those of its mask.

    Attributes:
      bins: a multiple of 4.
      channels: of encoder and decoder.
      convolutions: of the encoder, behind the first; the decoder has as many pairs.
      rows: that the blocks see of a frame's bins.
      row_channels: of each; a multiple of `heads`, even.
      blocks: of a GRU and an attention each.
      heads: of an attention.
    """

    bins: int = 256
    channels: int = 24
    convolutions: int = 2
    rows: int = 16
    row_channels: int = 20
    blocks: int = 2
    heads: int = 4

    @property
    def outputs(self) -> int:
        """Results per frame."""
        return PARTS * self.bins

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        frames, features = x.shape
        if features != PARTS * self.bins or self.bins % STRIDE:
            raise ValueError(
                f"{features} features, {self.bins} bins; allowed: 2 features of each bin, a "
                f"multiple of {STRIDE} bins"
            )
        x = Input(x.shape, name="input")(x)
        x = Reshape((frames, self.bins, PARTS), name="bins")(x)
        seen = [_convolved(x, self.channels, 2 * STRIDE, "encoder_0", (1, STRIDE))]
        for number in range(1, self.convolutions + 1):
            seen.append(_convolved(seen[-1], self.channels, TAPS, f"encoder_{number}"))
        x = Resampled(self.rows, name="to_rows")(seen[-1])
        x = Conv2D(self.row_channels, relu=False, gain=1.0, name="rows")(x)
        for number in range(1, self.blocks + 1):
            x = RNNFormer(self.heads, number == 1, name=f"block_{number}")(x)
        x = Resampled(self.bins // STRIDE, name="from_rows")(x)
        x = Conv2D(self.channels, relu=False, gain=1.0, name="channels")(x)
        for number in range(self.convolutions, -1, -1):
            x = Concat(2, name=f"decoder_{number}_in")(x, seen.pop())
            x = _convolved(x, self.channels, 1, f"decoder_{number}_joined")
            if number:
                x = _convolved(x, self.channels, TAPS, f"decoder_{number}")
        x = TransposedConv2D(PARTS, STRIDE, gain=SHORT, name="mask")(x)
        return Reshape((frames, PARTS * self.bins), name="results")(x)


TINY = FastEnhancer()
BASE = FastEnhancer(channels=48, rows=24, row_channels=36, blocks=3)
"""The published sizes T and B."""


class RNNFormer(nn.Module):
    """[T, F, D]: a GRU over the frames of each row, then attention over the rows of each frame.

    Attributes:
      heads: of the attention.
      embeds: whether rows are told apart before it.
    """

    heads: int
    embeds: bool = False

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        depth = x.shape[-1]
        y = GroupedGRU(depth, name="gru")(x)
        y = Conv2D(depth, relu=False, gain=1.0, name="gru_out")(y)
        x = Add(name="gru_sum")(x, y)
        if self.embeds:
            x = PositionalEmbedding(name="embedded")(x)
        y = Attention(self.heads, biased=False, norm=True, name="attention")(x)
        return Add(name="attention_sum")(x, y)


def _convolved(x: Signal, channels: int, taps: int, name: str, strides: Pair = ONE) -> Signal:
    """[T, F, C] over F, with batch norm and SiLU."""
    x = Conv2D(channels, (1, taps), strides, relu=False, name=name)(x)
    return Swish(name=f"{name}_act")(x)
