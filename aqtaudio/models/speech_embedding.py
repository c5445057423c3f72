"""Google's speech embedding: 96 values every 80 ms that tell what is said.

Lin, Kilgour, Roblek and Sharifi, "Training Keyword Spotters with Limited and Synthesized Speech
Data", arXiv:2002.01322. The weights are published (Apache-2.0); openWakeWord and what stands on it
carry them as ONNX. Layers as in that file: convolutions over bands and over time in turns; after
each max(LeakyReLU(x, 0.2), -0.4). Batch norm is folded there.

The floor of -0.4 is that of an edge, where codes saturate: both the convolution's edge, from -2 up,
and the activation's have grids that end there. How far a grid reaches above zero follows from its
steps below it (`steps`), which were chosen by what the published weights make of speech.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.vocabulary.edges import Fixed, floored
from aqtaudio.vocabulary.layers import Conv2D, Input, LeakyRelu, MaxPool, Reshape
from aqtaudio.vocabulary.linear import Pair
from aqtaudio.vocabulary.signal import Signal

SLOPE, FLOOR = 0.2, -0.4
INPUT = Fixed(0.05, -120, None)
"""-0.4 to 12.35: what logarithms of 16-bit samples' energies are (`frontends.speech_energies`)."""
WINDOW_FRAMES = 76
"""That one embedding depends on: 775 ms."""
HOP_FRAMES = 8


class SpeechEmbedding(nn.Module):
    """[B, T, 32] log energies, T a multiple of 8, to [B, T / 8, D] embeddings.

    Of a clip the first nine have heard silence before it; from the tenth on they are those of
    windows of 76 frames.

    Attributes:
      channels: of the five blocks.
      dimensions: of the embedding.
      steps: of each layer's activation, between -0.4 and 0.
      dense: embeddings every 40 ms instead of 80, at the same weights: every other one is what
        80 ms gives.
      relu: convolutions with batch norm and a relu, which costs nothing on a device, instead of
        the published activation: for students.
    """

    channels: tuple[int, int, int, int, int] = (24, 48, 72, 96, 96)
    dimensions: int = 96
    steps: tuple[int, ...] = (5, 5, 5, *(8,) * 16)
    dense: bool = False
    relu: bool = False

    @property
    def outputs(self) -> int:
        """Values of an embedding."""
        return self.dimensions

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        frames, bands = x.shape
        x = Input((frames, bands, 1), None if self.relu else INPUT, name="input")(x)
        x = self._conv(x, 0, self.channels[0], (3, 3))
        x = self._pair(x, 1, self.channels[0])
        number = 3
        for block, (channels, pool) in enumerate(
            zip(self.channels[1:], ((2, 2), (1, 2), (2, 2), (1, 2)), strict=True), 1
        ):
            x = MaxPool(pool, name=f"pool_{block}")(x)
            for _ in range(2):
                x = self._pair(x, number, channels)
                number += 2
        strides = (1, 2) if self.dense else (2, 2)
        x = MaxPool((2, 2), strides, causal=self.dense, name="pool_5")(x)
        dilation = (2, 1) if self.dense else (1, 1)
        x = Conv2D(
            self.dimensions, (3, 1), dilation=dilation, padding="CAUSAL", relu=False, norm=False,
            biased=False, name="embedding",
        )(x)  # fmt: skip
        return Reshape((x.shape[0], x.shape[1] * x.shape[2]), name="output")(x)

    def _pair(self, x: Signal, number: int, channels: int) -> Signal:
        """Over three bands, then over three frames."""
        return self._conv(self._conv(x, number, channels, (1, 3)), number + 1, channels, (3, 1))

    def _conv(self, x: Signal, number: int, channels: int, kernel: Pair) -> Signal:
        if self.relu:
            return Conv2D(channels, kernel, padding="CAUSAL", name=f"conv_{number}")(x)
        steps = self.steps[number]
        below = floored(FLOOR / SLOPE, round(steps / SLOPE))
        x = Conv2D(
            channels, kernel, padding="CAUSAL", norm=False, edge=below, name=f"conv_{number}"
        )(x)
        return LeakyRelu(SLOPE, floored(FLOOR, steps), name=f"leaky_{number}")(x)

    def with_published(self, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Variables from the arrays of the published ONNX file, by their names there."""
        params = {
            f"conv_{number}": {
                "kernel": _kernel(arrays, f"model/conv2d{_suffix(number)}/Conv2D_weights_fused_bn"),
                "bias": np.asarray(arrays[f"model/conv2d{_suffix(number)}/Conv2D_bias_fused_bn"]),
            }
            for number in range(len(self.steps))
        }
        last = f"model/conv2d{_suffix(len(self.steps))}/Conv2D/ReadVariableOp:0"
        return {
            "params": params | {"embedding": {"kernel": _kernel(arrays, last)}},
            "batch_stats": {},
        }


def _suffix(number: int) -> str:
    return f"_{number}" if number else ""


def _kernel(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """[K, K, C, D] of ONNX' [D, C, K, K]."""
    kernel = np.asarray(arrays[name])
    if kernel.ndim != 4:
        raise BadInput(f"array {name!r} has {kernel.ndim} axes; allowed: 4")
    return kernel.transpose(2, 3, 1, 0)
