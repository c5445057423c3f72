"""What an embedding run hears: recordings of any kind, cut and joined to clips, and noise."""

import copy
import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np

from aqtaudio.data import audio, crops, manifest
from aqtaudio.data.labels import SILENCE, class_of
from aqtaudio.data.manifest import Recording
from aqtaudio.data.mixing import NOISES
from aqtaudio.errors import BadInput

LONGEST_PAUSE_MS = 600
"""Between recordings that are joined."""
LOUDNESS = 0.1
"""Of the energy of a recording's loudest clip: clips are rarely pauses."""
EVALUATED_PER_KIND = 24
"""Clips of each kind of recording that figures are made on."""


@dataclasses.dataclass(frozen=True)
class ClipItem:
    """A clip that is embedded.

    Attributes:
      path: of the recording, relative to its folder.
      start_sample: first sample, at the run's rate; short recordings are repeated.
    """

    path: str
    start_sample: int


class EmbeddingData:
    """Recordings in memory, as int16 (`tasks.task.Data`).

    Attributes:
      sample_rate_hz: of all audio.
      clip_samples: length of a clip.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        samples: Sequence[np.ndarray],
        sample_rate_hz: int,
        clip_samples: int,
        foreground: str,
        others: Sequence[Recording] = (),
    ):
        """`others`: recordings that are not loaded; `samples` reads them."""
        self.sample_rate_hz, self.clip_samples = sample_rate_hz, clip_samples
        order = sorted(range(len(recordings)), key=lambda row: recordings[row].path)
        self._recordings = [recordings[row] for row in order]
        self._samples = [samples[row] for row in order]
        self._foreground = foreground
        self._others = sorted(others, key=lambda recording: recording.path)
        self._row = {recording.path: row for row, recording in enumerate(self._recordings)}
        self._taught: dict[int, np.ndarray] | None = None
        self._grid_samples = crops.HOP_SAMPLES
        self._vectors_per_clip = 0
        self._starts: dict[tuple[int, int], np.ndarray] = {}
        self._rounds: dict[tuple[int, int], np.ndarray] = {}

    @classmethod
    def load(
        cls,
        folders: Sequence[Path],
        sample_rate_hz: int,
        clip_samples: int,
        splits: Sequence[str],
        foreground: str,
    ) -> "EmbeddingData":
        """Reads recordings of the splits. Raises BadInput where one has no foreground."""
        listed = manifest.read_all(folders)
        rows = [row for row in listed if row.split in splits]
        for split in splits:
            if not any(row.split == split and is_foreground(row, foreground) for row in rows):
                raise BadInput(
                    f"split {split!r} of {', '.join(map(str, folders))} has no {foreground}; "
                    "allowed: " + FOREGROUNDS[foreground]
                )
        others = [row for row in listed if row.split not in splits]
        samples = _read(rows, sample_rate_hz)
        return cls(rows, samples, sample_rate_hz, clip_samples, foreground, others)

    # All recordings, for probes.

    def listed(self, split: str) -> list[Recording]:
        """Every recording of a split of the folders, of any kind, loaded or not."""
        return [row for row in (*self._recordings, *self._others) if row.split == split]

    def samples(self, recordings: Sequence[Recording]) -> list[np.ndarray]:
        """int16 [N] of each; those that are not loaded are read."""
        missing = [recording for recording in recordings if recording.path not in self._row]
        read = dict(
            zip((row.path for row in missing), _read(missing, self.sample_rate_hz), strict=True)
        )
        return [
            read[row.path] if row.path in read else self._samples[self._row[row.path]]
            for row in recordings
        ]

    def foreground(self, split: str) -> list[tuple[Recording, np.ndarray]]:
        """Recordings of the foreground of a split that is loaded, each a clip long at least."""
        return [(self._recordings[row], self._filled(row)) for row in self._rows(split)]

    def split_of(self, items: Sequence[ClipItem]) -> str:
        """That of the recordings of a list; the first one's."""
        return self._recordings[self._row[items[0].path]].split

    # Evaluation.

    def evaluation_list(self, split: str) -> list[ClipItem]:
        """Clips of every kind (the folder of a path), in hash order."""
        found = []
        rows = self._rows(split)
        kinds = (str(Path(self._recordings[row].path).parent) for row in rows)
        for kind in crops.grouped(kinds):
            candidates = [item for row in rows[kind] for item in self._candidates(int(row))]
            found += sorted(candidates, key=_turn)[:EVALUATED_PER_KIND]
        return [item for _, _, item in sorted(found, key=_turn)]

    def _candidates(self, row: int) -> list[tuple[int, int, ClipItem]]:
        path = self._recordings[row].path
        places = self._places(row, crops.HOP_SAMPLES)  # not the teacher's: lists stay what they are
        picks = crops.apart(places, self.clip_samples, 0, path)
        return [
            (turn, crops.hash_order(0, path, turn), ClipItem(path, int(place)))
            for turn, place in enumerate(picks)
        ]

    def evaluation_arrays(self, items: Iterable[ClipItem]) -> tuple[np.ndarray]:
        """Clips int16 [n, N]. Raises BadInput for items whose recordings are not loaded."""
        clips = []
        for item in items:
            if item.path not in self._row:
                raise BadInput(f"evaluation item {item.path!r} is not among the recordings loaded")
            samples = self._filled(self._row[item.path])
            clip = samples[item.start_sample : item.start_sample + self.clip_samples]
            if len(clip) < self.clip_samples:
                raise BadInput(f"{item.path!r} ends before the clip at {item.start_sample} does")
            clips.append(clip)
        return (np.stack(clips),)

    def holds(self, items: Iterable[ClipItem]) -> bool:
        """Whether every recording of a list is loaded."""
        return all(item.path in self._row for item in items)

    # Training.

    def taught(
        self,
        embed: Callable[[Sequence[np.ndarray]], list[np.ndarray]],
        hop_samples: int,
        count: int,
    ) -> Self:
        """The same data, with a teacher's vectors of its training recordings beside clips.

        Args:
          embed: recordings, int16 [N] each, to vectors [m, D] that are `hop_samples` apart.
          hop_samples: clips begin at multiples of it.
          count: vectors of a clip.
        """
        rows = self._rows("train").tolist()
        found = copy.copy(self)
        vectors = embed([self._filled(row) for row in rows])
        found._taught = dict(zip(rows, vectors, strict=True))
        found._vectors_per_clip = count
        found._grid_samples = hop_samples
        return found

    def training_batch(self, step: int, batch_size: int, seed: int) -> tuple[np.ndarray, ...]:
        """The clips of a step and noises for them: a pure function of its arguments.

        An epoch has each recording as often as clips fit into it. Short ones are joined, with
        pauses, to others of any kind; where a teacher's vectors of recordings are at hand, they
        are repeated instead.

        Returns:
          int16 [batch_size, N] and [batch_size, NOISES, N], and maybe vectors
          [batch_size, m, D].
        """
        clips = np.empty((batch_size, self.clip_samples), np.int16)
        noises = np.zeros((batch_size, NOISES, self.clip_samples), np.int16)
        pool, noisy = self._pool, self._noise_rows
        vectors = []
        for index, place in enumerate(range(step * batch_size, (step + 1) * batch_size)):
            number, within = divmod(place, len(pool))
            rng = np.random.default_rng([seed, 1, place])
            row = self._round(number, seed)[within]
            if self._taught is None:
                clips[index] = self._clip(row, pool, rng)
            else:
                clips[index], found = self._taught_clip(int(row), rng)
                vectors.append(found)
            for noise in range(NOISES if len(noisy) else 0):
                kind = noisy[rng.integers(len(noisy))]
                noises[index, noise] = self._clip(rng.choice(kind), kind, rng)
        return (clips, noises, np.stack(vectors)) if vectors else (clips, noises)

    def _taught_clip(self, row: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A clip of a recording, and the teacher's vectors of it."""
        assert self._taught is not None
        place = rng.choice(self._places(row))
        first = place // self._grid_samples
        vectors = self._taught[row][first : first + self._vectors_per_clip]
        return self._filled(row)[place : place + self.clip_samples], vectors

    @functools.cached_property
    def _pool(self) -> np.ndarray:
        """Rows of an epoch."""
        rows = self._rows("train")
        if not len(rows):
            raise BadInput("split 'train' was not loaded")
        counts = [max(1, round(len(self._samples[row]) / self.clip_samples)) for row in rows]
        return np.repeat(rows, counts)

    def _round(self, number: int, seed: int) -> np.ndarray:
        """The order of an epoch."""
        if (number, seed) not in self._rounds:
            while len(self._rounds) > 1:
                self._rounds.pop(next(iter(self._rounds)))
            rng = np.random.default_rng([seed, 0, number])
            self._rounds[number, seed] = rng.permutation(self._pool)
        return self._rounds[number, seed]

    def _clip(self, row: int, others: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A clip that holds a part of a recording, and of others where it is short."""
        samples = self._samples[row]
        if len(samples) >= self.clip_samples:
            place = rng.choice(self._places(row))
            return samples[place : place + self.clip_samples]
        pause = LONGEST_PAUSE_MS * self.sample_rate_hz // 1000
        pieces = [samples]
        while sum(map(len, pieces)) < 2 * self.clip_samples:
            pieces += [
                np.zeros(rng.integers(pause + 1), np.int16),
                self._samples[rng.choice(others)],
            ]
        joined = np.concatenate(pieces)
        place = rng.integers(len(samples))
        return joined[place : place + self.clip_samples]

    # Rows and places.

    def _rows(self, split: str) -> np.ndarray:
        """Rows of the foreground."""
        return np.asarray(
            [
                row
                for row, recording in enumerate(self._recordings)
                if recording.split == split and is_foreground(recording, self._foreground)
            ],
            np.int64,
        )

    @functools.cached_property
    def _noise_rows(self) -> list[np.ndarray]:
        """Rows of background of each label; none where noise is the foreground."""
        if self._foreground != "speech":
            return []
        rows = [
            row
            for row, recording in enumerate(self._recordings)
            if recording.split == "train" and is_foreground(recording, "noise")
        ]
        labels = (self._recordings[row].label for row in rows)
        return [np.asarray(rows)[kind] for kind in crops.grouped(labels)]

    def _filled(self, row: int) -> np.ndarray:
        """A recording, repeated where it is shorter than a clip: nobody hears digital silence."""
        samples = self._samples[row]
        return np.resize(samples, max(len(samples), self.clip_samples))

    def _places(self, row: int, grid_samples: int = 0) -> np.ndarray:
        """Where a clip may start: at multiples of `grid_samples`, or of a teacher's hop."""
        key = row, grid_samples or self._grid_samples
        if key not in self._starts:
            places = crops.starts(self._filled(row), self.clip_samples, LOUDNESS)
            on_grid = places[places % key[1] == 0]
            self._starts[key] = on_grid if len(on_grid) else np.zeros(1, np.int32)
        return self._starts[key]


def _read(recordings: Sequence[Recording], sample_rate_hz: int) -> list[np.ndarray]:
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        files = [recording.file for recording in recordings]
        return list(threads.map(lambda file: audio.load_int16(file, sample_rate_hz), files))


def _turn(candidate: tuple[int, int, ClipItem]) -> tuple[int, int]:
    return candidate[:2]


FOREGROUNDS = {
    "speech": "recordings of words or of speech",
    "noise": "recordings labelled noise:*, silence or _silence_",
    "any": "recordings",
}


def is_foreground(recording: Recording, foreground: str) -> bool:
    """Whether a recording is of what a run embeds."""
    is_noise = class_of(recording.label, ()) == SILENCE
    return foreground == "any" or is_noise == (foreground == "noise")
