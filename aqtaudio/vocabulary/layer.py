"""What every layer of the vocabulary is: it has a name, edges with ranges, maybe batch norm."""

import dataclasses
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.program import linear as linear_maps
from aqtaudio.vocabulary.signal import Fixed, Own, Same, Signal

EPSILON = 1e-3
MOMENTUM = 0.97


class Layer(nn.Module):
    """A layer of the vocabulary: it has an explicit name and may own activation ranges."""

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

    def range_of(self, part: str) -> nn.Variable:
        """The stored range of an output edge: {"scale": float32, "batches": int32}."""

        def unset() -> dict[str, np.ndarray]:
            return {"scale": np.zeros((), np.float32), "batches": np.zeros((), np.int32)}

        return self.variable("ranges", part, unset)

    def normalise(self, y: jax.Array, learns: bool = True) -> jax.Array:
        """Batch norm without offset over all axes of y but the last.

        With the statistics of the batch where "batch_stats" is mutable and the layer `learns`.
        """
        gamma = self.param("gamma", nn.initializers.ones, (y.shape[-1],))
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

    def recent(self, x: Signal, frames: int, part: str = "past") -> Signal:
        """A block [T, ...] behind the `frames` before it, which the layer's state remembers.

        Before the first block they are zeros.
        """
        if not frames:
            return x
        reading = x.reading
        before = reading.past(self, part, x, frames)
        joined = reading.operation(
            self, f"{part}_and_now", "concat", (before, x), {"axis": 0}, Same()
        )
        reading.keep(self, part, self.later(joined, x.shape[0], f"{part}_next"))
        return joined

    def whole(self, x: Signal) -> Signal:
        """All frames [T, ...] of a clip: in a stream as many, up to the newest.

        How many is kept in "clip" where that is mutable (`vocabulary.recording.clip`), as the
        shape of an empty array, because it has to be known while tracing.
        """
        if self.is_mutable_collection("clip") and not self.is_initializing():
            self.put_variable("clip", "frames", jnp.zeros((x.shape[0], 0)))
        if not self.streams:
            return x
        if not self.has_variable("clip", "frames"):
            raise ValueError(f"layer {self.label}: a stream needs to know the frames of a clip")
        frames, block = self.get_variable("clip", "frames").shape[0], x.shape[0]
        if block <= frames:
            return self.recent(x, frames - block)
        return self.later(x, block - frames, "newest")

    def later(self, x: Signal, first: int, part: str) -> Signal:
        """x [T, ...] from frame `first` on."""
        sizes = x.shape[1:]
        attributes = {
            "begin": (first, *(0 for _ in sizes)),
            "end": x.shape,
            "strides": (1, *(1 for _ in sizes)),
        }
        return x.reading.operation(self, part, "slice", (x,), attributes, Same())

    @property
    def is_normalised(self) -> bool:
        """False once batch norm is folded into the kernel (its gamma is gone)."""
        return self.is_initializing() or self.has_variable("params", "gamma")


class Input(Layer):
    """The model's input edge: signed, symmetric; `shape` is what the model reads it as."""

    shape: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        values = x.values.reshape(x.values.shape[0], *self.shape)
        return x.reading.input(self, dataclasses.replace(x, values=values))
