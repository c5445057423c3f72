"""What a manifest's labels mean to every task."""

import re
from collections.abc import Sequence

UNKNOWN = "unknown"
SILENCE = "silence"
SPEECH = "speech"
_NO_WORD = re.compile(r"(speech|_unknown_|_silence_|silence|noise:.*)")


def is_word_label(label: str) -> bool:
    """Whether a recording of this label is an isolated word."""
    return _NO_WORD.fullmatch(label) is None


def class_of(label: str, keywords: Sequence[str]) -> str:
    """The class of a manifest label: a label that is not a keyword is unknown or silence."""
    if label in keywords:
        return label
    if label in ("_silence_", SILENCE) or label.startswith("noise:"):
        return SILENCE
    return UNKNOWN


def says(text: str, word: str) -> bool:
    """Whether a transcript has a word or phrase, whatever its case and punctuation."""
    return f" {spoken(word)} " in f" {spoken(text)} "


def spoken(text: str) -> str:
    """Lower case, one space between words, no punctuation but apostrophes."""
    return " ".join("".join(c if c.isalnum() or c == "'" else " " for c in text.casefold()).split())
