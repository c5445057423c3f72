"""Whole clips through a network from wave to wave."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.frontends.wave import WaveBlocks
from aqtaudio.program.compiler import compiled
from aqtaudio.tasks.task import Network

CLIPS_AT_ONCE = 16


def heard(audio: jax.Array, frontend: WaveBlocks) -> tuple[jax.Array, jax.Array]:
    """Whole blocks [B, T, S] of clips [B, N] as a network hears them, and the gains in them."""
    state = frontend.initial_state(len(audio))
    blocks, gains, _ = frontend.push_with_gain(audio, state)
    if gains is None:
        return blocks, jnp.ones((1, 1, 1))
    return blocks * gains, gains


def sound(answers: jax.Array, gains: jax.Array) -> jax.Array:
    """Clips [B, N] of a network's answers [B, T, S], at the level of what it was given."""
    return (answers / gains).reshape(len(answers), -1)


def extended(network: Network, audio: np.ndarray, frontend: WaveBlocks) -> np.ndarray:
    """Wide-band float32 clips [n, N] of narrow-band ones, full scale 1, each from silence."""
    hear, back = _steps(frontend)
    sounds = [np.zeros((0, audio.shape[1]), np.float32)]
    missing = -audio.shape[1] % frontend.window_samples
    for first in range(0, len(audio), CLIPS_AT_ONCE):
        clips = np.pad(audio[first : first + CLIPS_AT_ONCE], ((0, 0), (0, missing)))
        blocks, gains = hear(np.asarray(clips, np.float32))
        answers = network.whole(np.asarray(blocks), at_once=len(clips))
        answers = answers.reshape(len(clips), -1, answers.shape[-1])[:, : blocks.shape[1]]
        sounds.append(np.asarray(back(answers, gains))[:, : audio.shape[1]])
    return np.concatenate(sounds)


@functools.cache
def _steps(frontend: WaveBlocks) -> tuple[Callable, Callable]:
    return compiled(functools.partial(heard, frontend=frontend)), compiled(sound)
