"""Which clips figures are made on: what the folders hold now, or the list that a run was begun on.

A run keeps its validation list (evaluation.tsv) and beside it a digest of every clip's samples. So
it shows when labels, lengths or samples of a folder have changed since.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio.data import items as item_lists
from aqtaudio.errors import BadInput
from aqtaudio.files import write
from aqtaudio.tasks.task import Data

EVALUATION = "evaluation.tsv"
SAMPLES = "evaluation.sha1"
"""Beside it: a line per clip."""
FOLDER, RUN = LISTS = ("folder", "run")
_AT_ONCE = 64


@dataclasses.dataclass(frozen=True)
class Listed:
    """The clips behind a figure.

    Attributes:
      items: the clips.
      used: "folder" or "run", whose list it is.
      changed: clips of the run's list that are in the folders with another label, length or sound.
      gone: clips of the run's list that the folders' list lacks.
      new: clips of the folders' list that the run's lacks.
    """

    items: list[Any]
    used: str = FOLDER
    changed: int = 0
    gone: int = 0
    new: int = 0

    @property
    def notice(self) -> str:
        """A line for people; empty where both lists are the same."""
        found = {"changed": self.changed, "gone": self.gone, "new": self.new}
        told = ", ".join(f"{count:,} {what}" for what, count in found.items() if count)
        if not told:
            return ""
        other = RUN if self.used == FOLDER else FOLDER
        return (
            f"the run's list of clips and the folder's differ ({told}): figures are of the "
            f"{self.used}'s list; --list {other} takes the other"
        )

    def facts(self) -> dict[str, Any]:
        """What the JSON of a command tells of it."""
        differences = {"changed": self.changed, "gone": self.gone, "new": self.new}
        return {"list": self.used, "list_differences": differences}


def write_list(folder: Path, kind: type, items: Sequence[Any], clips: np.ndarray) -> None:
    """Writes the list of a run that begins, and what tells the samples of its clips [n, N]."""
    item_lists.write(folder / EVALUATION, kind, items)
    write(folder / SAMPLES, "".join(f"{_digest(clip)}\n" for clip in clips))


def begun_on(folder: Path, kind: type, items: Sequence[Any], clips: np.ndarray) -> bool:
    """Whether a run's list, if it has one, is of these clips, and of these samples."""
    if not (folder / EVALUATION).exists():
        return True
    if item_lists.read(folder / EVALUATION, kind) != list(items):
        return False
    sums = folder / SAMPLES
    return not sums.exists() or sums.read_text().split() == [_digest(clip) for clip in clips]


def chosen(own: Callable[[], list[Any]], file: Path | None, data: Data, which: str) -> Listed:
    """The validation clips of `data` or, with `which` "run", of the run's own list.

    Args:
      own: reads the run's own list.
      file: where it lies, None where there is none.
      data: the folders' recordings.
      which: one of `LISTS`.

    Raises:
      BadInput: the run's list is asked for, and there is none, or the folders lack its recordings.
    """
    if which == RUN:
        listed = own()
        if not data.holds(listed):
            raise BadInput(f"--list run: {file} names recordings that the folders lack")
    now = data.evaluation_list("val")
    if file is None:
        return Listed(now)
    listed = own()
    common = set(listed) & set(now)
    other = _sounding_other(file, listed, common, data)
    paths, paths_now = ({_path(item) for item in items} for items in (listed, now))
    left = [item for item in listed if item not in common]
    return Listed(
        listed if which == RUN else now,
        which,
        changed=other + sum(_path(item) in paths_now for item in left),
        gone=sum(_path(item) not in paths_now for item in left),
        new=sum(_path(item) not in paths for item in now),
    )


def _sounding_other(file: Path, listed: Sequence[Any], common: set[Any], data: Data) -> int:
    """Clips of both lists whose samples are not those that the run was begun on."""
    sums = file.with_name(SAMPLES)
    if not sums.is_file():
        return 0  # of a run that is older than such lists
    digests = sums.read_text(encoding="ascii", errors="replace").split()
    if len(digests) != len(listed):
        raise BadInput(f"{sums}: {len(digests)} lines; allowed: one per clip of {file.name}")
    pairs = [pair for pair in zip(listed, digests, strict=True) if pair[0] in common]
    count = 0
    for first in range(0, len(pairs), _AT_ONCE):
        part = pairs[first : first + _AT_ONCE]
        clips = data.evaluation_arrays([item for item, _ in part])[0]
        count += sum(_digest(clip) != digest for clip, (_, digest) in zip(clips, part, strict=True))
    return count


def _digest(clip: np.ndarray) -> str:
    return hashlib.sha1(np.ascontiguousarray(clip).tobytes()).hexdigest()[:12]


def _path(item: Any) -> Any:
    """What an item is of: its first column."""
    return getattr(item, dataclasses.fields(item)[0].name)
