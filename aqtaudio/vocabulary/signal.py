"""Signal: what flows between layers, and the reading that gives it meaning."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING, Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.program.kernels.call import Grid

if TYPE_CHECKING:
    from aqtaudio.vocabulary.layers import Layer, Linear


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


@dataclasses.dataclass(frozen=True)
class Same:
    """An output edge on the grid of the (first) input: pooling, reshaping.

    Attributes:
      margin: what its range has beyond the input's, in real values.
    """

    margin: float = 0.0


@dataclasses.dataclass(frozen=True)
class Own:
    """An output edge with a calibrated range.

    Attributes:
      relu: whether it starts at zero: a fused activation.
      most: where a relu ends; 6 is relu6. The range never exceeds it, so saturation is the clip.
    """

    relu: bool = False
    most: float = math.inf

    def activate(self, y: jax.Array) -> jax.Array:
        """The fused activation of real values."""
        if not self.relu:
            return y
        y = jax.nn.relu(y)
        return y if math.isinf(self.most) else jnp.minimum(y, self.most)


@dataclasses.dataclass(frozen=True)
class Fixed:
    """An output edge whose grid the target prescribes: sigmoid, tanh, softmax."""

    scale: float
    zero_point: int
    wide_scale: float

    def grid(self, wide: bool) -> Grid:
        """In int8, or int16 (`wide`)."""
        if wide:
            return Grid(np.float32(self.wide_scale), 0, 16)
        return Grid(np.float32(self.scale), self.zero_point)


Edge = Same | Own | Fixed
UNSIGNED_UNIT = Fixed(1 / 256, -128, 1 / 32768)
"""0 to 1: what sigmoid and softmax put out."""
SIGNED_UNIT = Fixed(1 / 128, 0, 1 / 32768)
"""-1 to 1: what tanh and L2 normalisation put out."""


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

    def operation(
        self,
        layer: Layer,
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
        layer: Layer,
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
        self, layer: Layer, part: str, shape: tuple[int, ...], like: str, edge: Own | Fixed
    ) -> Signal:
        """A state [1, *shape] before the first frame, on the grid of the layer's part `like`.

        Zeros; in a stream what the layer kept at the block before.
        """
        ...

    def past(self, layer: Layer, part: str, like: Signal, frames: int) -> Signal:
        """What the layer kept at the block before: [frames, ...] on the grid of `like` [T, ...].

        Zeros before the first block: TFLite Micro resets a state to the code of zero, no other.
        """
        ...

    def keep(self, layer: Layer, part: str, x: Signal) -> None:
        """Keeps x for the next block."""
        ...


def start(features: jax.Array, reading: Reading) -> Signal:
    """Features [B, ...] as the signal that a model is called with."""
    return Signal(values=features, reading=reading)
