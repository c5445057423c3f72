"""A head on a frozen encoder: what a few seconds of its vectors say.

Each vector is narrowed alike, then a hidden layer sees all of a clip's: the small detectors of
openWakeWord's kind. Vectors of a speech encoder are not linear in words, so there is a hidden
layer; a narrow one learns less of who spoke.
"""

import flax.linen as nn

from aqtaudio.vocabulary.layers import Conv2D, Dense, Input, Reshape, Whole
from aqtaudio.vocabulary.signal import Signal


class EmbeddingHead(nn.Module):
    """[B, T, D] vectors to [B, classes] logits.

    Attributes:
      classes: of the output.
      width: what each vector is narrowed to.
      hidden: units of the layer that sees all vectors of a clip.
    """

    classes: int = 8
    width: int = 24
    hidden: int = 32

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        frames, dimensions = x.shape
        x = Input((frames, 1, dimensions), name="vectors")(x)
        x = Conv2D(self.width, name="narrow")(x)
        x = Whole(name="clip")(x)
        x = Reshape((x.shape[0] * self.width,), name="flat")(x)
        x = Dense(self.hidden, relu=True, norm=True, name="hidden")(x)
        return Dense(self.classes, gain=1.0, name="logits")(x)
