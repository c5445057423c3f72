"""A pronouncing dictionary: words and all their pronunciations, in ARPAbet without stress.

The format is CMUdict's, in any of its editions: a word, spaces, its phones; further pronunciations
as word(2); comments after `;;;` or `#`. One edition is in the optional package pocketsphinx (BSD).
"""

import dataclasses
import functools
import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path

from aqtaudio.data.phones import INVENTORY, Phones
from aqtaudio.errors import BadInput

_PACKAGE, _FILE = "pocketsphinx", "model/en-us/cmudict-en-us.dict"
_VARIANT = re.compile(r"\(\d+\)$")
_ORDINARY = re.compile(r"[^\W\d_]{2,}|[ai]")
INSTALL = "pip install aqtaudio[dictionary], or --dictionary FILE"


@dataclasses.dataclass(frozen=True, eq=False)
class Dictionary:
    """Words and their pronunciations.

    Attributes:
      name: of the file.
      words: lower-case words, each with its pronunciations, the usual one first.
    """

    name: str
    words: Mapping[str, tuple[Phones, ...]]

    @functools.cached_property
    def ordinary(self) -> tuple[str, ...]:
        """The words of letters alone: no abbreviations, no names of letters, no 's."""
        return tuple(word for word in self.words if _ORDINARY.fullmatch(word))

    @functools.cached_property
    def familiar(self) -> frozenset[str]:
        """Ordinary words that have inflections, and these: most words of a language, few names.

        Names are what engines read otherwise than a dictionary says.
        """
        found: set[str] = set()
        for word, forms in self._inflections.items():
            found |= {word, *forms}
        return frozenset(found)

    def spelling(self, phones: Phones) -> str:
        """The word whose usual pronunciation this is; of several the one with most inflections,
        then the shortest. Empty: none.
        """
        return self._spellings.get(phones, "")

    @functools.cached_property
    def _inflections(self) -> dict[str, list[str]]:
        every = frozenset(self.ordinary)
        forms = {word: [form for form in _inflected(word) if form in every] for word in every}
        return {word: found for word, found in forms.items() if found}

    @functools.cached_property
    def _spellings(self) -> dict[Phones, str]:
        def rank(word: str) -> tuple[int, int, str]:
            return -len(self._inflections.get(word, ())), len(word), word

        found: dict[Phones, str] = {}
        for word in sorted(self.ordinary, key=rank):
            found.setdefault(self.words[word][0], word)
        return found


def find(file: Path | None = None) -> Dictionary | None:
    """The dictionary of a file, or without one the installed one; None: none is installed.

    Raises BadInput as `read` does.
    """
    file = file or _installed()
    return None if file is None else read(file)


def read(file: Path) -> Dictionary:
    """Reads a dictionary; the message of BadInput names the line that is none."""
    try:
        lines = Path(file).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read as UTF-8 text: {error}") from error
    known = {f"{phone}{stress}": phone for phone in INVENTORY for stress in ("", "0", "1", "2")}
    words: dict[str, list[Phones]] = {}
    for number, line in enumerate(lines, start=1):
        written, *phones = line.partition(" #")[0].split() or ("",)
        if not written or written.startswith((";;;", "##")):
            continue
        try:
            found = tuple([known[phone] for phone in phones])
        except KeyError as error:
            raise BadInput(
                f"{file} line {number}: {error.args[0]!r} is no ARPAbet; allowed: "
                f"{' '.join(sorted(INVENTORY))}, with 0, 1, 2 or no stress"
            ) from error
        if not found:
            raise BadInput(f"{file} line {number}: {written!r} has no phones; allowed: word PHONES")
        variants = words.setdefault(_VARIANT.sub("", written).lower(), [])
        if found not in variants:
            variants.append(found)
    if not words:
        raise BadInput(f"{file} holds no word; allowed: lines of a word and its phones")
    return Dictionary(Path(file).name, {word: tuple(found) for word, found in words.items()})


def _inflected(word: str) -> list[str]:
    """How English would inflect a word, if it is one."""
    forms = [word + end for end in ("s", "es", "ed", "ing", "er", "ly")]
    forms += [f"{word}{word[-1]}{end}" for end in ("ed", "ing")]
    if word.endswith("e"):
        forms += [f"{word}d", f"{word}r", f"{word[:-1]}ing"]
    if word.endswith("y"):
        forms += [f"{word[:-1]}{end}" for end in ("ies", "ied", "ier")]
    return forms


def _installed() -> Path | None:
    spec = importlib.util.find_spec(_PACKAGE)  # which loads nothing
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(folder) / _FILE).is_file():
            return Path(folder) / _FILE
    return None
