"""SEANet: a convolutional generator from wave to wave, for speech of a wider band.

Li, Tagliasacchi, Rybakov, Ungureanu and Roblek, "Real-Time Speech Frequency Bandwidth Extension",
arXiv:2010.10677. Counts are those of public re-implementations: 8,331,712 parameters with channels
from 32 (`OFFLINE`), 692,848 from 8 (`STREAMING`). Here everything is causal, and a transposed
convolution is a sub-pixel one of the same weights.

The input is added to the output: what the network makes is what the input lacks.
"""

import math
from typing import Literal

import flax.linen as nn

from aqtaudio.errors import BadInput
from aqtaudio.vocabulary.layer import Layer
from aqtaudio.vocabulary.layers import (
    Add,
    Conv2D,
    DepthwiseConv2D,
    Elu,
    Input,
    LeakyRelu,
    Relu,
    Reshape,
    SubPixelConv1D,
    Tanh,
)
from aqtaudio.vocabulary.signal import Signal

Activation = Literal["elu", "leaky_relu", "relu"]
ENDS_KERNEL = 7
"""Samples that the first convolution sees, and frames that those of the bottleneck see."""
UNIT_GAIN, LAST_GAIN = 0.2, 1e-3
"""Of initial weights: at first a unit is its shortcut, nearly, and the network its input."""


