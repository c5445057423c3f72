"""What of a manifest folder training will find: how much of each label, and what is lacking."""

import collections
import dataclasses
from collections.abc import Sequence

from aqtaudio.data.check import WARNING, Problem
from aqtaudio.data.labels import SILENCE, SPEECH, class_of
from aqtaudio.data.manifest import SPLITS, Recording

FEW_CLIPS = 10
"""Of a word in training: fewer than that teach a speaker, not a word."""
RATE_HZ = 16000
_NAMED = 8  # labels in a line


@dataclasses.dataclass(frozen=True)
class Holding:
    """What a split holds of a label.

    Attributes:
      label: as the manifest has it.
      split: train, val or test.
      clips: recordings.
      minutes: of all of them.
      speakers: different ones, as far as the manifest names them.
    """

    label: str
    split: str
    clips: int
    minutes: float
    speakers: int


def holdings(recordings: Sequence[Recording]) -> list[Holding]:
    """A line per label and split, sorted by label, then train, val, test."""
    groups: dict[tuple[str, str], list[Recording]] = collections.defaultdict(list)
    for recording in recordings:
        groups[recording.label, recording.split].append(recording)
    return [
        Holding(
            label,
            split,
            len(rows),
            round(sum(row.seconds for row in rows) / 60, 3),
            len({row.speaker for row in rows} - {"", "-"}),
        )
        for label in sorted({label for label, _ in groups})
        for split in SPLITS
        if (rows := groups.get((label, split)))
    ]


def training_bytes(recordings: Sequence[Recording], rate_hz: int = RATE_HZ) -> int:
    """Memory of the recordings of train and val, which training holds as 16-bit samples."""
    seconds = sum(row.seconds for row in recordings if row.split != "test")
    return round(2 * rate_hz * seconds)


def lacking(recordings: Sequence[Recording]) -> list[Problem]:
    """What training keywords on the folder alone would suffer from; all warnings, of no path.

    Kinds: "split" (nothing to train or to validate on), "noise" (none to mix in and to learn as
    silence), "few" (words with few clips, or without any to validate on).
    """
    words = [row for row in recordings if _is_word(row.label)]
    if not words:
        return []  # noise or speech alone goes beside a folder of words
    problems = []
    for split, what in (("train", "train"), ("val", "validate")):
        if not any(row.split == split for row in recordings):
            problems.append(_warning("split", f"nothing to {what} on: no recording is in {split}"))
    silence = {row.split for row in recordings if class_of(row.label, ()) == SILENCE}
    for split in ("train", "val"):
        if split not in silence and any(row.split == split for row in recordings):
            message = f"no noise in {split}: no recording is labelled noise:*, silence, _silence_"
            problems.append(_warning("noise", message))
    counts = collections.Counter((row.label, row.split) for row in words)
    labels = sorted({row.label for row in words})
    few = [f"{x} {counts[x, 'train']}" for x in labels if counts[x, "train"] < FEW_CLIPS]
    if few:
        message = f"words with fewer than {FEW_CLIPS} clips in train: {_some(few)}"
        problems.append(_warning("few", message))
    unjudged = [x for x in labels if not counts[x, "val"]]
    if unjudged and any(row.split == "val" for row in words):
        problems.append(_warning("few", f"words without a clip in val: {_some(unjudged)}"))
    return problems


def _is_word(label: str) -> bool:
    special = label.startswith("_") or label in (SPEECH, "unknown")
    return not special and class_of(label, ()) != SILENCE


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _warning(kind: str, message: str) -> Problem:
    return Problem(kind, "", message, WARNING)
