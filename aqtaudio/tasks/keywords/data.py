"""What a keyword run sees: clips of its keywords, of anything else, and of background noise."""

import copy
import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np

from aqtaudio.data import audio, crops, device_dump, manifest
from aqtaudio.data.labels import SILENCE, UNKNOWN, class_of
from aqtaudio.data.manifest import Recording
from aqtaudio.errors import BadInput
from aqtaudio.tasks.keywords import epochs
from aqtaudio.tasks.keywords.kept_features import KeptFeatures
from aqtaudio.tasks.keywords.unheard import Unheard

# A clip of a keyword must hold nearly all of the word; a clip of other speech, some of it.
KEYWORD_LOUDNESS = 0.9
UNKNOWN_LOUDNESS = 0.25


def class_names(keywords: Sequence[str]) -> tuple[str, ...]:
    """The classes of a run, in the order of its logits: the keywords, "unknown", "silence".

    Raises:
      BadInput: no keyword, a keyword twice, or one that is named like the other two classes.
    """
    names = (*keywords, UNKNOWN, SILENCE)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInput(f"keyword {twice[0]!r} is there twice; {UNKNOWN} and {SILENCE} are implied")
    if not keywords:
        raise BadInput("no keywords; allowed: at least one label")
    return names


@dataclasses.dataclass(frozen=True)
class EvaluationItem:
    """One clip that is scored.

    Attributes:
      path: of the recording, relative to the data folder.
      label: the class it must be recognised as.
      start_sample: first sample of the clip, at the run's sample rate.
    """

    path: str
    label: str
    start_sample: int


