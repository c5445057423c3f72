"""Whole clips: what a model hears of them, and the sound that it makes of them.

What a stream does hop by hop (`aqtaudio.tasks.enhancement.stream`), for all frames at once.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.data.audio import to_float
from aqtaudio.frontends.spectrum import SpectrumFrontend
from aqtaudio.program.compiler import compiled
from aqtaudio.tasks.enhancement.changing import Changing, synthesise
from aqtaudio.tasks.task import Network

CLIPS_AT_ONCE = 15
"""That are enhanced side by side."""


def analysed(audio: jax.Array, frontend: SpectrumFrontend) -> tuple[jax.Array, jax.Array]:
    """What a model sees of clips [B, N], [B, T - ahead, F], and their spectra [B, T, bins]."""
    state = frontend.initial_state(len(audio))
    features, spectrum, _ = frontend.push_with_spectrum(audio, state)
    return features[:, frontend.skipped_frames :], spectrum


def synthesised(
    outputs: jax.Array, spectrum: jax.Array, filtering: Changing, frontend: SpectrumFrontend
) -> jax.Array:
    """Sound [B, (T - 1) hop] of a model's outputs for the first T frames of a spectrum."""
    frames, before = outputs.shape[1], filtering.behind
    missing = max(frames + filtering.ahead - spectrum.shape[1], 0)
    spectrum = spectrum[:, : frames + filtering.ahead]
    spectrum = jnp.pad(spectrum, ((0, 0), (before, missing), (0, 0)))
    results = filtering.results(outputs, frontend)
    enhanced = filtering.apply(results, spectrum, frontend)
    tail = jnp.zeros((len(outputs), frontend.hop_samples))
    return synthesise(enhanced, tail, frontend)[0][:, frontend.hop_samples :]


def enhanced(
    network: Network, clips: np.ndarray, filtering: Changing, frontend: SpectrumFrontend
) -> np.ndarray:
    """Clips float32 [n, N] of int16 clips [n, N] without their noise, each from silence."""
    return of_audio(network, to_float(clips), filtering, frontend)


def of_audio(
    network: Network, audio: np.ndarray, filtering: Changing, frontend: SpectrumFrontend
) -> np.ndarray:
    """The same of float32 clips [n, N], full scale 1."""
    parts = range(0, len(audio), CLIPS_AT_ONCE)
    hear, synthesise_all = _steps(filtering, frontend)
    sounds = []
    for clips in (audio[first : first + CLIPS_AT_ONCE] for first in parts):
        features, spectrum = hear(clips)
        answers = network.whole(np.asarray(features), at_once=len(clips))
        answers = answers.reshape(len(clips), -1, answers.shape[-1])[:, : features.shape[1]]
        sounds.append(np.asarray(synthesise_all(answers, spectrum))[:, : clips.shape[1]])
    return np.concatenate(sounds)


@functools.cache
def _steps(filtering: Changing, frontend: SpectrumFrontend) -> tuple[Callable, Callable]:
    """Compiled: clips to features and spectra; these and answers to sound."""
    return (
        compiled(functools.partial(analysed_to_the_end, filtering=filtering, frontend=frontend)),
        compiled(functools.partial(synthesised, filtering=filtering, frontend=frontend)),
    )


def analysed_to_the_end(
    audio: jax.Array, filtering: Changing, frontend: SpectrumFrontend
) -> tuple[jax.Array, jax.Array]:
    """As `analysed`, with what a stream is given behind its end, so that all sound comes out."""
    hop, ahead = frontend.hop_samples, frontend.skipped_frames
    more = -audio.shape[1] % hop + filtering.flushed_hops * hop
    features, spectrum = analysed(jnp.pad(audio, ((0, 0), (0, more))), frontend)
    return jnp.pad(features, ((0, 0), (0, ahead), (0, 0))), spectrum
