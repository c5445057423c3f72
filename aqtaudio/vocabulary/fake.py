"""Float readings that know the quantized grids: calibration, and fake-quantized training.

Fake quantization rounds weights and activations but computes in float; it is the baseline that a
study compares native training with. Its integers differ from the device's.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.recipe import Recipe, quantile
from aqtaudio.vocabulary.aqt_arithmetic import constant_codes, fake_quant_weights, zeros_floor
from aqtaudio.vocabulary.edge_grids import edge_grid, edge_scale
from aqtaudio.vocabulary.edges import Fixed, Own
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.linear import Linear
from aqtaudio.vocabulary.owner import Owner
from aqtaudio.vocabulary.quantized import is_per_tensor
from aqtaudio.vocabulary.signal import Signal


@dataclasses.dataclass(frozen=True)
class _OnGrids(Floating):
    """Float arithmetic with quantized weights."""

    recipe: Recipe = Recipe()

    def weights(self, layer: Owner, part: str, kernel: jax.Array, linear: Linear) -> jax.Array:
        """The kernel on its grid."""
        rule = self.recipe.rule(layer.label)
        per_tensor = is_per_tensor(linear, rule, rule.weight_bits)
        return fake_quant_weights(kernel, zeros_floor(kernel), rule.weight_bits, per_tensor)

    def constant(  # noqa: D102
        self,
        layer: Owner,
        part: str,
        value: jax.Array,
        narrow: bool = False,
        trained: bool = True,
    ) -> Signal:
        wide = self.recipe.rule(layer.label).activation_bits == 16 and not narrow
        codes, scale = constant_codes(value, 16 if wide else 8)
        return super().constant(layer, part, codes * jax.lax.stop_gradient(scale))


@dataclasses.dataclass(frozen=True)
class Calibrating(_OnGrids):
    """Observes activation ranges; "ranges" must be mutable.

    The frames of a sequence are one batch. In a stream they come one after the other, and its
    magnitude is the largest of theirs: `seen` holds, by edge, the range before the batch and the
    step of the frames so far, while a batch is traced: a trace needs an instance of its own.
    `input_scale`: the step of the model's input, where its values are codes already.
    """

    seen: dict[str, Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)
    input_scale: float | None = None

    @property
    def scans(self) -> bool:  # noqa: D102
        return False

    @property
    def unobserved(self) -> Floating:  # noqa: D102
        return _OnGrids(recipe=self.recipe)

    def input(self, layer: Owner, x: Signal, edge: Own | Fixed) -> Signal:  # noqa: D102
        out = super().input(layer, x, edge)
        if self.input_scale is not None:
            observed = layer.get_variable("ranges", "output")
            known = observed | {"scale": jnp.float32(self.input_scale)}
            layer.put_variable("ranges", "output", known)
        return out

    def edge(self, layer: Owner, part: str, y: jax.Array, edge: Own | Fixed) -> jax.Array:
        """Passes y on; folds its magnitude into the edge's range."""
        if isinstance(edge, Fixed):
            return y
        rule = self.recipe.rule(layer.label)
        grid = edge_grid(edge.relu, rule.activation_bits)
        magnitude = _magnitude(y, rule.calibration)
        scale = magnitude * np.float32(1 / grid.levels)
        stored = layer.range_of(part)
        name = layer.edge_name(part)
        before = stored.value
        if name in self.seen:  # at an earlier frame
            before, largest = self.seen[name]
            scale = jnp.maximum(scale, largest)
        self.seen[name] = before, scale
        old, batches = before["scale"], before["batches"] + 1
        if rule.calibration == "max":
            scale = jnp.maximum(old, scale)
        else:
            scale = old + (scale - old) / batches
        stored.value = {"scale": jnp.maximum(scale, np.float32(1e-8)), "batches": batches}
        return y


@dataclasses.dataclass(frozen=True)
class FakeQuantized(_OnGrids):
    """Rounds every edge that has a grid of its own to that grid, straight-through.

    As fake quantization usually does, it computes pooling in float; the device rounds there too.
    """

    def edge(self, layer: Owner, part: str, y: jax.Array, edge: Own | Fixed) -> jax.Array:
        """y on its grid."""
        rule = self.recipe.rule(layer.label)
        if isinstance(edge, Fixed):
            fixed = edge.grid(rule.activation_bits == 16)
            zero, low, high, scale = fixed.zero_point, fixed.lowest, fixed.highest, fixed.scale
        else:
            grid = edge_grid(edge.relu, rule.activation_bits)
            zero, low, high = grid.zero_point, grid.low, grid.high
            scale = edge_scale(layer, part)
        clipped = jnp.clip(y, (low - zero) * scale, (high - zero) * scale)
        rounded = jnp.round(clipped * (np.float32(1) / scale)) * scale
        return clipped + jax.lax.stop_gradient(rounded - clipped)


def _magnitude(y: jax.Array, calibration: str) -> jax.Array:
    fraction = quantile(calibration)
    magnitudes = jnp.abs(y)
    return jnp.max(magnitudes) if fraction is None else jnp.quantile(magnitudes, fraction)
