"""Whole clips: what a model hears of them, and the sound that it makes of them.

What a stream does hop by hop (`aqtaudio.enhance`), for all frames at once.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from aqtaudio.enhancement.filtering import Filtering, synthesise
from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.program.compiler import compiled
from aqtaudio.vocabulary.signal import Reading, start


def heard(audio: jax.Array, frontend: DeepFilterFeatures) -> tuple[jax.Array, jax.Array]:
    """What a model sees of clips [B, N], [B, T - ahead, F], and their spectra [B, T, bins]."""
    state = frontend.initial_state(len(audio))
    features, spectrum, _ = frontend.push_with_spectrum(audio, state)
    return features[:, frontend.skipped_frames :], spectrum


def synthesised(
    outputs: jax.Array, spectrum: jax.Array, filtering: Filtering, frontend: DeepFilterFeatures
) -> jax.Array:
    """Sound [B, (T - 1) hop] of a model's outputs for the first T frames of a spectrum."""
    frames, before = outputs.shape[1], filtering.taps - 1 - filtering.ahead
    missing = max(frames + filtering.ahead - spectrum.shape[1], 0)
    spectrum = spectrum[:, : frames + filtering.ahead]
    spectrum = jnp.pad(spectrum, ((0, 0), (before, missing), (0, 0)))
    results = filtering.results(outputs, frontend)
    enhanced = filtering.apply(results, spectrum, frontend)
    tail = jnp.zeros((len(outputs), frontend.hop_samples))
    return synthesise(enhanced, tail, frontend)[0][:, frontend.hop_samples :]


def enhanced(
    network: Callable[[jax.Array], jax.Array],
    audio: jax.Array,
    filtering: Filtering,
    frontend: DeepFilterFeatures,
) -> jax.Array:
    """Clips [B, N] without their noise, [B, N]; `network` makes outputs of features."""
    features, spectrum = heard_to_the_end(audio, frontend)
    sound = synthesised(network(features), spectrum, filtering, frontend)
    return sound[:, : audio.shape[1]]


def heard_to_the_end(audio: jax.Array, frontend: DeepFilterFeatures) -> tuple[jax.Array, jax.Array]:
    """As `heard`, with what a stream is given behind its end, so that all sound comes out."""
    hop, ahead = frontend.hop_samples, frontend.skipped_frames
    more = -audio.shape[1] % hop + ahead * hop
    features, spectrum = heard(jnp.pad(audio, ((0, 0), (0, more))), frontend)
    return jnp.pad(features, ((0, 0), (0, ahead), (0, 0))), spectrum


@functools.cache
def enhancer(
    model: nn.Module, reading: Reading, filtering: Filtering, frontend: DeepFilterFeatures
) -> Callable[[dict[str, Any], Any], jax.Array]:
    """A compiled (variables, clips float32 [B, N]) -> the clips without their noise, [B, N]."""

    def enhance(variables: dict[str, Any], audio: jax.Array) -> jax.Array:
        def network(features: jax.Array) -> jax.Array:
            return model.apply(variables, start(features, reading)).real()

        return enhanced(network, audio, filtering, frontend)

    return compiled(enhance)
