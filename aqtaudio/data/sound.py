"""How a phrase sounds, and what would be taken for it."""

from aqtaudio.data import accents, phones
from aqtaudio.data.phones import Phones, joined
from aqtaudio.data.phrase import Phrase


class Sound:
    """All pronunciations of a phrase, as a dictionary has them and as accents change them."""

    def __init__(self, phrase: Phrase):
        self._said = {joined(words) for words in phrase.pronunciations}
        self._plain = {_plain(words) for words in phrase.pronunciations}

    def is_in(self, other: Phrase) -> bool:
        """Whether another phrase, somehow pronounced, is or contains this one."""
        return any(
            any(_contains(joined(words), mine) for mine in self._said)
            or any(_contains(_plain(words), mine) for mine in self._plain)
            for words in other.pronunciations
        )

    def distance(self, other: Phrase) -> int:
        """Of the pronunciations that are nearest, as `phones.distance`."""
        theirs = {joined(words) for words in other.pronunciations}
        return min(phones.distance(mine, said) for mine in self._said for said in theirs)


def _plain(words: tuple[Phones, ...]) -> Phones:
    return joined(map(accents.plain, words))


def _contains(whole: Phones, part: Phones) -> bool:
    return any(whole[at : at + len(part)] == part for at in range(len(whole) - len(part) + 1))
