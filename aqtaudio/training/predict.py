"""Logits and features of clips, in any reading, without augmentation.

Features are made by one compiled function on batches of one size, whoever asks: so two runtimes see
the same input codes.
"""

import functools
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from aqtaudio.data.audio import to_float
from aqtaudio.experiment import Experiment, heard_alike
from aqtaudio.program.compiler import compiled
from aqtaudio.vocabulary.signal import Reading, start

BATCH_SIZE = 128
Variables = dict[str, Any]


def predict(
    experiment: Experiment, variables: Variables, reading: Reading, clips: np.ndarray
) -> np.ndarray:
    """Real logits [n, C] of int16 clips [n, N]."""
    infer = _inference(experiment.built_model(), reading)
    batches = _feature_batches(experiment, clips)
    return np.concatenate([np.asarray(infer(variables, x))[:count] for x, count in batches])


def features_of_clips(experiment: Experiment, clips: np.ndarray) -> np.ndarray:
    """Features [n, T, F] of int16 clips [n, N]."""
    batches = _feature_batches(experiment, clips)
    return np.concatenate([np.asarray(x)[:count] for x, count in batches])


def _feature_batches(experiment: Experiment, clips: np.ndarray) -> Iterator[tuple[jax.Array, int]]:
    """Features [BATCH_SIZE, T, F] and how many of them are real."""
    features = _features(heard_alike(experiment))
    for first in range(0, len(clips), BATCH_SIZE):
        batch = clips[first : first + BATCH_SIZE]
        padded = np.zeros((BATCH_SIZE, *clips.shape[1:]), np.int16)
        padded[: len(batch)] = batch
        yield features(padded), len(batch)


@functools.cache
def _inference(model: nn.Module, reading: Reading):
    def infer(variables: Variables, features: jax.Array) -> jax.Array:
        return model.apply(variables, start(features, reading)).real()

    return compiled(infer)


@functools.cache
def _features(experiment: Experiment):
    return compiled(lambda clips: experiment.features(to_float(clips)))
