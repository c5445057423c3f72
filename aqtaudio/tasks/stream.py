"""A network over continuous audio: samples in, answers to every block out.

Memory does not grow with the audio: what is kept is the samples that the next block needs, and the
network's state.
"""

import functools
from collections.abc import Callable

import jax
import numpy as np

from aqtaudio.data.audio import to_float
from aqtaudio.frontends.frontend import Frontend, State
from aqtaudio.program.compiler import compiled
from aqtaudio.program.execute import CHUNK_BLOCKS
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.task import Network


class Framer:
    """Cuts continuous audio into blocks of features."""

    def __init__(self, setup: Setup):
        frontend = setup.frontend
        self._push = _pushing(frontend)
        self._state = frontend.initial_state(1)
        self._shape = setup.input_shape
        self._sample_rate_hz = frontend.sample_rate_hz
        self._hop_samples = setup.block_frames * frontend.hop_samples
        self._more_samples = frontend.window_samples - frontend.hop_samples
        self._kept = np.zeros(0, np.int16)

    @property
    def delay_ms(self) -> float:
        """What the last window of a block needs beyond the block's hops."""
        return self._more_samples * 1e3 / self._sample_rate_hz

    def blocks_in(self, samples: int) -> int:
        """Blocks that are complete after so many samples of a stream."""
        return max(0, (samples - self._more_samples) // self._hop_samples)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Features [n, frames, F] of the blocks that int16 samples [N] complete."""
        audio = np.concatenate([self._kept, samples])
        blocks = [np.zeros((0, *self._shape), np.float32)]
        place, left = 0, self.blocks_in(len(audio))
        while left:
            count = CHUNK_BLOCKS if left >= CHUNK_BLOCKS else 1
            end = place + count * self._hop_samples
            window = audio[place : end + self._more_samples]
            features, self._state = self._push(window, self._state)
            blocks.append(np.asarray(features).reshape(count, *self._shape))
            place, left = end, left - count
        self._kept = audio[place:]
        return np.concatenate(blocks)


@functools.cache
def _pushing(frontend: Frontend) -> Callable:
    def push(samples: jax.Array, state: State) -> tuple[jax.Array, State]:
        return frontend.push(to_float(samples)[None], state)

    return compiled(push)


class Stream:
    """A network that listens, from silence on: it has the network's one stream."""

    def __init__(self, network: Network, setup: Setup):
        self._framer = Framer(setup)
        self._network = network
        self.block_ms = setup.block_ms
        self.delay_ms = self._framer.delay_ms

    def blocks_in(self, samples: int) -> int:
        """Blocks that are answered after so many samples."""
        return self._framer.blocks_in(samples)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Real answers [n, ...] to the blocks that int16 samples [N] complete."""
        blocks = self._framer.push(samples)
        whole = len(blocks) // CHUNK_BLOCKS * CHUNK_BLOCKS
        parts = [blocks[i : i + CHUNK_BLOCKS] for i in range(0, whole, CHUNK_BLOCKS)]
        parts += [blocks[i : i + 1] for i in range(whole, len(blocks))]
        return np.concatenate([self._network.endless(part) for part in parts or [blocks]])
