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


def path_scores(log_probabilities: jax.Array, phones: Sequence[int]) -> jax.Array:
    """For each frame how well the phones end there, [B, T], 0 or less: the best path through them.

    What its labels have less than the best ones of the same frames, in nats. It begins anywhere,
    and between two phones it waits at the first or at the blank (`vocabulary.best_path`).

    Args:
      log_probabilities: [B, T, P], normalised over classes or not.
      phones: class numbers of the keyword.
    """
    costs = log_probabilities - jnp.max(log_probabilities, -1, keepdims=True)
    enter = costs[..., jnp.asarray(phones)]
    stay = jnp.maximum(enter, costs[..., BLANK, None])

    def step(paths: jax.Array, frame: tuple[jax.Array, jax.Array]):
        stays, enters = frame
        passed = jnp.pad(paths[:, :-1], ((0, 0), (1, 0)))
        paths = jnp.maximum(paths + stays, passed + enters)
        return paths, paths[:, -1]

    none = jnp.full(enter.shape[::2], _NEVER)
    _, found = jax.lax.scan(step, none, (jnp.moveaxis(stay, 1, 0), jnp.moveaxis(enter, 1, 0)))
    return jnp.moveaxis(found, 0, 1)
