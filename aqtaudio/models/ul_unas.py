"""UL-UNAS: a real mask per band, from the logarithm of magnitudes.

Rong et al., "UL-UNAS: Ultra-Lightweight U-Nets for Real-Time Speech Enhancement via Network
Architecture Search", arXiv:2503.00340; layers as in the authors' ulunas.py, as the search found
them. Bands of the spectrum and what the mask does are the front end's and the task's
(`frontends.band_spectrum`); their matrices have no trained weights.

What differs here, without changing an output: batch norm is folded into the convolutions when
published weights are read, so a convolution has a bias and no norm; transposed convolutions are
those of `DoubledConv2D`, or plain ones with their taps reversed.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal

import flax.linen as nn
import numpy as np

from aqtaudio.models.dual_path import DualPath, both_ways
from aqtaudio.models.gtcrn import frame_gate
from aqtaudio.models.ul_unas_weights import published
from aqtaudio.vocabulary.layers import (
    Add,
    AffinePRelu,
    BlockDense,
    ChannelShuffle,
    Conv2D,
    DepthwiseConv2D,
    DoubledConv2D,
    Input,
    Mean,
    Mul,
    Pad,
    Reshape,
    Sigmoid,
    Slice,
)
from aqtaudio.vocabulary.linear import Pair
from aqtaudio.vocabulary.signal import Signal

PLAIN = {"relu": False, "norm": False}
GATED_BANDS = 4
"""Neighbouring bands that the gate over bands sees as one."""


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of the encoder, and of the decoder that mirrors it.

    Attributes:
      kind: "conv": one convolution; "separable": over channels, then depthwise; "inverted": over
        channels, depthwise, over channels, and the input added where it has the same shape.
      channels: of the encoder's output.
      kernel: frames and bands.
      stride: over bands, 1 or 2.
      groups: of convolutions over channels, 1 or 2.
    """

    kind: Literal["conv", "separable", "inverted"]
    channels: int
    kernel: Pair
    stride: int = 1
    groups: int = 2


FOUND = (
    Block("conv", 12, (3, 3), stride=2, groups=1),
    Block("inverted", 24, (2, 3), stride=2),
    Block("separable", 24, (2, 3)),
    Block("inverted", 32, (1, 5)),
    Block("separable", 16, (1, 5)),
)
"""What the authors' search found."""


class ULUNAS(nn.Module):
    """[T, bands] to [T, bands].

    In: decadic logarithm of each band's magnitude. Out: its mask, 0 to 1.

    Attributes:
      bands: 4 n + 1, so that two strides of 2 keep both ends.
      blocks: of the encoder; the decoder has them reversed. The first is a "conv".
      paths: dual paths.
    """

    bands: int = 129
    blocks: tuple[Block, ...] = FOUND
    paths: int = 2

    @property
    def outputs(self) -> int:
        """Results per frame."""
        return self.bands

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        frames, features = x.shape
        if features != self.bands or self.bands % 4 != 1:
            raise ValueError(f"{features} features, {self.bands} bands; allowed: as many, 4 n + 1")
        x = Input(x.shape, name="input")(x)
        x = Reshape((frames, self.bands, 1), name="bands")(x)
        seen = []
        for number, block in enumerate(self.blocks, 1):
            x = _Down(block, name=f"encoder_{number}")(x)
            seen.append(x)
        for number in range(1, self.paths + 1):
            x = DualPath(name=f"path_{number}")(x)
        channels = (1, *(block.channels for block in self.blocks))
        last = len(self.blocks)
        for number in range(last, 0, -1):
            x = Add(name=f"sum_{number}")(x, seen.pop())
            block = dataclasses.replace(self.blocks[number - 1], channels=channels[number - 1])
            x = _Up(block, number == 1, name=f"decoder_{number}")(x)
        x = Reshape((frames, self.bands), name="rows")(x)
        return Sigmoid(name="mask")(x)

    def with_published(self, arrays: Mapping[str, np.ndarray]) -> dict[str, dict]:
        """Variables from the authors' arrays, by their PyTorch names, counters left out.

        Raises KeyError or ValueError where the arrays are of another model.
        """
        return published(self, arrays)


