"""Layers that stream: the law runs over these."""

import dataclasses
from collections.abc import Callable

import flax.linen as nn

from aqtaudio.vocabulary import layers as L
from aqtaudio.vocabulary.signal import Signal

BANDS = 5
PLAIN = {"relu": False, "norm": False}


class Streamed(nn.Module):
    """[T, BANDS] through `body`, which reads and returns [T, 1, C]."""

    body: Callable[[Signal], Signal]

    @nn.compact
    def __call__(self, x: Signal) -> Signal:
        return self.body(L.Input((x.shape[0], 1, BANDS), name="input")(x))


@dataclasses.dataclass(frozen=True)
class StreamCase:
    """A model.

    Attributes:
      model: [T, BANDS] to [T / stride, ...].
      stride: frames per output.
      skipped: outputs of a stream before the first one of a whole clip.
    """

    model: nn.Module
    stride: int = 1
    skipped: int = 0


def case(body: Callable[[Signal], Signal], stride: int = 1, skipped: int = 0) -> StreamCase:
    return StreamCase(Streamed(body), stride, skipped)


def frames(x: Signal) -> Signal:
    return L.Reshape((x.shape[0], -1), name="frames")(x)


def sequence(layer: Callable[[], L.Layer]) -> Callable[[Signal], Signal]:
    """A layer on [T, C] behind a causal convolution."""

    def body(x: Signal) -> Signal:
        x = L.Conv2D(6, (3, 1), padding="CAUSAL", norm=False, name="conv")(x)
        return L.Dense(3, gain=1.0, name="logits")(layer()(frames(x)))

    return body


def residual(x: Signal) -> Signal:
    """A branch with memory beside one without."""
    a = L.Conv2D(6, name="wide", **PLAIN)(x)
    b = L.DepthwiseConv2D((5, 1), dilation=(2, 1), padding="CAUSAL", norm=False, name="depth")(a)
    return L.Add(relu=True, name="sum")(a, L.Conv2D(6, name="mix", **PLAIN)(b))


def strided(x: Signal) -> Signal:
    x = L.Conv2D(4, (5, 1), (2, 1), padding="CAUSAL", norm=False, name="conv")(x)
    return L.DepthwiseConv2D((3, 1), (2, 1), padding="CAUSAL", norm=False, name="depth")(x)


def pooled(x: Signal) -> Signal:
    x = L.Conv2D(4, (3, 1), padding="CAUSAL", name="conv", **PLAIN)(x)
    x = L.MaxPool((4, 1), (2, 1), name="max")(x)
    return L.AveragePool((3, 1), (1, 1), name="average")(x)


def upsampled(x: Signal) -> Signal:
    return L.SubPixelConv1D(4, 2, 3, relu=True, name="up")(frames(x))


STREAMS = {
    "causal": case(L.Conv2D(4, (3, 1), padding="CAUSAL", name="conv", parent=None, **PLAIN)),
    "valid": case(L.Conv2D(4, (3, 1), padding="VALID", name="conv", parent=None, **PLAIN), 1, 2),
    "residual": case(residual),
    "strided": case(strided, 4),
    "pooled": case(pooled, 2, 3),
    "upsampled": case(upsampled),
    "gru": case(sequence(lambda: L.GRU(4, name="gru"))),
    "lstm": case(sequence(lambda: L.LSTM(4, name="lstm"))),
    "attention": case(sequence(lambda: L.Attention(2, (5, 0), name="attention"))),
}
