"""The words of a dictionary that sound most like a sequence of phones."""

from collections.abc import Iterable

import numpy as np

from aqtaudio.data import phones
from aqtaudio.data.dictionary import Dictionary
from aqtaudio.data.phones import INVENTORY, Phones

LENGTHS = 3  # words of so many phones more or less are looked at

_CODES = {phone: code for code, phone in enumerate(INVENTORY)}
_COSTS = np.array([[phones.cost(one, other) for other in INVENTORY] for one in INVENTORY], np.int16)
_GAPS = np.array([phones.gap(phone) for phone in INVENTORY], np.int16)


class NearWords:
    """All pronunciations of some words of a dictionary, by length, for `phones.distance`."""

    def __init__(self, known: Dictionary, words: Iterable[str]):
        by_length: dict[int, list[tuple[Phones, str]]] = {}
        for word in words:
            for variant in known.words[word]:
                by_length.setdefault(len(variant), []).append((variant, word))
        # Of each length the words [W], and their phones' codes, int8 [length, W].
        self._words = {length: [word for _, word in all_] for length, all_ in by_length.items()}
        self._codes = {
            length: np.array([[_CODES[p] for p in variant] for variant, _ in all_], np.int8).T
            for length, all_ in by_length.items()
        }

    def near(self, wanted: Phones, count: int) -> list[tuple[int, str]]:
        """Distance (of the nearest pronunciation) and word, nearest first, at least `count`.

        All words at the last distance are there. Fewer where the dictionary has no more of a
        length that differs by `LENGTHS` phones at most. A word that sounds the same is at 0.
        """
        lengths = range(len(wanted) - LENGTHS, len(wanted) + LENGTHS + 1)
        found = {n: _distances(wanted, self._codes[n]) for n in lengths if n in self._codes}
        if not found:
            return []
        every = np.concatenate(list(found.values()))
        # Several pronunciations may be of one word.
        most = np.sort(np.partition(every, min(2 * count, len(every)) - 1)[: 2 * count])[-1]
        nearest: dict[str, int] = {}
        for length, distances in found.items():
            for at in np.flatnonzero(distances <= most):
                word, distance = self._words[length][at], int(distances[at])
                nearest[word] = min(distance, nearest.get(word, distance))
        return sorted((distance, word) for word, distance in nearest.items())


def _distances(wanted: Phones, codes: np.ndarray) -> np.ndarray:
    """`phones.distance` of one sequence to many: codes int8 [length, W] to int16 [W]."""
    length, words = codes.shape
    gaps = _GAPS[codes]
    row = [np.zeros(words, np.int16), *np.cumsum(gaps, axis=0, dtype=np.int16)]
    for phone in wanted:
        costs, gap = _COSTS[_CODES[phone]][codes], _GAPS[_CODES[phone]]
        before, row = row, [row[0] + gap]
        for at in range(length):
            best = np.minimum(before[at] + costs[at], before[at + 1] + gap)
            row.append(np.minimum(best, row[at] + gaps[at]))
    return row[-1]
