"""L3-Net's audio subnetwork and the small students of its embeddings.

Arandjelovic and Zisserman, "Look, Listen and Learn", arXiv:1705.08168; layers and widths as in
OpenL3 (Cramer et al., ICASSP 2019). The students are those of Srivastava et al., "Specialized
Embedding Approximation for Edge Intelligence", ICASSP 2021. Four blocks of 3x3 convolutions, pools
between them, and the maximum over what is left of the map.

With batch norm folded: 4,684,224 parameters at the widths of OpenL3, 1,171,680, 581,600 and 397,152
at those of students 1 to 3. What differs here:

- Maps are [frames, bands, channels], as features are; Keras' are [bands, frames, channels].
- There is no batch norm before the first convolution. It is one gain and one offset of the input,
  which the front end has as `mean` and `scale`: SAME padding puts its zeros behind them.
- A convolution before batch norm has no bias of its own; the norm's mean holds it.
"""

import math
from collections.abc import Mapping

import flax.linen as nn
import numpy as np

from aqtaudio.models import l3_weights
from aqtaudio.vocabulary.layers import (
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Input,
    MaxPool,
    Reshape,
    Transpose,
)
from aqtaudio.vocabulary.signal import Signal

KERNEL = (3, 3)
STUDENT_WIDTHS = (
    (64, 128, 256, 512),
    (32, 64, 128, 256),
    (32, 64, 128, 128),
    (32, 64, 128, 64),
)
"""Of students 0 to 3: embeddings of 512, 256, 128 and 64 values."""


class L3Net(nn.Module):
    """[B, T, F] levels of a window in decibels to an embedding [B, D].

    Attributes:
      widths: channels of the four blocks.
      signed: whether the last convolution is linear and the embedding has both signs (OpenL3);
        students end in a batch norm and a relu, whose embedding is nowhere below 0.
      projection: values of a linear head behind the pool, which gives a rectified embedding both
        signs; 0: none.
      convolutions: of each block.
      separable_blocks: numbers, from 1, of the blocks whose convolutions are a depthwise 3x3 and a
        1x1. The first convolution of all, whose input has one channel, stays as it is.
      first_strides: of the first convolution, (frames, bands).
      places: of the last map, (frames, bands), each with a maximum of its own, bands first in the
        embedding: (3, 4) is OpenL3's embedding of 6,144 values.
    """

    widths: tuple[int, int, int, int] = STUDENT_WIDTHS[0]
    signed: bool = False
    projection: int = 0
    convolutions: tuple[int, int, int, int] = (2, 2, 2, 2)
    separable_blocks: tuple[int, ...] = ()
    first_strides: tuple[int, int] = (1, 1)
    places: tuple[int, int] = (1, 1)

    @property
    def outputs(self) -> int:
        """Values of the embedding, D."""
        return self.projection or self.widths[-1] * math.prod(self.places)

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        self._require_blocks()
        x = Input((*x.shape, 1), name="input")(x)
        for block, (width, count) in enumerate(zip(self.widths, self.convolutions, strict=True), 1):
            if block > 1:
                x = MaxPool((2, 2), name=f"pool_{block - 1}")(x)
            for number in range(1, count + 1):
                x = self._convolved(x, width, block, number)
        x = self._pooled(x)
        return Dense(self.projection, gain=1.0, name="projection")(x) if self.projection else x

    def _convolved(self, x: Signal, width: int, block: int, number: int) -> Signal:
        name = f"{block}_{number}"
        is_first, is_last = (block, number) == (1, 1), (block, number) == (4, self.convolutions[3])
        ends = {"relu": False, "norm": False} if self.signed and is_last else {}
        strides = self.first_strides if is_first else (1, 1)
        if is_first or block not in self.separable_blocks:
            return Conv2D(width, KERNEL, strides, **ends, name=f"conv_{name}")(x)
        x = DepthwiseConv2D(KERNEL, name=f"depthwise_{name}")(x)
        return Conv2D(width, **ends, name=f"pointwise_{name}")(x)

    def _pooled(self, x: Signal) -> Signal:
        """The maximum of every place, flat."""
        frames, bands, _ = x.shape
        if frames % self.places[0] or bands % self.places[1]:
            raise ValueError(f"places {self.places} do not divide the last map, {frames}x{bands}")
        x = MaxPool((frames // self.places[0], bands // self.places[1]), name="pool")(x)
        if min(self.places) > 1:
            x = Transpose((1, 0, 2), name="bands_first")(x)
        return Reshape((-1,), name="flatten")(x)

    def _require_blocks(self) -> None:
        if not set(self.separable_blocks) <= {1, 2, 3, 4}:
            raise ValueError(f"separable_blocks are {self.separable_blocks}; allowed: 1 to 4")
        if min(self.convolutions) < 1:
            raise ValueError(f"convolutions are {self.convolutions}; allowed: at least 1 a block")
        if min(self.places) < 1:
            raise ValueError(f"places are {self.places}; allowed: at least (1, 1)")

    def with_published(self, arrays: Mapping[str, np.ndarray]) -> dict[str, dict]:
        """Variables from a published student or an OpenL3 audio subnetwork, by Keras' names.

        Raises KeyError or ValueError where the arrays are those of another network.
        """
        return l3_weights.published(arrays)

    def published_normalisation(self, arrays: Mapping[str, np.ndarray]) -> tuple[float, float]:
        """(mean, scale) of the input that the published weights were trained behind."""
        return l3_weights.normalisation(arrays)
