"""Pooling and reductions. Axes are counted after the batch, from 0."""

import flax.linen as nn

from aqtaudio.vocabulary.edges import Own, Same
from aqtaudio.vocabulary.layer import Layer
from aqtaudio.vocabulary.linear import Pair
from aqtaudio.vocabulary.signal import Signal


class AveragePool(Layer):
    """Average of windows of [H, W, C], VALID; `window` None: everything."""

    window: Pair | None = None
    strides: Pair | None = None

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        return _pool(self, "average_pool", x)


class MaxPool(Layer):
    """Largest of windows of [H, W, C], VALID; `window` None: everything.

    `causal`: zeros come before the first rows, so that the first window ends with the first stride.
    """

    window: Pair | None = None
    strides: Pair | None = None
    causal: bool = False

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        return _pool(self, "max_pool", x)


def _pool(layer: AveragePool | MaxPool, kind: str, x: Signal) -> Signal:
    if layer.window is None:
        x = layer.whole(x)
    window = layer.window or (x.shape[0], x.shape[1])
    strides = layer.strides or window
    if layer.window and layer.streams:
        if strides[0] > window[0] or x.shape[0] % strides[0]:
            raise ValueError(
                f"layer {layer.label}: blocks of {x.shape[0]}, windows of {window[0]} every "
                f"{strides[0]}"
            )
        x = layer.recent(x, window[0] - strides[0])
    elif layer.window and isinstance(layer, MaxPool) and layer.causal:
        before = {"widths": ((window[0] - strides[0], 0), (0, 0), (0, 0))}
        x = x.reading.operation(layer, "padded", "pad", (x,), before, Same())
    if any(size < least for size, least in zip(x.shape, window, strict=False)):
        raise ValueError(f"layer {layer.label}: a window of {window} does not fit {x.shape}")
    attributes = {"window": window, "strides": strides}
    return x.reading.operation(layer, "output", kind, (x,), attributes, Same())


class GlobalAveragePool(Layer):
    """Mean of [..., C] over everything but channels: [C].

    An average pool with one window, which keeps the input's grid; MEAN would need its own.
    """

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        x = self.whole(x)
        operation = x.reading.operation
        channels = x.shape[-1]
        if len(x.shape) != 3:
            shape = {"shape": (x.values.size // x.values.shape[0] // channels, 1, channels)}
            x = operation(self, "image", "reshape", (x,), shape, Same())
        window = {"window": x.shape[:2], "strides": x.shape[:2]}
        x = operation(self, "pool", "average_pool", (x,), window, Same())
        return operation(self, "output", "reshape", (x,), {"shape": (channels,)}, Same())


class Mean(Layer):
    """Mean over axes, kept with size 1 if `keep`; on a grid of its own."""

    axes: tuple[int, ...]
    keep: bool = False

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        x = self.whole(x) if 0 in self.axes else x
        attributes = {"axes": self.axes, "keep": self.keep}
        return x.reading.operation(self, "output", "mean", (x,), attributes, Own())


class Sum(Layer):
    """Sum over axes, kept with size 1 if `keep`; on a grid of its own."""

    axes: tuple[int, ...]
    keep: bool = False

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        x = self.whole(x) if 0 in self.axes else x
        attributes = {"axes": self.axes, "keep": self.keep}
        return x.reading.operation(self, "output", "sum", (x,), attributes, Own())
