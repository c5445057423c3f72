"""What a bandwidth run sees: full-band speech of manifest folders, and narrow-band clips of it."""

import dataclasses
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from aqtaudio.data import audio, crops, manifest
from aqtaudio.data.manifest import Recording
from aqtaudio.data.upper_band import has_upper_band
from aqtaudio.errors import BadInput
from aqtaudio.tasks.bandwidth.lines import CONDITIONS, LISTED, narrow_band

SPEECH = "speech"
EVALUATION_MS = 5000
TURNS = len(LISTED)
"""Clips of a speaker that are scored: one in each condition."""
LOOP_PAUSE_MS = 300
LOUDNESS = 0.25
"""Of the energy of a recording's loudest clip: clips are rarely pauses."""
PICKS = 4


@dataclasses.dataclass(frozen=True)
class SpeechItem:
    """One clip that is scored.

    Attributes:
      path: of the recording, relative to the data folder.
      start_sample: its first sample, at the run's sample rate.
      condition: one of `lines.CONDITIONS`: how the narrow band is made.
      level_dbfs: RMS of the clip.
    """

    path: str
    start_sample: int
    condition: str
    level_dbfs: float


class BandwidthData:
    """Speech (label "speech") as int16, in memory; recordings without an upper band are left out.

    Attributes:
      sample_rate_hz: of all audio.
      clip_samples: length of a training clip.
      evaluation_samples: length of an evaluation clip.
      left_out: paths of recordings that have no upper band.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        samples: Sequence[np.ndarray],
        sample_rate_hz: int = 16000,
        clip_samples: int = 16000,
        evaluation_ms: int = EVALUATION_MS,
    ):
        """Takes recordings and their audio (int16 [samples] each); `load` reads them."""
        self.sample_rate_hz, self.clip_samples = sample_rate_hz, clip_samples
        self.evaluation_samples = evaluation_ms * sample_rate_hz // 1000
        # Everything below goes by path, so that the order of the manifest changes no number.
        pairs = sorted(zip(recordings, samples, strict=True), key=lambda pair: pair[0].path)
        whole = [has_upper_band(x, sample_rate_hz) for _, x in pairs]
        found = [pair for pair, is_whole in zip(pairs, whole, strict=True) if is_whole]
        self.left_out = tuple(
            recording.path
            for (recording, _), is_whole in zip(pairs, whole, strict=True)
            if not is_whole
        )
        self._recordings = [recording for recording, _ in found]
        self._samples = [of_one for _, of_one in found]
        self._row = {recording.path: row for row, recording in enumerate(self._recordings)}
        self._starts: dict[int, np.ndarray] = {}
        self._orders: dict[tuple[int, int], np.ndarray] = {}
        self._pool: np.ndarray | None = None

    @classmethod
    def load(
        cls,
        folders: Sequence[Path],
        sample_rate_hz: int = 16000,
        clip_samples: int = 16000,
        splits: Sequence[str] = ("train", "val"),
        evaluation_ms: int = EVALUATION_MS,
    ) -> "BandwidthData":
        """Reads the speech of the needed splits; higher rates are resampled, lower left out.

        Raises:
          BadInput: a bad folder or file, or a split without full-band speech.
        """
        recordings = [
            row
            for row in manifest.read_all(folders)
            if row.split in splits and row.label == SPEECH and row.sample_rate_hz >= sample_rate_hz
        ]

        def read(recording: Recording) -> np.ndarray:
            return audio.load_int16(recording.file, sample_rate_hz)

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
            samples = list(threads.map(read, recordings))
        data = cls(recordings, samples, sample_rate_hz, clip_samples, evaluation_ms)
        for split in splits:
            if not data.rows(split):
                raise BadInput(
                    f"split {split!r} of {', '.join(map(str, folders))} has no full-band speech; "
                    f"needed: recordings labelled {SPEECH}, of {sample_rate_hz} Hz or more, with "
                    "something above half of their band"
                )
        return data

    def rows(self, split: str) -> list[int]:
        """Recordings of a split."""
        return [n for n, recording in enumerate(self._recordings) if recording.split == split]

    def clips_of(self, split: str, count: int) -> np.ndarray:
        """int16 [count, evaluation_samples] of a split, of other speakers as long as there are."""
        speakers = self._speakers(split)
        pairs = (speakers[n % len(speakers)] for n in range(count))
        rows = [rows[n // len(speakers) % len(rows)] for n, rows in enumerate(pairs)]
        return np.stack([self._cut(row, self._place(row, n)) for n, row in enumerate(rows)])

    # Evaluation.

    def evaluation_list(self, split: str) -> list[SpeechItem]:
        """The clips behind a figure: every speaker once in each condition.

        The same list whatever the order of files and manifest; any prefix is a fair sample, and one
        as long as there are speakers has all of them.
        """
        items, names = [], LISTED
        for turn in range(TURNS):
            for place, rows in enumerate(self._speakers(split)):
                row, name = rows[turn % len(rows)], names[(place + turn) % len(names)]
                path, level_dbfs = self._recordings[row].path, CONDITIONS[name].level_dbfs
                items.append(SpeechItem(path, self._place(row, turn), name, level_dbfs))
        return items

    def evaluation_arrays(self, items: Iterable[SpeechItem]) -> tuple[np.ndarray, np.ndarray]:
        """The clips of a list.

        Returns:
          narrow and wide, int16 [n, evaluation_samples] each, at the same level and rate.

        Raises:
          BadInput: an item whose recording or samples are not in the data, or of no condition.
        """
        items = list(items)
        narrow = np.empty((len(items), self.evaluation_samples), np.int16)
        wide = np.empty_like(narrow)
        for index, item in enumerate(items):
            if item.path not in self._row:
                raise BadInput(f"evaluation item {item.path!r} is not among the speech loaded")
            clip = self._cut(self._row[item.path], item.start_sample)
            scaled = at_level(clip, item.level_dbfs)
            wide[index] = audio.to_int16(scaled)
            heard = narrow_band(scaled, item.condition, self.sample_rate_hz)
            narrow[index] = audio.to_int16(heard)
        return narrow, wide

    def holds(self, items: Iterable[SpeechItem]) -> bool:
        """Whether every recording of a list is loaded."""
        return all(item.path in self._row for item in items)

    def speaker_of(self, item: SpeechItem) -> str:
        """Who speaks; the path of the recording where the manifest does not say."""
        return _speaker(self._recordings[self._row[item.path]])

    # Training.

    def steps_per_epoch(self, batch_size: int) -> int:
        """Steps after which all training speech was heard about once."""
        return -(-len(self._training_pool()) // batch_size)

    def training_batch(self, step: int, batch_size: int, seed: int) -> tuple[np.ndarray]:
        """The wide-band clips of a step, int16 [batch_size, clip_samples]: a pure function.

        An epoch has each recording as often as clips fit into it. They start at random places that
        hold sound.
        """
        pool = self._training_pool()
        clips = np.empty((batch_size, self.clip_samples), np.int16)
        for index, place in enumerate(range(step * batch_size, (step + 1) * batch_size)):
            number, within = divmod(place, len(pool))
            rng = np.random.default_rng([seed, 1, place])
            clips[index] = self._crop(self._order(number, seed)[within], rng)
        return (clips,)

    def _training_pool(self) -> np.ndarray:
        if self._pool is None:
            rows = self.rows("train")
            if not rows:
                raise BadInput("split 'train' has no full-band speech")
            times = [max(1, round(len(self._samples[row]) / self.clip_samples)) for row in rows]
            self._pool = np.repeat(np.asarray(rows), times)
        return self._pool

    def _order(self, number: int, seed: int) -> np.ndarray:
        """Of an epoch."""
        if (number, seed) not in self._orders:
            while len(self._orders) > 1:
                self._orders.pop(next(iter(self._orders)))
            rng = np.random.default_rng([seed, 0, number])
            self._orders[number, seed] = rng.permutation(self._training_pool())
        return self._orders[number, seed]

    def _crop(self, row: int, rng: np.random.Generator) -> np.ndarray:
        samples = self._samples[row]
        if len(samples) < self.clip_samples:
            samples = self._repeated(samples, self.clip_samples)
            return samples[: self.clip_samples]
        if row not in self._starts:
            self._starts[row] = crops.starts(samples, self.clip_samples, LOUDNESS)
        start = self._starts[row][rng.integers(len(self._starts[row]))]
        return samples[start : start + self.clip_samples]

    # Evaluation clips.

    def _speakers(self, split: str) -> list[list[int]]:
        """Rows of each speaker; speakers and rows in hash order."""
        rows = self.rows(split)
        groups: dict[str, list[int]] = {}
        for row in sorted(rows, key=lambda row: crops.hash_order(self._recordings[row].path)):
            groups.setdefault(_speaker(self._recordings[row]), []).append(row)
        return [groups[name] for name in sorted(groups, key=crops.hash_order)]

    def _place(self, row: int, turn: int) -> int:
        """Where a clip starts: the first of some places that a hash names which is no pause."""
        samples, path = self._samples[row], self._recordings[row].path
        choices = max(len(samples) - self.evaluation_samples, 0) // 160 + 1
        picks = [crops.hash_order(path, turn, n) % choices * 160 for n in range(PICKS)]
        clips = (samples[start : start + self.evaluation_samples] for start in picks)
        energy = [float(np.square(clip, dtype=np.float64).sum()) for clip in clips]
        loud = LOUDNESS * max(energy)
        return next(start for start, found in zip(picks, energy, strict=True) if found >= loud)

    def _cut(self, row: int, start_sample: int) -> np.ndarray:
        """One evaluation clip, repeated where the recording is too short: [N]."""
        samples = self._samples[row][start_sample:]
        if not len(samples):
            path = self._recordings[row].path
            raise BadInput(f"{path!r} ends before the clip at {start_sample} starts")
        return self._repeated(samples, self.evaluation_samples)[: self.evaluation_samples]

    def _repeated(self, samples: np.ndarray, at_least: int) -> np.ndarray:
        if len(samples) >= at_least:
            return samples
        once = np.pad(samples, (0, LOOP_PAUSE_MS * self.sample_rate_hz // 1000))
        return np.resize(once, at_least)


def at_level(clip: np.ndarray, level_dbfs: float) -> np.ndarray:
    """int16 samples [N] at an RMS of `level_dbfs` (0: 1.0), float64. Silence stays silent."""
    samples = clip.astype(np.float64) / audio.FULL_SCALE
    return samples * 10 ** (level_dbfs / 20) / max(float(np.sqrt(np.mean(samples**2))), 1e-9)


def _speaker(recording: Recording) -> str:
    return recording.path if recording.speaker in ("", "-") else recording.speaker
