"""Normalisation in the form that TFLite Micro runs in int8.

A layer norm is x - mean(x) (MEAN, SUB), L2_NORMALIZATION, and a product with a trained constant
that holds sqrt(C) * gamma (MUL), plus beta (ADD): a row over its root mean square is sqrt(C) times
the row over its length. The usual form, RSQRT of a variance, would put the variance on an int8
grid, where quiet frames lose it; L2_NORMALIZATION keeps the sum of squares in 32 bits. What it
costs: there is no epsilon, the unit vector is rounded to 1/128 (a typical element of C channels has
128 / sqrt(C) steps), and 16-bit activations have no such operation.

`BandNorm`, over all of a frame, has the usual form: a row of hundreds would have a step or two, and
a mean over so many varies little.
"""

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from aqtaudio.errors import BadInput
from aqtaudio.vocabulary.edges import SIGNED_UNIT, Own, Same
from aqtaudio.vocabulary.layer import Layer
from aqtaudio.vocabulary.linear import Linear
from aqtaudio.vocabulary.signal import Signal
from aqtaudio.vocabulary.weighted import Weighted


class L2Normalize(Layer):
    """x [..., C] over its Euclidean length along the last axis."""

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        return _unit(self, "output", x)


class LayerNorm(Layer):
    """x [..., C] less its mean, over its standard deviation, times gamma, plus beta.

    Ba et al., arXiv:1607.06450; see the module's docstring for the form.
    """

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        attributes = {"axes": (len(x.shape) - 1,), "keep": True}
        mean = x.reading.operation(self, "mean", "mean", (x,), attributes, Own())
        centred = x.reading.operation(self, "centred", "sub", (x, mean), {}, Own())
        scaled = _scaled(self, "scaled", _unit(self, "unit", centred))
        value = self.parameter("offset", nn.initializers.zeros, (x.shape[-1],))
        offset = x.reading.constant(self, "offset", value)
        return x.reading.operation(self, "output", "add", (scaled, offset), {}, Own())


class RMSNorm(Layer):
    """x [..., C] over its root mean square, times gamma.

    Zhang and Sennrich, arXiv:1910.07467; see the module's docstring for the form.
    """

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        return _scaled(self, "output", _unit(self, "unit", x))


class BandNorm(Layer):
    """[T, F, C] less a frame's mean, over its standard deviation, times gain, plus offset.

    Gain and offset are [F, C]: layer norm (arXiv:1607.06450) over bands and channels. MEAN, SUB,
    MUL, MEAN, RSQRT, MUL, and a product and a sum with constants. RSQRT has int8 codes, a few in a
    hundred of which are the step of its value; one step of Newton's brings that to the square, in
    the layer's width. No epsilon: of a variance whose code is zero the root is the largest there
    is, and what it multiplies is zero.
    """

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        operation, axes = x.reading.operation, {"axes": (1, 2), "keep": True}
        mean = operation(self, "mean", "mean", (x,), axes, Own())
        centred = operation(self, "centred", "sub", (x, mean), {}, Own())
        square = operation(self, "square", "mul", (centred, centred), {}, Own())
        variance = operation(self, "variance", "mean", (square,), axes, Own())
        over = self._refined(operation(self, "seed", "rsqrt", (variance,), {}, Own()), variance)
        y = operation(self, "normed", "mul", (centred, over), {}, Own())
        gain = self.parameter("scale", nn.initializers.ones, x.shape[1:])
        gain = x.reading.constant(self, "scale", gain)
        y = operation(self, "scaled", "mul", (y, gain), {}, Own())
        offset = self.parameter("offset", nn.initializers.zeros, x.shape[1:])
        offset = x.reading.constant(self, "offset", offset)
        return operation(self, "output", "add", (y, offset), {}, Own())

    def _refined(self, seed: Signal, x: Signal) -> Signal:
        """1 / sqrt(x) from a value y near it: y (1.5 - 0.5 x y^2)."""
        operation, constant = x.reading.operation, x.reading.constant
        square = operation(self, "seed_square", "mul", (seed, seed), {}, Own())
        one = operation(self, "seed_one", "mul", (x, square), {}, Own())
        half = constant(self, "minus_half", jnp.full((1, 1, 1), -0.5), trained=False)
        rest = operation(self, "seed_rest", "mul", (one, half), {}, Own())
        most = constant(self, "one_and_half", jnp.full((1, 1, 1), 1.5), trained=False)
        factor = operation(self, "seed_factor", "add", (rest, most), {}, Own())
        return operation(self, "over_deviation", "mul", (seed, factor), {}, Own())


class SubSpectralNorm(Weighted):
    """Batch norm of [T, F, C] with statistics, gain and offset per channel and band of frequencies.

    Chang et al., "SubSpectral Normalization for Neural Audio Data Processing", arXiv:2103.13620. F
    is cut into `bands` equal ones, which become channels: [T, F / bands, bands * C]. There it is
    the batch norm of a depthwise 1x1 convolution: folded, a gain and an offset per band and
    channel. It does not fold into a convolution over F: that has one kernel for all bands.
    """

    bands: int = 5

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        frames, rows, channels = x.shape
        if rows % self.bands:
            raise BadInput(f"layer {self.label}: {self.bands} bands do not divide {rows} features")
        inner = rows // self.bands
        x = self._swapped("in", x, (frames, self.bands, inner, channels))
        x = self._moved("reshape", "in", x, {"shape": (frames, inner, self.bands * channels)})
        linear = Linear("depthwise_conv2d", norm=True)
        x = self.compute(x, (1, 1, self.bands * channels), linear)
        x = self._swapped("out", x, (frames, inner, self.bands, channels))
        return self._moved("reshape", "out", x, {"shape": (frames, rows, channels)})

    def kernel_init(self) -> Any:
        """Ones: batch norm's gain is what is trained."""
        return nn.initializers.ones

    def _swapped(self, name: str, x: Signal, shape: tuple[int, int, int, int]) -> Signal:
        """x as `shape` with axes 1 and 2 exchanged; as it is where one has size 1."""
        if 1 in shape[1:3]:
            return x
        x = self._moved("reshape", f"{name}_split", x, {"shape": shape})
        return self._moved("transpose", f"{name}_swapped", x, {"permutation": (0, 2, 1, 3)})

    def _moved(self, kind: str, part: str, x: Signal, attributes: dict[str, Any]) -> Signal:
        return x.reading.operation(self, part, kind, (x,), attributes, Same())


def _unit(layer: Layer, part: str, x: Signal) -> Signal:
    return x.reading.operation(layer, part, "l2_norm", (x,), {}, SIGNED_UNIT)


def _scaled(layer: Layer, part: str, unit: Signal) -> Signal:
    """Rows of length 1, [..., C], times sqrt(C) * gamma."""
    channels = unit.shape[-1]
    gamma = layer.param("scale", nn.initializers.ones, (channels,))
    scale = unit.reading.constant(layer, "scale", math.sqrt(channels) * gamma)
    return unit.reading.operation(layer, part, "mul", (unit, scale), {}, Own())
