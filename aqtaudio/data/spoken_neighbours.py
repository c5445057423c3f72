"""Neighbours of texts that synthetic voices speak; none would be said like one of the texts."""

import contextlib
import dataclasses
from collections.abc import Sequence

from aqtaudio.data import espeak, pronunciation
from aqtaudio.data.dictionary import Dictionary
from aqtaudio.data.neighbours import Finder, Neighbour
from aqtaudio.data.phrase import TOLD, Phrase, told, understood
from aqtaudio.data.sound import Sound
from aqtaudio.data.spoken_texts import SpokenText
from aqtaudio.errors import BadInput


@dataclasses.dataclass(frozen=True)
class Neighbourhood:
    """A text, as it was understood, and its neighbours."""

    text: str
    phrase: Phrase
    neighbours: list[Neighbour]


def spoken_neighbours(
    texts: Sequence[SpokenText],
    count: int,
    known: Dictionary | None = None,
    languages: Sequence[str] = ("en-us",),
) -> list[Neighbourhood]:
    """Up to `count` neighbours of each text, none of which says one of the texts.

    Engines read texts as espeak-ng does, which is not always as a dictionary has it. So the texts
    as they are read count as the texts, too, and a neighbour that would be read as one is left out.

    Args:
      texts: words or phrases.
      count: at most so many for each.
      known: the dictionary of `Finder`.
      languages: of espeak-ng, whose accents read.

    Raises BadInput for texts that are not understood, or without espeak-ng.
    """
    phrases = [understood(each.text, known, each.phones, languages[0]) for each in texts]
    readings = _readings([each.text for each in texts if not each.phones], languages)
    said = [phrase for reading in readings for phrase in reading]
    lists = Finder(known).of_each(phrases, count, said)
    sounds = [Sound(phrase) for phrase in (*phrases, *said)]
    found = []
    for each, phrase, neighbours in zip(texts, phrases, lists, strict=True):
        wrong = _misread([n.phrase for n in neighbours], languages, sounds)
        kept = [n for n in neighbours if n.phrase.text not in wrong]
        found.append(Neighbourhood(each.text, phrase, kept))
    return found


def _readings(texts: Sequence[str], languages: Sequence[str]) -> list[list[Phrase]]:
    """Each text as espeak-ng reads it, in those languages in which that is in phones of English."""
    found: list[list[Phrase]] = [[] for _ in texts]
    for language in languages:
        for phrases, written in zip(found, espeak.phones(texts, language), strict=True):
            with contextlib.suppress(BadInput):
                phrases.append(Phrase(tuple(map(told, pronunciation.arpabet(written)))))
    return found


def _misread(
    phrases: Sequence[Phrase], languages: Sequence[str], sounds: Sequence[Sound]
) -> set[str]:
    """Texts of the phrases that are read, and then sound like what they must not."""
    texts = [p.text for p in phrases if all(word.source != TOLD for word in p.words)]
    return {
        text
        for text, readings in zip(texts, _readings(texts, languages), strict=True)
        if any(sound.is_in(said) for said in readings for sound in sounds)
    }
