"""What accents of English exchange without making another word (Wells, Accents of English)."""

from aqtaudio.data.phones import VOWELS, Phones

_REDUCED = frozenset(("AH", "IH", "ER"))
_LOSES_Y = frozenset("T D N S Z L TH".split())


def stressed(word: Phones) -> int:
    """Which phone of a word is its stressed vowel: a guess, for phones without stress; -1: none.

    The first full vowel (AH, IH, ER and IY at the end may be weak), without one the first vowel.
    """
    vowels = [at for at, phone in enumerate(word) if phone in VOWELS]
    last = len(word) - 1
    full = (at for at in vowels if word[at] not in _REDUCED and (word[at] != "IY" or at < last))
    return next(full, vowels[0] if vowels else -1)


def with_stress(word: Phones) -> str:
    """ARPAbet with stress marks, `K AH0 M P Y UW1 T ER0`, as `stressed` guesses it."""
    at_stress = stressed(word)
    marked = [
        f"{phone}{int(at == at_stress)}" if phone in VOWELS else phone
        for at, phone in enumerate(word)
    ]
    return " ".join(marked)


def plain(word: Phones) -> Phones:
    """A form that pronunciations of one word in different accents share; no accent of its own.

    Unstressed AH, IH and ER are one (jarvis, the end of computer); AA and AO too (cot, caught); R
    sounds before vowels only (jarvis); Y falls out in T Y UW; T between vowels is D (better), -ing
    may be -in.
    """
    at_stress, found = stressed(word), []
    for at, phone in enumerate(word):
        before = word[at - 1] if at else ""
        after = word[at + 1] if at + 1 < len(word) else ""
        if phone in _REDUCED and at != at_stress:
            found.append("AH")
        elif phone == "AO":
            found.append("AA")
        elif phone == "T" and _weak_between(before, after, at + 1 == at_stress):
            found.append("D")
        elif phone == "NG" and not after and before in _REDUCED and at - 1 != at_stress:
            found.append("N")
        elif not _falls_out(phone, before, after):
            found.append(phone)
    return tuple(found)


def _weak_between(before: str, after: str, stress_after: bool) -> bool:
    return (before in VOWELS or before == "R") and after in VOWELS and not stress_after


def _falls_out(phone: str, before: str, after: str) -> bool:
    if phone == "R":
        return before in VOWELS and after not in VOWELS
    return phone == "Y" and after == "UW" and before in _LOSES_Y
