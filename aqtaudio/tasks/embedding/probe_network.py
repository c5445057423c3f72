"""A probe as a network of the vocabulary: dense layers on the codes of an embedding."""

from collections.abc import Sequence

import flax.linen as nn
import numpy as np

from aqtaudio.program.program import Edge
from aqtaudio.tasks.embedding.probes import Probe
from aqtaudio.vocabulary.edges import Fixed
from aqtaudio.vocabulary.layers import Dense, Input
from aqtaudio.vocabulary.signal import Signal


class ProbeNetwork(nn.Module):
    """An embedding [B, D] to logits [B, classes].

    Attributes:
      sizes: of all layers; the last one's are the classes.
      dimensions: D.
      grid: of the embedding, which are the codes that the first layer is given.
    """

    sizes: tuple[int, ...]
    dimensions: int
    grid: Fixed

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        x = Input((self.dimensions,), edge=self.grid, name="embedding")(x)
        for place, size in enumerate(self.sizes):
            x = Dense(size, relu=place < len(self.sizes) - 1, name=f"probe_{place}")(x)
        return x


def network(probe: Probe, embedding: Edge) -> ProbeNetwork:
    """That of a probe behind the output of a program."""
    grid = Fixed(float(embedding.scale), embedding.zero_point, float(embedding.scale))
    sizes = tuple(len(layer.bias) for layer in probe.layers)
    return ProbeNetwork(sizes, len(probe.layers[0].kernel), grid)


def parameters(probe: Probe) -> dict[str, dict[str, np.ndarray]]:
    """Its kernels and biases, as the network's."""
    layers: Sequence = probe.layers
    return {
        f"probe_{place}": {
            "kernel": layer.kernel.astype(np.float32),
            "bias": layer.bias.astype(np.float32),
        }
        for place, layer in enumerate(layers)
    }
