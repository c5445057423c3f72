"""Functions of one signal. Sigmoid, tanh and softmax have the output grid that TFLite demands."""

import flax.linen as nn
import jax.numpy as jnp

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
    """x [..., C], or below zero x times a trained slope per channel, or of all (`shared`)."""

    initial: float = 0.25
    shared: bool = False

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        slopes = 1 if self.shared else x.shape[-1]
        value = self.parameter("slope", nn.initializers.constant(self.initial), (slopes,))
        value = jnp.broadcast_to(value, (x.shape[-1],))
        slope = x.reading.constant(self, "slope", value, narrow=True)
        return x.reading.operation(self, "output", "prelu", (x, slope), {}, Own())


class AffinePRelu(Layer):
    """[T, F, C]: x times a gain per band and channel, plus an offset, plus its PReLU.

    Rong et al., "UL-UNAS", arXiv:2503.00340. MUL, PRELU, ADD, ADD.
    """

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        operation, shape = x.reading.operation, x.shape[1:]
        gain = self.parameter("scale", nn.initializers.ones, shape)
        gain = x.reading.constant(self, "scale", gain)
        slope = self.parameter("slope", nn.initializers.constant(0.25), shape[-1:])
        slope = x.reading.constant(self, "slope", slope, narrow=True)
        offset = self.parameter("offset", nn.initializers.zeros, shape)
        offset = x.reading.constant(self, "offset", offset)
        straight = operation(self, "scaled", "mul", (x, gain), {}, Own())
        bent = operation(self, "bent", "prelu", (x, slope), {}, Own())
        total = operation(self, "sum", "add", (straight, bent), {}, Own())
        return operation(self, "output", "add", (total, offset), {}, Own())


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
