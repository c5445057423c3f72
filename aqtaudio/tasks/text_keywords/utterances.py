"""Recordings whose words are known, with the phones of each word."""

import dataclasses
import functools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from aqtaudio.data import audio, dictionary, manifest
from aqtaudio.data.dictionary import Dictionary
from aqtaudio.data.labels import SPEECH, says, spoken
from aqtaudio.data.manifest import Recording
from aqtaudio.data.phones import Phones
from aqtaudio.data.phrase import understood
from aqtaudio.errors import BadInput


@dataclasses.dataclass(frozen=True)
class Utterance:
    """A recording of words.

    Attributes:
      path: relative to its manifest.
      speaker: who says it.
      words: lower-case, in order.
      phones: of each word, the usual pronunciation.
      samples: int16 [N].
    """

    path: str
    speaker: str
    words: tuple[str, ...]
    phones: tuple[Phones, ...]
    samples: np.ndarray = dataclasses.field(compare=False, repr=False)

    @property
    def isolated(self) -> bool:
        """Whether it is a clip of one word."""
        return len(self.words) == 1


def load(
    folders: Sequence[Path], splits: Sequence[str], rate_hz: int, held_out: Sequence[str]
) -> dict[str, list[Utterance]]:
    """Utterances of each split, in the order of their paths.

    Left out are recordings whose words nobody knows, and those in which a held-out word is said.

    Raises BadInput where no dictionary is installed, or a split has no utterance.
    """
    known = dictionary.find()
    if known is None:
        raise BadInput(f"no pronouncing dictionary; needed: {dictionary.INSTALL}")
    rows = [row for row in manifest.read_all(folders) if row.split in splits]
    told = {row: text for row in rows if (text := _text(row))}
    kept: list[tuple[Recording, tuple[str, ...], tuple[Phones, ...]]] = []
    for row in sorted(told, key=lambda row: row.path):
        if any(says(told[row], word) for word in held_out):
            continue
        words = tuple(told[row].split())
        phones = [_phones(word, known) for word in words]
        if all(phones):
            kept.append((row, words, tuple(phones)))
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        heard = list(threads.map(lambda one: audio.load_int16(one[0].file, rate_hz), kept))
    found: dict[str, list[Utterance]] = {split: [] for split in splits}
    for (row, words, phones), samples in zip(kept, heard, strict=True):
        found[row.split].append(Utterance(row.path, row.speaker, words, phones, samples))
    for split, some in found.items():
        if not some:
            raise BadInput(
                f"no recording with known words in split {split!r} of "
                f"{', '.join(map(str, folders))}; needed: transcripts.tsv, or labels that are words"
            )
    return found


def _text(row: Recording) -> str:
    """Its transcript, or its label where that is a word; "" for none of both."""
    if row.text:
        return spoken(row.text)
    label = row.label
    return label if label.isalpha() and label.isascii() and label not in (SPEECH, "silence") else ""


@functools.lru_cache(maxsize=100_000)
def _phones(word: str, known: Dictionary) -> Phones:
    """The usual pronunciation; () where nobody knows any."""
    if word in known.words:
        return known.words[word][0]
    try:
        return understood(word, known).phones[0]
    except (BadInput, IndexError):
        return ()
