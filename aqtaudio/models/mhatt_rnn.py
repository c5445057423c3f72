"""MHAtt-RNN: convolutions, two bidirectional GRUs, attention from the middle frame to all.

Rybakov et al., "Streaming Keyword Spotting on Mobile Devices", arXiv:2005.06720; layers as in
kws_streaming's att_mh_rnn.py: 743,025 parameters with 20 features and 12 classes. Not causal: it
reads a whole clip in both directions and does not stream. What differs here:

- Batch norm comes before a convolution's relu, where it folds, not after it: 743,003 parameters.
- Dropout is left out: the vocabulary has none.
"""

import flax.linen as nn

from aqtaudio.vocabulary.layers import (
    GRU,
    BatchMatMul,
    Concat,
    Conv2D,
    Dense,
    Input,
    Reshape,
    Slice,
    Softmax,
)
from aqtaudio.vocabulary.signal import Signal


class MHAttRNN(nn.Module):
    """[B, T, F] features to [B, classes] logits.

    Attributes:
      classes: of the output.
      width: channels of the first convolution.
      units: of the GRUs, per direction.
      heads: queries, each a projection of the middle frame.
      hidden: channels of the layers before the logits; the first ends in a relu. The repository's
        newer recipe has only that one.
    """

    classes: int = 12
    width: int = 10
    units: int = 128
    heads: int = 4
    hidden: tuple[int, ...] = (64, 32)

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        frames, features = x.shape
        x = Input((frames, features, 1), name="input")(x)
        x = Conv2D(self.width, (5, 1), name="conv_1")(x)
        x = Conv2D(1, (5, 1), name="conv_2")(x)
        x = Reshape((frames, features), name="frames")(x)
        for number in (1, 2):
            forward = GRU(self.units, name=f"forward_{number}")(x)
            backward = GRU(self.units, reverse=True, name=f"backward_{number}")(x)
            x = Concat(1, name=f"both_{number}")(forward, backward)
        x = self._attended(x)
        for number, channels in enumerate(self.hidden, 1):
            relu = number == 1
            x = Dense(channels, relu=relu, gain=2.0 if relu else 1.0, name=f"hidden_{number}")(x)
        return Dense(self.classes, name="logits")(x)

    def _attended(self, x: Signal) -> Signal:
        """Frames [T, C] as one vector [heads * C]; a score is a dot product, not divided."""
        frames, channels = x.shape
        middle = Slice(0, frames // 2, frames // 2 + 1, name="middle")(x)
        query = Dense(self.heads * channels, gain=1.0, name="query")(middle)
        query = Reshape((self.heads, channels), name="queries")(query)
        scores = BatchMatMul(transpose_b=True, name="scores")(query, x)
        seen = Softmax(name="probabilities")(scores)
        context = BatchMatMul(name="context")(seen, x)
        return Reshape((self.heads * channels,), name="attended")(context)
