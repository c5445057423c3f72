"""A model itself, in one of its readings, as a network."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from aqtaudio.program.compiler import compiled
from aqtaudio.tasks.setup import Setup
from aqtaudio.vocabulary.recording import clip
from aqtaudio.vocabulary.signal import Reading, start

Variables = dict[str, Any]


class ModelNetwork:
    """A `tasks.task.Network` of variables in memory."""

    def __init__(self, model: nn.Module, variables: Variables, reading: Reading, setup: Setup):
        self._model, self._reading, self._setup = model, reading, setup
        self._variables = variables
        self._state: Variables | None = None  # of the stream; None before its first block

    def whole(self, features: np.ndarray, at_once: int = 128) -> np.ndarray:
        """Answers [n, ...] to clips [n, T, F], each from silence; always `at_once` are computed."""
        infer, parts = _whole(self._model, self._reading), []
        for first in range(0, len(features), at_once):
            batch = features[first : first + at_once]
            padded = np.zeros((at_once, *features.shape[1:]), np.float32)
            padded[: len(batch)] = batch
            parts.append(np.asarray(infer(self._variables, padded))[: len(batch)])
        return np.concatenate(parts)

    def endless(self, blocks: np.ndarray) -> np.ndarray:
        """Answers [n, ...] to consecutive blocks [n, t, F].

        The first one makes the state that scans over more of them carry on.
        """
        one, many = _endless(self._model, self._reading)
        variables = self._with_lengths
        if self._state and len(blocks) > 1:
            self._state, answers = many(variables, self._state, blocks)
            return np.asarray(answers)
        parts = []
        for block in blocks:
            self._state, answer = one(variables, self._state or {}, block)
            parts.append(np.asarray(answer))
        if parts:
            return np.stack(parts)
        block = np.zeros(self._setup.input_shape, np.float32)
        _, answer = jax.eval_shape(one, variables, {}, block)
        return np.zeros((0, *answer.shape), np.float32)

    @functools.cached_property
    def _with_lengths(self) -> Variables:
        return self._variables | clip(self._model, self._variables, self._setup.feature_shape)


@functools.cache
def _whole(model: nn.Module, reading: Reading) -> Callable:
    def infer(variables: Variables, features: jax.Array) -> jax.Array:
        return model.apply(variables, start(features, reading)).real()

    return compiled(infer)


@functools.cache
def _endless(model: nn.Module, reading: Reading) -> tuple[Callable, Callable]:
    """Compiled: a block, and many of them."""

    # Variables are arguments: as constants XLA would fold them with arithmetic of its own.
    def push(variables: Variables, state: Variables, block: jax.Array):
        signal = start(block[None], reading)
        out, updated = model.apply(variables | state, signal, mutable=["state"])
        return updated, out.real()[0]

    def scan(variables: Variables, state: Variables, blocks: jax.Array):
        return jax.lax.scan(functools.partial(push, variables), state, blocks)

    return compiled(push), compiled(scan)
