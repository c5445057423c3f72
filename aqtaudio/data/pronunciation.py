"""How a text is pronounced: IPA as espeak-ng writes it, ARPAbet, espeak-ng's own mnemonics."""

import re

from aqtaudio.errors import BadInput

# ARPAbet (CMUdict's 39 phones) in IPA; the two unstressed vowels that differ are below.
ARPABET = {
    **{"AA": "ɑː", "AE": "æ", "AH": "ʌ", "AO": "ɔː", "AW": "aʊ", "AY": "aɪ", "EH": "ɛ"},
    **{"ER": "ɜː", "EY": "eɪ", "IH": "ɪ", "IY": "iː", "OW": "oʊ", "OY": "ɔɪ", "UH": "ʊ"},
    **{"UW": "uː", "B": "b", "CH": "tʃ", "D": "d", "DH": "ð", "F": "f", "G": "ɡ", "HH": "h"},
    **{"JH": "dʒ", "K": "k", "L": "l", "M": "m", "N": "n", "NG": "ŋ", "P": "p", "R": "ɹ"},
    **{"S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "V": "v", "W": "w", "Y": "j", "Z": "z"},
    **{"ZH": "ʒ"},
}
_UNSTRESSED = {"AH": "ə", "ER": "ɚ"}
VOWELS = tuple("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())
_STRESS = {"": "", "0": "", "1": "ˈ", "2": "ˌ"}
_WORD = "|"
# Other ways to write the same, and marks that say nothing about the sound.
_SAME = {
    **{"g": "ɡ", "r": "ɹ", "ʧ": "tʃ", "ʤ": "dʒ", "ɝ": "ɜː", "'": "ˈ", ":": "ː"},
    **dict.fromkeys("\u0361\u035c.-/[]‿", ""),
}
# IPA of English, as people and espeak-ng write it, in ARPAbet; the longest that fits is taken.
_PHONES = {
    **{phone: (name,) for name, phone in ARPABET.items()},
    **{"ə": ("AH",), "ɚ": ("ER",), "ɜːɹ": ("ER",), "ɚɹ": ("ER",), "ɜ": ("ER",), "ɐ": ("AH",)},
    **{"ᵻ": ("IH",), "ɨ": ("IH",), "ɒ": ("AA",), "ɑ": ("AA",), "a": ("AE",), "ɔ": ("AO",)},
    **{"i": ("IY",), "u": ("UW",), "e": ("EH",), "o": ("OW",), "oː": ("AO",), "əʊ": ("OW",)},
    **{"eː": ("EH",), "ɛː": ("EH",), "iəɹ": ("IH", "R"), "l̩": ("AH", "L"), "n̩": ("AH", "N")},
    **{"m̩": ("AH", "M"), "ɾ": ("T",), "ʔ": ("T",), "ɫ": ("L",), "ʍ": ("W",), "x": ("K",)},
}
_LONGEST_PHONE = max(map(len, _PHONES))
# espeak-ng's mnemonics in English voices; longer ones first.
_MNEMONICS = {
    **{"tʃ": "tS", "dʒ": "dZ", "aɪ": "aI", "aʊ": "aU", "eɪ": "eI", "oʊ": "oU", "əʊ": "oU"},
    **{"ɔɪ": "OI", "iː": "i:", "uː": "u:", "ɑː": "A:", "ɔː": "O:", "ɜː": "3:", "ɚ": "3"},
    **{"ə": "@", "ɐ": "a#", "ʌ": "V", "æ": "a", "a": "a", "ɛ": "E", "ɪ": "I", "ᵻ": "I2"},
    **{"ʊ": "U", "ɒ": "0", "ɑ": "A:", "ɔ": "O:", "ɜ": "3:", "i": "i", "u": "u:", "e": "E"},
    **{"o": "oU", "p": "p", "b": "b", "t": "t", "d": "d", "k": "k", "ɡ": "g", "f": "f"},
    **{"v": "v", "s": "s", "z": "z", "h": "h", "m": "m", "n": "n", "l": "l", "ɹ": "r"},
    **{"w": "w", "j": "j", "θ": "T", "ð": "D", "ʃ": "S", "ʒ": "Z", "ŋ": "N", "ɾ": "t#"},
    **{"ʔ": "?", "x": "x", "ˈ": "'", "ˌ": ","},
}


def ipa(written: str) -> str:
    """A pronunciation as IPA, stress marks before vowels or syllables, words apart by one space.

    Args:
      written: IPA (/həlˈoʊ/), or ARPAbet in capitals, phones apart by spaces and words by `|`,
        stress as CMUdict has it (HH AH0 L OW1).

    Raises:
      BadInput: nothing, or what looks like ARPAbet and is not.
    """
    if is_arpabet(written):
        words = [_arpabet_word(word.split(), written) for word in written.split(_WORD)]
    else:
        words = "".join(_SAME.get(letter, letter) for letter in written).split()
    found = " ".join(word for word in words if word)
    if not found:
        raise BadInput("an empty pronunciation; allowed: IPA or ARPAbet")
    return found


def is_arpabet(written: str) -> bool:
    """Whether a pronunciation is in capitals: ARPAbet, or an attempt at it."""
    return bool(re.fullmatch(r"[A-Z0-9 |]+", written))


def arpabet(written: str) -> tuple[tuple[str, ...], ...]:
    """A pronunciation as ARPAbet without stress, a tuple of phones for each word.

    Args:
      written: as `ipa` takes it; commas and (en) between clauses, as espeak-ng writes them, too.

    Raises BadInput as `ipa` does, and for IPA that English lacks.
    """
    if is_arpabet(written):
        ipa(written)  # which refuses what is none
        words = [re.sub(r"\d", "", word).split() for word in written.split(_WORD)]
        return tuple(tuple(word) for word in words if word)
    plain = re.sub(r"\([a-z-]+\)|[ˈˌ']", "", written.replace(",", " "))
    return tuple(_arpabet_of_word(word) for word in ipa(plain).split())


def mnemonics(phones: str) -> str:
    """IPA in espeak-ng's own notation, as it reads it in a text: `[[h@l'oU]]`, a group per word.

    Raises BadInput for a phone that English voices of espeak-ng lack.
    """
    return " ".join(f"[[{_word_mnemonics(word)}]]" for word in phones.split())


def _arpabet_word(phones: list[str], written: str) -> str:
    found = []
    for phone in phones:
        name, stress = re.fullmatch(r"([A-Z]*)(\d*)", phone).groups()  # type: ignore[union-attr]
        if name not in ARPABET or stress not in _STRESS or (stress and name not in VOWELS):
            raise BadInput(
                f"pronunciation {written!r}: {phone!r} is no ARPAbet; allowed: "
                f"{' '.join(sorted(ARPABET))}, vowels with 0, 1 or 2, and | between words"
            )
        vowel = _UNSTRESSED.get(name) if stress in ("", "0") else None
        found.append(_STRESS[stress] + (vowel or ARPABET[name]))
    return "".join(found)


def _arpabet_of_word(word: str) -> tuple[str, ...]:
    found, at = [], 0
    while at < len(word):
        sizes = range(_LONGEST_PHONE, 0, -1)
        size = next((size for size in sizes if word[at : at + size] in _PHONES), 0)
        if not size:
            raise BadInput(
                f"pronunciation {word!r}: {word[at]!r} is no phone of English; allowed: "
                f"{' '.join(sorted(_PHONES))}"
            )
        found += _PHONES[word[at : at + size]]
        at += size
    return tuple(found)


def _word_mnemonics(word: str) -> str:
    found, at = [], 0
    while at < len(word):
        size = 2 if word[at : at + 2] in _MNEMONICS else 1
        if word[at : at + size] not in _MNEMONICS:
            raise BadInput(
                f"pronunciation {word!r}: espeak-ng is not told how to say {word[at]!r}; allowed: "
                f"{' '.join(sorted(_MNEMONICS))}"
            )
        found.append(_MNEMONICS[word[at : at + size]])
        at += size
    return "|".join(found).replace("'|", "'").replace(",|", ",")
