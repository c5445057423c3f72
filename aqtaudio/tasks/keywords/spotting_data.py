"""What a spotting run sees: windows of scenes, of words and of hours of sound without them."""

import copy
import dataclasses
import functools
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np

from aqtaudio.data import audio, manifest, sidecars
from aqtaudio.data.conditions import Change
from aqtaudio.data.labels import SILENCE, SPEECH, class_of, is_word_label, says
from aqtaudio.data.manifest import Recording
from aqtaudio.data.mixing import Mixing
from aqtaudio.errors import BadInput
from aqtaudio.frontends.frontend import Frontend
from aqtaudio.tasks.keywords import scenes as made
from aqtaudio.tasks.keywords.scenes import Placed, Say, Scene, Surroundings
from aqtaudio.tasks.keywords.unheard import Unheard
from aqtaudio.tasks.setup import Setup

LATE_MS = 240
"""After the end of a word a window still holds it."""
CUT = (0.2, 0.55)
"""Windows that end between these shares of a word are of a word cut short: they are negatives."""
LONGEST_PER_SPLIT = 4096
"""Scenes of sound without words that are scored, at most: 5.7 hours."""


@dataclasses.dataclass(frozen=True)
class SceneItem:
    """A scene that is scored.

    Attributes:
      path: of the recording.
      label: a keyword, or what the recording is labelled.
      start_sample: of the part that is heard.
    """

    path: str
    label: str
    start_sample: int


@dataclasses.dataclass(frozen=True)
class Windows:
    """Where windows of scenes may end, by kind: [n, 2] of scene and frame after the last."""

    words: tuple[np.ndarray, ...]  # by keyword
    near: np.ndarray  # of neighbours of keywords
    others: np.ndarray  # of other words, and of keywords cut short
    sounds: np.ndarray


@dataclasses.dataclass(frozen=True)
class Rendered:
    """Scenes, where their words are, and their features float16 [n, T, F]."""

    scenes: Sequence[Scene]
    placed: Placed
    features: np.ndarray


@dataclasses.dataclass(frozen=True)
class Taught:
    """A teacher's logits [n, T, W] of scenes, and when each of the T is known, ms [T]."""

    logits: np.ndarray
    ends_ms: np.ndarray

    def at(self, scenes: np.ndarray, ends_ms: np.ndarray) -> np.ndarray:
        """The latest that are known of scenes [B] at times [B]: [B, W]."""
        latest = np.searchsorted(self.ends_ms, ends_ms + 0.5, side="right") - 1
        return self.logits[scenes, np.maximum(latest, 0)].astype(np.float32)


