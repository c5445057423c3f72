"""Phones of English, and how far apart they and their sequences are.

A phone is a point: consonants by voicing, place, manner, nasality, sibilance and being lateral;
vowels by where the tongue is at their beginning and at their end (height, backness) and by their
r. The cost of taking one for another is the sum of the differences. Place weighs least among
consonants that are otherwise alike, as it is what noise hides first (Miller and Nicely, An analysis
of perceptual confusions among some English consonants, 1955). All costs are whole hundredths.
"""

import itertools
from collections.abc import Iterable, Sequence

from aqtaudio.data import pronunciation

Phones = tuple[str, ...]
INVENTORY: Phones = tuple(pronunciation.ARPABET)  # 39 phones
VOWELS = frozenset(pronunciation.VOWELS)
UNIT = 100  # costs are whole; this many are a distance of 1: a vowel for a consonant
GAP, WEAK_GAP = 75, 60  # of a phone that is left out or put in
WEAK = frozenset(("AH", "IH", "HH", "W", "Y"))  # short and soft: missed first

_VOICED, _NASAL, _SIBILANT, _LATERAL, _RHOTIC = 20, 10, 15, 10, 25
_PLACE = {
    **{"labial": 0, "labiodental": 8, "labiovelar": 15, "dental": 18, "alveolar": 25},
    **{"postalveolar": 38, "palatal": 45, "velar": 50, "glottal": 60},
}
_MANNER = {"stop": 0, "affricate": 12, "fricative": 25, "nasal": 40, "liquid": 50, "glide": 60}
_VOICELESS = frozenset("P T K CH F TH S SH HH".split())
_SIBILANTS = frozenset("S Z SH ZH CH JH".split())
_CONSONANTS = {
    **{"P": ("labial", "stop"), "B": ("labial", "stop"), "M": ("labial", "nasal")},
    **{"F": ("labiodental", "fricative"), "V": ("labiodental", "fricative")},
    **{"TH": ("dental", "fricative"), "DH": ("dental", "fricative")},
    **{"T": ("alveolar", "stop"), "D": ("alveolar", "stop"), "N": ("alveolar", "nasal")},
    **{"S": ("alveolar", "fricative"), "Z": ("alveolar", "fricative")},
    **{"SH": ("postalveolar", "fricative"), "ZH": ("postalveolar", "fricative")},
    **{"CH": ("postalveolar", "affricate"), "JH": ("postalveolar", "affricate")},
    **{"K": ("velar", "stop"), "G": ("velar", "stop"), "NG": ("velar", "nasal")},
    **{"L": ("alveolar", "liquid"), "R": ("postalveolar", "liquid")},
    **{"W": ("labiovelar", "glide"), "Y": ("palatal", "glide"), "HH": ("glottal", "fricative")},
}
# Height (38: closed) and backness (38: back) of the beginning and of the end.
_TONGUE = {
    **{"IY": (38, 0, 38, 0), "IH": (30, 6, 30, 6), "EH": (17, 6, 17, 6), "AE": (3, 6, 3, 6)},
    **{"AH": (15, 18, 15, 18), "ER": (18, 18, 18, 18), "AA": (0, 30, 0, 30)},
    **{"AO": (9, 36, 9, 36), "UH": (28, 30, 28, 30), "UW": (38, 34, 38, 34)},
    **{"EY": (22, 0, 34, 0), "AY": (2, 15, 33, 4), "OY": (10, 36, 33, 4)},
    **{"OW": (18, 33, 30, 36), "AW": (2, 15, 28, 33)},
}


def cost(one: str, other: str) -> int:
    """Of taking one phone for another, 0 to `UNIT`; a metric on `INVENTORY` (a law)."""
    return _COSTS[one, other]


def gap(phone: str) -> int:
    """Of a phone that is left out or put in; with it as a further point, `cost` stays a metric."""
    return WEAK_GAP if phone in WEAK else GAP


def distance(one: Sequence[str], other: Sequence[str]) -> int:
    """The least sum of costs that makes one sequence of phones the other (weighted edits).

    A metric on sequences, as costs and gaps are one on phones. In `UNIT`ths.
    """
    row = [0]
    for phone in other:
        row.append(row[-1] + gap(phone))
    for mine in one:
        before, row = row, [row[0] + gap(mine)]
        for at, phone in enumerate(other):
            row.append(
                min(
                    before[at] + cost(mine, phone),
                    before[at + 1] + gap(mine),
                    row[at] + gap(phone),
                )
            )
    return row[-1]


def joined(words: Iterable[Phones]) -> Phones:
    """The phones of words, one after the other."""
    return tuple(itertools.chain.from_iterable(words))


def _point(phone: str) -> tuple[int, ...]:
    if phone in VOWELS:
        return (*_TONGUE[phone], _RHOTIC * (phone == "ER"))
    place, manner = _CONSONANTS[phone]
    return (
        _VOICED * (phone not in _VOICELESS),
        _PLACE[place],
        _MANNER[manner],
        _NASAL * (manner == "nasal"),
        _SIBILANT * (phone in _SIBILANTS),
        _LATERAL * (phone == "L"),
    )


def _cost(one: str, other: str) -> int:
    if (one in VOWELS) != (other in VOWELS):
        return UNIT
    return min(UNIT, sum(abs(a - b) for a, b in zip(_point(one), _point(other), strict=True)))


_COSTS = {(one, other): _cost(one, other) for one in INVENTORY for other in INVENTORY}
