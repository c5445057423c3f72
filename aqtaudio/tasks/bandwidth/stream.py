"""Bandwidth extension of continuous audio: narrow-band samples in, wide-band samples out.

Block by block, or many blocks at a time: the samples are the same. Memory does not grow with the
audio.
"""

import functools
from collections.abc import Callable

import jax
import numpy as np

from aqtaudio.frontends.wave import WaveBlocks
from aqtaudio.program.compiler import compiled
from aqtaudio.program.execute import CHUNK_BLOCKS
from aqtaudio.tasks.bandwidth.whole import sound
from aqtaudio.tasks.task import Network


class Extender:
    """A network that extends a stream, which is at the wide rate already (resampled).

    Attributes:
      frontend: what the network hears.
      delay_ms: from a sample that goes in to the one that comes out, beyond computing, at most.
    """

    def __init__(self, network: Network, block_frames: int, frontend: WaveBlocks):
        """It has the network's one stream, of calls of so many blocks."""
        self.frontend, self._frames = frontend, block_frames
        self.delay_ms = block_frames * frontend.hop_ms
        self._answer = network.endless
        self._hear, self._back = _steps(frontend)
        self._state = frontend.initial_state(1)
        self._size = block_frames * frontend.window_samples
        self._kept = np.zeros(0, np.float32)
        self._samples_in = self._samples_out = 0

    def push(self, samples: np.ndarray) -> np.ndarray:
        """float32 samples that are final once float32 samples [N], full scale 1, are known."""
        self._samples_in += len(samples)
        audio = np.concatenate([self._kept, np.asarray(samples, np.float32)])
        parts, place = [np.zeros(0, np.float32)], 0
        while calls := (len(audio) - place) // self._size:
            count = CHUNK_BLOCKS if calls >= CHUNK_BLOCKS else 1
            parts.append(self._extended(audio[place : place + count * self._size], count))
            place += count * self._size
        self._kept = audio[place:]
        self._samples_out += sum(map(len, parts))
        return np.concatenate(parts)

    def finish(self) -> np.ndarray:
        """The rest: as many samples will have come out as went in."""
        owed = self._samples_in - self._samples_out
        if not owed:
            return np.zeros(0, np.float32)
        last = np.pad(self._kept, (0, self._size - len(self._kept)))
        self._kept = np.zeros(0, np.float32)
        self._samples_out += owed
        return self._extended(last, 1)[:owed]

    def _extended(self, samples: np.ndarray, calls: int) -> np.ndarray:
        blocks, gains, self._state = self._hear(samples[None], self._state)
        shape = calls, self._frames, self.frontend.window_samples
        answers = self._answer(np.asarray(blocks).reshape(shape))
        return np.asarray(self._back(answers.reshape(blocks.shape), gains))[0]


@functools.cache
def _steps(frontend: WaveBlocks) -> tuple[Callable, Callable]:
    def hear(samples: jax.Array, state: jax.Array):
        blocks, gains, state = frontend.push_with_gain(samples, state)
        return (blocks, np.ones((1, 1, 1), np.float32), state) if gains is None else (
            blocks * gains, gains, state,
        )  # fmt: skip

    return compiled(hear), compiled(sound)