class SpottingData:
    """Recordings in memory, as int16, and the features of their scenes (`tasks.task.Data`).

    Attributes:
      keywords: the words.
      sample_rate_hz: of all audio.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        samples: Sequence[np.ndarray],
        keywords: Sequence[str],
        setup: Setup,
        mixing: Mixing,
        scenes_per_clip: int,
        speed_change: float = 0.0,
    ):
        self.keywords, self.sample_rate_hz = tuple(keywords), setup.frontend.sample_rate_hz
        self._setup, self._mixing, self._turns = setup, mixing, scenes_per_clip
        self._speed_change = speed_change
        order = sorted(range(len(recordings)), key=lambda row: recordings[row].path)
        self._recordings = [recordings[row] for row in order]
        self._samples = [samples[row] for row in order]
        self._row = {recording.path: row for row, recording in enumerate(self._recordings)}
        folders = {recording.folder for recording in recordings}
        near = {folder: sidecars.neighbours(folder) for folder in sorted(folders)}
        self._near = [near[one.folder].get(one.path, "") for one in self._recordings]
        self._training: Rendered | None = None
        self._taught: Taught | None = None

    @classmethod
    def load(
        cls,
        folders: Sequence[Path],
        keywords: Sequence[str],
        setup: Setup,
        splits: Sequence[str],
        mixing: Mixing,
        scenes_per_clip: int,
        unheard: Unheard | None = None,
        speed_change: float = 0.0,
    ) -> "SpottingData":
        """Reads recordings of the splits; those in whose transcript a keyword is are left out.

        `unheard`: words whose recordings of "train" are of "val".

        Raises BadInput for a keyword or sound without words that a split lacks.
        """
        rows = manifest.read_all(folders)
        rows = unheard.kept_out(rows) if unheard else rows
        rows = [row for row in rows if row.split in splits]
        rows = [
            row
            for row in rows
            if row.label in keywords or not any(says(row.text, word) for word in keywords)
        ]
        for split in splits:
            there = {row.label for row in rows if row.split == split}
            lacking = [word for word in keywords if word not in there]
            where = f"split {split!r} of {', '.join(map(str, folders))}"
            if lacking:
                raise BadInput(f"label {lacking[0]!r} has no clips in {where}")
            if all(map(is_word_label, there)):
                raise BadInput(f"{where} has no sound without words; needed: speech or noise:*")
        rate_hz = setup.frontend.sample_rate_hz
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
            samples = list(threads.map(lambda row: audio.load_int16(row.file, rate_hz), rows))
        return cls(rows, samples, keywords, setup, mixing, scenes_per_clip, speed_change)

    # Scenes.

    def mixed(self, settings: Mixing) -> Self:
        """The same recordings, whose scenes are made in another way."""
        found = copy.copy(self)
        found._mixing, found._training = settings, None
        return found

    def scenes(self, split: str, turns: int) -> list[Scene]:
        """All of a split, by path."""
        found = []
        for row, recording in enumerate(self._recordings):
            if recording.split == split:
                count, label = len(self._samples[row]), recording.label
                word = is_word_label(label)
                many = turns if label in self.keywords else 1
                path = recording.path
                how = self.sample_rate_hz, word, many, self._speed_change
                found += made.scenes_of(path, count, *how)
        return found

    def rendered(self, scenes: Sequence[Scene], say: Say | None = None) -> Rendered:
        """Scenes, and the features of what a device hears of them."""
        placed, around = self._placed(scenes), self._around(scenes)
        frontend = self._setup.frontend
        features = made.features_of(frontend, around, scenes, placed.audio, say)
        return Rendered(scenes, placed, features)

    def heard(self, scenes: Sequence[Scene]) -> np.ndarray:
        """What a device hears of scenes, int16 [n, N]."""
        return self._around(scenes).heard(scenes, self._placed(scenes).audio)

    def _placed(self, scenes: Sequence[Scene]) -> Placed:
        samples = [self._samples[self._row[scene.path]] for scene in scenes]
        return made.placed(scenes, samples, self.sample_rate_hz, self._talkers(scenes))

    def _around(self, scenes: Sequence[Scene]) -> Surroundings:
        """The background of the split that scenes are of."""
        noises = self.noises(self._split(scenes))
        return Surroundings(noises, self._mixing, self.sample_rate_hz)

    def _talkers(self, scenes: Sequence[Scene]) -> list[np.ndarray]:
        """Running speech of the split that scenes are of."""
        split = self._split(scenes)
        return [
            samples
            for recording, samples in zip(self._recordings, self._samples, strict=True)
            if (recording.split, recording.label) == (split, SPEECH) and samples.any()
        ]

    def _split(self, scenes: Sequence[Scene]) -> str:
        return self._recordings[self._row[scenes[0].path]].split

    def noises(self, split: str) -> list[np.ndarray]:
        """Recordings of background, int16 [N] each, that are not silent."""
        return [
            samples
            for recording, samples in zip(self._recordings, self._samples, strict=True)
            if recording.split == split
            and class_of(recording.label, ()) == SILENCE
            and samples.any()
        ]

    def numbers(self, scenes: Sequence[Scene]) -> np.ndarray:
        """Which keyword each scene holds, [n]; -1: none."""
        labels = (self._recordings[self._row[scene.path]].label for scene in scenes)
        return np.asarray(
            [self.keywords.index(x) if x in self.keywords else -1 for x in labels], np.int32
        )

    # Evaluation.

    def evaluation_list(self, split: str) -> list[SceneItem]:
        """A scene of every isolated word, and those of other sound, in hash order."""
        scenes = self.scenes(split, 1)
        scenes.sort(key=lambda scene: scene.key)
        sounds = [scene for scene in scenes if not scene.word][:LONGEST_PER_SPLIT]
        kept = {id(scene) for scene in sounds}
        return [
            SceneItem(scene.path, self._label(scene.path), scene.start_sample)
            for scene in scenes
            if scene.word or id(scene) in kept
        ]

    def _label(self, path: str) -> str:
        return self._recordings[self._row[path]].label

    def evaluation_arrays(self, items: Iterable[SceneItem]) -> tuple[np.ndarray, ...]:
        """What items are made of.

        Returns:
          Scenes before they are mixed int16 [n, N], features of what is heard of them [n, T, F],
          numbers of keywords or -1 [n], when the word ends in ms [n], what the recording is
          labelled [n], and the keyword that it is a neighbour of [n], else "".

        Raises:
          BadInput: an item that is not there.
        """
        found = self.rendered(self._scenes_of(items))
        labels = np.asarray([self._label(scene.path) for scene in found.scenes])
        near = np.asarray([self._near[self._row[scene.path]] for scene in found.scenes])
        numbers, placed = self.numbers(found.scenes), found.placed
        return placed.audio, found.features, numbers, placed.ends_ms, labels, near

    def changed(self, items: Iterable[SceneItem], change: Change) -> tuple[np.ndarray, ...]:
        """Features [n, T, F] of the items' scenes, mixed with nothing and changed, numbers of
        keywords or -1, when words end in ms, and labels, [n] each.
        """
        scenes = self._scenes_of(items)
        placed = self._placed(scenes)
        features = made.unkept_features_of(self._setup.frontend, change(placed.audio))
        labels = np.asarray([self._label(scene.path) for scene in scenes])
        return features, self.numbers(scenes), placed.ends_ms, labels

    def recordings(self, items: Iterable[SceneItem]) -> np.ndarray:
        """What a device hears of the scenes of items, int16 [n, N]."""
        return self.heard(self._scenes_of(items))

    def _scenes_of(self, items: Iterable[SceneItem]) -> list[Scene]:
        scenes = []
        for item in items:
            if item.path not in self._row:
                raise BadInput(f"evaluation item {item.path!r} is not among the recordings loaded")
            word = is_word_label(self._label(item.path))
            scenes.append(Scene(item.path, item.start_sample, 0, word))
        return scenes

    def holds(self, items: Iterable[SceneItem]) -> bool:
        """Whether every recording of a list is loaded."""
        return all(item.path in self._row for item in items)

    # Training.

    def prepared(self, say: Say | None) -> Self:
        """The same data with the features of every training scene."""
        found = copy.copy(self)
        found._training = self.rendered(self.scenes("train", self._turns), say)
        return found

    def taught(self, teacher: Frontend, say: Say | None) -> Self:
        """The same prepared data with what a teacher says of every training scene.

        `teacher`: a front end whose features are its logits.
        """
        found, trained = copy.copy(self), self._trained_on
        around = self._around(trained.scenes)
        logits = made.features_of(teacher, around, trained.scenes, trained.placed.audio, say)
        setup = dataclasses.replace(self._setup, frontend=teacher)
        found._taught = Taught(logits, ends_of(setup, logits.shape[1]))
        return found

    @property
    def _trained_on(self) -> Rendered:
        if self._training is None:
            raise BadInput("split 'train' was not loaded")
        return self._training

    def deviations(self) -> np.ndarray:
        """Of each feature over all training scenes, float32 [F]."""
        return self._trained_on.features.std((0, 1), dtype=np.float64).astype(np.float32)

    @functools.cached_property
    def _windows(self) -> Windows:
        frames, trained = self._setup.feature_shape[0], self._trained_on
        known_ms = ends_of(self._setup, trained.features.shape[1])
        everywhere = np.arange(frames, len(known_ms) + 1)
        at_ms = known_ms[everywhere - 1]
        words: list[list[np.ndarray]] = [[] for _ in self.keywords]
        near: list[np.ndarray] = []
        others: list[np.ndarray] = []
        sounds: list[np.ndarray] = []
        numbers, placed = self.numbers(trained.scenes), trained.placed
        for index, scene in enumerate(trained.scenes):
            start, end = placed.starts_ms[index], placed.ends_ms[index]
            if numbers[index] >= 0:
                held = everywhere[(at_ms >= end) & (at_ms <= end + LATE_MS)]
                words[numbers[index]].append(_of_scene(index, held))
                first, last = (start + share * (end - start) for share in CUT)
                others.append(_of_scene(index, everywhere[(at_ms >= first) & (at_ms <= last)]))
            elif self._near[self._row[scene.path]]:
                near.append(_of_scene(index, everywhere))
            else:
                (others if scene.word else sounds).append(_of_scene(index, everywhere))
        return Windows(tuple(map(_joined, words)), *map(_joined, (near, others, sounds)))

    def training_batch(self, step: int, batch_size: int, seed: int) -> tuple[np.ndarray, ...]:
        """The windows of a step, a pure function of its arguments.

        Returns:
          float32 [batch_size, T, F], the number of the keyword of each or -1, and with a teacher
          its logits [batch_size, W].
        """
        features = self._trained_on.features
        rng, windows = np.random.default_rng([seed, step]), self._windows
        of_words = max(1, round(WORDS * batch_size))
        of_near = round(NEAR * batch_size) if len(windows.near) else 0
        of_others = round(OTHERS * batch_size) if len(windows.others) else 0
        of_sounds = batch_size - of_words - of_near - of_others
        picked, truths = [], []
        numbers = np.resize(rng.permutation(len(self.keywords)), of_words)
        for number in numbers:
            picked.append(rng.choice(windows.words[number]))
            truths.append(number)
        kinds = (windows.near, of_near), (windows.others, of_others), (windows.sounds, of_sounds)
        for pool, count in kinds:
            if not count:
                continue
            picked.extend(pool[rng.integers(len(pool), size=count)])
            truths += [-1] * count
        frames = self._setup.feature_shape[0]
        cut = [features[scene, end - frames : end] for scene, end in picked]
        batch = np.stack(cut).astype(np.float32), np.asarray(truths, np.int32)
        if self._taught is None:
            return batch
        of, ends = np.asarray(picked).T
        return *batch, self._taught.at(of, ends_of(self._setup, features.shape[1])[ends - 1])


WORDS, NEAR, OTHERS = 0.15, 0.15, 0.2
"""Shares of a batch: windows that hold a keyword, of neighbours of keywords, of other words and of
words cut short. The rest are of hours of sound."""


def ends_of(setup: Setup, frames: int) -> np.ndarray:
    """When each of a scene's latest `frames` is known, in ms from its beginning."""
    frontend = setup.frontend
    more_ms = (frontend.window_samples - frontend.hop_samples) * 1e3 / frontend.sample_rate_hz
    skipped = made.frames_of(frontend) - frames + frontend.skipped_frames
    return (skipped + 1 + np.arange(frames)) * setup.hop_ms + more_ms


def _of_scene(index: int, ends: np.ndarray) -> np.ndarray:
    return np.stack([np.full_like(ends, index), ends], -1)


def _joined(found: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros((0, 2), np.int64), *found])
