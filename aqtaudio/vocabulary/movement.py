"""Layers that move codes about. Axes are counted after the batch, from 0."""

import flax.linen as nn
import numpy as np

from aqtaudio.vocabulary.edges import Fixed, Own, Same
from aqtaudio.vocabulary.layer import Layer
from aqtaudio.vocabulary.signal import Signal

MOST_INPUTS = 10
"""TFLite Micro concatenates at most ten tensors (tflite-micro, concatenation.cc: kMaxInputNum)."""


class Reshape(Layer):
    """Reshape of everything but the batch axis; one size may be -1."""

    shape: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        shape = tuple(int(n) for n in np.empty(x.shape, np.bool_).reshape(self.shape).shape)
        return x.reading.operation(self, "output", "reshape", (x,), {"shape": shape}, Same())


class Transpose(Layer):
    """Axes in the order of `permutation`."""

    permutation: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        attributes = {"permutation": self.permutation}
        return x.reading.operation(self, "output", "transpose", (x,), attributes, Same())


class Slice(Layer):
    """x[start:stop:stride] along one axis."""

    axis: int
    start: int
    stop: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        if self.streams and self.axis == 0:
            raise ValueError(f"layer {self.label}: a stream has no frame {self.start} to cut at")
        return cut(self, "output", x, self.axis, self.start, self.stop, self.stride)


def cut(
    layer: Layer, part: str, x: Signal, axis: int, start: int, stop: int, stride: int = 1
) -> Signal:
    """x[start:stop:stride] along one axis, as an operation of `layer`."""
    size = x.shape[axis]
    if not 0 <= start < stop <= size:
        raise ValueError(f"layer {layer.label}: {start}:{stop} is not a slice of {size}")
    begin, end, strides = [0] * len(x.shape), list(x.shape), [1] * len(x.shape)
    begin[axis], end[axis], strides[axis] = start, stop, stride
    attributes = {"begin": tuple(begin), "end": tuple(end), "strides": tuple(strides)}
    return x.reading.operation(layer, part, "slice", (x,), attributes, Same())


def flipped(layer: Layer, part: str, x: Signal, axis: int) -> Signal:
    """x from its last to its first along an axis, as an operation of `layer`."""
    begin, end, strides = [0] * len(x.shape), list(x.shape), [1] * len(x.shape)
    size = x.shape[axis]
    # -size - 1: before the first, which no other end says.
    begin[axis], end[axis], strides[axis] = size - 1, -size - 1, -1
    attributes = {"begin": tuple(begin), "end": tuple(end), "strides": tuple(strides)}
    return x.reading.operation(layer, part, "slice", (x,), attributes, Same())


class Flip(Layer):
    """x from its last to its first along one axis, which is not that of frames."""

    axis: int

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        if not 0 < self.axis < len(x.shape):
            raise ValueError(
                f"layer {self.label}: axis {self.axis} of {len(x.shape)}; frames have an order"
            )
        return flipped(self, "output", x, self.axis)


class ChannelShuffle(Layer):
    """[T, F, C] with channels of `groups` by turns: the first of each, then the second.

    Zhang et al., "ShuffleNet", arXiv:1707.01083.
    """

    groups: int = 2

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        frames, rows, channels = x.shape
        if channels % self.groups:
            raise ValueError(
                f"layer {self.label}: {self.groups} groups do not divide {channels} channels"
            )
        operation = x.reading.operation
        shape = {"shape": (frames * rows, self.groups, channels // self.groups)}
        x = operation(self, "grouped", "reshape", (x,), shape, Same())
        turns = {"permutation": (0, 2, 1)}
        x = operation(self, "by_turns", "transpose", (x,), turns, Same())
        return operation(
            self, "output", "reshape", (x,), {"shape": (frames, rows, channels)}, Same()
        )


class Unfold(Layer):
    """[T, F, C] with the neighbours of each row: [T, F, taps C]; zeros beyond the ends.

    Channels of the row `taps // 2` below come first.
    """

    taps: int = 3

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        rows, reach = x.shape[1], self.taps // 2
        widths = {"widths": ((0, 0), (reach, self.taps - 1 - reach), (0, 0))}
        x = x.reading.operation(self, "padded", "pad", (x,), widths, Same())
        parts = tuple(cut(self, f"tap_{tap}", x, 1, tap, tap + rows) for tap in range(self.taps))
        return joined(self, "output", parts, 2)


def split(x: Signal, parts: int, axis: int, name: str) -> tuple[Signal, ...]:
    """Equal parts of x along an axis, by `Slice` layers called `name`_0, `name`_1, ..."""
    size, left = divmod(x.shape[axis], parts)
    if left:
        raise ValueError(f"split {name}: {parts} parts do not divide {x.shape[axis]}")
    return tuple(
        Slice(axis, part * size, (part + 1) * size, name=f"{name}_{part}")(x)
        for part in range(parts)
    )


class Concat(Layer):
    """Signals side by side along an axis.

    Signals of one grid stay on it; others are brought to a common, calibrated one.
    """

    axis: int

    @nn.compact
    def __call__(self, *signals: Signal) -> Signal:  # noqa: D102
        return joined(self, "output", signals, self.axis)


def joined(layer: Layer, part: str, signals: tuple[Signal, ...], axis: int) -> Signal:
    """Signals along an axis, as operations of `layer`: a tree where they are too many for one."""
    edge = Same() if len({signal.owner for signal in signals}) == 1 else Own()
    if len(signals) > MOST_INPUTS and isinstance(edge, Own):
        raise ValueError(f"layer {layer.label}: {len(signals)} signals on different grids")
    level = 0
    while len(signals) > MOST_INPUTS:
        groups = [signals[i : i + MOST_INPUTS] for i in range(0, len(signals), MOST_INPUTS)]
        level += 1
        signals = tuple(
            _concat(layer, f"{part}_{level}_{number}", group, axis, edge)
            for number, group in enumerate(groups)
        )
    return _concat(layer, part, signals, axis, edge)


def _concat(layer: Layer, part: str, signals: tuple[Signal, ...], axis: int, edge) -> Signal:
    reading = signals[0].reading
    return reading.operation(layer, part, "concat", signals, {"axis": axis}, edge)


class Regrid(Layer):
    """The same values on a grid of their own, or `edge`: for layers of another range or width."""

    edge: Own | Fixed = Own()

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        return x.reading.operation(self, "output", "requantize", (x,), {}, self.edge)


class Whole(Layer):
    """All frames [T, ...] of a clip; in a stream as many, up to the newest: before a flattening."""

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        return self.whole(x)


class Pad(Layer):
    """Zeros before and after: `widths` per axis."""

    widths: tuple[tuple[int, int], ...]

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        if self.streams and any(self.widths[0]):
            raise ValueError(f"layer {self.label}: frames are padded once a clip, not in a stream")
        return x.reading.operation(self, "output", "pad", (x,), {"widths": self.widths}, Same())
