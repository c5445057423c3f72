"""Signal: what flows between layers, and the reading that gives it meaning."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Protocol

import jax

from aqtaudio.program.kernels.call import Grid
from aqtaudio.vocabulary.edges import Edge, Fixed, Own
from aqtaudio.vocabulary.linear import Linear
from aqtaudio.vocabulary.owner import Owner


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=("values", "scale"),
    meta_fields=("reading", "zero_point", "bits", "edge", "owner"),
)
@dataclasses.dataclass(frozen=True)
class Signal:
    """Values on an edge.

    Attributes:
      values: float32 [B, ...]. Real values in the floating and fake-quantized readings; integer
        codes, exactly, in the quantized one. Constants have B = 1.
      scale: float32 step of the codes; None in the floating reading.
      zero_point: code of the real value 0.
      edge: the edge's name: the path of the layer that owns it.
      owner: the name of the edge whose range gives the scale; signals of one owner share a grid.
      reading: how layers interpret this signal.
    """

    values: jax.Array
    reading: Reading
    scale: jax.Array | None = None
    zero_point: int = 0
    bits: int = 8
    edge: str = ""
    owner: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Without the batch axis."""
        return self.values.shape[1:]

    @property
    def grid(self) -> Grid:
        """Of the codes, in the quantized reading."""
        assert self.scale is not None
        return Grid(self.scale, self.zero_point, self.bits)

    def real(self) -> jax.Array:
        """Real values, whatever the reading."""
        if self.scale is None:
            return self.values
        return (self.values - self.zero_point) * self.scale


class Reading(Protocol):
    """How a vocabulary layer computes. Readings are hashable: they are static under jit."""

    @property
    def scans(self) -> bool:
        """Whether the frames of a sequence may run in a scan: nothing is observed or noted."""
        ...

    @property
    def unobserved(self) -> Reading | None:
        """What computes the same values and observes nothing; None where this does not observe."""
        ...

    def frame(self, number: int) -> Reading:
        """The reading of one frame of a sequence that is not scanned: edges are named by it."""
        ...

    def input(self, layer: Owner, x: Signal, edge: Own | Fixed) -> Signal:
        """The model's input: raw real values to a signal."""
        ...

    def linear(
        self,
        layer: Owner,
        part: str,
        x: Signal,
        kernel: jax.Array,
        bias: jax.Array | None,
        linear: Linear,
    ) -> Signal:
        """A convolution or dense layer, its bias and activation, up to its output edge."""
        ...

    def operation(
        self,
        layer: Owner,
        part: str,
        kind: str,
        inputs: tuple[Signal, ...],
        attributes: dict[str, Any],
        edge: Edge,
    ) -> Signal:
        """An operation without weights (`program.kernels.KINDS`), up to its output edge."""
        ...

    def constant(
        self,
        layer: Owner,
        part: str,
        value: jax.Array,
        narrow: bool = False,
        trained: bool = True,
    ) -> Signal:
        """Values [...] as a signal [1, ...]: scales, offsets, slopes; masks are not `trained`.

        `narrow`: int8 even where activations are int16.
        """
        ...

    def zeros(
        self, layer: Owner, part: str, shape: tuple[int, ...], like: str, edge: Own | Fixed
    ) -> Signal:
        """A state [1, *shape] before the first frame, on the grid of the layer's part `like`.

        Zeros; in a stream what the layer kept at the block before.
        """
        ...

    def past(self, layer: Owner, part: str, like: Signal, frames: int) -> Signal:
        """What the layer kept at the block before: [frames, ...] on the grid of `like` [T, ...].

        Zeros before the first block: TFLite Micro resets a state to the code of zero, no other.
        """
        ...

    def keep(self, layer: Owner, part: str, x: Signal) -> None:
        """Keeps x for the next block."""
        ...


def start(features: jax.Array, reading: Reading) -> Signal:
    """Features [B, ...] as the signal that a model is called with."""
    return Signal(values=features, reading=reading)
