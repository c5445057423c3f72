"""The samples themselves as features: a frame is a block of them.

For networks from wave to wave. With `peak` every block is brought to one level first, whatever the
level of the input: by the loudest sample of the block and of those before, which are forgotten
slowly. So nothing passes the peak, and no code of the network's input saturates. The gain rises in
a straight line over a block, and falls at once, where a block is louder than what was heard.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.frontends.frontend import Frontend

QUIETEST_PEAK = 2.0**-10
"""-60 dBFS: what is quieter is not made louder."""
EXACT = 8, 23
"""Exponent and mantissa bits of float32: a product of its own, not part of a sum's rounding."""


@dataclasses.dataclass(frozen=True)
class WaveBlocks(Frontend):
    """Blocks of samples [B, T, window].

    Attributes:
        peak: the loudest sample of the features; None: they are the samples.
        decay_ms: in which what was loudest is forgotten by a factor of e.
    """

    window_ms: float = 16.0
    hop_ms: float = 16.0
    peak: float | None = None
    decay_ms: float = 500.0

    def __post_init__(self):
        if self.window_ms != self.hop_ms:
            raise BadInput(
                f"WaveBlocks: window_ms is {self.window_ms:g} and hop_ms {self.hop_ms:g}; "
                "allowed: one length of both"
            )
        if self.peak is not None and not 0 < self.peak <= 1:
            raise BadInput(f"WaveBlocks: peak is {self.peak}; allowed: None, or above 0, up to 1")
        if self.decay_ms <= 0:
            raise BadInput(f"WaveBlocks: decay_ms is {self.decay_ms}; allowed: above 0")

    @property
    def features(self) -> int:
        """Samples of a block."""
        return self.window_samples

    def initial_state(self, clips: int) -> jax.Array:
        """The loudest sample so far, [B]."""
        return jnp.full((clips,), QUIETEST_PEAK)

    def push(self, audio: jax.Array, state: jax.Array) -> tuple[jax.Array, jax.Array]:  # noqa: D102
        blocks, gains, state = self.push_with_gain(audio, state)
        return blocks if gains is None else blocks * gains, state

    def push_with_gain(
        self, audio: jax.Array, state: jax.Array
    ) -> tuple[jax.Array, jax.Array | None, jax.Array]:
        """Samples [B, T, S], what they are multiplied by (None: nothing), state after them."""
        clips, size = len(audio), self.window_samples
        blocks = audio[:, : audio.shape[1] // size * size].reshape(clips, -1, size)
        if self.peak is None:
            return blocks, None, state
        kept = np.float32(np.exp(-self.hop_ms / self.decay_ms))

        def louder(before: jax.Array, now: jax.Array) -> tuple[jax.Array, jax.Array]:
            after = jnp.maximum(now, kept * before)
            return after, after

        peaks = jnp.maximum(jnp.max(jnp.abs(blocks), -1), QUIETEST_PEAK)
        state_after, loudest = jax.lax.scan(louder, state, peaks.T)
        gain = np.float32(self.peak) / jnp.concatenate([state[None], loudest]).T
        before, now = gain[:, :-1, None], gain[:, 1:, None]
        place = (np.arange(1, size + 1) / size).astype(np.float32)
        rise = jax.lax.reduce_precision((now - before) * place, *EXACT)
        return blocks, jnp.minimum(before + rise, now), state_after
