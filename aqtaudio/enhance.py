"""Noise suppression by a run: continuous audio in, enhanced audio out, in any runtime.

Hop by hop, or many hops at a time: the samples are the same. Memory does not grow with the audio.
"""

import contextlib
import dataclasses
import functools
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.data.audio import to_float
from aqtaudio.enhancement import metrics, whole
from aqtaudio.enhancement.data import EnhancementData
from aqtaudio.enhancement.filtering import Filtering, synthesise
from aqtaudio.enhancement.mixture_list import MixtureItem
from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.program.compiler import compiled
from aqtaudio.program.execute import CHUNK_BLOCKS
from aqtaudio.run_directory import Run
from aqtaudio.streaming import Answer, answering
from aqtaudio.training.phases import quantized_reading
from aqtaudio.vocabulary.floating import Floating

Clip = np.ndarray
CLIPS_AT_ONCE = 15
"""Evaluation clips that are enhanced side by side."""


class Enhancer:
    """A run that enhances a stream. Use it as a context manager: interpreters are processes.

    Attributes:
      frontend: of the run.
      delay_ms: from a sample that goes in to the one that comes out, beyond computing, at most.
    """

    def __init__(self, run: Run, runtime: str = "integer", filtering: Filtering | None = None):
        """`filtering`: other than the run's: a post-filter, an attenuation limit."""
        task, self.frontend = run.experiment.suppression
        self._filtering = filtering or task.filtering
        self._block_frames = run.experiment.stream_block_frames
        hops = 2 + self._filtering.ahead + self._block_frames - 1
        self.delay_ms = self.frontend.hop_ms * hops
        self._open = contextlib.ExitStack()
        self._answer: Answer = answering(run, runtime, self._open)
        self._analyse, self._apply = _steps(self.frontend, self._filtering)
        self._state = self.frontend.initial_state(1)
        frames, bins = self._filtering.taps - 1, self.frontend.bins
        self._spectra = np.zeros((1, frames, bins), np.complex64)
        self._tail = jnp.zeros((1, self.frontend.hop_samples))
        self._kept = np.zeros(0, np.float32)
        self._unseen = self.frontend.skipped_frames
        self._drop = self.frontend.hop_samples  # the first half window is of what was before
        self._samples_in = self._samples_out = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error) -> None:
        self._open.__exit__(*error)

    def push(self, samples: Clip) -> Clip:
        """float32 samples that are final once float32 samples [N], full scale 1, are known."""
        self._samples_in += len(samples)
        return self._push(np.asarray(samples, np.float32))

    def _push(self, samples: Clip) -> Clip:
        audio = np.concatenate([self._kept, samples])
        hop, parts, place = self.frontend.hop_samples, [np.zeros(0, np.float32)], 0
        while count := self._next(len(audio) - place):
            hops = audio[place : place + count * hop]
            features, spectrum, self._state = self._analyse(hops[None], self._state)
            place += count * hop
            parts.append(self._frames(np.asarray(features[0]), spectrum))
        self._kept = audio[place:]
        return self._out(np.concatenate(parts))

    def finish(self) -> Clip:
        """The rest: as many samples will have come out as went in."""
        hop, filtering = self.frontend.hop_samples, self._filtering
        missing = -self._samples_in % hop + hop * filtering.ahead
        parts = [self._push(np.zeros(missing, np.float32))]
        nothing = np.zeros((self._block_frames, self.frontend.features), np.float32)
        empty = jnp.zeros((1, self._block_frames, self.frontend.bins), jnp.complex64)
        if left := len(self._kept) // hop:  # too few for a block: nothing follows them
            features, spectrum, _ = self._analyse(self._kept[None], self._state)
            last = np.concatenate([features[0], nothing[left:]])
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
        """Samples after frames with these features [T, F] and spectra [1, T, bins]."""
        spectra = np.concatenate([self._spectra, np.asarray(spectrum)], 1)
        self._spectra = spectra[:, len(features) :]
        if self._unseen:
            self._unseen -= 1
            return np.zeros(0, np.float32)
        blocks = features.reshape(-1, self._block_frames, features.shape[-1])
        outputs = self._answer(blocks).reshape(1, len(features), -1)
        samples, self._tail = self._apply(outputs, spectra, self._tail)
        return np.asarray(samples[0])

    def _out(self, samples: Clip) -> Clip:
        dropped = min(self._drop, len(samples))
        self._drop -= dropped
        self._samples_out += len(samples) - dropped
        return samples[dropped:]


@functools.cache
def _steps(frontend: DeepFilterFeatures, filtering: Filtering) -> tuple[Callable, Callable]:
    """Compiled: samples to features and spectrum, and results to samples."""

    def apply(outputs: jax.Array, spectra: jax.Array, tail: jax.Array):
        enhanced = filtering.apply(filtering.results(outputs, frontend), spectra, frontend)
        return synthesise(enhanced, tail, frontend)

    return compiled(frontend.push_with_spectrum), compiled(apply)


