"""What is to be spoken: words, phrases or sentences, with pronunciations where wanted."""

import dataclasses
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from aqtaudio.data import crops, pronunciation
from aqtaudio.data.labels import class_of
from aqtaudio.errors import BadInput

_NAME_CHARACTERS = 40


@dataclasses.dataclass(frozen=True)
class SpokenText:
    """A text, and its phones in IPA (empty: as espeak-ng reads the text)."""

    text: str
    phones: str = ""


def read(file: Path) -> list[SpokenText]:
    """Reads texts, one per line, IPA or ARPAbet after a tab where wanted; empty lines fall out.

    Raises:
      BadInput: the file cannot be read, or a line that is not such a text; the message names it.
    """
    try:
        lines = Path(file).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read as UTF-8 text: {error}") from error
    texts = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        text, tab, written = line.partition("\t")
        if "\t" in written:
            raise BadInput(f"{file} line {number}: allowed: a text, a tab and its pronunciation")
        try:
            texts.append(spoken(text, written if tab else None))
        except BadInput as error:
            raise BadInput(f"{file} line {number}: {error}") from error
    if not texts:
        raise BadInput(f"{file} holds no text; allowed: one per line")
    return texts


def spoken(text: str, written: str | None = None) -> SpokenText:
    """A text to speak, single spaces between its words.

    Args:
      text: with letters or digits.
      written: its pronunciation in IPA or ARPAbet.

    Raises BadInput for a text without letters and digits, with symbols (emoji) or control
    characters, and for a pronunciation that is none.
    """
    text = text.strip()
    for character in text:
        kind = unicodedata.category(character)
        if kind[0] == "C" or kind in ("So", "Sk", "Zl", "Zp"):
            raise BadInput(
                f"text {text!r} has {character!r}, which nobody speaks; allowed: letters, digits, "
                "punctuation and spaces"
            )
    if not any(character.isalnum() for character in text):
        raise BadInput(f"text {text!r} has no letter or digit; allowed: something to say")
    return SpokenText(" ".join(text.split()), "" if written is None else pronunciation.ipa(written))


def require(texts: Sequence[SpokenText]) -> None:
    """Raises BadInput where a list holds nothing, a text twice, or what a label means otherwise."""
    if not texts:
        raise BadInput("no texts; allowed: at least one")
    seen = set()
    for each in texts:
        spoken(each.text)
        if each in seen:
            raise BadInput(f"text {each.text!r} is there twice")
        seen.add(each)
        if each.text.startswith("_") or class_of(each.text, ()) == "silence":
            raise BadInput(f"text {each.text!r} means silence in a manifest; allowed: other words")


def names(texts: Iterable[SpokenText]) -> list[str]:
    """A folder name for each text: its words, and where that is cut or shared, a hash too."""
    texts = list(texts)
    short = [re.sub(r"\W+", "_", each.text.lower()).strip("_") for each in texts]
    times, found = Counter(short), []
    for each, name in zip(texts, short, strict=True):
        if times[name] > 1 or len(name) > _NAME_CHARACTERS:
            digest = f"{crops.hash_order(each.text, each.phones):016x}"[:8]
            name = f"{name[:_NAME_CHARACTERS].strip('_')}_{digest}"
        found.append(name)
    return found
