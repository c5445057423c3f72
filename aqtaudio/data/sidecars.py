"""Lists beside a manifest: folds of cross-validation, tags, what a recording almost says."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from aqtaudio.data import manifest
from aqtaudio.errors import BadInput
from aqtaudio.files import write as write_file

MOST_FOLDS = 10
NO_TAGS = "-"
_TAG = re.compile(r"[^\s,]+")


def folds(folder: Path) -> dict[str, int]:
    """Path to fold, of a folder with folds.tsv (path, tab, number); empty without.

    Raises BadInput for what is no fold, 1 to 10; the message names the line.
    """
    found = {}
    for number, (path, text) in _numbered(folder, manifest.FOLDS):
        if not text.isdecimal() or not 1 <= int(text) <= MOST_FOLDS:
            raise BadInput(
                f"{Path(folder) / manifest.FOLDS} line {number}: fold {text!r}; allowed: 1 to "
                f"{MOST_FOLDS}"
            )
        found[path] = int(text)
    return found


def tags(folder: Path) -> dict[str, tuple[str, ...]]:
    """Path to tags, of a folder with tags.tsv (path, tab, tags apart by spaces, `-`: none).

    Empty without such a list. Raises BadInput for a tag that is there twice, or no tags at all.
    """
    found = {}
    for number, (path, text) in _numbered(folder, manifest.TAGS):
        names = () if text == NO_TAGS else tuple(text.split(" "))
        sound = all(_TAG.fullmatch(name) and name != NO_TAGS for name in names)
        if not sound or len(set(names)) < len(names):
            raise BadInput(
                f"{Path(folder) / manifest.TAGS} line {number}: tags {text!r}; allowed: names with "
                f"single spaces between, each once, or {NO_TAGS}"
            )
        found[path] = names
    return found


def neighbours(folder: Path) -> dict[str, str]:
    """Path to keyword, of recordings that say what only sounds almost like a keyword.

    From neighbours.tsv (path, tab, the keyword); empty without. Raises BadInput for a line that
    names no keyword.
    """
    found = {}
    for number, (path, keyword) in _numbered(folder, manifest.NEIGHBOURS):
        if not keyword:
            raise BadInput(
                f"{Path(folder) / manifest.NEIGHBOURS} line {number}: no keyword; allowed: the "
                "word or phrase of which the recording is a neighbour"
            )
        found[path] = keyword
    return found


def write_neighbours(folder: Path, of: Mapping[str, str]) -> None:
    """Writes neighbours.tsv."""
    text = "".join(f"{path}\t{keyword}\n" for path, keyword in of.items())
    write_file(Path(folder) / manifest.NEIGHBOURS, text)


def write_folds(folder: Path, of: Mapping[str, int]) -> None:
    """Writes folds.tsv."""
    text = "".join(f"{path}\t{fold}\n" for path, fold in of.items())
    write_file(Path(folder) / manifest.FOLDS, text)


def write_tags(folder: Path, of: Mapping[str, Sequence[str]]) -> None:
    """Writes tags.tsv."""
    text = "".join(f"{path}\t{' '.join(names) or NO_TAGS}\n" for path, names in of.items())
    write_file(Path(folder) / manifest.TAGS, text)


def _numbered(folder: Path, name: str) -> list[tuple[int, tuple[str, str]]]:
    return list(enumerate(manifest.sidecar(folder, name).items(), start=1))
