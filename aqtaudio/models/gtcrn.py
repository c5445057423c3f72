"""GTCRN: a complex mask per band, from magnitude and spectrum of bands.

Rong et al., "GTCRN: A Speech Enhancement Model Requiring Ultralow Computational Resources", ICASSP
2024; layers as in the authors' gtcrn.py, in its streaming form. Bands of the spectrum and what
the mask does are the front end's and the task's (`frontends.band_spectrum`); their matrices have
no trained weights.

What differs here, without changing an output: batch norm is folded into the convolutions when
published weights are read, so a convolution has a bias and no norm; unfolding over neighbouring
bands before a 1x1 convolution is a convolution over three bands; transposed convolutions are those
of `DoubledConv2D`, or plain ones with their taps reversed.
"""

from collections.abc import Mapping

import flax.linen as nn
import numpy as np

from aqtaudio.models.dual_path import DualPath
from aqtaudio.models.gtcrn_weights import published
from aqtaudio.vocabulary.layers import (
    Add,
    BlockDense,
    ChannelShuffle,
    Concat,
    Conv2D,
    DepthwiseConv2D,
    DoubledConv2D,
    GroupedGRU,
    Input,
    Mean,
    Mul,
    PRelu,
    Reshape,
    Sigmoid,
    Slice,
    Tanh,
    Unfold,
    split,
)
from aqtaudio.vocabulary.signal import Signal

FEATURES = 3
MASKS = 2
PLAIN = {"relu": False, "norm": False}


class GTCRN(nn.Module):
    """[T, 3 bands] to [T, 2 bands].

    In: magnitude, real and imaginary part of each band. Out: real and imaginary part of its mask,
    -1 to 1.

    Attributes:
      bands: 4 n + 1, so that two strides of 2 keep both ends.
      channels: of all layers; a multiple of 4.
      dilations: over frames, of the encoder's blocks; the decoder's are the same, reversed.
      paths: dual paths.
    """

    bands: int = 129
    channels: int = 16
    dilations: tuple[int, ...] = (1, 2, 5)
    paths: int = 2

    @property
    def outputs(self) -> int:
        """Results per frame."""
        return MASKS * self.bands

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        frames, features = x.shape
        if features != FEATURES * self.bands or self.bands % 4 != 1 or self.channels % 4:
            raise ValueError(
                f"{features} features, {self.bands} bands and {self.channels} channels; allowed: "
                "3 features of each band, 4 n + 1 bands, a multiple of 4 channels"
            )
        x = Input(x.shape, name="input")(x)
        x = Reshape((frames, self.bands, FEATURES), name="bands")(x)
        x = Unfold(name="unfolded")(x)
        seen = []
        for name, groups in (("down_1", 1), ("down_2", 2)):
            x = Conv2D(self.channels, (1, 5), (1, 2), groups=groups, **PLAIN, name=name)(x)
            x = PRelu(shared=True, name=f"{name}_act")(x)
            seen.append(x)
        for number, dilation in enumerate(self.dilations, 1):
            x = _TemporalBlock(dilation, name=f"encoder_{number}")(x)
            seen.append(x)
        for number in range(1, self.paths + 1):
            x = DualPath(name=f"path_{number}")(x)
        for number, dilation in enumerate(reversed(self.dilations), 1):
            x = Add(name=f"sum_{number}")(x, seen.pop())
            x = _TemporalBlock(dilation, name=f"decoder_{number}")(x)
        x = Add(name="up_2_sum")(x, seen.pop())
        halves = [
            DoubledConv2D(self.channels // 2, (1, 5), name=f"up_2_{group}")(part)
            for group, part in enumerate(split(x, 2, 2, "up_2_in"))
        ]
        x = Concat(2, name="up_2")(*halves)
        x = PRelu(shared=True, name="up_2_act")(x)
        x = Add(name="up_1_sum")(x, seen.pop())
        x = DoubledConv2D(MASKS, (1, 5), name="up_1")(x)
        x = Tanh(name="mask")(x)
        return Reshape((frames, MASKS * self.bands), name="results")(x)

    def with_published(self, arrays: Mapping[str, np.ndarray]) -> dict[str, dict]:
        """Variables from the authors' arrays, by their PyTorch names, counters left out.

        Raises KeyError or ValueError where the arrays are of another model.
        """
        return published(self, arrays)


class _TemporalBlock(nn.Module):
    """[T, F, C]: half of the channels through convolutions and a gate, the rest as it is."""

    dilation: int

    @nn.compact
    def __call__(self, x: Signal) -> Signal:
        channels = x.shape[-1]
        half = channels // 2
        changed = Slice(2, 0, half, name="changed")(x)
        kept = Slice(2, half, channels, name="kept")(x)
        y = Conv2D(channels, (1, 3), **PLAIN, name="point_1")(changed)
        y = PRelu(shared=True, name="point_1_act")(y)
        y = DepthwiseConv2D(
            (3, 3), dilation=(self.dilation, 1), padding="CAUSAL", **PLAIN, name="depth"
        )(y)
        y = PRelu(shared=True, name="depth_act")(y)
        y = Conv2D(half, **PLAIN, name="point_2")(y)
        y = Mul(name="attended")(y, frame_gate(Mul(name="power")(y, y), "gate"))
        y = Concat(2, name="both")(y, kept)
        return ChannelShuffle(name="shuffled")(y)


def frame_gate(power: Signal, name: str) -> Signal:
    """Gates [T, 1, C] of powers [T, F, C]: a GRU over frames of each channel's mean."""
    channels = power.shape[-1]
    x = Mean((1,), keep=True, name=f"{name}_mean")(power)
    x = GroupedGRU(2 * channels, name=f"{name}_gru")(x)
    x = BlockDense(channels, 1, name=f"{name}_dense")(x)
    return Sigmoid(name=name)(x)
