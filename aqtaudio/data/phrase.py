"""A word or phrase, understood: its words and how each may be pronounced."""

import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence

from aqtaudio.data import accents, dictionary, espeak, pronunciation, spoken_texts
from aqtaudio.data.dictionary import Dictionary
from aqtaudio.data.phones import VOWELS, Phones
from aqtaudio.data.spoken_texts import SpokenText
from aqtaudio.errors import BadInput

MOST_WORDS = 10
MOST_PRONUNCIATIONS = 24  # of a phrase
DICTIONARY, GUESSED, TOLD = "dictionary", "guessed", "told"
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth".split()
# A pronunciation within a text, /HH EY/ or /hˈeɪ/; else words, apart by spaces or hyphens.
_PART = re.compile(r"(?<!\S)/([^/]+)/(?!\S)|[^\s\-–—/]+")


@dataclasses.dataclass(frozen=True)
class Word:
    """A word.

    Attributes:
      text: lower-case; a word that only its phones tell is `/K AH M/`.
      variants: its pronunciations, at least one, the usual one first.
      source: who says so: a dictionary, espeak-ng's guess, or who told it.
    """

    text: str
    variants: tuple[Phones, ...]
    source: str = DICTIONARY


@dataclasses.dataclass(frozen=True)
class Phrase:
    """One or more words."""

    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        """Its words, apart by spaces."""
        return " ".join(word.text for word in self.words)

    @property
    def phones(self) -> tuple[Phones, ...]:
        """The usual pronunciation, word by word."""
        return tuple(word.variants[0] for word in self.words)

    @property
    def pronunciations(self) -> list[tuple[Phones, ...]]:
        """All of them, word by word, the usual one first; at most `MOST_PRONUNCIATIONS`."""
        every = itertools.product(*(word.variants for word in self.words))
        return list(itertools.islice(every, MOST_PRONUNCIATIONS))

    @property
    def line(self) -> str:
        """What was understood, for people: `hey nabu -> HH EY . N AA B UW; second word guessed`."""
        words = [" or ".join(" ".join(v) for v in word.variants) for word in self.words]
        told = f"{self.text} -> {' . '.join(words)}"
        for source in (GUESSED, TOLD):
            which = [n for n, word in enumerate(self.words) if word.source == source]
            if which and len(self.words) == 1:
                told += f"; {source}"
            elif which:
                *most, last = [_ORDINALS[number] for number in which]
                ordinals = f"{', '.join(most)} and {last} words" if most else f"{last} word"
                told += f"; {ordinals} {source}"
        return told

    @property
    def spoken(self) -> SpokenText:
        """For synthesis: as engines read it, where nobody told how; else by its phones.

        Stress is guessed there (`accents.stressed`).
        """
        if all(word.source != TOLD for word in self.words):
            return spoken_texts.spoken(self.text)
        marked = [accents.with_stress(phones) for phones in self.phones]
        return spoken_texts.spoken(self.text, " | ".join(marked))


def told(phones: Phones) -> Word:
    """A word that only its phones tell."""
    return Word(f"/{' '.join(phones)}/", (phones,), TOLD)


def understood(
    text: str, known: Dictionary | None, written: str = "", language: str = "en-us"
) -> Phrase:
    """The words of a text and their phones.

    Args:
      text: words, apart by spaces or hyphens; `/HH EY/` and `/hˈeɪ/` are pronunciations.
      known: tells the words that it has, if the language is English.
      written: how the text is pronounced, IPA or ARPAbet, as many words as the text; empty: look
        it up.
      language: of espeak-ng, which guesses the other words where it is installed.

    Raises:
      BadInput: no text, digits, symbols, more than `MOST_WORDS` words, a pronunciation that is
        none, or a word that nobody knows.
    """
    spoken_texts.spoken(text)
    words = [word for part in _PART.finditer(text) for word in _words(part)]
    if len(words) > MOST_WORDS:
        raise BadInput(f"a phrase of {len(words)} words; allowed: 1 to {MOST_WORDS}")
    if written:
        return Phrase(tuple(_as_written(text, [word for word, _ in words], written)))
    english = language.split("-")[0] == "en"
    listed: Mapping[str, tuple[Phones, ...]] = known.words if known and english else {}
    unknown = [word for word, phones in words if not phones and word not in listed]
    guesses = dict(zip(unknown, _guessed(unknown, known, language), strict=True))
    found = []
    for word, phones in words:
        if phones:
            found.append(told(phones))
        elif word in listed:
            found.append(Word(word, listed[word]))
        else:
            found.append(Word(word, (guesses[word],), GUESSED))
    return Phrase(tuple(found))


def of_spoken(each: SpokenText, known: Dictionary | None, language: str = "en-us") -> Phrase:
    """`understood`, of a text to speak."""
    return understood(each.text, known, each.phones, language)


def _words(part: re.Match[str]) -> list[tuple[str, Phones]]:
    """Words of a part of a text, with phones where it is a pronunciation."""
    if part[1]:
        return [("", _sounding(phones, part[0])) for phones in pronunciation.arpabet(part[1])]
    if any(character.isdigit() for character in part[0]):
        raise BadInput(f"text {part[0]!r} has digits; allowed: numbers as words (twenty three)")
    word = "".join(c for c in part[0].lower().replace("’", "'") if c.isalpha() or c == "'")
    return [(word, ())] if word.strip("'") else []


def _sounding(phones: Phones, written: str) -> Phones:
    if not any(phone in VOWELS for phone in phones):
        raise BadInput(f"pronunciation {written!r} has a word without a vowel; allowed: words")
    return phones


def _as_written(text: str, words: Sequence[str], written: str) -> list[Word]:
    pronounced = pronunciation.arpabet(written)
    if len(pronounced) != len(words):
        raise BadInput(
            f"text {text!r} has {len(words)} words, its pronunciation {written!r} "
            f"{len(pronounced)}; allowed: as many (ARPAbet: | between words)"
        )
    return [
        Word(word, (_sounding(phones, written),), TOLD) if word else told(phones)
        for word, phones in zip(words, pronounced, strict=True)
    ]


def _guessed(words: Sequence[str], known: Dictionary | None, language: str) -> list[Phones]:
    """espeak-ng's phones; a word of several letters' names (TV) is still one word."""
    if not words:
        return []
    try:
        guesses = espeak.phones(words, language)
    except BadInput as refused:
        missing = "" if known else f"a dictionary ({dictionary.INSTALL}), "
        raise BadInput(
            f"no pronunciation of {words[0]!r}; what helps: {missing}/PHONES/ in its place, or "
            f"espeak-ng's guess ({refused})"
        ) from refused
    return [_heard(word, guess) for word, guess in zip(words, guesses, strict=True)]


def _heard(word: str, guess: str) -> Phones:
    try:
        return _sounding(sum(pronunciation.arpabet(guess), ()), guess)
    except BadInput as refused:
        raise BadInput(
            f"no pronunciation of {word!r} in phones of English: espeak-ng says {guess!r}"
        ) from refused
