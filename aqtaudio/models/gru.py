"""The GRU keyword model: a GRU over features, dense layers on its last state.

Zhang et al., "Hello Edge: Keyword Spotting on Microcontrollers", arXiv:1711.07128; layers as in
kws_streaming's gru.py (Rybakov et al., arXiv:2005.06720): 593,836 parameters with 20 features and
12 classes. Its dropout is left out: the vocabulary has none.
"""

import flax.linen as nn

from aqtaudio.vocabulary.layers import GRU, Dense, Input
from aqtaudio.vocabulary.signal import Signal


class KeywordGRU(nn.Module):
    """[B, T, F] features to [B, classes] logits; causal.

    Attributes:
      classes: of the output.
      units: of the GRU.
      hidden: channels of the linear layer and of the relu layer before the logits.
    """

    classes: int = 12
    units: int = 400
    hidden: tuple[int, int] = (128, 256)

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        x = Input(x.shape, name="input")(x)
        x = GRU(self.units, last=True, name="gru")(x)
        x = Dense(self.hidden[0], gain=1.0, name="hidden_1")(x)
        x = Dense(self.hidden[1], relu=True, name="hidden_2")(x)
        return Dense(self.classes, name="logits")(x)