class _Part(nn.Module):
    """A block: what both halves of the network share."""

    block: Block
    is_last: bool = False

    def over_bands(self, x: Signal, name: str, channels: int, depthwise: bool) -> Signal:
        """The convolution that sees frames and bands."""
        raise NotImplementedError

    @nn.compact
    def __call__(self, x: Signal) -> Signal:
        block, given = self.block, x
        if block.kind == "conv":
            x = self.over_bands(x, "conv", block.channels, False)
            x = x if self.is_last else AffinePRelu(name="conv_act")(x)
            return _gated(x)
        x = Conv2D(block.channels, groups=block.groups, **PLAIN, name="point_1")(x)
        x = AffinePRelu(name="point_1_act")(x)
        x = self._shuffled(x, "point_1_shuffled")
        x = self.over_bands(x, "depth", block.channels, True)
        x = AffinePRelu(name="depth_act")(x)
        if block.kind == "separable":
            return _gated(x)
        x = Conv2D(block.channels, groups=block.groups, **PLAIN, name="point_2")(x)
        x = _gated(x)
        x = Add(name="residual")(x, given) if x.shape == given.shape else x
        return self._shuffled(x, "shuffled")

    def _shuffled(self, x: Signal, name: str) -> Signal:
        return ChannelShuffle(name=name)(x) if self.block.groups == 2 else x


class _Down(_Part):
    """[T, F, C] to [T, F or (F + 1) / 2, D]."""

    def over_bands(self, x: Signal, name: str, channels: int, depthwise: bool) -> Signal:
        """Strided."""
        settings = {"strides": (1, self.block.stride), "padding": "CAUSAL", **PLAIN, "name": name}
        if depthwise:
            return DepthwiseConv2D(self.block.kernel, **settings)(x)
        return Conv2D(channels, self.block.kernel, **settings)(x)


class _Up(_Part):
    """[T, F, C] to [T, F or 2 F - 1, D]."""

    def over_bands(self, x: Signal, name: str, channels: int, depthwise: bool) -> Signal:
        """Transposed where strided."""
        if self.block.stride == 2:
            return DoubledConv2D(channels, self.block.kernel, depthwise, name=name)(x)
        settings = {"padding": "CAUSAL", **PLAIN, "name": name}
        if depthwise:
            return DepthwiseConv2D(self.block.kernel, **settings)(x)
        return Conv2D(channels, self.block.kernel, **settings)(x)


def _gated(x: Signal) -> Signal:
    """[T, F, C] times a gate per channel and one per band, both from the power."""
    power = Mul(name="power")(x, x)
    y = Mul(name="channels_gated")(x, frame_gate(power, "channel_gate"))
    return Mul(name="gated")(y, _band_gate(power, "band_gate"))


def _band_gate(power: Signal, name: str) -> Signal:
    """Gates [T, F, 1] of powers [T, F, C]: GRUs over groups of bands, of their channels' mean."""
    frames, bands, _ = power.shape
    missing = -bands % GATED_BANDS
    x = Mean((2,), name=f"{name}_mean")(power)
    if missing:
        x = Pad(((0, 0), (0, missing)), name=f"{name}_padded")(x)
    x = Reshape((frames, (bands + missing) // GATED_BANDS, GATED_BANDS), name=f"{name}_rows")(x)
    x = both_ways(x, 2 * GATED_BANDS, 1, f"{name}_gru")
    x = BlockDense(GATED_BANDS, 1, name=f"{name}_dense")(x)
    x = Reshape((frames, bands + missing), name=f"{name}_flat")(x)
    if missing:
        x = Slice(1, 0, bands, name=f"{name}_bands")(x)
    x = Sigmoid(name=f"{name}_share")(x)
    return Reshape((frames, bands, 1), name=name)(x)
