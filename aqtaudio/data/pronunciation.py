"""How a text is pronounced: IPA as espeak-ng writes it, ARPAbet, espeak-ng's own mnemonics."""

import re

from aqtaudio.errors import BadInput

# ARPAbet (CMUdict's 39 phones); the two unstressed vowels that differ are below.
_ARPABET = {
    **{"AA": "ɑː", "AE": "æ", "AH": "ʌ", "AO": "ɔː", "AW": "aʊ", "AY": "aɪ", "EH": "ɛ"},
    **{"ER": "ɜː", "EY": "eɪ", "IH": "ɪ", "IY": "iː", "OW": "oʊ", "OY": "ɔɪ", "UH": "ʊ"},
    **{"UW": "uː", "B": "b", "CH": "tʃ", "D": "d", "DH": "ð", "F": "f", "G": "ɡ", "HH": "h"},
    **{"JH": "dʒ", "K": "k", "L": "l", "M": "m", "N": "n", "NG": "ŋ", "P": "p", "R": "ɹ"},
    **{"S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "V": "v", "W": "w", "Y": "j", "Z": "z"},
    **{"ZH": "ʒ"},
}
_UNSTRESSED = {"AH": "ə", "ER": "ɚ"}
_VOWELS = tuple("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())
_STRESS = {"": "", "0": "", "1": "ˈ", "2": "ˌ"}
_WORD = "|"
# Other ways to write the same, and marks that say nothing about the sound.
_SAME = {
    **{"g": "ɡ", "r": "ɹ", "ʧ": "tʃ", "ʤ": "dʒ", "ɝ": "ɜː", "'": "ˈ", ":": "ː"},
    **dict.fromkeys("\u0361\u035c.-/[]‿", ""),
}
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
    if re.fullmatch(r"[A-Z0-9 |]+", written):
        words = [_arpabet_word(word.split(), written) for word in written.split(_WORD)]
    else:
        words = "".join(_SAME.get(letter, letter) for letter in written).split()
    found = " ".join(word for word in words if word)
    if not found:
        raise BadInput("an empty pronunciation; allowed: IPA or ARPAbet")
    return found


def mnemonics(phones: str) -> str:
    """IPA in espeak-ng's own notation, as it reads it in a text: `[[h@l'oU]]`, a group per word.

    Raises BadInput for a phone that English voices of espeak-ng lack.
    """
    return " ".join(f"[[{_word_mnemonics(word)}]]" for word in phones.split())


def _arpabet_word(phones: list[str], written: str) -> str:
    found = []
    for phone in phones:
        name, stress = re.fullmatch(r"([A-Z]*)(\d*)", phone).groups()  # type: ignore[union-attr]
        if name not in _ARPABET or stress not in _STRESS or (stress and name not in _VOWELS):
            raise BadInput(
                f"pronunciation {written!r}: {phone!r} is no ARPAbet; allowed: "
                f"{' '.join(sorted(_ARPABET))}, vowels with 0, 1 or 2, and | between words"
            )
        vowel = _UNSTRESSED.get(name) if stress in ("", "0") else None
        found.append(_STRESS[stress] + (vowel or _ARPABET[name]))
    return "".join(found)


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
