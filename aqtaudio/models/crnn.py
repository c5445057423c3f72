"""CRNN: two convolutions, a GRU over their frames, dense layers on its last state.

Arik et al., "Convolutional Recurrent Neural Networks for Small-Footprint Keyword Spotting",
arXiv:1703.05390; layers as in kws_streaming's crnn.py (Rybakov et al., arXiv:2005.06720): 467,772
parameters with 20 features and 12 classes. Its dropout is left out: the vocabulary has none.
"""

import flax.linen as nn

from aqtaudio.vocabulary.layers import GRU, Conv2D, Dense, Input, Reshape
from aqtaudio.vocabulary.signal import Signal
from aqtaudio.vocabulary.weighted import Padding


class CRNN(nn.Module):
    """[B, T, F] features to [B, classes] logits.

    Attributes:
      classes: of the output.
      width: channels of the convolutions.
      units: of the GRU.
      hidden: channels of the linear layer and of the relu layer before the logits.
      causal: whether zeros before the clip give the GRU a state for every frame, so that a stream
        ends as a whole clip does. The published model starts it at the seventh frame.
    """

    classes: int = 12
    width: int = 16
    units: int = 256
    hidden: tuple[int, int] = (128, 256)
    causal: bool = False

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        x = Input((*x.shape, 1), name="input")(x)
        padding: Padding = "CAUSAL_VALID" if self.causal else "VALID"
        for number, kernel in enumerate(((3, 3), (5, 3)), 1):
            x = Conv2D(self.width, kernel, padding=padding, norm=False, name=f"conv_{number}")(x)
        frames, bands, channels = x.shape
        x = Reshape((frames, bands * channels), name="frames")(x)
        x = GRU(self.units, last=True, name="gru")(x)
        x = Dense(self.hidden[0], gain=1.0, name="hidden_1")(x)
        x = Dense(self.hidden[1], relu=True, name="hidden_2")(x)
        return Dense(self.classes, name="logits")(x)
