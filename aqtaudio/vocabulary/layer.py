"""What every layer of the vocabulary is, and the one that begins a model."""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp

from aqtaudio.vocabulary.edges import Fixed, Own, Same
from aqtaudio.vocabulary.owner import Owner
from aqtaudio.vocabulary.signal import Signal


class Layer(Owner):
    """A layer of the vocabulary; it may remember frames of a stream."""

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


class Input(Layer):
    """The model's input edge: signed, symmetric, or `edge`.

    `shape` is what the model reads it as.
    """

    shape: tuple[int, ...]
    edge: Fixed | None = None

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        values = x.values.reshape(x.values.shape[0], *self.shape)
        return x.reading.input(self, dataclasses.replace(x, values=values), self.edge or Own())
