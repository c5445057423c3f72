"""Float readings that know the quantized grids: calibration, and fake-quantized training.

Fake quantization rounds weights and activations but computes in float; it is the baseline that a
study compares native training with. Its integers differ from the device's.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.compression.recipe import Recipe, quantile
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.layers import Layer, Linear
from aqtaudio.vocabulary.quantized import (
    Grid,
    edge_grid,
    edge_scale,
    fake_quant_weights,
    zeros_floor,
)


@dataclasses.dataclass(frozen=True)
class _OnGrids(Floating):
    """Float arithmetic with quantized weights."""

    recipe: Recipe = Recipe()

    def weights(self, layer: Layer, part: str, kernel: jax.Array, linear: Linear) -> jax.Array:
        """The kernel on its grid."""
        bits = self.recipe.rule(layer.label).weight_bits
        per_tensor = linear.kind == "dense" and bits < 8
        return fake_quant_weights(kernel, zeros_floor(kernel), bits, per_tensor)

    def grid(self, layer: Layer, relu: bool) -> Grid:
        """The codes of an edge. The input is always signed: it needs no rule."""
        return edge_grid(relu, self.recipe.rule(layer.label).activation_bits if relu else 8)


@dataclasses.dataclass(frozen=True)
class Calibrating(_OnGrids):
    """Observes activation ranges; "ranges" must be mutable."""

    def edge(self, layer: Layer, part: str, y: jax.Array, relu: bool) -> jax.Array:
        """Passes y on; folds its magnitude into the edge's range."""
        calibration = self.recipe.rule(layer.label).calibration
        scale = _magnitude(y, calibration) * np.float32(1 / self.grid(layer, relu).levels)
        stored = layer.range_of(part)
        batches = stored.value["batches"] + 1
        old = stored.value["scale"]
        if calibration == "max":
            scale = jnp.maximum(old, scale)
        else:
            scale = old + (scale - old) / batches
        stored.value = {"scale": jnp.maximum(scale, np.float32(1e-8)), "batches": batches}
        return y


@dataclasses.dataclass(frozen=True)
class FakeQuantized(_OnGrids):
    """Rounds the output of every linear layer to its frozen grid, straight-through.

    As fake quantization usually does, it computes pooling in float; the device rounds there too.
    """

    def edge(self, layer: Layer, part: str, y: jax.Array, relu: bool) -> jax.Array:
        """y on its grid."""
        grid, scale = self.grid(layer, relu), edge_scale(layer, part)
        low, high = (grid.low - grid.zero_point) * scale, grid.levels * scale
        clipped = jnp.clip(y, low, high)
        rounded = jnp.round(clipped * (np.float32(1) / scale)) * scale
        return clipped + jax.lax.stop_gradient(rounded - clipped)


def _magnitude(y: jax.Array, calibration: str) -> jax.Array:
    fraction = quantile(calibration)
    magnitudes = jnp.abs(y)
    return jnp.max(magnitudes) if fraction is None else jnp.quantile(magnitudes, fraction)
