"""What an enhancement run sees: speech to keep and noise to remove, from a manifest folder."""

import copy
import dataclasses
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np

from aqtaudio.data import audio, crops, manifest
from aqtaudio.data.labels import SILENCE, class_of
from aqtaudio.data.manifest import Recording
from aqtaudio.data.mixing import NOISES
from aqtaudio.data.upper_band import BAND_CHECK_HZ, has_upper_band
from aqtaudio.errors import BadInput

SPEECH = "speech"
EVALUATION_SNR_DB = (-5.0, 0.0, 5.0, 10.0, 15.0)
EVALUATION_MS = 10_000  # DNSMOS scores windows of 9.01 s
LOOP_PAUSE_MS = 500  # between repetitions of speech that is too short
# Of the energy of a recording's loudest clip: clips are rarely pauses.
SPEECH_LOUDNESS = 0.25
NOISE_LOUDNESS = 0.05
PICKS = 4  # places in a recording among which an evaluation looks for sound


@dataclasses.dataclass(frozen=True)
class MixtureItem:
    """One mixture that is scored.

    Attributes:
      path: of the speech recording, relative to the data folder.
      start_sample: first sample of the speech, at the run's sample rate.
      noise_path: of the noise recording.
      noise_start_sample: its first sample.
      snr_db: energy of the speech over that of the noise, over the whole clip.
      level_dbfs: RMS of the mixture.
    """

    path: str
    start_sample: int
    noise_path: str
    noise_start_sample: int
    snr_db: float
    level_dbfs: float = -25.0