class SEANet(nn.Module):
    """[B, T, S] blocks of samples to [B, T, S] samples; S is a multiple of all strides together.

    Attributes:
      channels: of the first convolution, then after each stride.
      strides: of the encoder, in its order; the decoder has them backwards.
      dilations: of the residual units of a level: one each.
      bottleneck: channels of the narrowest place; the published ones have 128.
      bottleneck_kernel: frames that its two convolutions see.
      patch: samples that the first convolution takes at once: all that follows runs so much more
        seldom. With 1 the first and the last convolution see 7 samples, else 4 patches.
      activation: "elu" as published, in int8 alone; "leaky_relu" or "relu" in int8 and int16.
      depthwise: whether a unit's dilated convolution is one per channel.
      biased: whether convolutions have a bias; the published counts have none.
      bounded: whether a tanh ends the network, as published. It bends loud samples of the input.
      weight_norm: whether kernels are trained as directions and lengths (arXiv:1602.07868).
    """

    channels: tuple[int, ...] = (8, 16, 32, 64, 128)
    strides: tuple[int, ...] = (2, 2, 8, 8)
    dilations: tuple[int, ...] = (1, 3, 9)
    bottleneck: int = 128
    bottleneck_kernel: int = ENDS_KERNEL
    patch: int = 1
    activation: Activation = "elu"
    depthwise: bool = False
    biased: bool = False
    bounded: bool = True
    weight_norm: bool = False

    @property
    def block_samples(self) -> int:
        """Samples that belong together: the strides of all levels."""
        return self.patch * math.prod(self.strides)

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        self._require_fit(x.shape)
        frames, samples = x.shape
        x = Input((frames, samples), name="input")(x)
        first, *others = self.channels
        kernel = ENDS_KERNEL if self.patch == 1 else 4 * self.patch
        wave = Reshape((frames * samples, 1, 1), name="wave")(x)
        y = self._conv(first, kernel, "first", stride=self.patch)(wave)
        skips = []
        for level, (channels, stride) in enumerate(zip(others, self.strides, strict=True), 1):
            y = self._units(y, f"encoder_{level}")
            y = self._conv(channels, 2 * stride, f"encoder_{level}_down", stride=stride)(y)
            skips.append(y)
        y = self._bottleneck(y)
        for level in range(len(self.strides), 0, -1):
            y = Add(name=f"decoder_{level}_skip")(y, skips[level - 1])
            y = self._upsampled(y, self.channels[level - 1], level)
            y = self._units(y, f"decoder_{level}")
        return self._ended(y, x)

    def _bottleneck(self, y: Signal) -> Signal:
        channels = y.shape[-1]
        y = self._active("bottleneck_elu")(y)
        y = self._active_conv(y, self.bottleneck, self.bottleneck_kernel, "bottleneck_1")
        return self._active_conv(y, channels, self.bottleneck_kernel, "bottleneck_2")

    def _units(self, y: Signal, name: str) -> Signal:
        """Residual units: a dilated convolution, one of single samples, and a shortcut."""
        for number, dilation in enumerate(self.dilations, 1):
            unit = f"{name}_unit_{number}"
            inside = self._active_conv(y, y.shape[-1], 3, f"{unit}_dilated", dilation)
            inside = self._active_conv(inside, y.shape[-1], 1, f"{unit}_mixed", gain=UNIT_GAIN)
            y = Add(name=f"{unit}_sum")(y, inside)
        return y

    def _upsampled(self, y: Signal, channels: int, level: int) -> Signal:
        """The transposed convolution of 2 strides."""
        frames, _, inputs = y.shape
        stride, name = self.strides[level - 1], f"decoder_{level}_up"
        y = Reshape((frames, inputs), name=f"{name}_rows")(y)
        y = SubPixelConv1D(
            channels, stride, 2, biased=self.biased, weight_norm=self.weight_norm, name=name
        )(y)
        return Reshape((frames * stride, 1, channels), name=f"{name}_image")(y)

    def _ended(self, y: Signal, heard: Signal) -> Signal:
        if self.patch == 1:
            y = self._conv(1, ENDS_KERNEL, "last", gain=LAST_GAIN)(y)
        else:
            frames, _, channels = y.shape
            y = Reshape((frames, channels), name="last_rows")(y)
            y = SubPixelConv1D(
                1, self.patch, 4, biased=self.biased, weight_norm=self.weight_norm,
                gain=LAST_GAIN, name="last",
            )(y)  # fmt: skip
        y = Add(name="sum")(Reshape(heard.shape, name="last_blocks")(y), heard)
        return Tanh(name="bounded")(y) if self.bounded else y

    def _active_conv(
        self,
        y: Signal,
        channels: int,
        kernel: int,
        name: str,
        dilation: int = 1,
        gain: float = 2.0,
    ) -> Signal:
        """A convolution and its activation, which a relu needs no operation for."""
        fused = self.activation == "relu"
        if self.depthwise and kernel > 1 and channels == y.shape[-1]:
            y = DepthwiseConv2D(
                (kernel, 1), dilation=(dilation, 1), padding="CAUSAL", relu=fused, norm=False,
                biased=self.biased, weight_norm=self.weight_norm, name=name,
            )(y)  # fmt: skip
        else:
            y = self._conv(channels, kernel, name, 1, dilation, fused, gain)(y)
        return y if fused else self._active(f"{name}_elu")(y)

    def _active(self, name: str) -> Layer:
        layers = {"elu": Elu, "leaky_relu": LeakyRelu, "relu": Relu}
        return layers[self.activation](name=name)

    def _conv(
        self,
        channels: int,
        kernel: int,
        name: str,
        stride: int = 1,
        dilation: int = 1,
        relu: bool = False,
        gain: float = 2.0,
    ) -> Conv2D:
        """Over time alone; the past is all that it sees."""
        return Conv2D(
            channels, (kernel, 1), (stride, 1), (dilation, 1), "CAUSAL", relu, False,
            biased=self.biased, weight_norm=self.weight_norm, gain=gain, name=name,
        )  # fmt: skip

    def _require_fit(self, shape: tuple[int, ...]) -> None:
        if len(self.channels) != len(self.strides) + 1:
            raise BadInput(
                f"model.channels has {len(self.channels)} numbers, model.strides "
                f"{len(self.strides)}; allowed: one more channels than strides"
            )
        if shape[-1] % self.block_samples:
            raise BadInput(
                f"the front end's blocks have {shape[-1]} samples; allowed for model.patch and "
                f"model.strides: multiples of {self.block_samples}"
            )


STREAMING = SEANet()
OFFLINE = SEANet(channels=(32, 64, 128, 256, 512), weight_norm=True)
