"""Weighted operations in every number of channels from 1 to 17: where kernels take other ways."""

from collections.abc import Callable

import flax.linen as nn
from operation_cases import RECIPES, Net

from aqtaudio.recipe import Recipe
from aqtaudio.vocabulary import layers as L
from aqtaudio.vocabulary.signal import Signal

CHANNELS = tuple(range(1, 18))
IMAGE = (6, 5, CHANNELS[-1])
PRECISIONS = ("w8a8", "w4a8", "w8a16")
BARE = {"relu": False, "norm": False}

Branch = Callable[[Signal, int, str], Signal]
"""The operation on [6, 5, C], for the number of channels, under a name."""


def _conv(channels: int = 3, **settings) -> Branch:
    settings = {"kernel": (3, 3), **BARE} | settings
    return lambda x, c, name: L.Conv2D(channels, **settings, name=name)(x)


def _pointwise(x: Signal, c: int, name: str) -> Signal:
    """To as many channels as it has."""
    return L.Conv2D(c, (1, 1), **BARE, name=name)(x)


def _grouped(x: Signal, c: int, name: str) -> Signal:
    """Groups of one channel in and two out; of 16 channels, and of 12, also of four."""
    groups = 4 if c in (12, 16) else c
    return L.Conv2D(2 * c, (3, 1), groups=groups, **BARE, name=name)(x)


def _depthwise(**settings) -> Branch:
    settings = {"kernel": (3, 3), **BARE} | settings
    return lambda x, c, name: L.DepthwiseConv2D(**settings, name=name)(x)


def _dense(rows: int) -> Branch:
    def run(x: Signal, c: int, name: str) -> Signal:
        x = L.Slice(0, 0, 1, name=f"{name}_row")(x)
        x = L.Slice(1, 0, rows, name=f"{name}_rows")(x)
        x = L.Reshape((rows, c) if rows > 1 else (c,), name=f"{name}_flat")(x)
        return L.Dense(5, name=name)(x)

    return run


SHAPES: dict[str, Branch] = {
    "conv 3x3": _conv(),
    "conv 3x3, strided": _conv(strides=(2, 2)),
    "conv 3x3, dilated": _conv(dilation=(2, 1)),
    "conv 1x1, C to C": _pointwise,
    "conv 3x1, grouped": _grouped,
    "depthwise 3x3": _depthwise(),
    "depthwise 3x3, strided": _depthwise(strides=(2, 2)),
    "depthwise 3x3, dilated": _depthwise(dilation=(2, 1)),
    "depthwise 3x3, multiplier 2": _depthwise(multiplier=2),
    "depthwise 3x3, multiplier 3": _depthwise(multiplier=3),
    "depthwise 3x1, multiplier 8": _depthwise(kernel=(3, 1), multiplier=8),
    "dense, one row": _dense(1),
    "dense, four rows": _dense(4),
}


def model(name: str) -> nn.Module:
    """All numbers of channels side by side: a vector, one part after the other."""
    branch = SHAPES[name]

    def body(x: Signal) -> Signal:
        parts = []
        for c in CHANNELS:
            few = L.Slice(2, 0, c, name=f"first_{c}")(x)
            y = branch(few, c, f"op_{c}")
            parts.append(L.Reshape((-1,), name=f"flat_{c}")(y))
        halves = [L.Concat(0, name="first")(*parts[:9]), L.Concat(0, name="second")(*parts[9:])]
        return L.Concat(0, name="all")(*halves)

    return Net(IMAGE, body)


def recipe(precision: str) -> Recipe:
    """As the cases of operations."""
    return RECIPES[precision]
