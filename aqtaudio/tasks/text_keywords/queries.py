"""What is asked of clips in training: phrases that are in them, and others that nearly are."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from aqtaudio.data import phones
from aqtaudio.data.phones import INVENTORY
from aqtaudio.tasks.text_keywords.clips import Clip

MOST_PHONES = 40
LEAST_PHONES = 4
MOST_WORDS = 4
_TRIES = 8
_COSTS = np.asarray([[phones.cost(a, b) for b in INVENTORY] for a in INVENTORY], np.float64)
# Chances of one phone being taken for another: near ones more often.
_TAKEN = np.where(_COSTS > 0, np.exp(-_COSTS / 25), 0.0)
_TAKEN /= _TAKEN.sum(1, keepdims=True)


@dataclasses.dataclass(frozen=True)
class Queries:
    """Phrases, as arrays.

    Attributes:
      phones: class numbers int32 [Q, MOST_PHONES], 0 after the end.
      counts: phones of each, int32 [Q].
    """

    phones: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, each: Sequence[np.ndarray]) -> "Queries":
        """Of class numbers."""
        found = np.zeros((len(each), MOST_PHONES), np.int32)
        for row, one in zip(found, each, strict=True):
            row[: len(one)] = one
        return cls(found, np.asarray([len(one) for one in each], np.int32))


def spans(clip: Clip, count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """`count` phrases of a clip, of one to `MOST_WORDS` words: first label and the one after."""
    found = []
    for _ in range(count):
        span = (0, int(min(clip.ends[0], MOST_PHONES)))
        for _ in range(_TRIES):
            first = int(rng.integers(len(clip.words)))
            last = min(first + int(rng.integers(MOST_WORDS)), len(clip.words) - 1)
            while clip.utterances[last] != clip.utterances[first]:
                last -= 1
            start = int(clip.ends[first - 1]) if first else 0
            span = (start, int(min(clip.ends[last], start + MOST_PHONES)))
            if LEAST_PHONES <= clip.ends[last] - start <= MOST_PHONES:
                break
        found.append(span)
    return found


def near(said: np.ndarray, others: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """A phrase that begins, ends or sounds almost like this one (class numbers int32 [L]).

    Args:
      said: the phrase.
      others: phrases whose beginnings and ends it may be given.
      rng: draws.
    """
    kind, count = rng.random(), len(said)
    other = others[int(rng.integers(len(others)))]
    cut = int(rng.integers(1, count)) if count > 1 else 1
    if kind < 0.25:
        return _shortened(np.concatenate([said[:cut], other[len(other) // 2 :]]))
    if kind < 0.4:
        return _shortened(np.concatenate([other[: (len(other) + 1) // 2], said[cut:]]))
    if kind < 0.5:
        return _shortened(np.concatenate([said, other[:3]]))
    changed = list(said)
    for _ in range(1 + int(rng.random() < 0.4) + int(count > 8)):
        at, how = int(rng.integers(len(changed))), rng.random()
        if how < 0.7 or len(changed) <= LEAST_PHONES:
            changed[at] = 1 + int(rng.choice(len(INVENTORY), p=_TAKEN[changed[at] - 1]))
        elif how < 0.85:
            del changed[at]
        else:
            changed.insert(at, 1 + int(rng.integers(len(INVENTORY))))
    return _shortened(np.asarray(changed, np.int32))


def contains(labels: np.ndarray, said: np.ndarray) -> int:
    """How often class numbers are in others, one after the other."""
    return bytes(labels.astype(np.uint8)).count(bytes(said.astype(np.uint8)))


def _shortened(said: np.ndarray) -> np.ndarray:
    return said[:MOST_PHONES].astype(np.int32)
