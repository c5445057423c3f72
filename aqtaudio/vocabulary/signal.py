"""Signal: what flows between layers, and the reading that gives it meaning."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Protocol

import jax

if TYPE_CHECKING:
    from aqtaudio.vocabulary.layers import Layer, Linear


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=("values", "scale"),
    meta_fields=("reading", "zero_point", "bits", "edge"),
)
@dataclasses.dataclass(frozen=True)
class Signal:
    """Values on an edge.

    Attributes:
      values: float32 [B, ...]. Real values in the floating and fake-quantized readings; integer
        codes, exactly, in the quantized one.
      scale: float32 step of the codes; None in the floating reading.
      zero_point: code of the real value 0.
      edge: the edge's name: the path of the layer that owns it.
      reading: how layers interpret this signal.
    """

    values: jax.Array
    reading: Reading
    scale: jax.Array | None = None
    zero_point: int = 0
    bits: int = 8
    edge: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Without the batch axis."""
        return self.values.shape[1:]

    def real(self) -> jax.Array:
        """Real values, whatever the reading."""
        if self.scale is None:
            return self.values
        return (self.values - self.zero_point) * self.scale


class Reading(Protocol):
    """How a vocabulary layer computes. Readings are hashable: they are static under jit."""

    def input(self, layer: Layer, x: Signal) -> Signal:
        """The model's input: raw real values to a signal."""
        ...

    def linear(
        self,
        layer: Layer,
        part: str,
        x: Signal,
        kernel: jax.Array,
        bias: jax.Array | None,
        linear: Linear,
    ) -> Signal:
        """A convolution or dense layer, its bias and activation, up to its output edge."""
        ...

    def same_scale(self, layer: Layer, kind: str, x: Signal, attributes: dict) -> Signal:
        """An operation whose output keeps its input's scale: pooling, reshaping."""
        ...


def start(features: jax.Array, reading: Reading) -> Signal:
    """Features [B, ...] as the signal that a model is called with."""
    return Signal(values=features, reading=reading)
