"""SVDF: filters over features, then over time: each a layer of rank one per filter.

Nakkiran et al., "Compressing Deep Neural Networks using a Rank-Constrained Topology", Interspeech
2015; layers as in kws_streaming's svdf.py (Rybakov et al., arXiv:2005.06720), whose model has
354,444 parameters with 30 features and 12 classes. Here the filters over features have a bias as
well: 355,980.
"""

import flax.linen as nn

from aqtaudio.vocabulary.layers import Dense, DepthwiseConv2D, Input, Reshape, Whole
from aqtaudio.vocabulary.signal import Signal


class SVDF(nn.Module):
    """[B, T, F] features to [B, classes] logits.

    Causal: filters over time are not padded; 49 frames leave one for the logits.

    Attributes:
      classes: of the output.
      memory: frames that each layer's filters see; as many layers.
      width: filters of each layer.
      projection: channels of the linear layer after all but the last.
      norm: whether batch norm follows the filters over time.
    """

    classes: int = 12
    memory: tuple[int, ...] = (4, 10, 10, 10, 10, 10)
    width: int = 256
    projection: int = 128
    norm: bool = False

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        x = Input(x.shape, name="input")(x)
        for number, memory in enumerate(self.memory, 1):
            x = Dense(self.width, gain=1.0, name=f"features_{number}")(x)
            x = Reshape((-1, 1, self.width), name=f"image_{number}")(x)
            x = DepthwiseConv2D(
                (memory, 1), padding="VALID", norm=self.norm, name=f"time_{number}"
            )(x)
            x = Reshape((-1, self.width), name=f"frames_{number}")(x)
            if number < len(self.memory):
                x = Dense(self.projection, gain=1.0, name=f"projection_{number}")(x)
        x = Whole(name="whole")(x)
        x = Reshape((-1,), name="flatten")(x)
        return Dense(self.classes, name="logits")(x)
