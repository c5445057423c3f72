"""Audio that holds no keyword: which recordings, in which halves, and what a stream makes of it."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio.data import audio, manifest
from aqtaudio.data.crops import hash_order
from aqtaudio.data.labels import SILENCE, SPEECH, class_of, says
from aqtaudio.data.manifest import SPLITS, Recording
from aqtaudio.detection.detector import Detection
from aqtaudio.detection.intervals import rate_interval

NOISE, MUSIC, WORDS = "noise", "music", "words"
RUNNING = (SPEECH, MUSIC, NOISE)
"""What comes by the hour; words are clips of isolated other words."""
KINDS = (*RUNNING, WORDS)
PUSHED_S = 300
TOLD_EVERY_S = 15.0

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Negative:
    """A recording without keywords as its label tells.

    Attributes:
      recording: of a manifest.
      kind: one of `KINDS`.
      trained: whether its split is the one that runs are trained on.
      said: the keywords that its transcript holds all the same: there they are no false alarms.
    """

    recording: Recording
    kind: str
    trained: bool
    said: frozenset[str] = frozenset()


def kind_of(label: str, keywords: Sequence[str]) -> str | None:
    """The kind of recordings of a label; None of keywords."""
    if label in keywords:
        return None
    if label.startswith("noise:music"):
        return MUSIC
    if class_of(label, keywords) == SILENCE:
        return NOISE
    return SPEECH if label == SPEECH else WORDS


def negatives(
    folders: Sequence[Path],
    more: Sequence[Path],
    keywords: Sequence[str],
    split: str,
    hours: float,
) -> list[Negative]:
    """All of a split and of the folders `more`; then running ones of other splits, if they are few.

    Training comes last, and every line of a table tells it: a detector is quieter on what it was
    trained on.

    Args:
      folders: manifest folders.
      more: folders of recordings that training did not hear, whatever their split.
      keywords: of the run.
      split: whose recordings are taken whole.
      hours: of running audio that are wanted.
    """
    found: list[Negative] = []
    rows = manifest.read_all(folders)
    found += _of(rows, keywords, (split,))
    places = {row.file.resolve() for row in rows}
    others = [row for row in manifest.read_all(more) if row.file.resolve() not in places]
    found += [dataclasses.replace(one, trained=False) for one in _of(others, keywords, SPLITS)]
    for other in ("val", "test", "train"):
        if other == split:
            continue
        lacking_s = hours * 3600 - seconds_of(one for one in found if one.kind != WORDS)
        for one in _of(rows, keywords, (other,)):
            if lacking_s > 0 and one.kind != WORDS:
                found.append(one)
                lacking_s -= one.recording.seconds
    return found


def halves(found: Sequence[Negative]) -> tuple[list[Negative], list[Negative]]:
    """To find thresholds on and to report: of every kind half the time in each, no speaker in
    both; words, which no threshold is found on, are all in the second.
    """
    parts: tuple[list[Negative], list[Negative]] = ([], [])
    totals: dict[tuple[Any, ...], float] = {}
    for group in _by_speaker(found):
        kind, trained = group[0].kind, group[0].trained
        if kind == WORDS:
            parts[1].extend(group)
            continue
        keys = [(kind, trained), (kind,), ()]
        half = min((0, 1), key=lambda half: [totals.get((half, *key), 0.0) for key in keys])
        parts[half].extend(group)
        for key in keys:
            totals[half, *key] = totals.get((half, *key), 0.0) + seconds_of(group)
    return parts


@dataclasses.dataclass(frozen=True, eq=False)
class Heard:
    """A stream of recordings of one kind, one after the other.

    Attributes:
      kind: of all of them.
      trained: of all of them.
      logits: float32 [N, C] of all blocks.
      ends_s: [R] where each ends in the stream.
      said: [R] keywords in each.
    """

    kind: str
    trained: bool
    logits: np.ndarray
    ends_s: np.ndarray
    said: tuple[frozenset[str], ...]

    @property
    def hours(self) -> float:
        """Duration."""
        return float(self.ends_s[-1]) / 3600

    def hours_without(self, word: str) -> float:
        """Duration of the recordings in which nobody says the word."""
        lengths = np.diff(self.ends_s, prepend=0.0)
        return float(
            sum(s for s, said in zip(lengths, self.said, strict=True) if word not in said) / 3600
        )

    def alarms(self, detections: Iterable[Detection]) -> list[Detection]:
        """Those that are false: all but of a word in a recording in which it is said."""
        last = len(self.said) - 1
        return [
            one
            for one in detections
            if one.label not in self.said[min(int(np.searchsorted(self.ends_s, one.time_s)), last)]
        ]


def hear(
    listening: Callable[[], Any], found: Sequence[Negative], sample_rate_hz: int, say: Say
) -> list[Heard]:
    """A stream for every kind, from silence on; the memory of a few minutes of audio."""
    heard, done = [], _Told(seconds_of(found), say)
    for kind in KINDS:
        for trained in (False, True):
            some = [one for one in found if (one.kind, one.trained) == (kind, trained)]
            if not some:
                continue
            lengths: list[int] = []
            with listening() as stream:
                pieces = _pieces(some, sample_rate_hz, lengths)
                logits = []
                for piece in pieces:
                    logits.append(stream.push(piece))
                    done.more(len(piece) / sample_rate_hz)
            ends_s = np.cumsum(lengths) / sample_rate_hz
            said = tuple(one.said for one in some)
            heard.append(Heard(kind, trained, np.concatenate(logits), ends_s, said))
    return heard


def rates(count: int, hours: float) -> dict[str, Any]:
    """A count of false alarms for JSON: never a rate without its interval."""
    return {
        "false_alarms": count,
        "hours": hours,
        "false_alarms_per_hour": count / hours if hours else None,
        "false_alarms_per_hour_interval": rate_interval(count, hours) if hours else None,
    }


def seconds_of(found: Iterable[Negative]) -> float:
    """Duration of recordings, as their manifest tells it."""
    return sum(one.recording.seconds for one in found)


def _of(
    rows: Iterable[Recording], keywords: Sequence[str], splits: Sequence[str]
) -> list[Negative]:
    """Recordings of splits in an order that has nothing to do with that of the manifest."""
    found = []
    for row in sorted(rows, key=lambda row: hash_order(0, row.path)):
        kind = kind_of(row.label, keywords)
        if row.split in splits and kind is not None and row.seconds > 0:
            said = frozenset(word for word in keywords if says(row.text, word))
            found.append(Negative(row, kind, row.split == "train", said))
    return found


def _by_speaker(found: Sequence[Negative]) -> Iterator[list[Negative]]:
    groups: dict[tuple[str, bool, str], list[Negative]] = {}
    for one in found:
        row = one.recording
        who = row.speaker if row.speaker not in ("", "-") else row.path
        groups.setdefault((one.kind, one.trained, who), []).append(one)
    order = sorted(groups, key=lambda key: (-seconds_of(groups[key]), key))
    yield from (groups[key] for key in order)


def _pieces(
    some: Sequence[Negative], sample_rate_hz: int, lengths: list[int]
) -> Iterator[np.ndarray]:
    """Minutes of audio, int16; notes how many samples each recording has."""
    kept: list[np.ndarray] = []
    for one in some:
        kept.append(audio.load_int16(one.recording.file, sample_rate_hz))
        lengths.append(len(kept[-1]))
        if sum(map(len, kept)) >= PUSHED_S * sample_rate_hz:
            yield np.concatenate(kept)
            kept = []
    if kept:
        yield np.concatenate(kept)


class _Told:
    """How far hearing is, and the time left, now and then."""

    def __init__(self, total_s: float, say: Say):
        self._total_s, self._say = total_s, say
        self._done_s, self._began, self._last = 0.0, time.monotonic(), time.monotonic()

    def more(self, seconds: float) -> None:
        self._done_s += seconds
        now = time.monotonic()
        if now - self._last < TOLD_EVERY_S or self._done_s >= 0.99 * self._total_s:
            return
        self._last = now
        left_s = (now - self._began) * max(0.0, self._total_s / self._done_s - 1)
        done_h, total_h = self._done_s / 3600, self._total_s / 3600
        self._say(f"heard {done_h:.2f} of {total_h:.2f} h without keywords, {left_s:.0f} s left")