class EnhancementData:
    """Speech (label "speech") and noise ("noise:*", "silence", "_silence_") as int16, in memory.

    Recordings with other labels are not read; those of digital silence are left out.

    Attributes:
      sample_rate_hz: rate of all audio.
      clip_samples: length of a training clip.
      evaluation_samples: length of an evaluation clip.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        samples: Sequence[np.ndarray],
        sample_rate_hz: int = 16000,
        clip_samples: int = 48000,
        evaluation_ms: int = EVALUATION_MS,
    ):
        """Takes recordings and their audio (int16 [samples] each); `load` reads them."""
        self.sample_rate_hz = sample_rate_hz
        self.clip_samples = clip_samples
        self.evaluation_samples = evaluation_ms * sample_rate_hz // 1000
        # Everything below goes by path, so that the order of the manifest changes no number.
        pairs = zip(recordings, samples, strict=True)
        found = sorted(pairs, key=lambda pair: pair[0].path)
        found = [pair for pair in found if kind_of(pair[0].label) and pair[1].any()]
        self._recordings = [recording for recording, _ in found]
        self._samples = [of_one for _, of_one in found]
        self._row = {recording.path: row for row, recording in enumerate(self._recordings)}
        self._starts: dict[int, np.ndarray] = {}
        self._rounds: dict[tuple[int, int], np.ndarray] = {}
        self._training: tuple[np.ndarray, list[np.ndarray]] | None = None

    @classmethod
    def load(
        cls,
        folders: Sequence[Path],
        sample_rate_hz: int = 16000,
        clip_samples: int = 48000,
        splits: Sequence[str] = ("train", "val"),
        evaluation_ms: int = EVALUATION_MS,
    ) -> "EnhancementData":
        """Reads the speech and noise of the needed splits; other rates are resampled.

        Raises:
          BadInput: a bad folder or file, or a split without speech or without noise.
        """
        recordings = [row for row in manifest.read_all(folders) if row.split in splits]
        recordings = [row for row in recordings if kind_of(row.label)]

        def read(recording: Recording) -> np.ndarray:
            return audio.load_int16(recording.file, sample_rate_hz)

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
            samples = list(threads.map(read, recordings))
        data = cls(recordings, samples, sample_rate_hz, clip_samples, evaluation_ms)
        for split, kind in itertools.product(splits, (SPEECH, SILENCE)):
            data._rows(split, kind, ", ".join(map(str, folders)))
        return data

    # Evaluation.

    def evaluation_list(
        self, split: str, per_class: int | None = None, seed: int = 0
    ) -> list[MixtureItem]:
        """The mixtures behind a figure: every speaker once at each of EVALUATION_SNR_DB.

        A speaker's recordings take turns, so do the kinds of noise and the noises of each kind.
        The same list whatever the order of files and manifest.

        Args:
          split: train, val or test; it must be loaded.
          per_class: at most so many at each SNR, instead of all.
          seed: what meets what, and where.

        Returns:
          Items, speakers in hash order again and again, each time at their next SNR: any prefix
          is a fair sample, and one as long as there are speakers has all of them.
        """
        speakers = self._speakers(split, seed)
        noises = self._noise_turns(split, seed)
        items = []
        for turn in range(len(EVALUATION_SNR_DB)):
            for place, rows in enumerate(speakers):
                snr_db = EVALUATION_SNR_DB[(place + turn) % len(EVALUATION_SNR_DB)]
                row, noise = rows[turn % len(rows)], next(noises)
                path, noise_path = self._recordings[row].path, self._recordings[noise].path
                key = (seed, path, noise_path, turn)
                start, noise_start = self._place(row, *key), self._place(noise, *key)
                items.append(MixtureItem(path, start, noise_path, noise_start, snr_db))
        return items if per_class is None else _first_of_each_ratio(items, per_class)

    def evaluation_arrays(self, items: Iterable[MixtureItem]) -> tuple[np.ndarray, np.ndarray]:
        """The mixtures of a list and their targets.

        Speech and noise that are too short are repeated, speech after a pause. Mixtures that
        pass full scale are clipped there.

        Returns:
          noisy and clean, int16 [n, evaluation_samples] each, at the same level.

        Raises:
          BadInput: an item whose recordings or samples are not in the data.
        """
        items = list(items)
        noisy = np.empty((len(items), self.evaluation_samples), np.int16)
        clean = np.empty_like(noisy)
        for index, item in enumerate(items):
            speech = self._cut(item.path, item.start_sample, SPEECH)
            noise = self._cut(item.noise_path, item.noise_start_sample, SILENCE)
            both, target = mixture(speech, noise, item.snr_db, item.level_dbfs)
            noisy[index], clean[index] = audio.to_int16(both), audio.to_int16(target)
        return noisy, clean

    def noises_by_label(self, split: str, at_most: int) -> dict[str, list[np.ndarray]]:
        """So many noise clips of each label of a split, int16 [evaluation_samples] each."""
        found = {}
        for rows in self._by_label(self._rows(split, SILENCE)):
            recordings = [self._recordings[row] for row in self._hashed(rows, 0)[:at_most]]
            found[recordings[0].label] = [
                self._cut(one.path, self._place(self._row[one.path], one.path), SILENCE)
                for one in recordings
            ]
        return dict(sorted(found.items()))

    def holds(self, items: Iterable[MixtureItem]) -> bool:
        """Whether every recording of a list is loaded."""
        return all(item.path in self._row and item.noise_path in self._row for item in items)

    def speaker_of(self, item: MixtureItem) -> str:
        """Who speaks; the path of the recording where the manifest does not say."""
        if item.path not in self._row:
            raise BadInput(f"evaluation item {item.path!r} is not among the recordings loaded")
        return _speaker(self._recordings[self._row[item.path]])

    # Training.

    def with_training_speech(self, change: Callable[[np.ndarray], np.ndarray]) -> Self:
        """The same data with every recording of training speech changed, int16 [N] to [N]."""
        mine = set(self._rows("train", SPEECH).tolist())
        pairs = zip(self._recordings, self._samples, strict=True)
        return self._of((r, change(x) if n in mine else x) for n, (r, x) in enumerate(pairs))

    def with_full_band_training_speech(self) -> Self:
        """The same data without recordings of training speech that have no upper band.

        Raises:
          BadInput: none has one, or the data's rate leaves no room for it.
        """
        highest_hz = BAND_CHECK_HZ[-1][-1]
        if self.sample_rate_hz < 2 * highest_hz:
            raise BadInput(
                f"task.full_band looks for sound up to {highest_hz:g} Hz, and "
                f"frontend.sample_rate_hz is {self.sample_rate_hz}; allowed: "
                f"{2 * highest_hz:g} or more"
            )
        mine = set(self._rows("train", SPEECH).tolist())
        whole = {n for n in mine if has_upper_band(self._samples[n], self.sample_rate_hz)}
        if not whole:
            raise BadInput(
                "task.full_band: no recording of training speech has an upper band; needed: "
                f"speech of {self.sample_rate_hz} Hz or more, not of a telephone or of few kbit/s"
            )
        pairs = zip(self._recordings, self._samples, strict=True)
        return self._of(pair for n, pair in enumerate(pairs) if n in whole or n not in mine)

    def _of(self, pairs: Iterable[tuple[Recording, np.ndarray]]) -> Self:
        """With other recordings and samples, in the same order of paths."""
        changed = copy.copy(self)
        changed._recordings, changed._samples = map(list, zip(*pairs, strict=True))
        changed._row = {recording.path: row for row, recording in enumerate(changed._recordings)}
        changed._starts, changed._rounds, changed._training = {}, {}, None
        return changed

    def steps_per_epoch(self, batch_size: int) -> int:
        """Steps after which all training speech was seen about once."""
        return -(-len(self._training_pool()[0]) // batch_size)

    def training_batch(
        self, step: int, batch_size: int, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The clips of a training step: a pure function of its arguments, so runs can resume.

        Clips form one sequence, cut into batches; an epoch has each recording as often as clips
        fit into it. They start at random places that hold sound. Speech that is too short is
        followed by other speech, after a pause; noise by noise of its kind. Kinds of noise
        (labels) come equally often.

        Returns:
          speech int16 [batch_size, clip_samples], noises int16 [batch_size, 3, clip_samples].
        """
        pool, kinds = self._training_pool()
        speech = np.empty((batch_size, self.clip_samples), np.int16)
        noises = np.empty((batch_size, NOISES, self.clip_samples), np.int16)
        for index, place in enumerate(range(step * batch_size, (step + 1) * batch_size)):
            number, within = divmod(place, len(pool))
            rng = np.random.default_rng([seed, 1, place])
            row = self._round(number, seed)[within]
            speech[index] = self._crop(row, pool, SPEECH_LOUDNESS, LOOP_PAUSE_MS, rng)
            for noise in range(NOISES):
                kind = kinds[rng.integers(len(kinds))]
                row = rng.choice(kind)
                noises[index, noise] = self._crop(row, kind, NOISE_LOUDNESS, 0, rng)
        return speech, noises

    # Rows and their order.

    def _rows(self, split: str, kind: str, where: str = "the data") -> np.ndarray:
        """Rows of one kind in a split; where there are none, an error."""
        rows = [
            row
            for row, recording in enumerate(self._recordings)
            if recording.split == split and kind_of(recording.label) == kind
        ]
        if not rows:
            what, allowed = {
                SPEECH: ("speech", "recordings labelled speech"),
                SILENCE: ("noise", "noise:*, silence or _silence_ recordings"),
            }[kind]
            raise BadInput(
                f"split {split!r} of {where} has no {what}; needed: {allowed}, not silent"
            )
        return np.asarray(rows, np.int64)

    def _speakers(self, split: str, seed: int) -> list[list[int]]:
        """Rows of each speaker; speakers and rows in hash order."""
        rows = self._rows(split, SPEECH)
        names = [_speaker(self._recordings[row]) for row in rows]
        groups = [self._hashed(rows[group], seed) for group in crops.grouped(names)]
        return sorted(
            groups, key=lambda group: crops.hash_order(seed, _speaker(self._recordings[group[0]]))
        )

    def _noise_turns(self, split: str, seed: int) -> Iterator[int]:
        """Noise rows without end: each kind once, in another order every time, and so again."""
        kinds = [
            itertools.cycle(self._hashed(rows, seed))
            for rows in self._by_label(self._rows(split, SILENCE))
        ]
        for turn in itertools.count():
            order = sorted(range(len(kinds)), key=lambda n: crops.hash_order(seed, turn, n))
            yield from (next(kinds[n]) for n in order)

    def _hashed(self, rows: Iterable[int], seed: int) -> list[int]:
        return sorted(rows, key=lambda row: crops.hash_order(seed, self._recordings[row].path))

    def _by_label(self, rows: np.ndarray) -> list[np.ndarray]:
        labels = (self._recordings[row].label for row in rows)
        return [rows[group] for group in crops.grouped(labels)]

    # Evaluation clips.

    def _place(self, row: int, *key: object) -> int:
        """Where a clip starts: the first of some places that a hash names which is no pause.

        Places are multiples of 10 ms: the list of another sample rate names the same ones.
        """
        samples, grid = self._samples[row], self.sample_rate_hz // 100
        choices = max(len(samples) - self.evaluation_samples, 0) // grid + 1
        picks = [crops.hash_order(*key, turn) % choices * grid for turn in range(PICKS)]
        clips = [samples[start : start + self.evaluation_samples] for start in picks]
        energy = [float(np.square(clip, dtype=np.float64).sum()) for clip in clips]
        loud = SPEECH_LOUDNESS * max(energy)
        return next(start for start, found in zip(picks, energy, strict=True) if found >= loud)

    def _cut(self, path: str, start_sample: int, kind: str) -> np.ndarray:
        """One evaluation clip of a recording, repeated where it is too short: [N]."""
        row = self._row.get(path)
        if row is None or kind_of(self._recordings[row].label) != kind:
            what = "speech" if kind == SPEECH else "noise"
            raise BadInput(f"evaluation item {path!r} is not among the {what} loaded")
        samples = self._samples[row][start_sample:]
        if not len(samples):
            raise BadInput(f"{path!r} ends before the clip at {start_sample} starts")
        if len(samples) < self.evaluation_samples and kind == SPEECH:
            samples = np.pad(samples, (0, LOOP_PAUSE_MS * self.sample_rate_hz // 1000))
        return np.resize(samples, self.evaluation_samples)

    # Training clips.

    def _training_pool(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """The rows of one epoch of speech, and the noise rows of each kind."""
        if self._training is None:
            rows = self._rows("train", SPEECH)
            clips = [max(1, round(len(self._samples[row]) / self.clip_samples)) for row in rows]
            noise = self._by_label(self._rows("train", SILENCE))
            self._training = np.repeat(rows, clips), noise
        return self._training

    def _round(self, number: int, seed: int) -> np.ndarray:
        """The order of an epoch."""
        if (number, seed) not in self._rounds:
            while len(self._rounds) > 1:
                self._rounds.pop(next(iter(self._rounds)))
            rng = np.random.default_rng([seed, 0, number])
            self._rounds[number, seed] = rng.permutation(self._training_pool()[0])
        return self._rounds[number, seed]

    def _crop(
        self,
        row: int,
        others: np.ndarray,
        loudness: float,
        longest_pause_ms: int,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """A clip of a recording, or of it and others, from a place that holds sound: [N]."""
        samples = self._samples[row]
        if len(samples) >= self.clip_samples:
            if row not in self._starts:
                self._starts[row] = crops.starts(samples, self.clip_samples, loudness)
            allowed = self._starts[row]
        else:
            samples = self._joined(samples, others, longest_pause_ms, rng)
            allowed = crops.starts(samples, self.clip_samples, loudness)
        start = allowed[rng.integers(len(allowed))]
        return samples[start : start + self.clip_samples]

    def _joined(
        self,
        samples: np.ndarray,
        others: np.ndarray,
        longest_pause_ms: int,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """A recording and others after it, until they are a clip long."""
        longest_pause = longest_pause_ms * self.sample_rate_hz // 1000
        pieces = [samples]
        while sum(map(len, pieces)) < self.clip_samples:
            pieces.append(np.zeros(rng.integers(longest_pause + 1), np.int16))
            pieces.append(self._samples[rng.choice(others)])
        return np.concatenate(pieces)


def kind_of(label: str) -> str | None:
    """SPEECH, SILENCE (which is what keyword runs call noise), or None: of no use here."""
    kind = class_of(label, (SPEECH,))
    return kind if kind in (SPEECH, SILENCE) else None


def mixture(
    speech: np.ndarray, noise: np.ndarray, snr_db: float, level_dbfs: float
) -> tuple[np.ndarray, np.ndarray]:
    """Speech and noise [N], of any scale, at a ratio of energies over the whole clip.

    Returns:
      The sum, at an RMS of `level_dbfs` (0: 1.0), and its speech, float64 [N]. Silent speech or
      noise stays silent.
    """
    speech, noise = _unit_rms(speech) * 10 ** (snr_db / 20), _unit_rms(noise)
    both = speech + noise
    scale = 10 ** (level_dbfs / 20) / max(float(np.sqrt(np.mean(both**2))), 1e-12)
    return both * scale, speech * scale


def _first_of_each_ratio(items: list[MixtureItem], at_most: int) -> list[MixtureItem]:
    left = dict.fromkeys(EVALUATION_SNR_DB, at_most)
    kept = []
    for item in items:
        if left[item.snr_db] > 0:
            left[item.snr_db] -= 1
            kept.append(item)
    return kept


def _unit_rms(signal: np.ndarray) -> np.ndarray:
    signal = signal.astype(np.float64)
    return signal / max(float(np.sqrt(np.mean(signal**2))), 1e-12)


def _speaker(recording: Recording) -> str:
    return recording.path if recording.speaker in ("", "-") else recording.speaker
