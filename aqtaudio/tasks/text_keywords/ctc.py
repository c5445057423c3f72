"""Connectionist temporal classification over phones: decoding, alignment, errors.

Graves, Fernández, Gomez and Schmidhuber, "Connectionist Temporal Classification", ICML 2006.
Class 0 is the blank, class 1 + n phone n of `phones.INVENTORY`.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.data.phones import INVENTORY, Phones

BLANK = 0
CLASSES = 1 + len(INVENTORY)
_NEVER = -1e9
_NUMBER = {phone: number for number, phone in enumerate(INVENTORY, 1)}


def classes_of(phones: Phones) -> np.ndarray:
    """Class numbers int32 [U] of phones."""
    return np.asarray([_NUMBER[phone] for phone in phones], np.int32)


def greedy(log_probabilities: np.ndarray) -> list[np.ndarray]:
    """The best path of each clip [B, T, P], without blanks and repetitions: class numbers."""
    best = np.argmax(log_probabilities, -1)
    kept = (best != BLANK) & (best != np.pad(best, ((0, 0), (1, 0)))[:, :-1])
    return [path[keep] for path, keep in zip(best, kept, strict=True)]


def errors(found: Sequence[int] | np.ndarray, wanted: Sequence[int] | np.ndarray) -> int:
    """Substitutions, deletions and insertions that make one sequence the other, the fewest."""
    row, there = np.arange(len(wanted) + 1), np.asarray(wanted)
    places = np.arange(len(wanted) + 1)
    for phone in found:
        kept = np.minimum(row[:-1] + (there != phone), row[1:] + 1)
        least = np.concatenate([[row[0] + 1], kept])
        row = np.minimum.accumulate(least - places) + places  # insertions, all at once
    return int(row[-1])


def aligned(log_probabilities: jax.Array, labels: jax.Array, counts: jax.Array) -> jax.Array:
    """Where the most probable path enters each label: the forced alignment (Viterbi).

    Args:
      log_probabilities: [B, T, P], T long enough for the labels.
      labels: class numbers int32 [B, U], padded at the end.
      counts: labels of each clip, int32 [B], at least 1.

    Returns:
      Frames int32 [B, U]; of padding 0.
    """
    clips, most = labels.shape
    states = 2 * most + 1
    extended = jnp.zeros((clips, states), jnp.int32).at[:, 1::2].set(labels)
    before = jnp.pad(extended, ((0, 0), (2, 0)))[:, :-2]
    may_skip = (extended != BLANK) & (extended != before)

    def emitted(frame: jax.Array) -> jax.Array:
        return jnp.take_along_axis(frame, extended, 1)

    def forward(scores: jax.Array, frame: jax.Array):
        one = jnp.pad(scores, ((0, 0), (1, 0)), constant_values=_NEVER)[:, :-1]
        two = jnp.pad(scores, ((0, 0), (2, 0)), constant_values=_NEVER)[:, :-2]
        came = jnp.stack([scores, one, jnp.where(may_skip, two, _NEVER)])
        return jnp.max(came, 0) + emitted(frame), jnp.argmax(came, 0).astype(jnp.int8)

    frames = jnp.moveaxis(log_probabilities, 1, 0)
    first = jnp.where(jnp.arange(states) < 2, emitted(frames[0]), _NEVER)
    scores, steps = jax.lax.scan(forward, first, frames[1:])
    last = 2 * counts[:, None]  # the blank at the end, or the last label
    ends = jnp.take_along_axis(scores, jnp.concatenate([last, last - 1], 1), 1)
    state = last[:, 0] - jnp.argmax(ends, 1)

    def backward(state: jax.Array, step: jax.Array):
        back = jnp.take_along_axis(step, state[:, None], 1)[:, 0]
        return state - back, state

    first_state, path = jax.lax.scan(backward, state, steps, reverse=True)
    path = jnp.concatenate([first_state[None], path])  # [T, B]
    entered = jnp.concatenate([path[:1] >= 0, path[1:] != path[:-1]]) & (path % 2 == 1)
    label = jnp.where(entered, path // 2, most)
    when = jnp.broadcast_to(jnp.arange(len(path))[:, None], path.shape)
    rows = jnp.broadcast_to(jnp.arange(clips), path.shape)
    return jnp.zeros((clips, most + 1), jnp.int32).at[rows, label].max(when)[:, :most]


def keyword_scores(log_probabilities: np.ndarray, phones: Sequence[int]) -> np.ndarray:
    """For each frame how well the phones end there, float32 [T]: the best path through them, per
    phone, over what the best classes of the same frames have.

    Args:
      log_probabilities: [T, P], normalised over classes or not.
      phones: class numbers of the keyword.
    """
    over = log_probabilities - np.max(log_probabilities, -1, keepdims=True)
    count = len(phones)
    extended = np.zeros(2 * count, np.int64)
    extended[::2] = phones
    skips = np.zeros(len(extended), bool)
    skips[2::2] = extended[2::2] != extended[:-2:2]
    scores = np.full(len(extended), _NEVER, np.float64)
    found = np.empty(len(over), np.float32)
    for at, frame in enumerate(over):
        came = np.maximum(scores, np.concatenate([[0.0], scores[:-1]]))
        two = np.concatenate([[_NEVER, _NEVER], scores[:-2]])
        came = np.where(skips, np.maximum(came, two), came)
        scores = came + frame[extended]
        found[at] = max(scores[-2], scores[-1]) / count
    return found
