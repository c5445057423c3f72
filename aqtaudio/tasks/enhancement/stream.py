"""Noise suppression by a network: continuous audio in, enhanced audio out.

Hop by hop, or many hops at a time: the samples are the same. Memory does not grow with the audio.
"""

import functools
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.frontends.spectrum import SpectrumFrontend
from aqtaudio.program.compiler import compiled
from aqtaudio.program.execute import CHUNK_BLOCKS
from aqtaudio.tasks.enhancement.changing import Changing, synthesise
from aqtaudio.tasks.task import Network

Clip = np.ndarray


class Enhancer:
    """A network that enhances a stream.

    Attributes:
      frontend: what the network sees.
      delay_ms: from a sample that goes in to the one that comes out, beyond computing, at most.
    """

    def __init__(
        self,
        network: Network,
        block_frames: int,
        frontend: SpectrumFrontend,
        filtering: Changing,
    ):
        """It has the network's one stream, of blocks of so many frames."""
        self.frontend, self._filtering, self._block_frames = frontend, filtering, block_frames
        self.delay_ms = frontend.hop_ms * (2 + filtering.ahead + block_frames - 1)
        self._answer = network.endless
        self._analyse, self._apply = _steps(self.frontend, self._filtering)
        self._state = self.frontend.initial_state(1)
        frames, bins = self._filtering.behind + self._filtering.ahead, self.frontend.bins
        self._spectra = np.zeros((1, frames, bins), np.complex64)
        self._tail = jnp.zeros((1, self.frontend.hop_samples))
        self._gain = jnp.ones(1)
        self._kept = np.zeros(0, np.float32)
        self._unseen = self.frontend.skipped_frames
        self._drop = self.frontend.hop_samples  # the first half window is of what was before
        self._samples_in = self._samples_out = 0

    def push(self, samples: Clip) -> Clip:
        """float32 samples that are final once float32 samples [N], full scale 1, are known."""
        return self.push_with_gain(samples)[:, 0]

    def finish(self) -> Clip:
        """The rest: as many samples will have come out as went in."""
        return self.finish_with_gain()[:, 0]

    def push_with_gain(self, samples: Clip) -> Clip:
        """The same, and beside each sample what the highest bin was multiplied by: [n, 2]."""
        self._samples_in += len(samples)
        return self._push(np.asarray(samples, np.float32))

    def _push(self, samples: Clip) -> Clip:
        audio = np.concatenate([self._kept, samples])
        hop, parts, place = self.frontend.hop_samples, [np.zeros((0, 2), np.float32)], 0
        while count := self._next(len(audio) - place):
            hops = audio[place : place + count * hop]
            features, spectrum, self._state = self._analyse(hops[None], self._state)
            place += count * hop
            parts.append(self._frames(np.asarray(features)[0], spectrum))
        self._kept = audio[place:]
        return self._out(np.concatenate(parts))

    def finish_with_gain(self) -> Clip:
        """The rest, [n, 2]."""
        hop, filtering = self.frontend.hop_samples, self._filtering
        missing = -self._samples_in % hop + hop * filtering.flushed_hops
        parts = [self._push(np.zeros(missing, np.float32))]
        nothing = np.zeros((self._block_frames, self.frontend.features), np.float32)
        empty = jnp.zeros((1, self._block_frames, self.frontend.bins), jnp.complex64)
        if left := len(self._kept) // hop:  # too few for a block: nothing follows them
            features, spectrum, _ = self._analyse(self._kept[None], self._state)
            last = np.concatenate([np.asarray(features)[0], nothing[left:]])
            spectra = jnp.concatenate([spectrum, empty[:, left:]], 1)
            parts.append(self._out(self._frames(last, spectra)))
        while self._samples_out < self._samples_in:
            parts.append(self._out(self._frames(nothing, empty)))
        rest = np.concatenate(parts)
        return rest[: len(rest) - (self._samples_out - self._samples_in)]

    def _next(self, samples: int) -> int:
        """Hops that are computed at once, of so many samples."""
        hops = samples // self.frontend.hop_samples
        if self._unseen:
            return min(1, hops)
        many = CHUNK_BLOCKS * self._block_frames
        return many if hops >= many else self._block_frames * (hops >= self._block_frames)

    def _frames(self, features: np.ndarray, spectrum: jax.Array) -> Clip:
        """Samples and gains after frames with features [T, F] and spectra [1, T, bins]."""
        spectra = np.concatenate([self._spectra, np.asarray(spectrum)], 1)
        self._spectra = spectra[:, len(features) :]
        if self._unseen:
            self._unseen -= 1
            return np.zeros((0, 2), np.float32)
        blocks = features.reshape(-1, self._block_frames, features.shape[-1])
        outputs = self._answer(blocks).reshape(1, len(features), -1)
        remembered = self._tail, self._gain
        samples, gains, self._tail, self._gain = self._apply(outputs, spectra, *remembered)
        # As arrays of numpy first: taking a part of one of JAX's costs more than a hop's filters.
        return np.stack([np.asarray(samples)[0], np.asarray(gains)[0]], 1)

    def _out(self, samples: Clip) -> Clip:
        dropped = min(self._drop, len(samples))
        self._drop -= dropped
        self._samples_out += len(samples) - dropped
        return samples[dropped:]


def real_time_factor(enhancer: Enhancer, audio: Clip) -> float:
    """Time of enhancing a second, a hop at a time, over that second: the median of seconds.

    A second is enhanced before, so that compiling is not counted.

    Args:
      enhancer: a stream.
      audio: what it is given, float32 [N], full scale 1.
    """
    hop, rate_hz = enhancer.frontend.hop_samples, enhancer.frontend.sample_rate_hz
    factors, unmeasured = [], np.resize(audio, rate_hz)
    for place in range(0, rate_hz, hop):
        enhancer.push(unmeasured[place : place + hop])
    for start in range(0, len(audio), rate_hz):
        second = audio[start : start + rate_hz]
        started = time.perf_counter()
        for place in range(0, len(second), hop):
            enhancer.push(second[place : place + hop])
        factors.append((time.perf_counter() - started) * rate_hz / len(second))
    return statistics.median(factors)


@functools.cache
def _steps(frontend: SpectrumFrontend, filtering: Changing) -> tuple[Callable, Callable]:
    """Compiled: samples to features and spectrum, and results to samples."""

    def apply(outputs: jax.Array, spectra: jax.Array, tail: jax.Array, gain: jax.Array):
        results = filtering.results(outputs, frontend)
        samples, tail = synthesise(filtering.apply(results, spectra, frontend), tail, frontend)
        gains, gain = filtering.highest_gains(results, gain, frontend)
        return samples, gains, tail, gain

    return compiled(frontend.push_with_spectrum), compiled(apply)
