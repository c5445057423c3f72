"""DeepFilterNet3: gains per band and a complex filter per low bin, from two kinds of features.

Schröter et al., "DeepFilterNet: Perceptually Motivated Real-Time Speech Enhancement",
arXiv:2305.08227; layers as in the authors' deepfilternet3.py: 2,135,484 parameters, 257 of which
(`df_fc_a`) no output depends on; they are left out. With `concat`, 96 channels, a decoder of gains
with 128 units and untied upsampling it has the 1,679,132 (less these 257) of a compact relative.

What differs here: features come as one signal and results leave as one, so that a program has one
input and one output. The look-ahead is not the network's: it is shown features two frames late
(`aqtaudio.enhancement`). Where nothing of the network looks along time (all but three
convolutions and the GRUs), nothing is remembered.
"""

import dataclasses
from collections.abc import Mapping

import flax.linen as nn
import numpy as np

from aqtaudio.models.deep_filter_weights import published
from aqtaudio.vocabulary.layers import (
    GRU,
    Add,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    DoubledDepthwise,
    GroupedDense,
    Input,
    Pad,
    Regrid,
    Reshape,
    Sigmoid,
    Slice,
    Tanh,
)
from aqtaudio.vocabulary.signal import Signal

PLAIN = {"relu": False, "norm": False, "biased": False}


class DeepFilterNet3(nn.Module):
    """[B, T, bands + 2 filtered_bins] to [B, T, bands + 2 taps filtered_bins + 1].

    In: levels of bands, then (re, im) of the low bins. Out: gains of the bands, 0 to 1; (re, im) of
    every tap of every low bin, bin major, then tap; local SNR as 0 to 1.

    Attributes:
      bands: of the gains; a multiple of 4.
      filtered_bins: low bins that get a complex filter; even.
      taps: of that filter, oldest frame first.
      channels: of the convolutions.
      encoder_units, gain_units, filter_units: of the GRUs.
      gain_layers, filter_layers: of the two decoders' GRUs; the encoder's has one.
      encoder_groups, groups, filter_groups: of the grouped linear layers: from the filter features
        to the embedding, around the GRUs, and into the filter decoder's GRU.
      concat: whether the two kinds of features are joined instead of added.
      tied_upsampling: three taps per doubled channel instead of six, as the published weights have.
      pathway: whether a convolution leads from the filter features to the filters. In the published
        weights its relu never fires.
      norm: whether convolutions have batch norm. Published weights come with it folded.
    """

    bands: int = 32
    filtered_bins: int = 96
    taps: int = 5
    channels: int = 64
    encoder_units: int = 256
    gain_units: int = 256
    filter_units: int = 256
    gain_layers: int = 2
    filter_layers: int = 2
    encoder_groups: int = 32
    groups: int = 16
    filter_groups: int = 8
    concat: bool = False
    tied_upsampling: bool = True
    pathway: bool = True
    norm: bool = True

    @property
    def inputs(self) -> int:
        """Features per frame."""
        return self.bands + 2 * self.filtered_bins

    @property
    def outputs(self) -> int:
        """Results per frame."""
        return self.bands + 2 * self.taps * self.filtered_bins + 1

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        frames, features = x.shape
        if features != self.inputs or self.bands % 4 or self.filtered_bins % 2:
            raise ValueError(
                f"{features} features; {self.bands} bands (a multiple of 4) and "
                f"{self.filtered_bins} filtered bins (even) make {self.inputs}"
            )
        x = Input(x.shape, name="input")(x)
        levels = Slice(1, 0, self.bands, name="level_part")(x)
        levels = Regrid(name="levels")(levels)
        levels = Reshape((frames, self.bands, 1), name="level_image")(levels)
        spectrum = Slice(1, self.bands, self.inputs, name="spectrum_part")(x)
        spectrum = Regrid(name="spectrum")(spectrum)
        spectrum = Reshape((frames, self.filtered_bins, 2), name="spectrum_image")(spectrum)
        settings = {field: getattr(self, field) for field in SETTINGS}
        skips, detail, embedding = _Encoder(**settings, name="encoder")(levels, spectrum)
        gains = _GainDecoder(**settings, name="gain_decoder")(skips, embedding)
        filters = _FilterDecoder(**settings, name="filter_decoder")(detail, embedding)
        snr = Dense(1, gain=1.0, name="snr")(embedding)
        snr = Sigmoid(name="snr_share")(snr)
        return Concat(1, name="results")(gains, filters, snr)

    def with_published(self, arrays: Mapping[str, np.ndarray]) -> dict[str, dict]:
        """Variables from the authors' arrays, by their names, batch norm folded or not.

        The model may have more layers of GRUs than the arrays: those are left out.

        Raises KeyError or ValueError where the arrays are of another model.
        """
        return published(self, arrays)


