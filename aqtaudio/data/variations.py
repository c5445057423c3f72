"""What a phrase becomes by one change: another word, a part, another phone, other word breaks."""

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Sequence

from aqtaudio.data import crops
from aqtaudio.data.dictionary import Dictionary
from aqtaudio.data.near_words import NearWords
from aqtaudio.data.phones import INVENTORY, VOWELS, Phones, joined
from aqtaudio.data.phrase import Phrase, Word, told

# A word is another one of the dictionary; a beginning, an end or one word of the phrase; one phone
# is another one, is missing or is too many, and no word comes out; a word is two; two words are
# one.
KINDS = NEAR, PART, CHANGED, DROPPED, ADDED, SPLIT, JOINED = (
    *("near", "part", "changed", "dropped", "added", "split", "joined"),
)
_LEAST_PART = 2  # phones
_HALVES = 6  # words that are tried for each half of a split word
_CONSONANTS_TOGETHER = 3


@dataclasses.dataclass(frozen=True)
class Variation:
    """A phrase that came out, its kind, and which word of the original phrase was changed."""

    phrase: Phrase
    kind: str
    place: int


class RealWords:
    """Words of a dictionary by their sound; familiar ones go before all others."""

    def __init__(self, known: Dictionary):
        self._known = known

    def near(self, wanted: Phones, count: int) -> list[Word]:
        """At most `count`, the nearest first; of one distance in an order no letter decides."""
        found = self._nearest(self._familiar, wanted, count)
        if len(found) < count:
            found += self._nearest(self._others, wanted, count - len(found))
        return found

    def word(self, said: Phones) -> Word | None:
        """The familiar word that sounds so, if there is one."""
        spelling = self._known.spelling(said)
        return self._entry(spelling) if spelling in self._known.familiar else None

    def is_word(self, said: Phones) -> bool:
        """Whether any ordinary word sounds so."""
        return bool(self._known.spelling(said))

    @functools.cached_property
    def _familiar(self) -> NearWords:
        return NearWords(self._known, sorted(self._known.familiar))

    @functools.cached_property
    def _others(self) -> NearWords:
        familiar = self._known.familiar
        return NearWords(self._known, (w for w in self._known.ordinary if w not in familiar))

    def _entry(self, word: str) -> Word:
        return Word(word, self._known.words[word])

    def _nearest(self, words: NearWords, wanted: Phones, count: int) -> list[Word]:
        near = sorted(
            words.near(wanted, count), key=lambda each: (each[0], crops.hash_order(each[1]))
        )
        return [self._entry(word) for _, word in near[:count]]


class NoWords:
    """Where no dictionary is known."""

    def near(self, wanted: Phones, count: int) -> list[Word]:
        """None."""
        return []

    def word(self, said: Phones) -> Word | None:
        """None."""
        return None

    def is_word(self, said: Phones) -> bool:
        """No."""
        return False


def variations(phrase: Phrase, real: RealWords | NoWords, count: int) -> Iterator[Variation]:
    """All of them; of words of the dictionary the `count` nearest in each place.

    What is made of real words comes first, so that it is kept where two sound the same.
    """
    words = phrase.words
    for at, word in enumerate(words):
        for variant in word.variants:
            for other in real.near(variant, count):
                yield _replaced(words, at, at + 1, NEAR, other)
    yield from _parts(phrase, real)
    for at in range(len(words) - 1):
        for other in real.near(joined(phrase.phones[at : at + 2]), count):
            yield _replaced(words, at, at + 2, JOINED, other)
    for at, said in enumerate(phrase.phones):
        for cut in syllable_starts(said):
            halves = (real.near(half, _HALVES) for half in (said[:cut], said[cut:]))
            for two in itertools.product(*halves):
                yield _replaced(words, at, at + 1, SPLIT, *two)
    for kind, change in ((CHANGED, changed), (DROPPED, dropped), (ADDED, added)):
        for at, said in enumerate(phrase.phones):
            for other in change(said):
                if sayable(other) and not real.is_word(other):
                    yield _replaced(words, at, at + 1, kind, told(other))


def changed(said: Phones) -> Iterator[Phones]:
    """A vowel is another vowel, or a consonant another consonant."""
    for at, phone in enumerate(said):
        for other in INVENTORY:
            if other != phone and (other in VOWELS) == (phone in VOWELS):
                yield (*said[:at], other, *said[at + 1 :])


def dropped(said: Phones) -> Iterator[Phones]:
    """One phone is missing."""
    for at in range(len(said)):
        yield (*said[:at], *said[at + 1 :])


def added(said: Phones) -> Iterator[Phones]:
    """One phone is too many."""
    for at in range(len(said) + 1):
        for other in INVENTORY:
            yield (*said[:at], other, *said[at:])


def sayable(said: Phones) -> bool:
    """Whether English could have such a word: a vowel, no phone twice, no heap of consonants."""
    if not any(phone in VOWELS for phone in said) or not _begins(said):
        return False
    together = 0
    for before, phone, after in zip(("", *said), said, (*said[1:], ""), strict=False):
        together = 0 if phone in VOWELS else together + 1
        lost = phone in ("W", "Y") and after not in VOWELS
        lost |= phone == "HH" and (together > 1 or after not in VOWELS | {"W", "Y"})
        if phone == before or lost or together > _CONSONANTS_TOGETHER:
            return False
    return True


def _begins(said: Phones) -> bool:
    """Whether a word may begin so: one consonant, one of S, or one before L, R, W or Y."""
    start = list(itertools.takewhile(lambda phone: phone not in VOWELS, said))
    if "NG" in start or len(start) > 3 or (len(start) == 3 and start[0] != "S"):
        return False
    return len(start) < 2 or start[0] == "S" or start[1] in ("L", "R", "W", "Y")


def syllable_starts(said: Phones) -> list[int]:
    """Where syllables but the first may start: V.V, V.CV, VC.CV, VC.CCV."""
    vowels = [at for at, phone in enumerate(said) if phone in VOWELS]
    return [left + 1 + (right - left > 2) for left, right in itertools.pairwise(vowels)]


def _parts(phrase: Phrase, real: RealWords | NoWords) -> Iterator[Variation]:
    """Beginnings and ends, cut where a syllable starts or a word comes out; single words."""
    words = phrase.words
    for at, said in enumerate(phrase.phones):
        if len(words) > 1:
            for part in (words[: at + 1], words[at:], words[at : at + 1]):
                yield Variation(Phrase(part), PART, at)
        between = syllable_starts(said)
        for cut in range(1, len(said)):
            if begin := _part(said[:cut], cut in between, real):
                yield Variation(Phrase((*words[:at], begin)), PART, at)
            if end := _part(said[cut:], cut in between, real):
                yield Variation(Phrase((end, *words[at + 1 :])), PART, at)


def _part(said: Phones, between_syllables: bool, real: RealWords | NoWords) -> Word | None:
    if len(said) < _LEAST_PART or not any(phone in VOWELS for phone in said):
        return None
    return real.word(said) or (told(said) if between_syllables else None)


def _replaced(words: Sequence[Word], start: int, end: int, kind: str, *others: Word) -> Variation:
    return Variation(Phrase((*words[:start], *others, *words[end:])), kind, start)