def enhancing(run: Run, runtime: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function of clips float32 [n, N] that gives them enhanced, each from silence."""
    task, frontend = run.experiment.suppression
    if runtime in ("float", "quantized"):
        return _by_model(run, runtime, task.filtering, frontend)
    if runtime == "integer":
        return _by_program(run, task.filtering, frontend)
    return lambda clips: np.stack([_alone(run, clip, runtime) for clip in clips])


def enhanced(run: Run, clips: np.ndarray, runtime: str) -> np.ndarray:
    """Clips float32 [n, N] of int16 clips [n, N], each from silence."""
    enhance, audio = enhancing(run, runtime), to_float(clips)
    parts = (audio[i : i + CLIPS_AT_ONCE] for i in range(0, len(audio), CLIPS_AT_ONCE))
    return np.concatenate([enhance(part) for part in parts])


def _alone(run: Run, clip: Clip, runtime: str) -> Clip:
    with Enhancer(run, runtime) as enhancer:
        return np.concatenate([enhancer.push(clip), enhancer.finish()])


def _by_model(
    run: Run, runtime: str, filtering: Filtering, frontend: DeepFilterFeatures
) -> Callable[[np.ndarray], np.ndarray]:
    """Whole clips in one of the model's readings."""
    reading = Floating() if runtime == "float" else quantized_reading(run.experiment)
    enhance = whole.enhancer(run.experiment.built_model(), reading, filtering, frontend)
    variables = run.variables(runtime)
    return lambda clips: np.asarray(enhance(variables, clips))


def _by_program(
    run: Run, filtering: Filtering, frontend: DeepFilterFeatures
) -> Callable[[np.ndarray], np.ndarray]:
    """Clips as streams of the program, side by side."""
    executor, block = run.executor, run.experiment.stream_block_frames
    hear = compiled(functools.partial(whole.heard_to_the_end, frontend=frontend))
    synthesise_all = compiled(
        functools.partial(whole.synthesised, filtering=filtering, frontend=frontend)
    )

    def enhance(clips: np.ndarray) -> np.ndarray:
        features, spectrum = hear(clips)
        batch, frames, count = features.shape
        padded = np.pad(features, ((0, 0), (0, -frames % block), (0, 0)))
        codes = executor.quantize(padded.reshape(-1, block, count))
        outputs, _ = executor.blocks(codes.reshape(batch, -1, block, count))
        outputs = executor.dequantize(outputs).reshape(batch, padded.shape[1], -1)
        return np.asarray(synthesise_all(outputs[:, :frames], spectrum))[:, : clips.shape[1]]

    return enhance


def scores(
    run: Run, data: EnhancementData, items: Iterable[MixtureItem], runtime: str
) -> dict[str, Any]:
    """What `evaluate` tells of mixtures: means, intervals over speakers, and per SNR.

    SI-SDR alone where the packages of the other scores are missing.
    """
    with_models = metrics.models_are_installed()
    items = list(items)
    noisy, clean = data.evaluation_arrays(items)
    sounds = enhanced(run, noisy, runtime)
    rate_hz = data.sample_rate_hz
    references, heard = (to_float(x) for x in (clean, noisy))
    rows = [
        metrics.scores(*signals, rate_hz, with_models=with_models)
        for signals in zip(references, heard, sounds, strict=True)
    ]
    speakers = [data.speaker_of(item) for item in items]
    return metrics.summary(rows, speakers, [item.snr_db for item in items])


def real_time_factor(run: Run, clip: np.ndarray, runtime: str) -> float:
    """Time of enhancing a second of an int16 clip [N], a hop at a time, over that second.

    The median of its seconds, so compiling is not counted where there are three or more.
    """
    audio, factors = to_float(clip), []
    with Enhancer(run, runtime) as enhancer:
        hop, rate_hz = enhancer.frontend.hop_samples, enhancer.frontend.sample_rate_hz
        for start in range(0, len(audio), rate_hz):
            second = audio[start : start + rate_hz]
            started = time.perf_counter()
            for place in range(0, len(second), hop):
                enhancer.push(second[place : place + hop])
            factors.append((time.perf_counter() - started) * rate_hz / len(second))
    return statistics.median(factors)


def with_filtering(
    run: Run, post_filter: float | None, attenuation_limit_db: float | None
) -> Filtering:
    """The filtering of a run, changed where something is given."""
    task, _ = run.experiment.suppression
    changes: dict[str, Any] = {}
    if post_filter is not None:
        changes["post_filter"] = post_filter
    if attenuation_limit_db is not None:
        changes["attenuation_limit_db"] = attenuation_limit_db
    return dataclasses.replace(task.filtering, **changes)
