"""The floating reading: ordinary float32 Flax training, with batch norm until it is folded."""

import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp

from aqtaudio.program import linear as linear_maps
from aqtaudio.program.kernels import KINDS
from aqtaudio.vocabulary.edges import Edge, Fixed, Own, Same
from aqtaudio.vocabulary.linear import Linear
from aqtaudio.vocabulary.owner import Owner
from aqtaudio.vocabulary.signal import Signal


@dataclasses.dataclass(frozen=True)
class Floating:
    """Real values everywhere. Subclasses touch weights and edges on their way.

    Attributes:
      trains: layers whose path matches this regular expression take part in training; the others
        keep to the batch statistics that they have.
    """

    trains: str = dataclasses.field(default=".*", kw_only=True)

    @property
    def scans(self) -> bool:  # noqa: D102
        return True

    @property
    def unobserved(self) -> "Floating | None":  # noqa: D102
        return None

    def frame(self, number: int) -> "Floating":  # noqa: D102
        return self

    def weights(self, layer: Owner, part: str, kernel: jax.Array, linear: Linear) -> jax.Array:
        """The kernel to compute with."""
        return kernel

    def edge(self, layer: Owner, part: str, y: jax.Array, edge: Own | Fixed) -> jax.Array:
        """What leaves an output edge."""
        return y

    def input(self, layer: Owner, x: Signal, edge: Own | Fixed) -> Signal:  # noqa: D102
        y = self.edge(layer, "output", edge.activate(x.values), edge)
        return dataclasses.replace(x, values=y, owner=layer.label)

    def linear(  # noqa: D102
        self,
        layer: Owner,
        part: str,
        x: Signal,
        kernel: jax.Array,
        bias: jax.Array | None,
        linear: Linear,
    ) -> Signal:
        y = linear(x.values, self.weights(layer, part, kernel, linear))
        if linear.norm and layer.is_normalised:
            y = layer.normalise(y, re.fullmatch(self.trains, layer.label) is not None)
        if bias is not None:
            y = linear_maps.add_bias(y, bias)
        y = self.edge(layer, part, linear.edge.activate(y), linear.edge)
        return dataclasses.replace(x, values=y, owner=layer.edge_name(part))

    def operation(  # noqa: D102
        self,
        layer: Owner,
        part: str,
        kind: str,
        inputs: tuple[Signal, ...],
        attributes: dict[str, Any],
        edge: Edge,
    ) -> Signal:
        real = KINDS[kind].real
        assert real is not None
        y = real(tuple(x.values for x in inputs), attributes)
        if isinstance(edge, Same):
            return dataclasses.replace(inputs[0], values=y)
        y = self.edge(layer, part, edge.activate(y), edge)
        return dataclasses.replace(inputs[0], values=y, owner=layer.owner_name(part, edge))

    def past(self, layer: Owner, part: str, like: Signal, frames: int) -> Signal:  # noqa: D102
        shape = (like.values.shape[0], frames, *like.shape[1:])
        state = layer.variable("state", part, jnp.zeros, shape)
        return dataclasses.replace(like, values=state.value)

    def keep(self, layer: Owner, part: str, x: Signal) -> None:  # noqa: D102
        layer.put_variable("state", part, x.values)

    def constant(  # noqa: D102
        self,
        layer: Owner,
        part: str,
        value: jax.Array,
        narrow: bool = False,
        trained: bool = True,
    ) -> Signal:
        return Signal(value[None], self, owner=layer.edge_name(part))

    def zeros(  # noqa: D102
        self, layer: Owner, part: str, shape: tuple[int, ...], like: str, edge: Own | Fixed
    ) -> Signal:
        out = Signal(jnp.zeros((1, *shape)), self, owner=layer.owner_name(like, edge))
        return self.past(layer, part, out, shape[0]) if layer.streams else out
