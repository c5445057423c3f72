"""Weighted operations in every number of channels from 1 to 17: where kernels take other ways."""

import dataclasses
import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import numpy as np
import pytest
from initial import initial
from operation_cases import RECIPES, Net
from operation_programs import TABLED, codes

from aqtaudio.compression.calibrate import calibrate
from aqtaudio.program import execute
from aqtaudio.program.child import MicroError
from aqtaudio.program.execute import Executor
from aqtaudio.program.program import Program
from aqtaudio.program.tflite import to_tflite
from aqtaudio.vocabulary import layers as L
from aqtaudio.vocabulary.recording import record
from aqtaudio.vocabulary.signal import Signal

CHANNELS = tuple(range(1, 18))
IMAGE = (6, 5, CHANNELS[-1])
PRECISIONS = ("w8a8", "w4a8", "w8a16")
INPUTS = 24
WHAT = f"""Weighted operations of {CHANNELS[0]} to {CHANNELS[-1]} channels, {INPUTS} inputs each.
Recorded with `recipe.kernels` "reference": which numbers of channels a runtime gets wrong, or
that it refuses the model; then what becomes of the same layers with "everywhere"."""
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


@functools.cache
def program(name: str, precision: str, kernels: str) -> Program:
    """The recorded program of a shape's model, with parameters that are not zeros."""
    recipe = dataclasses.replace(RECIPES[precision], kernels=kernels)
    x = np.random.default_rng(0).normal(size=(4, *IMAGE)).astype(np.float32)
    whole, noise = model(name), np.random.default_rng(1)
    params = initial(whole, x)["params"]
    params = jax.tree.map(lambda p: p + 0.1 * noise.normal(size=p.shape).astype("f"), params)
    ranges = calibrate(whole, params, [x], recipe)
    return record(whole, {"params": params, "ranges": ranges}, IMAGE, recipe)


@functools.cache
def tflite(name: str, precision: str, kernels: str) -> bytes:
    """Its TFLite file."""
    return to_tflite(program(name, precision, kernels))


def wrong_channels(name: str, precision: str, runtime: str, kernels: str) -> str:
    """ "wrong: 1, 3, 5" where a runtime of `TABLED` gives other codes, "refused", or nothing."""
    made, (target, interpreter) = program(name, precision, kernels), TABLED[runtime]
    inputs = codes(made, INPUTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execute, "require_litert", lambda program: None)
        ours = Executor(made, target=target)(inputs)
    try:
        with interpreter(tflite(name, precision, kernels)) as running:
            different = running.invoke(inputs)[0] != ours
    except MicroError:
        return "refused"
    sizes = [made.edges[f"flat_{c}"].shape[0] for c in CHANNELS]
    parts = np.split(different, np.cumsum(sizes)[:-1], axis=1)
    wrong = [str(c) for c, part in zip(CHANNELS, parts, strict=True) if part.any()]
    return f"wrong: {', '.join(wrong)}" if wrong else ""
