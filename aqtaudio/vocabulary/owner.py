"""What owns edges: a layer as readings see it."""

import re
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.program import linear as linear_maps
from aqtaudio.vocabulary.edges import Fixed, Own

Initializer = Callable[..., jax.Array]

EPSILON = 1e-3
MOMENTUM = 0.97


class Owner(nn.Module):
    """A module with an explicit name, edges with ranges, maybe batch norm: what readings use.

    Nothing here knows a signal. Signals know their reading and readings know owners, so imports
    have one direction; `Layer` adds what is made of signals.
    """

    def __post_init__(self):
        super().__post_init__()
        generated = rf"{type(self).__name__}_\d+"
        if isinstance(self.name, str) and re.fullmatch(generated, self.name):
            raise ValueError(f"layer {self.name}: give vocabulary layers explicit names")

    @property
    def label(self) -> str:
        """The path that recipes match and programs show, e.g. "pointwise_2"."""
        return "/".join(self.path)

    def edge_name(self, part: str) -> str:
        """Name of one of the layer's edges in a program."""
        return self.label if part == "output" else f"{self.label}/{part}"

    def owner_name(self, part: str, edge: Own | Fixed) -> str:
        """Who gives an edge its grid; all edges of one prescribed grid share it."""
        return str(edge) if isinstance(edge, Fixed) else self.edge_name(part)

    def parameter(self, name: str, initial: Initializer, shape: tuple[int, ...]) -> jax.Array:
        """`param`, which traces `initial` each time to compare shapes; here only one that is not
        there yet, or is of another shape, which `param` then refuses.
        """
        if self.has_variable("params", name):
            value = self.get_variable("params", name)
            if jnp.shape(value) == shape:
                return value
        return self.param(name, initial, shape)

    def range_of(self, part: str) -> nn.Variable:
        """The stored range of an output edge: {"scale": float32, "batches": int32}."""

        def unset() -> dict[str, np.ndarray]:
            return {"scale": np.zeros((), np.float32), "batches": np.zeros((), np.int32)}

        return self.variable("ranges", part, unset)

    def normalise(self, y: jax.Array, learns: bool = True) -> jax.Array:
        """Batch norm without offset over all axes of y but the last.

        With the statistics of the batch where "batch_stats" is mutable and the layer `learns`.
        """
        gamma = self.parameter("gamma", nn.initializers.ones, (y.shape[-1],))
        mean = self.variable("batch_stats", "mean", jnp.zeros, (y.shape[-1],))
        variance = self.variable("batch_stats", "variance", jnp.ones, (y.shape[-1],))
        learns = learns and self.is_mutable_collection("batch_stats")
        if not learns or self.is_initializing():
            return (y - mean.value) * (gamma * jax.lax.rsqrt(variance.value + EPSILON))
        y, batch_mean, batch_variance = linear_maps.batch_norm(y, gamma, EPSILON)
        mean.value = MOMENTUM * mean.value + (1 - MOMENTUM) * batch_mean
        variance.value = MOMENTUM * variance.value + (1 - MOMENTUM) * batch_variance
        return y

    @property
    def streams(self) -> bool:
        """Whether the model gets its input in blocks of frames: "state" is mutable."""
        return self.is_mutable_collection("state") and not self.is_initializing()

    @property
    def is_normalised(self) -> bool:
        """False once batch norm is folded into the kernel (its gamma is gone)."""
        return self.is_initializing() or self.has_variable("params", "gamma")
