"""Logits and features of clips, in any reading, without augmentation."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.experiment import Experiment
from aqtaudio.training.step import compiled
from aqtaudio.vocabulary.signal import Reading, start

Variables = dict[str, Any]


def predict(
    experiment: Experiment,
    variables: Variables,
    reading: Reading,
    clips: np.ndarray,
    batch_size: int = 128,
) -> np.ndarray:
    """Real logits [n, C] of int16 clips [n, N]."""
    infer = _inference(experiment.frontend, experiment.built_model(), reading)
    logits = []
    for first in range(0, len(clips), batch_size):
        batch = clips[first : first + batch_size]
        padded = np.zeros((batch_size, *clips.shape[1:]), np.int16)
        padded[: len(batch)] = batch
        logits.append(np.asarray(infer(variables, padded))[: len(batch)])
    return np.concatenate(logits)


def features_of_clips(
    experiment: Experiment, clips: np.ndarray, batch_size: int = 128
) -> np.ndarray:
    """Features [n, T, F] of int16 clips [n, N], without augmentation."""
    function = _frontend(experiment.frontend)
    parts = [
        np.asarray(function(clips[first : first + batch_size]))
        for first in range(0, len(clips), batch_size)
    ]
    return np.concatenate(parts)


@functools.cache
def _inference(frontend, model: nn.Module, reading: Reading):
    def infer(variables: Variables, clips: jax.Array) -> jax.Array:
        return model.apply(variables, start(_features(frontend, clips), reading)).real()

    return compiled(infer)


@functools.cache
def _frontend(frontend):
    return compiled(functools.partial(_features, frontend))


def _features(frontend, clips: jax.Array) -> jax.Array:
    return frontend(clips.astype(jnp.float32) / 32768)