class _Part(nn.Module):
    """The settings that the three parts share."""

    bands: int
    filtered_bins: int
    taps: int
    channels: int
    encoder_units: int
    gain_units: int
    filter_units: int
    gain_layers: int
    filter_layers: int
    encoder_groups: int
    groups: int
    filter_groups: int
    concat: bool
    tied_upsampling: bool
    pathway: bool
    norm: bool

    def separable(self, x: Signal, name: str, stride: int = 1) -> Signal:
        """Depthwise over three bands, then over channels, relu. Pads as the authors' PyTorch."""
        plain = {"strides": (1, stride), **PLAIN}
        if stride == 1:
            x = DepthwiseConv2D((1, 3), **plain, name=f"{name}_depth")(x)
        else:
            x = Pad(((0, 0), (1, 0), (0, 0)), name=f"{name}_pad")(x)
            x = DepthwiseConv2D((1, 3), padding="VALID", **plain, name=f"{name}_depth")(x)
        return Conv2D(self.channels, norm=self.norm, name=f"{name}_point")(x)

    def squeezed(self, x: Signal, units: int, layers: int) -> Signal:
        """GRUs between grouped linear layers that keep the size."""
        size = x.shape[-1]
        x = GroupedDense(units, self.groups, relu=True, name="linear_in")(x)
        for number in range(1, layers + 1):
            x = GRU(units, name=f"gru_{number}")(x)
        return GroupedDense(size, self.groups, relu=True, name="linear_out")(x)


SETTINGS = tuple(f.name for f in dataclasses.fields(_Part) if f.name not in ("parent", "name"))


class _Encoder(_Part):
    """Levels [T, E, 1] and spectrum [T, D, 2] to four skips, c0 [T, D, C], embedding."""

    @nn.compact
    def __call__(self, levels: Signal, spectrum: Signal) -> tuple[list[Signal], Signal, Signal]:
        causal = {"padding": "CAUSAL"}
        e0 = Conv2D(self.channels, (3, 3), **causal, norm=self.norm, name="level_0")(levels)
        e1 = self.separable(e0, "level_1", 2)
        e2 = self.separable(e1, "level_2", 2)
        e3 = self.separable(e2, "level_3")
        c0 = Conv2D(self.channels, (3, 3), **causal, **PLAIN, groups=2, name="spectrum_0_depth")(
            spectrum
        )
        c0 = Conv2D(self.channels, norm=self.norm, name="spectrum_0_point")(c0)
        c1 = self.separable(c0, "spectrum_1", 2)
        frames, rows, channels = e3.shape
        detail = Reshape((frames, c1.shape[1] * channels), name="spectrum_flat")(c1)
        detail = GroupedDense(rows * channels, self.encoder_groups, relu=True, name="spectrum_2")(
            detail
        )
        flat = Reshape((frames, rows * channels), name="level_flat")(e3)
        if self.concat:
            joined = Concat(1, name="joined")(flat, detail)
            x = GroupedDense(self.encoder_units, self.groups, relu=True, name="linear_in")(joined)
            x = GRU(self.encoder_units, name="gru_1")(x)
            x = GroupedDense(rows * channels, self.groups, relu=True, name="linear_out")(x)
        else:
            x = self.squeezed(Add(name="joined")(flat, detail), self.encoder_units, 1)
        return [e0, e1, e2, e3], c0, x


class _GainDecoder(_Part):
    """Skips and embedding to gains [T, E]."""

    @nn.compact
    def __call__(self, skips: list[Signal], embedding: Signal) -> Signal:
        e0, e1, e2, e3 = skips
        x = self.squeezed(embedding, self.gain_units, self.gain_layers)
        x = Reshape(e3.shape, name="image")(x)
        x = Add(name="sum_3")(self._path(e3, 3), x)
        x = self.separable(x, "up_3")
        x = Add(name="sum_2")(self._path(e2, 2), x)
        x = self._doubled(x, 2)
        x = Add(name="sum_1")(self._path(e1, 1), x)
        x = self._doubled(x, 1)
        x = Add(name="sum_0")(self._path(e0, 0), x)
        x = Conv2D(1, (1, 3), relu=False, norm=self.norm, name="gains")(x)
        x = Reshape(x.shape[:2], name="gain_rows")(x)
        return Sigmoid(name="gain_share")(x)

    def _path(self, x: Signal, number: int) -> Signal:
        return DepthwiseConv2D((1, 1), norm=self.norm, name=f"path_{number}")(x)

    def _doubled(self, x: Signal, number: int) -> Signal:
        x = DoubledDepthwise(self.tied_upsampling, name=f"up_{number}_depth")(x)
        return Conv2D(self.channels, norm=self.norm, name=f"up_{number}_point")(x)


class _FilterDecoder(_Part):
    """c0 and embedding to filters [T, D * 2 taps]."""

    @nn.compact
    def __call__(self, detail: Signal, embedding: Signal) -> Signal:
        x = GroupedDense(self.filter_units, self.filter_groups, relu=True, name="linear_in")(
            embedding
        )
        for number in range(1, self.filter_layers + 1):
            x = GRU(self.filter_units, name=f"gru_{number}")(x)
        skip = GroupedDense(self.filter_units, self.groups, gain=1.0, name="skip")(embedding)
        x = Add(name="sum")(x, skip)
        size = 2 * self.taps
        x = GroupedDense(self.filtered_bins * size, self.groups, gain=1.0, name="filters")(x)
        x = Tanh(name="bounded")(x)
        if not self.pathway:
            return x
        path = {"padding": "CAUSAL", "groups": 2, **PLAIN}
        y = Conv2D(size, (5, 1), **path, name="path_depth")(detail)
        y = Conv2D(size, norm=self.norm, name="path_point")(y)
        y = Reshape(x.shape, name="path_rows")(y)
        return Add(name="all")(x, y)
