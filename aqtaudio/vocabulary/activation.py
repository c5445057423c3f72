"""Functions of one signal. Sigmoid, tanh and softmax have the output grid that TFLite demands."""

import flax.linen as nn

from aqtaudio.vocabulary.edges import SIGNED_UNIT, UNSIGNED_UNIT, Fixed, Own
from aqtaudio.vocabulary.layer import Layer
from aqtaudio.vocabulary.signal import Signal


class Relu(Layer):
    """max(x, 0) on a grid of its own, which starts at zero."""

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        return x.reading.operation(self, "output", "relu", (x,), {}, Own(relu=True))


class Relu6(Layer):
    """min(max(x, 0), 6) on a grid of its own.

    The operation is RELU; what ends at 6 is the grid: its greatest code stands for 6 (or for the
    largest value that calibration saw, if that is less). TFLite Micro's own RELU6 is wrong wherever
    input and output scale differ, so it is not used.
    """

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        return x.reading.operation(self, "output", "relu", (x,), {}, Own(relu=True, most=6.0))


class LeakyRelu(Layer):
    """x, or `slope` * x below zero; on a grid of its own, or on `edge`."""

    slope: float = 0.1
    edge: Fixed | None = None

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        attributes, edge = {"alpha": self.slope}, self.edge or Own()
        return x.reading.operation(self, "output", "leaky_relu", (x,), attributes, edge)


class PRelu(Layer):
    """x [..., C], or below zero x times a trained slope per channel."""

    initial: float = 0.25

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        value = self.parameter("slope", nn.initializers.constant(self.initial), (x.shape[-1],))
        slope = x.reading.constant(self, "slope", value, narrow=True)
        return x.reading.operation(self, "output", "prelu", (x, slope), {}, Own())


class HardSwish(Layer):
    """x * clip(x + 3, 0, 6) / 6."""

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        return x.reading.operation(self, "output", "hard_swish", (x,), {}, Own())


class Elu(Layer):
    """x, or exp(x) - 1 below zero. TFLite Micro has it in int8 alone."""

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        return x.reading.operation(self, "output", "elu", (x,), {}, Own())


class Sigmoid(Layer):
    """1 / (1 + exp(-x))."""

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        return x.reading.operation(self, "output", "logistic", (x,), {}, UNSIGNED_UNIT)


class Swish(Layer):
    """x * sigmoid(x), as two operations."""

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        operation = x.reading.operation
        gate = operation(self, "sigmoid", "logistic", (x,), {}, UNSIGNED_UNIT)
        return operation(self, "output", "mul", (x, gate), {}, Own())


class Tanh(Layer):
    """Hyperbolic tangent."""

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        return x.reading.operation(self, "output", "tanh", (x,), {}, SIGNED_UNIT)


class Softmax(Layer):
    """exp(beta * x) over the last axis, divided by its sum."""

    beta: float = 1.0

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        attributes = {"beta": self.beta}
        return x.reading.operation(self, "output", "softmax", (x,), attributes, UNSIGNED_UNIT)