class KeywordData:
    """The recordings of a keyword run in memory, as int16.

    Attributes:
      classes: names, in the order of the class numbers.
      clip_samples: length of a clip.
      sample_rate_hz: rate of all audio.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        samples: Sequence[np.ndarray],
        keywords: Sequence[str],
        sample_rate_hz: int = 16000,
        clip_samples: int = 16000,
        quiet_share: float = epochs.QUIET_SHARE,
        unknown_per_keyword: float = epochs.UNKNOWN_PER_KEYWORD,
        unheard: Unheard | None = None,
        cut_share: float = 0.0,
        spliced: float = 0.0,
    ):
        """Takes recordings and their audio (int16 [samples] each); `load` reads them.

        `quiet_share`: of the silence clips of training, that are made quieter.
        `unknown_per_keyword`: unknown clips of training, per clip of a typical keyword.
        `unheard`: words that are kept out of training: their clips of "train" are of "val".
        `cut_share`: of the unknown clips of training out of longer recordings, of which only a
        stretch is as loud as it was.
        `spliced`: clips of training, per unknown clip, of halves of a keyword and of another word.
        """
        self.classes = class_names(keywords)
        self.sample_rate_hz = sample_rate_hz
        self.clip_samples = clip_samples
        self._quiet_share = quiet_share
        self._unknown_per_keyword = unknown_per_keyword
        self._cut_share = cut_share
        self._spliced = spliced
        unheard = unheard or Unheard(tuple(keywords))
        recordings = unheard.kept_out(recordings)
        # Everything below goes by path, so that the order of the manifest changes no number.
        order = sorted(range(len(recordings)), key=lambda row: recordings[row].path)
        self._recordings = [recordings[row] for row in order]
        self._samples = [crops.pad(samples[row], clip_samples) for row in order]
        names = [class_of(recording.label, keywords) for recording in self._recordings]
        self._class = np.asarray([self.classes.index(name) for name in names], np.int32)
        self._row = {recording.path: row for row, recording in enumerate(self._recordings)}
        self._unheard = np.asarray(unheard.words(self._recordings))
        self._has_parts = bool(unheard)
        self._kept: Sequence[KeptFeatures] = ()
        self._pool: epochs.Pool | None = None
        self._epochs: dict[int, dict[int, epochs.Epoch]] = {}  # the latest two, by seed

    @classmethod
    def load(
        cls,
        folders: Sequence[Path],
        keywords: Sequence[str],
        sample_rate_hz: int = 16000,
        clip_samples: int = 16000,
        splits: Sequence[str] = ("train", "val"),
        bands: int | None = None,
        unknown_per_keyword: float = epochs.UNKNOWN_PER_KEYWORD,
        unheard: Unheard | None = None,
        cut_share: float = 0.0,
        spliced: float = 0.0,
    ) -> "KeywordData":
        """Reads the recordings of the needed splits from manifest folders.

        `bands`: the folders hold no audio but features that a device dumped (`device_dump`), so
        many per frame, every recording one clip long.

        Raises:
          BadInput: a bad folder or file, or a class without recordings in one of the splits; words
            that training is not to hear, of which there is none to validate with.
        """
        rows = manifest.read_all(folders)
        if unheard:
            rows = unheard.kept_out(rows)
        recordings = [row for row in rows if row.split in splits]
        require_classes(folders, recordings, keywords, splits)
        if unheard and {"train", "val"} <= set(splits):
            _check_unheard(folders, recordings, unheard)

        def read(recording: Recording) -> np.ndarray:
            if bands is None:
                return audio.load_int16(recording.file, sample_rate_hz)
            return device_dump.load(recording.file, (clip_samples // bands, bands)).reshape(-1)

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
            samples = list(threads.map(read, recordings))
        quiet_share = epochs.QUIET_SHARE if bands is None else 0.0  # features are no volumes
        how = quiet_share, unknown_per_keyword, unheard, cut_share, spliced
        return cls(recordings, samples, keywords, sample_rate_hz, clip_samples, *how)

    # Evaluation.

    def evaluation_list(
        self, split: str, per_class: int | None = None, seed: int = 0
    ) -> list[EvaluationItem]:
        """The clips behind a figure: the same list whatever the order of files and manifest.

        Every recording of a keyword is in it. Unknown and silence are as many as the median
        keyword has (fewer where the recordings do not hold that many clips that do not overlap),
        spread over the kinds of recordings (the first folder of a path is its kind). Recordings
        labelled `_unknown_` or `_silence_` are a ready-made list and kept whole. Of words that are
        kept out of training as many again, in equal shares as far as their recordings go.

        Args:
          split: train, val or test; it must be loaded.
          per_class: at most so many of each class, instead of all that.
          seed: which clips are drawn.

        Returns:
          Items in hash order: any prefix is a fair sample.
        """
        items: list[EvaluationItem] = []
        counts = []
        for name in self.classes[:-2]:
            words = [self._keyword_item(row, seed) for row in self._rows(split, name)]
            counts.append(len(words))
            items += _first(words, per_class, seed)
        if not all(counts):
            lacking = self.classes[counts.index(0)]
            raise BadInput(f"label {lacking!r} has no clips in split {split!r} that was loaded")
        typical = int(np.median(counts))
        for name in (UNKNOWN, SILENCE):
            items += self._drawn_items(split, name, per_class or typical, per_class, seed)
        items += self._unheard_items(split, per_class or typical, seed)
        return _first(items, None, seed)

    def evaluation_arrays(self, items: Iterable[EvaluationItem]) -> tuple[np.ndarray, ...]:
        """The clips of a list.

        Returns:
          int16 [n, clip_samples] and class numbers int32 [n]; where words are kept out of training,
          also of each clip which of them it is, or "", [n].

        Raises:
          BadInput: an item whose recording, class or samples are not in the data.
        """
        items = list(items)
        clips = np.empty((len(items), self.clip_samples), np.int16)
        numbers = np.empty(len(items), np.int32)
        for index, item in enumerate(items):
            row = self._row.get(item.path)
            if row is None:
                raise BadInput(f"evaluation item {item.path!r} is not among the recordings loaded")
            if item.label not in self.classes:
                raise BadInput(f"class {item.label!r}; allowed: {', '.join(self.classes)}")
            clip = self._samples[row][item.start_sample :][: self.clip_samples]
            if len(clip) < self.clip_samples:
                raise BadInput(f"{item.path!r} ends before the clip at {item.start_sample} does")
            clips[index] = clip
            numbers[index] = self.classes.index(item.label)
        if not self._has_parts:
            return clips, numbers
        return clips, numbers, self._unheard[[self._row[item.path] for item in items]]

    def holds(self, items: Iterable[EvaluationItem]) -> bool:
        """Whether every recording of a list is loaded."""
        return all(item.path in self._row for item in items)

    # Training.

    @property
    def trains(self) -> bool:
        """Whether split "train" was loaded."""
        return any(recording.split == "train" for recording in self._recordings)

    def steps_per_epoch(self, batch_size: int) -> int:
        """Steps after which every training clip of a keyword was seen once."""
        return -(-len(self._training_pool()) // batch_size)

    def keeping(self, features: Callable[[int], Sequence[KeptFeatures]]) -> Self:
        """The same data whose training batches hold `features`, made for epochs so long: what the
        model hears, then the logits of a teacher.
        """
        found = copy.copy(self)
        found._kept = features(len(self._training_pool()))
        return found

    def training_batch(self, step: int, batch_size: int, seed: int) -> tuple[np.ndarray, ...]:
        """The clips of a training step: a pure function of its arguments, so runs can resume.

        Epochs follow each other without a break; a batch may hold the end of one and the start
        of the next.

        Returns:
          int16 [batch_size, clip_samples], or features float32 [batch_size, T, F] where they are
          kept, and class numbers int32 [batch_size]; with a teacher its logits
          [batch_size, T', C].
        """
        places = np.arange(step * batch_size, (step + 1) * batch_size)
        if not self._kept:
            return self.training_clips(places, seed)
        heard, *taught = self._kept
        return *heard.batch(places, seed), *(each.batch(places, seed)[0] for each in taught)

    def training_clips(self, places: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Clips int16 [n, clip_samples] and their classes [n] at places of the endless epochs."""
        pool = self._training_pool()
        numbers, places = np.divmod(places, len(pool))
        clips = np.empty((len(places), self.clip_samples), np.int16)
        classes = np.empty(len(places), np.int32)
        for index, (number, place) in enumerate(zip(numbers, places, strict=True)):
            epoch = self._epoch(int(number), seed)
            row = epoch.rows[place]
            classes[index] = self._class[row]
            start, gain = epoch.start_samples[place], epoch.gains[place]
            clip = self._samples[row][start : start + self.clip_samples]
            clips[index] = clip if gain == 1.0 else np.rint(clip * gain)
            if epoch.splices is not None and epoch.splices[place][0] >= 0:
                other, share = int(epoch.splices[place][0]), epoch.splices[place][1]
                ending = self._samples[other][: self.clip_samples]
                clips[index] = crops.spliced(clips[index], ending, share)
                classes[index] = self.classes.index(UNKNOWN)
            if epoch.stretches is not None and (around := epoch.stretches[place])[2] < 1.0:
                clips[index] = crops.stretch(clips[index], *around)
        return clips, classes

    def noise_bank(self, split: str = "train", samples: int | None = None) -> np.ndarray:
        """Background noise for augmentation: every noise recording, cut into pieces.

        Args:
          split: where to take it from.
          samples: length of a piece, five clips unless told; shorter recordings are repeated.

        Returns:
          int16 [pieces, samples]; pieces of digital silence are left out.
        """
        samples = samples or 5 * self.clip_samples
        pieces = []
        for row in self._rows(split, SILENCE):
            noise = self._samples[row]
            if len(noise) < samples:
                noise = np.resize(noise, samples)
            count = len(noise) // samples
            pieces += np.split(noise[: count * samples], count)
        loud = [piece for piece in pieces if piece.any()]
        if not loud:
            raise BadInput(f"split {split!r} has no noise; needed: recordings labelled noise:*")
        return np.stack(loud)

    def noises(self, split: str) -> list[np.ndarray]:
        """Recordings of background of a split, int16 [samples] each, that are not silent."""
        found = (self._samples[row] for row in self._rows(split, SILENCE))
        return [samples for samples in found if samples.any()]

    def others(self, split: str) -> list[np.ndarray]:
        """Whole recordings, int16 [samples] each, of a split that hold no keyword."""
        rows = [*self._rows(split, UNKNOWN), *self._rows(split, SILENCE)]
        return [self._samples[row] for row in rows]

    # Rows, items and epochs.

    def _rows(self, split: str, name: str) -> np.ndarray:
        number = self.classes.index(name)
        of_class = np.flatnonzero(self._class == number)
        return np.asarray(
            [row for row in of_class if self._recordings[row].split == split], np.int64
        )

    def _kinds(self, rows: np.ndarray) -> list[np.ndarray]:
        kinds = (self._recordings[row].path.split("/")[0] for row in rows)
        return [rows[group] for group in crops.grouped(kinds)]

    def _starts(self, row: int) -> np.ndarray:
        name = self.classes[self._class[row]]
        loudness = {UNKNOWN: UNKNOWN_LOUDNESS, SILENCE: 0.0}.get(name, KEYWORD_LOUDNESS)
        return crops.starts(self._samples[row], self.clip_samples, loudness)

    def _item(self, row: int, start_sample: int) -> EvaluationItem:
        label = self.classes[self._class[row]]
        return EvaluationItem(self._recordings[row].path, label, int(start_sample))

    def _keyword_item(self, row: int, seed: int) -> EvaluationItem:
        allowed = self._starts(row)
        return self._item(row, allowed[len(allowed) // 2])  # the word is in the middle

    def _drawn_items(
        self, split: str, name: str, count: int, at_most: int | None, seed: int
    ) -> list[EvaluationItem]:
        rows = np.asarray([row for row in self._rows(split, name) if not self._unheard[row]], int)
        ready = [row for row in rows if self._recordings[row].label == f"_{name}_"]
        if ready:
            return _first([self._item(row, 0) for row in ready], at_most, seed)
        kinds = [self._candidates(kind, seed) for kind in self._kinds(rows)]
        shares = crops.in_turns([len(kind) for kind in kinds], count)
        return [item for kind, share in zip(kinds, shares, strict=True) for item in kind[:share]]

    def _unheard_items(self, split: str, count: int, seed: int) -> list[EvaluationItem]:
        rows = np.flatnonzero(self._unheard != "")
        rows = np.asarray([row for row in rows if self._recordings[row].split == split], int)
        groups = crops.grouped(self._unheard[rows])
        words = [
            _first([self._keyword_item(int(rows[n]), seed) for n in g], None, seed) for g in groups
        ]
        shares = crops.in_turns([len(word) for word in words], count)
        return [item for word, share in zip(words, shares, strict=True) for item in word[:share]]

    def _candidates(self, rows: np.ndarray, seed: int) -> list[EvaluationItem]:
        """Clips of these recordings: one of each in hash order, then a second of each, ..."""
        found = []
        for row in rows:
            path = self._recordings[row].path
            picks = crops.apart(self._starts(row), self.clip_samples, seed, path)
            key = crops.hash_order(seed, path)
            found += [(turn, key, self._item(row, start)) for turn, start in enumerate(picks)]
        return [item for _, _, item in sorted(found, key=lambda entry: entry[:2])]

    def _training_pool(self) -> epochs.Pool:
        if self._pool is None:
            keyword_rows = [self._rows("train", name) for name in self.classes[:-2]]
            unknown, silence = self._rows("train", UNKNOWN), self._rows("train", SILENCE)
            if not (all(map(len, keyword_rows)) and len(unknown) and len(silence)):
                raise BadInput("split 'train' was not loaded, or a class has no recordings in it")
            starts = [self._starts(row) for row in range(len(self._samples))]
            self._pool = epochs.Pool(
                keywords=np.concatenate(keyword_rows),
                unknown=self._kinds(unknown),
                silence=silence,
                clips=np.asarray([len(samples) // self.clip_samples for samples in self._samples]),
                starts=np.concatenate(starts),
                first_start=np.cumsum([0, *map(len, starts)]),
                per_keyword=float(np.median([len(rows) for rows in keyword_rows])),
                quiet_share=self._quiet_share,
                unknown_per_keyword=self._unknown_per_keyword,
                cut_share=self._cut_share,
                spliced=self._spliced,
            )
        return self._pool

    def _epoch(self, number: int, seed: int) -> epochs.Epoch:
        known = self._epochs.setdefault(seed, {})
        if number not in known:
            while len(known) > 1:
                known.pop(next(iter(known)))
            known[number] = epochs.draw(self._training_pool(), seed, number)
        return known[number]


def require_classes(
    folders: Sequence[Path],
    recordings: list[Recording],
    keywords: Sequence[str],
    splits: Sequence[str],
) -> None:
    """Raises BadInput where a class has no recordings in a split."""
    names = class_names(keywords)
    there = {(row.split, class_of(row.label, keywords)) for row in recordings}
    for split in splits:
        lacking = [name for name in names if (split, name) not in there]
        if not lacking:
            continue
        if lacking[0] == UNKNOWN:
            need = "recordings of other words or of speech"
        elif lacking[0] == SILENCE:
            need = "recordings labelled noise:*, silence or _silence_"
        else:
            labels = sorted({row.label for row in recordings if row.split == split})
            need = f"one of {', '.join(labels)}" if labels else "folders with recordings of it"
        raise BadInput(
            f"label {lacking[0]!r} has no clips in split {split!r} of "
            f"{', '.join(map(str, folders))}; allowed: {need}"
        )


def _check_unheard(folders: Sequence[Path], recordings: list[Recording], unheard: Unheard) -> None:
    there = set(unheard.words(recordings)) - {""}
    lacking = [word for word in unheard.named if word not in there]
    if lacking or not there:
        what = f"{lacking[0]!r}" if lacking else "any word of task.unheard_share"
        raise BadInput(
            f"{what} is to be kept out of training, and has no recordings in "
            f"{', '.join(map(str, folders))}"
        )


def _first(items: list[EvaluationItem], at_most: int | None, seed: int) -> list[EvaluationItem]:
    """Items in hash order, all or the first."""

    def key(item: EvaluationItem) -> int:
        return crops.hash_order(seed, item.path, item.start_sample)

    return sorted(items, key=key)[:at_most]
