"""A keyword's filter, trained: from the one that its phones give, on voices or people who say it.

The filter stays on a device's grid in every step, and the path through the phones stays as it is;
how much each counts is learned too. What training did not hear chooses between both filters.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from aqtaudio.adaptation import enroll_scaling as scaling
from aqtaudio.adaptation.enroll_examples import Examples
from aqtaudio.adaptation.enroll_program import Answer
from aqtaudio.adaptation.negative_codes import NegativeCodes
from aqtaudio.program.compiler import compiled
from aqtaudio.tasks.text_keywords.filters import quantized

STEPS, LEARNING_RATE = 300, 0.05
POSITIVES, NEAR, LOUDEST, RANDOM = 48, 48, 64, 32
"""Clips and stretches of other sound in a step; the loudest of it are found anew now and then."""
FOUND_EVERY = 25
NEAR_WEIGHT, STAY_WEIGHT = 0.5, 0.02
STRETCH_FRAMES, BEFORE_FRAMES = 90, 60
AT_ONCE = 128
ALARMS = 10
"""A filter is judged by recall at one to so many alarms in other sound."""


class Heard(NamedTuple):
    """Clips: codes int8 [n, T, C], what the path answers [n, T], and which frames count [n, T]."""

    codes: np.ndarray
    paths: np.ndarray
    counts: np.ndarray


@dataclasses.dataclass(frozen=True)
class Refined:
    """A filter that was trained.

    Attributes:
      taps: float32 [taps, C], on the device's grid.
      shares: how much filter and path count, [2].
      before, after: how the filter of the phones does, and this one.
    """

    taps: np.ndarray
    shares: np.ndarray
    before: "Rates"
    after: "Rates"


class Rates(NamedTuple):
    """Shares of clips that training did not hear, at few alarms in sound that it did not hear.

    Attributes:
      found: of those that say the phrase.
      wrong: of those that only sound like it; None where there are none.
    """

    found: float
    wrong: float | None

    @property
    def worth(self) -> float:
        """By which filters are chosen."""
        return self.found - NEAR_WEIGHT * (self.wrong or 0.0)


def refined(
    answer: Answer, text: str, found: Examples, hours: scaling.Hours, chooses: NegativeCodes
) -> Refined:
    """Trains a keyword's filter.

    Args:
      answer: of its phones.
      text: of it, which other sound may hold.
      found: clips of it and of what sounds like it.
      hours: other sound to train against.
      chooses: other sound that training does not hear.
    """
    shape = hours.encoder.task.filters
    scale = np.float32(hours.encoder.output.scale)
    labels, priors = np.asarray(answer.classes), jnp.asarray(hours.priors)
    slopes = jnp.asarray([answer.filter.slope, answer.path.slope])
    bias = answer.filter.bias + answer.path.bias
    size = max(float(np.sqrt(np.mean(answer.taps**2))), 1e-6)

    def taps_of(state: dict[str, jax.Array]) -> jax.Array:
        return quantized((answer.taps + size * state["taps"])[None], shape)[0]

    def logits(state: dict[str, jax.Array], heard: Heard) -> jax.Array:
        filtered = scaling.filter_answers(_real(heard.codes, scale), taps_of(state), shape)
        both = jnp.stack([filtered, heard.paths], -1) @ (slopes * jnp.exp(state["shares"]))
        return jnp.max(jnp.where(heard.counts, both, -jnp.inf), 1) + bias + state["bias"]

    def loss(state: dict[str, jax.Array], own: Heard, near: Heard, other: Heard) -> jax.Array:
        apart = jnp.mean(jax.nn.softplus(-logits(state, own)))
        apart += jnp.mean(jax.nn.softplus(logits(state, other)))
        if len(near.codes):
            apart += NEAR_WEIGHT * jnp.mean(jax.nn.softplus(logits(state, near)))
        return apart + STAY_WEIGHT * jnp.mean(state["taps"] ** 2)

    run = compiled(logits)
    path = compiled(lambda codes: scaling.path_answers(_real(codes, scale), priors, labels))
    own, near, unheard, unheard_near = (
        _heard(path, found.codes[which & (found.says == says)])
        for which in (found.trains, ~found.trains)
        for says in (True, False)
    )
    trains, chosen = (
        _heard(path, _stretches(sound, text), BEFORE_FRAMES) for sound in (hours.sound, chooses)
    )
    judged = _judge(run, unheard, unheard_near, chosen)
    state = {"taps": jnp.zeros(answer.taps.shape), "shares": jnp.zeros(2), "bias": jnp.zeros(())}
    before = judged(state)
    state = _trained(state, loss, run, own, near, trains)
    after = judged(state)
    if after.worth < before.worth:  # what was not heard is what counts
        return Refined(answer.taps, np.asarray(slopes), before, before)
    shares = np.asarray(slopes * jnp.exp(state["shares"]), np.float32)
    return Refined(np.asarray(taps_of(state)), shares, before, after)


def _real(codes: np.ndarray, scale: np.float32) -> jax.Array:
    return codes.astype(jnp.float32) * scale


def _heard(path: Callable, codes: np.ndarray, skipped: int = 0) -> Heard:
    """Of clips [n, T, C], whose first frames are only remembered."""
    found, count = [np.zeros((0, codes.shape[1]), np.float32)], len(codes)
    for first in range(0, count, AT_ONCE):
        numbers = np.minimum(np.arange(first, first + AT_ONCE), count - 1)
        found.append(np.asarray(path(codes[numbers]))[: count - first])
    counts = np.broadcast_to(np.arange(codes.shape[1]) >= skipped, codes.shape[:2])
    return Heard(codes, np.concatenate(found), counts)


def _some(heard: Heard, numbers: np.ndarray) -> Heard:
    return Heard(*(array[numbers] for array in heard))


def _of_all(run: Callable, state: Any, heard: Heard) -> np.ndarray:
    """Logits [n] of clips, `AT_ONCE` in a call."""
    found, count = [np.zeros(0, np.float32)], len(heard.codes)
    for first in range(0, count, AT_ONCE):
        numbers = np.minimum(np.arange(first, first + AT_ONCE), count - 1)
        found.append(np.asarray(run(state, _some(heard, numbers)))[: count - first])
    return np.concatenate(found)


def _judge(run: Callable, own: Heard, near: Heard, other: Heard) -> Callable[[Any], Rates]:
    """Rates of clips, the means over thresholds of few alarms."""

    def judged(state: Any) -> Rates:
        thresholds = np.sort(_of_all(run, state, other))[::-1][:ALARMS]
        found, wrong = (
            float(np.mean(_of_all(run, state, clips)[:, None] > thresholds))
            if len(clips.codes)
            else None
            for clips in (own, near)
        )
        return Rates(found or 0.0, wrong)

    return judged


def _trained(
    state: Any, loss: Callable, run: Callable, own: Heard, near: Heard, other: Heard
) -> Any:
    rng = np.random.default_rng(0)
    optimizer = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, STEPS))
    memory = optimizer.init(state)

    def step(state: Any, memory: Any, own: Heard, near: Heard, other: Heard) -> tuple[Any, Any]:
        changes, memory = optimizer.update(jax.grad(loss)(state, own, near, other), memory)
        return optax.apply_updates(state, changes), memory

    stepped, loudest = compiled(step), np.arange(0)
    for number in range(STEPS):
        if number % FOUND_EVERY == 0:
            loudest = np.argsort(_of_all(run, state, other))[::-1][: 2 * LOUDEST]
        random = rng.integers(len(other.codes), size=RANDOM)
        drawn = np.concatenate([_draw(rng, loudest, LOUDEST), random])
        state, memory = stepped(
            state, memory, _some(own, _draw(rng, np.arange(len(own.codes)), POSITIVES)),
            _some(near, _draw(rng, np.arange(len(near.codes)), NEAR)), _some(other, drawn),
        )  # fmt: skip
    return state


def _draw(rng: np.random.Generator, numbers: np.ndarray, count: int) -> np.ndarray:
    """So many of some numbers; of none, none."""
    return rng.choice(numbers, count, replace=len(numbers) < count) if len(numbers) else numbers


def _stretches(sound: NegativeCodes, text: str) -> np.ndarray:
    """Of recordings without the phrase, int8 [n, `BEFORE_FRAMES` + `STRETCH_FRAMES`, C]."""
    total, found = BEFORE_FRAMES + STRETCH_FRAMES, []
    for number, codes in enumerate(sound.codes):
        holds = np.zeros(len(codes), bool)
        ends, said = sound.ends(number), sound.said(number, (text,))
        for start, end, words in zip([0, *ends[:-1]], ends, said, strict=True):
            holds[start:end] = bool(words)
        for start in range(0, len(codes) - total + 1, STRETCH_FRAMES):
            if not holds[start : start + total].any():
                found.append(codes[start : start + total])
    if not found:
        return np.zeros((0, total, sound.codes[0].shape[1]), np.int8)
    return np.stack(found)
