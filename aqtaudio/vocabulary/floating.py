"""The floating reading: ordinary float32 Flax training, with batch norm until it is folded."""

import dataclasses

import jax
import jax.numpy as jnp

from aqtaudio.program import kernels
from aqtaudio.program import linear as linear_maps
from aqtaudio.vocabulary.layers import Layer, Linear
from aqtaudio.vocabulary.signal import Signal


@dataclasses.dataclass(frozen=True)
class Floating:
    """Real values everywhere. Subclasses touch weights and edges on their way."""

    def weights(self, layer: Layer, part: str, kernel: jax.Array, linear: Linear) -> jax.Array:
        """The kernel to compute with."""
        return kernel

    def edge(self, layer: Layer, part: str, y: jax.Array, relu: bool) -> jax.Array:
        """What leaves an output edge."""
        return y

    def input(self, layer: Layer, x: Signal) -> Signal:  # noqa: D102
        return dataclasses.replace(x, values=self.edge(layer, "output", x.values, relu=False))

    def linear(  # noqa: D102
        self,
        layer: Layer,
        part: str,
        x: Signal,
        kernel: jax.Array,
        bias: jax.Array | None,
        linear: Linear,
    ) -> Signal:
        y = linear(x.values, self.weights(layer, part, kernel, linear))
        if linear.norm and layer.is_normalised:
            y = layer.normalise(y)
        if bias is not None:
            y = linear_maps.add_bias(y, bias)
        if linear.relu:
            y = jax.nn.relu(y)
        return dataclasses.replace(x, values=self.edge(layer, part, y, linear.relu))

    def same_scale(self, layer: Layer, kind: str, x: Signal, attributes: dict) -> Signal:  # noqa: D102
        return dataclasses.replace(x, values=REAL[kind](x.values, attributes))


def _average_pool(x: jax.Array, attributes: dict) -> jax.Array:
    window = attributes["window"]
    return kernels.window_sum(x, window, attributes["strides"]) / (window[0] * window[1])


def _reshape(x: jax.Array, attributes: dict) -> jax.Array:
    return jnp.reshape(x, (x.shape[0], *attributes["shape"]))


REAL = {"average_pool": _average_pool, "reshape": _reshape}
