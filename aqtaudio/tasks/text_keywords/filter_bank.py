"""What tells keywords from what an encoder of phones puts out, as a device runs it.

Two answers of each keyword are added: that of its filter (see `filters`: the same arithmetic on
real numbers), and the best path through its phones (`ctc.path_scores`). They fail on different
words.
"""

import flax.linen as nn

from aqtaudio.recipe import Recipe, Rule
from aqtaudio.tasks.text_keywords import ctc
from aqtaudio.tasks.text_keywords.filters import FILTER_BITS
from aqtaudio.vocabulary.best_path import BestPath
from aqtaudio.vocabulary.edges import Fixed
from aqtaudio.vocabulary.layers import (
    Add,
    Conv2D,
    DepthwiseConv2D,
    Input,
    MaxPool,
    Offset,
    Regrid,
    Reshape,
    Slice,
    Sub,
)
from aqtaudio.vocabulary.signal import Signal

LOGIT_STEP = 0.125
"""Of a logit's codes: -16 to 15.875. Fixed, so that no keyword changes another one's."""
ABOVE = Fixed(LOGIT_STEP, -128, None, least=0.0)
"""Of filters' answers and `MIDDLE`, 0 to 31.875: zeros before the first frame are low."""
BELOW = Fixed(LOGIT_STEP, 127, None)
"""Of paths' answers less `MIDDLE`, -31.875 to 0."""
MIDDLE = 16.0
TOGETHER_FRAMES = 7
"""Of whose answers the largest counts: filter and path need not agree on the frame."""
RECIPE = Recipe(
    rules=(
        Rule("paths/cell|path_logits", activation_bits=16),
        Rule("paths/labels", weight_bits=4),  # 0 and 1
        Rule("parts", weight_bits=FILTER_BITS),
        Rule(),
    )
)


class FilterBank(nn.Module):
    """A frame [B, 1, C] of a stream to logits [B, classes].

    Attributes:
      classes: keywords.
      segments: parts of a filter.
      taps: frames that a part sees.
      dilation: frames between two of them.
      slack: answers of a part of which the largest counts.
      lengths: phones of each keyword.
    """

    classes: int = 1
    segments: int = 4
    taps: int = 4
    dilation: int = 2
    slack: int = 5
    lengths: tuple[int, ...] = (8,)

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        frames, channels = x.shape
        x = Input((frames, 1, channels), name="vectors")(x)
        logits = Add(name="logits")(self.filtered(x), self.followed(x))
        return Reshape((frames * self.classes,), name="output")(logits)

    def filtered(self, x: Signal) -> Signal:
        """Filters' answers [T, 1, classes], above `MIDDLE` where the keyword is likely."""
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
        x = Conv2D(self.classes, relu=False, norm=False, edge=ABOVE, name="filter_logits")(x)
        return self.together(x, "filter_near")

    def followed(self, x: Signal) -> Signal:
        """Paths' answers [T, 1, classes], above -`MIDDLE` where the keyword is likely."""
        frames = x.shape[0]
        x = Slice(2, 0, ctc.CLASSES, name="phones")(x)
        x = Offset(name="fair")(x)
        columns = Reshape((frames, ctc.CLASSES, 1), name="columns")(x)
        best = MaxPool((1, ctc.CLASSES), (1, 1), name="best_phone")(columns)
        x = Sub(name="costs")(x, best)
        x = BestPath(self.lengths, name="paths")(x)
        x = self.together(x, "path_near")
        x = DepthwiseConv2D((1, 1), relu=False, norm=False, name="path_logits")(x)
        return Regrid(BELOW, name="path_answers")(x)

    def together(self, x: Signal, name: str) -> Signal:
        """The largest of the last few answers."""
        return MaxPool((TOGETHER_FRAMES, 1), (1, 1), causal=True, name=name)(x)
