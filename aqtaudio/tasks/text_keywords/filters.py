"""From phones to a filter: weights of a keyword's detector, by a network that no device runs.

A keyword's detector is a matched filter over the encoder's output in `SEGMENTS` parts. Each part is
a convolution of a few frames; the largest of its last few answers counts, so that a part may come a
little early or late, and the parts are added, each so much later than the next one. After Bluche
and Gisselbrecht, "Predicting detection filters for small footprint open-vocabulary keyword
spotting", arXiv:1912.07575, whose filter is one part.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from aqtaudio.vocabulary.aqt_arithmetic import fake_quant_weights, zeros_floor

FILTER_BITS = 4
"""Of a tap. Eight find no more keywords (results/text_keywords)."""


@dataclasses.dataclass(frozen=True)
class Shape:
    """Of a filter.

    Attributes:
      segments: parts.
      taps: frames that a part sees.
      dilation: frames between two of them.
      slack: answers of a part of which the largest counts: frames that it may be early.
    """

    segments: int = 4
    taps: int = 4
    dilation: int = 2
    slack: int = 5

    @property
    def hop(self) -> int:
        """Frames between the ends of two parts."""
        return self.taps * self.dilation

    @property
    def total(self) -> int:
        """Taps of all parts."""
        return self.segments * self.taps


class FilterNetwork(nn.Module):
    """Phones [Q, L] and their counts [Q] to filters [Q, total taps, C], the first tap the earliest.

    Taps are about a phone apart; of phrases that are longer than the filter they are as much
    further apart as it takes.

    Attributes:
      shape: of the filters.
      channels: C, of what they are applied to.
      width: of the network.
    """

    shape: Shape
    channels: int
    width: int = 96

    @nn.compact
    def __call__(self, phones: jax.Array, counts: jax.Array) -> jax.Array:  # noqa: D102
        x = nn.Embed(64, self.width, name="phones")(phones)
        towards = nn.RNN(nn.GRUCell(self.width, name="towards"))
        back = nn.RNN(nn.GRUCell(self.width, name="back"), reverse=True, keep_order=True)
        x = jnp.concatenate([f(x, seq_lengths=counts) for f in (towards, back)], -1)
        total, count = self.shape.total, counts[:, None].astype(jnp.float32)
        before_end = jnp.arange(total - 1, -1, -1, dtype=jnp.float32)
        place = count - (before_end - 0.5) * jnp.maximum(1.0, (count + 1) / total)
        at = jnp.clip(place, 0.0, count - 1)
        lower = jnp.floor(at).astype(jnp.int32)
        upper = jnp.minimum(lower + 1, counts[:, None] - 1)
        share = (at - lower)[..., None]
        states = [jnp.take_along_axis(x, index[..., None], 1) for index in (lower, upper)]
        x = (1 - share) * states[0] + share * states[1]
        tap = jnp.broadcast_to(
            nn.Embed(total, 16, name="tap")(jnp.arange(total)), (*x.shape[:2], 16)
        )
        more = [place - at, share[..., 0], jnp.broadcast_to(count / total, place.shape)]
        x = jnp.concatenate([x, tap, jnp.stack(more, -1)], -1)
        x = nn.relu(nn.Dense(128, name="hidden")(x))
        x = nn.Dense(self.channels, name="weights")(x)
        gain = self.param("gain", nn.initializers.ones, ())
        return gain * x / jnp.sqrt(jnp.sum(x**2, (1, 2), keepdims=True) + 1e-6)


def quantized(filters: jax.Array, shape: Shape) -> jax.Array:
    """Filters [Q, taps, C] on the grids that a device has for them: one per part."""
    count, _, channels = filters.shape
    parts = filters.reshape(count, shape.segments, shape.taps * channels)
    kernel = parts.transpose(2, 0, 1).reshape(shape.taps * channels, -1)
    grid = fake_quant_weights(kernel, zeros_floor(kernel), FILTER_BITS, False)
    back = grid.reshape(shape.taps * channels, count, shape.segments)
    return back.transpose(1, 2, 0).reshape(filters.shape)


def answers(features: jax.Array, filters: jax.Array, shape: Shape) -> jax.Array:
    """Of filters [Q, taps, C] at every frame of features [B, T, C]: [B, Q, T]; before is zero."""
    count, _, channels = filters.shape
    clips, frames = features.shape[:2]
    # As one dot of shifted frames: XLA's gradients of dilated convolutions are slow on a CPU.
    kernel = filters.reshape(count * shape.segments, shape.taps * channels)
    shifts = [(shape.taps - 1 - tap) * shape.dilation for tap in range(shape.taps)]
    seen = [jnp.pad(features, ((0, 0), (by, 0), (0, 0)))[:, :frames] for by in shifts]
    parts = jnp.matmul(jnp.concatenate(seen, -1), kernel.T, precision="highest")
    late = shape.slack - 1
    padded = jnp.pad(parts, ((0, 0), (late, 0), (0, 0)))
    best = padded[:, late:]
    for early in range(late):
        best = jnp.maximum(best, padded[:, early : early + frames])
    best = best.reshape(clips, frames, count, shape.segments)
    found = 0.0
    for segment in range(shape.segments):
        wait = (shape.segments - 1 - segment) * shape.hop
        found += jnp.pad(best[..., segment], ((0, 0), (wait, 0), (0, 0)))[:, :frames]
    return jnp.moveaxis(jnp.asarray(found), 2, 1)
