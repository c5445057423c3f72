"""Clips of training: utterances one after the other, in noise and rooms, and their features.

A device hears words after other words and amid noise, so a clip is a stretch of a stream. Clips are
made once; their features are kept on disk by what tells front end, sound and surroundings.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from scipy.signal import resample_poly

from aqtaudio.data.audio import to_float
from aqtaudio.data.cache_folder import default_folder
from aqtaudio.data.crops import hash_order
from aqtaudio.data.mixing import NOISES, Mixing, mix
from aqtaudio.files import replacing
from aqtaudio.frontends.frontend import Frontend
from aqtaudio.program.compiler import compiled
from aqtaudio.tasks.text_keywords.ctc import classes_of
from aqtaudio.tasks.text_keywords.utterances import Utterance

PAUSE_MS = (40.0, 500.0)
LEAD_MS = 600.0
"""Before the first utterance of a clip: an encoder has heard something."""
TAIL_MS = 320.0
"""After the last one: what ends there is known a little later."""
SPEEDS = ((9, 10), (19, 20), (1, 1), (21, 20), (11, 10))
PEAK, SPREAD_DB = 23000.0, 8.0
"""Of the loudest utterances, and by how much others are quieter; then clips get a level."""
LOOKED_AT = 24
"""Utterances that are tried when one does not fit."""
WORDS_PER_LABEL = 40
"""Isolated clips of one word that a pass hears: most corpora have thousands of few words."""
TOGETHER = 16
"""Clips that are made in one call."""
AT_ONCE = 64
"""Clips of a file on disk."""
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
    """A stretch of a stream, and what is said in it.

    Attributes:
      samples: int16 [N].
      key: what everything that is drawn for it follows from.
      labels: class numbers int32 [U] of all phones.
      words: of all utterances.
      ends: [words] of each word, labels up to and with it.
      utterances: [words] which utterance of the clip a word is of.
    """

    samples: np.ndarray
    key: int
    labels: np.ndarray
    words: tuple[str, ...]
    ends: np.ndarray
    utterances: np.ndarray


def packed(
    found: Sequence[Utterance], length: int, rate_hz: int, number: int, changes: bool
) -> Iterator[Clip]:
    """The clips of a pass over utterances, `length` samples each.

    Utterances that are longer than a clip are left out.

    Args:
      found: utterances of a split.
      length: samples of a clip.
      rate_hz: of all audio.
      number: of the pass: another order, other pauses.
      changes: whether utterances are faster or slower now and then.
    """
    per_ms, tail = rate_hz / 1000, round(TAIL_MS * rate_hz / 1000)
    kept = _Packed(length, tail, round(LEAD_MS * per_ms))
    waiting: list[_Said] = []
    for one in _chosen(found, number):
        waiting.append(_said(one, number, rate_hz, changes))
        if len(waiting) < LOOKED_AT:
            continue
        kept.fill(waiting)
        if len(waiting) == LOOKED_AT:  # nothing fits
            if kept.words:
                yield kept.clip()
            else:
                waiting.pop(0)
            kept = _Packed(length, tail, round(LEAD_MS * per_ms))
    while waiting:
        kept.fill(waiting)
        if kept.words:
            yield kept.clip()
        else:
            waiting.pop(0)
        kept = _Packed(length, tail, round(LEAD_MS * per_ms))


class _Said(NamedTuple):
    """An utterance as a pass hears it, and the samples of silence before it."""

    one: Utterance
    samples: np.ndarray
    pause: int


def _chosen(found: Sequence[Utterance], number: int) -> Iterator[Utterance]:
    counts: dict[str, int] = {}
    for one in sorted(found, key=lambda one: hash_order(number, one.path)):
        if one.isolated:
            counts[one.words[0]] = counts.get(one.words[0], 0) + 1
            if counts[one.words[0]] > WORDS_PER_LABEL:
                continue
        yield one


def _said(one: Utterance, number: int, rate_hz: int, changes: bool) -> _Said:
    rng = np.random.default_rng([hash_order(number, one.path), 2])
    up, down = SPEEDS[int(rng.integers(len(SPEEDS)))] if changes else (1, 1)
    samples = one.samples.astype(np.float32)
    if up != down:
        samples = resample_poly(samples, up, down)
    peak = PEAK * 10 ** (-rng.uniform(0, SPREAD_DB) / 20)
    samples = samples * (peak / max(1.0, float(np.abs(samples).max())))
    pause = round(rng.uniform(*PAUSE_MS) * rate_hz / 1000)
    return _Said(one, np.rint(samples).astype(np.int16), pause)


class _Packed:
    """A clip that is being filled."""

    def __init__(self, length: int, tail: int, lead: int):
        self.length, self.tail, self.place = length, tail, lead
        self.samples = np.zeros(length, np.int16)
        self.words: list[str] = []
        self.labels: list[np.ndarray] = []
        self.utterances: list[int] = []
        self.paths: list[str] = []

    def fill(self, waiting: list[_Said]) -> None:
        """Takes the first one that fits, and again, as long as one does."""
        while fitting := [said for said in waiting if self._fits(said)]:
            first = next(n for n, said in enumerate(waiting) if said is fitting[0])
            self._add(waiting.pop(first))

    def _fits(self, said: _Said) -> bool:
        return self.place + said.pause + len(said.samples) + self.tail <= self.length

    def _add(self, said: _Said) -> None:
        one, first = said.one, self.place + said.pause
        self.place = first + len(said.samples)
        self.samples[first : self.place] = said.samples
        self.words += one.words
        self.labels += [classes_of(phones) for phones in one.phones]
        self.utterances += [len(self.paths)] * len(one.words)
        self.paths.append(one.path)

    def clip(self) -> Clip:
        ends = np.cumsum([len(labels) for labels in self.labels])
        key = hash_order(*self.paths, self.samples.tobytes()[:64])
        labels = np.concatenate(self.labels)
        where = np.asarray(self.utterances)
        return Clip(self.samples, key, labels, tuple(self.words), ends, where)


@dataclasses.dataclass(frozen=True, eq=False)
class Surroundings:
    """What clips are mixed with, and how.

    Attributes:
      noises: recordings of background, int16 [N] each; may be none.
      settings: how; None: not at all.
      rate_hz: of all audio.
    """

    noises: Sequence[np.ndarray]
    settings: Mixing | None
    rate_hz: int

    @functools.cached_property
    def fingerprint(self) -> str:
        """What tells them from others."""
        told = hashlib.sha256(f"{self.settings}\n{self.rate_hz}".encode())
        for noise in self.noises if self.settings else ():
            told.update(noise.tobytes())
        return told.hexdigest()

    def heard(self, clips: Sequence[Clip]) -> np.ndarray:
        """What a device hears of up to `TOGETHER` clips: int16 [TOGETHER, N], filled with zeros."""
        length = len(clips[0].samples)
        padded = np.zeros((TOGETHER, length), np.int16)
        padded[: len(clips)] = [clip.samples for clip in clips]
        if self.settings is None:
            return padded
        beside = np.zeros((TOGETHER, NOISES, length), np.float32)
        for row, clip in enumerate(clips):
            rng = np.random.default_rng(clip.key)
            for number in range(NOISES if self.noises else 0):
                noise = self.noises[int(rng.integers(len(self.noises)))]
                at = int(rng.integers(max(1, len(noise) - length + 1)))
                beside[row, number] = to_float(np.resize(noise[at : at + length], length))
        keys = np.zeros(TOGETHER, np.uint32)
        keys[: len(clips)] = [clip.key % 2**32 for clip in clips]
        mixed = _mixed(self.settings, self.rate_hz)(keys, to_float(padded), beside)
        return np.rint(np.asarray(mixed) * 32768).astype(np.int16)


@functools.cache
def _mixed(settings: Mixing, rate_hz: int) -> Callable:
    def one(key: jax.Array, speech: jax.Array, noises: jax.Array) -> jax.Array:
        return mix(jax.random.key(key), speech[None], noises[None], settings, rate_hz).noisy[0]

    return compiled(jax.vmap(one))


def features_of(
    frontend: Frontend, around: Surroundings, clips: Sequence[Clip], frames: int, say: Say
) -> np.ndarray:
    """Features float16 [n, frames, F] of what is heard of clips, each from silence.

    A file on disk holds those of `AT_ONCE` clips.
    """
    found = [np.zeros((0, frames, frontend.features), np.float16)]
    told = f"{frontend.fingerprint()}\n{around.fingerprint}\n{frames}"
    for first in range(0, len(clips), AT_ONCE):
        some = clips[first : first + AT_ONCE]
        name = hashlib.sha256(f"{told}\n{[clip.key for clip in some]}\n".encode())
        for clip in some:
            name.update(clip.samples.tobytes())
        file = default_folder() / "phones" / f"{name.hexdigest()[:24]}.npy"
        known = _read(file)
        if known is None:
            known = _made(frontend, around, some, frames)
            file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(file) as new:
                np.save(new, known)
            say(f"features of {first + len(some)} of {len(clips)} clips")
        found.append(known)
    return np.concatenate(found)


def _made(
    frontend: Frontend, around: Surroundings, clips: Sequence[Clip], frames: int
) -> np.ndarray:
    parts = []
    for first in range(0, len(clips), TOGETHER):
        some = clips[first : first + TOGETHER]
        features = np.asarray(_features(frontend)(around.heard(some)))
        parts.append(features[: len(some), -frames:].astype(np.float16))
    return np.concatenate(parts)


@functools.cache
def _features(frontend: Frontend) -> Callable:
    def run(clips: jax.Array) -> jax.Array:
        return frontend.push(to_float(clips), frontend.initial_state(len(clips)))[0]

    return compiled(run)


def _read(file: Path) -> np.ndarray | None:
    """None where there is no file, or one that was cut off."""
    try:
        return np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
