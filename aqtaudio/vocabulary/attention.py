"""Matrix products of signals, multi-head self-attention, and where in a frame a row is."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.vocabulary.activation import Softmax
from aqtaudio.vocabulary.edges import Own, Same
from aqtaudio.vocabulary.layer import Layer
from aqtaudio.vocabulary.movement import Reshape, Transpose
from aqtaudio.vocabulary.signal import Reading, Signal
from aqtaudio.vocabulary.weighted import Dense

SILENT = 14.0
"""exp(-14) is nothing in an int8 softmax: its sum of exponentials has 19 fractional bits."""
FAR = 1024.0
"""What a mask takes off a score times beta: beyond every edge whose scores times beta are < 500."""


class BatchMatMul(Layer):
    """a [..., M, K] times b [..., K, N]; transposed: stored as [..., K, M], [..., N, K]."""

    transpose_a: bool = False
    transpose_b: bool = False

    @nn.compact
    def __call__(self, a: Signal, b: Signal) -> Signal:  # noqa: D102
        attributes = {"transpose_a": self.transpose_a, "transpose_b": self.transpose_b}
        return a.reading.operation(self, "output", "batch_matmul", (a, b), attributes, Own())


class Attention(Layer):
    """Multi-head self-attention over frames [T, D] (Vaswani et al., arXiv:1706.03762).

    Of [T, F, D] it is over the rows of a frame, which see no other frame: it streams as it is.

    Attributes:
      heads: D is divided among them.
      window: (left, right): frame t sees frames t - left to t + right; (left, 0) is causal. None:
        all frames see all. Rows have none.
      biased: whether query, key and value have a bias.
      norm: whether batch norm follows.

    The division by sqrt(D / heads) is softmax's beta. A mask is an int8 constant that is added to
    the scores: hidden positions saturate at the lowest code. The sum's range is that of the scores
    and a margin, so even a saturated score stays so far above the hidden ones that they get
    probability 0 and add 0 to softmax's sum: a hidden frame changes no code. Softmax of int16 gives
    every position something, so a masked attention's scores need 8 bits.
    """

    heads: int = 1
    window: tuple[int, int] | None = None
    biased: bool = True
    norm: bool = False

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        *frames, places, channels = x.shape
        if channels % self.heads:
            raise ValueError(f"layer {self.label}: {self.heads} heads do not divide {channels}")
        if frames and self.window:
            raise ValueError(f"layer {self.label}: rows of a frame have no window")
        beta = 1 / math.sqrt(channels // self.heads)
        query, key, value = (self._heads(name, x) for name in ("query", "key", "value"))
        scores = BatchMatMul(transpose_b=True, name="scores")(query, key)
        if self.window:
            scores = self._masked(scores, beta)
        seen = Softmax(beta, name="probabilities")(scores)
        context = BatchMatMul(name="context")(seen, value)
        if frames:
            each = (*frames, self.heads, *context.shape[1:])
            context = Reshape(each, name="each_frame")(context)
        context = Transpose(_turned(frames), name="frames")(context)
        context = Reshape(x.shape, name="joined")(context)
        return Dense(channels, norm=self.norm, gain=1.0, name="output")(context)

    def _heads(self, name: str, x: Signal) -> Signal:
        """A projection of x [T, D] as [heads, T, D / heads]; in a stream, behind earlier ones.

        Of x [T, F, D]: [T heads, F, D / heads], as BATCH_MATMUL has four axes with the batch.
        """
        x = Dense(x.shape[-1], biased=self.biased, gain=1.0, name=name)(x)
        if self.streams and name != "query" and len(x.shape) == 2:
            x = self.recent(x, self._left, f"{name}_past")
        *frames, places, channels = x.shape
        depth = channels // self.heads
        x = Reshape((*frames, places, self.heads, depth), name=f"{name}_split")(x)
        x = Transpose(_turned(frames), name=f"{name}_heads")(x)
        return Reshape((-1, places, depth), name=f"{name}_rows")(x) if frames else x

    def _masked(self, scores: Signal, beta: float) -> Signal:
        if scores.bits == 16:
            raise BadInput(
                f"layer {self.label}: scores of 16 bits cannot be masked (TFLite Micro's int16 "
                f"softmax gives hidden positions 1.5/32768 each); give {self.label}/scores and "
                f"{self.label}/probabilities activation_bits 8"
            )
        assert self.window
        queries, keys = scores.shape[-2:]
        apart = np.arange(keys)[None, :] - np.arange(queries)[:, None] - (keys - queries)
        hidden = (apart < -self.window[0]) | (apart > self.window[1])
        operation, edge = scores.reading.operation, Same(margin=SILENT / beta)
        if hidden.any():
            value = jnp.asarray(np.where(hidden, -FAR / beta, 0).astype(np.float32))
            mask = scores.reading.constant(self, "mask", value, narrow=True, trained=False)
            scores = operation(self, "masked", "add", (scores, mask), {}, edge)
            edge = Same()
        if not self.streams:
            return scores
        # Adding the 0 of a frame that was seen changes no code.
        unseen = self._unseen(scores.reading, queries, FAR / beta)
        return operation(self, "masked_past", "add", (scores, unseen), {}, edge)

    def _unseen(self, reading: Reading, block: int, far: float) -> Signal:
        """What a block's scores lose for keys that no frame has filled yet: [1, 1, left + block].

        Remembered is `far` for every frame that was there, and 0 before the first: a state has to
        begin at 0, which is what TFLite Micro resets it to.
        """
        operation = reading.operation
        now = reading.constant(self, "here", jnp.full((block,), far), narrow=True, trained=False)
        seen = self.recent(now, self._left, "seen")
        away = reading.constant(self, "away", jnp.full((1,), -far), narrow=True, trained=False)
        lost = operation(self, "unseen", "add", (seen, away), {}, Same())
        shape = {"shape": (1, 1, *seen.shape)}
        return operation(self, "unseen_keys", "reshape", (lost,), shape, Same())

    @property
    def _left(self) -> int:
        """Frames that a stream's attention remembers."""
        if self.window is None or self.window[1]:
            raise ValueError(f"layer {self.label}: only attention to earlier frames streams")
        return self.window[0]


def _turned(frames: list[int]) -> tuple[int, ...]:
    """The permutation that exchanges places and heads, behind axes of `frames`."""
    first = len(frames)
    return (*range(first), first + 1, first, first + 2)


class PositionalEmbedding(Layer):
    """[T, F, D] plus a trained offset of each row and channel, the same in every frame.

    At first sines and cosines of the row, of frequencies from 1 to F - 1 on a logarithmic scale
    (FastEnhancer, arXiv:2509.21867).
    """

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        value = self.parameter("offset", _waves, x.shape[1:])
        offset = x.reading.constant(self, "offset", value)
        return x.reading.operation(self, "output", "add", (x, offset), {}, Own())


def _waves(key: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """[F, D]: half of the channels sines, half cosines."""
    rows, channels = shape
    if channels % 2 or rows < 2:
        raise ValueError(f"a positional embedding of {shape}; allowed: 2 rows or more, even depth")
    turns = np.geomspace(1, rows - 1, channels // 2)
    angles = np.arange(1, rows + 1)[:, None] * np.pi / rows * turns
    return jnp.asarray(np.concatenate([np.sin(angles), np.cos(angles)], 1), jnp.float32)
