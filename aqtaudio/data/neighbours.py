"""Phonetic neighbours: what sounds almost like a word or phrase, and is not it.

A detector of the phrase should not answer them, and does if it has heard only other speech. They
are real words and phrases where a dictionary is known, and non-words, which only their phones tell.
"""

import dataclasses
from collections.abc import Callable, Sequence

from aqtaudio.data import crops, phones
from aqtaudio.data.dictionary import Dictionary
from aqtaudio.data.phones import Phones
from aqtaudio.data.phrase import Phrase
from aqtaudio.data.sound import Sound
from aqtaudio.data.variations import (
    ADDED,
    CHANGED,
    DROPPED,
    JOINED,
    NEAR,
    PART,
    SPLIT,
    NoWords,
    RealWords,
    Variation,
    variations,
)
from aqtaudio.errors import BadInput

MOST = 1000
# Nobody means a non-word, or two words that make no sense: nearer than this they are heard as the
# phrase itself. In hundredths, as `phones.distance`.
NEAREST_NON_WORD = 30
# Groups of kinds share a list evenly, as far as they go.
_GROUPS = {NEAR: 0, PART: 1, CHANGED: 2, DROPPED: 2, ADDED: 2, SPLIT: 3, JOINED: 3}


@dataclasses.dataclass(frozen=True)
class Neighbour:
    """Something that sounds almost like a phrase.

    Attributes:
      phrase: its words; their text is what a label says.
      distance: between the pronunciations of both that are nearest; 1 is a vowel for a consonant.
      kind: one of `variations.KINDS`.
    """

    phrase: Phrase
    distance: float
    kind: str


class Finder:
    """Finds neighbours; a dictionary is laid out for the search once, in a second.

    Without a dictionary there are no kinds near, split and joined, and all else is non-words.
    """

    def __init__(self, known: Dictionary | None = None):
        self._real = RealWords(known) if known else NoWords()

    def neighbours(
        self, phrase: Phrase, count: int, besides: Sequence[Phrase] = ()
    ) -> list[Neighbour]:
        """The nearest of each kind and of each word of the phrase, in the order of their distance.

        None sounds like the phrase, in whatever accent (`accents.plain`), nor contains it: a stream
        that ends there would hear the phrase itself. The same call gives the same list.

        Args:
          phrase: a word or more.
          count: how many, 1 to `MOST`; there may be fewer.
          besides: phrases that no neighbour may be or contain either.

        Raises BadInput for a count that cannot be.
        """
        if not 1 <= count <= MOST:
            raise BadInput(f"{count} neighbours; allowed: 1 to {MOST}")
        itself, others = Sound(phrase), [Sound(other) for other in besides]
        seen: set[tuple[Phones, ...]] = set()
        found = []
        for each in variations(phrase, self._real, 2 * count + 20):
            said = each.phrase.phones
            if said in seen or any(sound.is_in(each.phrase) for sound in (itself, *others)):
                continue
            seen.add(said)
            distance = itself.distance(each.phrase)
            if each.kind in (NEAR, PART, JOINED) or distance >= NEAREST_NON_WORD:
                found.append(_Found(each, distance))
        by = (_Found.group, _Found.kind, _Found.place)
        return [
            Neighbour(each.of.phrase, each.distance / phones.UNIT, each.of.kind)
            for each in sorted(_in_turns(found, count, by), key=_Found.order)
        ]

    def of_each(
        self, phrases: Sequence[Phrase], count: int, besides: Sequence[Phrase] = ()
    ) -> list[list[Neighbour]]:
        """`neighbours` of several phrases, of which none is or contains any of the phrases.

        What is a neighbour of two of them is in the first one's list alone. `besides` as there.
        """
        taken: set[str] = set()
        lists = []
        for phrase in phrases:
            found = self.neighbours(phrase, count, (*phrases, *besides))
            lists.append([each for each in found if each.phrase.text not in taken])
            taken |= {each.phrase.text for each in found}
        return lists


@dataclasses.dataclass(frozen=True)
class _Found:
    of: Variation
    distance: int

    def group(self) -> int:
        return _GROUPS[self.of.kind]

    def kind(self) -> str:
        return self.of.kind

    def place(self) -> int:
        return self.of.place

    def order(self) -> tuple[int, int]:
        """Nearest first; of one distance in an order that no letter decides."""
        return self.distance, crops.hash_order(self.of.phrase.text)


def _in_turns(
    found: Sequence[_Found], count: int, by: Sequence[Callable[[_Found], object]]
) -> list[_Found]:
    """The nearest `count`, shared evenly among what the first key tells apart, then the next."""
    if not by:
        return sorted(found, key=_Found.order)[:count]
    groups: dict[object, list[_Found]] = {}
    for each in found:
        groups.setdefault(by[0](each), []).append(each)
    shares = crops.in_turns([len(group) for group in groups.values()], count)
    chosen = []
    for group, share in zip(groups.values(), shares, strict=True):
        chosen += _in_turns(group, share, by[1:])
    return chosen
