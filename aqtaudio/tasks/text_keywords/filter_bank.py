"""Filters of keywords over what an encoder of phones puts out, as a device runs them.

See `filters`: the same arithmetic on real numbers.
"""

import flax.linen as nn

from aqtaudio.vocabulary.edges import Fixed
from aqtaudio.vocabulary.layers import Conv2D, DepthwiseConv2D, Input, MaxPool, Reshape
from aqtaudio.vocabulary.signal import Signal

LOGIT_STEP = 0.125
"""Of a logit's codes: -16 to 15.875. Fixed, so that no keyword changes another one's."""
LOGITS = Fixed(LOGIT_STEP, 0, None)


class FilterBank(nn.Module):
    """A frame [B, 1, C] of a stream to logits [B, classes].

    Attributes:
      classes: keywords.
      segments: parts of a filter.
      taps: frames that a part sees.
      dilation: frames between two of them.
      slack: answers of a part of which the largest counts.
    """

    classes: int = 1
    segments: int = 4
    taps: int = 4
    dilation: int = 2
    slack: int = 5

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        frames, channels = x.shape
        x = Input((frames, 1, channels), name="vectors")(x)
        x = Conv2D(
            self.classes * self.segments, (self.taps, 1), dilation=(self.dilation, 1),
            padding="CAUSAL", relu=False, norm=False, biased=False, name="parts",
        )(x)  # fmt: skip
        x = MaxPool((self.slack, 1), (1, 1), causal=True, name="best")(x)
        # Every part waits for those after it: one tap of each channel is 1, the others are 0.
        x = DepthwiseConv2D(
            (self.segments, 1), dilation=(self.taps * self.dilation, 1),
            padding="CAUSAL", relu=False, norm=False, biased=False, name="waits",
        )(x)  # fmt: skip
        x = Conv2D(self.classes, relu=False, norm=False, edge=LOGITS, name="logits")(x)
        return Reshape((frames * self.classes,), name="output")(x)
