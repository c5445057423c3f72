"""Sums, differences and products of two signals, or of a signal and trained constants."""

import math

import flax.linen as nn

from aqtaudio.vocabulary.edges import Fixed, Own
from aqtaudio.vocabulary.layer import Layer
from aqtaudio.vocabulary.signal import Signal


class Add(Layer):
    """a + b; shapes (without the batch) broadcast. Optional relu, which ends at `most`."""

    relu: bool = False
    most: float = math.inf

    @nn.compact
    def __call__(self, a: Signal, b: Signal) -> Signal:  # noqa: D102
        return a.reading.operation(self, "output", "add", (a, b), {}, Own(self.relu, self.most))


class Sub(Layer):
    """a - b; shapes (without the batch) broadcast. Optional relu, which ends at `most`.

    `edge` is the output's grid, where the model prescribes it.
    """

    relu: bool = False
    most: float = math.inf
    edge: Fixed | None = None

    @nn.compact
    def __call__(self, a: Signal, b: Signal) -> Signal:  # noqa: D102
        edge = self.edge or Own(self.relu, self.most)
        return a.reading.operation(self, "output", "sub", (a, b), {}, edge)


class Mul(Layer):
    """a * b; shapes (without the batch) broadcast. Optional relu, which ends at `most`."""

    relu: bool = False
    most: float = math.inf

    @nn.compact
    def __call__(self, a: Signal, b: Signal) -> Signal:  # noqa: D102
        return a.reading.operation(self, "output", "mul", (a, b), {}, Own(self.relu, self.most))


class Scale(Layer):
    """x [..., C] times a trained factor per channel."""

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        value = self.parameter("scale", nn.initializers.ones, (x.shape[-1],))
        scale = x.reading.constant(self, "scale", value)
        return x.reading.operation(self, "output", "mul", (x, scale), {}, Own())


class Offset(Layer):
    """x [..., C] plus a trained offset per channel."""

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        value = self.parameter("offset", nn.initializers.zeros, (x.shape[-1],))
        offset = x.reading.constant(self, "offset", value)
        return x.reading.operation(self, "output", "add", (x, offset), {}, Own())
