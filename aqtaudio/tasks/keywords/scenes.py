"""Scenes: seconds of sound as a device hears them, with a word that ends shortly before they do, or
with none. Their features are made once, because nothing of a step changes them.
"""

import dataclasses
import functools
import hashlib
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
import numpy as np

from aqtaudio.data import crops
from aqtaudio.data.audio import to_float
from aqtaudio.data.cache_folder import default_folder
from aqtaudio.data.mixing import NOISES, Mixing, mix
from aqtaudio.detection.scene import word_span
from aqtaudio.errors import BadInput
from aqtaudio.files import replacing
from aqtaudio.frontends.frontend import Frontend
from aqtaudio.program.compiler import compiled

SCENE_MS = 5000
TAIL_MS = 400
"""What a scene has after the end of its word."""
ALONE, AFTER_SPEECH = 0.6, 0.25
"""Shares of the scenes with a word: in which nobody else speaks; in which somebody speaks before
and after it. In the rest somebody speaks all the time. Running speech has no pause before a word:
heads that only knew words after silence missed half of them there."""
PAUSE_MS = 300
"""Between the word and who speaks before, at most."""
CLOSE_DB = (-25.0, 3.0)
FAR_DB = (-40.0, -12.0)
"""Levels of who speaks before and after, and of who speaks at the same time, over the word's."""
FADE_MS = 10
TOGETHER = 16
"""Scenes that are made in one call."""
AT_LEAST = 128
"""Scenes between two looks at the cache."""
SAY_EVERY_S = 10.0
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Scene:
    """What a scene is made of.

    Attributes:
      path: of the recording.
      start_sample: of the part that is heard.
      turn: which scene of this part, each in another noise.
      word: it holds an isolated word, which has a beginning and an end; else sound of any kind.
      speed: at which it is played; pitch and formants follow, as of another speaker.
    """

    path: str
    start_sample: int
    turn: int
    word: bool
    speed: float = 1.0

    @property
    def key(self) -> int:
        """What everything that is drawn for it follows from."""
        return crops.hash_order(self.path, self.start_sample, self.turn)


@dataclasses.dataclass(frozen=True)
class Placed:
    """Scenes before they are mixed.

    Attributes:
      audio: int16 [n, N].
      starts_ms, ends_ms: of the word of each, [n]; of a scene without a word 0 and its length.
    """

    audio: np.ndarray
    starts_ms: np.ndarray
    ends_ms: np.ndarray


def scenes_of(
    path: str, samples: int, rate_hz: int, word: bool, turns: int, speed_change: float = 0.0
) -> list[Scene]:
    """The scenes of a recording: `turns` of a word, or one of every part of a longer sound.

    `speed_change`: all turns of a word but the first are played faster or slower, by this share at
    most.
    """
    if word:
        found = [Scene(path, 0, turn, True) for turn in range(turns)]
        if not speed_change:
            return found
        return found[:1] + [_at_speed(scene, speed_change) for scene in found[1:]]
    length = SCENE_MS * rate_hz // 1000
    return [Scene(path, n * length, 0, False) for n in range(max(1, samples // length))]


def _at_speed(scene: Scene, change: float) -> Scene:
    rng = np.random.default_rng([scene.key, 2])
    return dataclasses.replace(scene, speed=1.0 + float(rng.uniform(-change, change)))


def placed(
    scenes: Sequence[Scene],
    samples: Sequence[np.ndarray],
    rate_hz: int,
    talkers: Sequence[np.ndarray] = (),
) -> Placed:
    """Scenes of recordings, int16 [N] each. `talkers`: running speech, for scenes with a word."""
    found = [
        _word(_played(clip, scene.speed, rate_hz), rate_hz)
        if scene.word
        else _part(clip, scene.start_sample, rate_hz)
        for scene, clip in zip(scenes, samples, strict=True)
    ]
    audio, starts, ends = zip(*found, strict=True)
    audio = [
        _among_talkers(heard, start, end, scene, talkers, rate_hz)
        if scene.word and talkers
        else heard
        for scene, heard, start, end in zip(scenes, audio, starts, ends, strict=True)
    ]
    return Placed(np.stack(audio), np.asarray(starts), np.asarray(ends))


def _played(clip: np.ndarray, speed: float, rate_hz: int) -> np.ndarray:
    if speed == 1.0:
        return clip
    import soxr  # only training asks

    return soxr.resample(clip, rate_hz * speed, rate_hz)


def _word(clip: np.ndarray, rate_hz: int) -> tuple[np.ndarray, float, float]:
    """A clip so placed that its word ends TAIL_MS before the scene does."""
    try:
        start_s, end_s = word_span(clip, rate_hz)
    except BadInput:  # evenly loud: all of it
        start_s, end_s = 0.0, len(clip) / rate_hz
    length, end = SCENE_MS * rate_hz // 1000, (SCENE_MS - TAIL_MS) * rate_hz // 1000
    scene = np.zeros(length, np.int16)
    first = end - round(end_s * rate_hz)
    heard = clip[max(0, -first) : length - first]
    scene[max(0, first) : max(0, first) + len(heard)] = heard
    end_ms = float(SCENE_MS - TAIL_MS)
    return scene, max(0.0, end_ms - 1000 * (end_s - start_s)), end_ms


def _among_talkers(
    audio: np.ndarray,
    start_ms: float,
    end_ms: float,
    scene: Scene,
    talkers: Sequence[np.ndarray],
    rate_hz: int,
) -> np.ndarray:
    """The scene with somebody who speaks beside the word, or without."""
    rng, per_ms = np.random.default_rng([scene.key, 1]), rate_hz / 1000
    kind = rng.random()
    if kind < ALONE:
        return audio
    talker = talkers[int(rng.integers(len(talkers)))].astype(np.float32)
    talk = np.resize(np.roll(talker, -int(rng.integers(len(talker)))), len(audio))
    word = audio[int(start_ms * per_ms) : int(end_ms * per_ms) + 1].astype(np.float32)
    pauses = rng.uniform(0, PAUSE_MS, 2)
    if kind < ALONE + AFTER_SPEECH:
        level_db = rng.uniform(*CLOSE_DB)
        at_ms = np.arange(len(audio)) / per_ms
        outside = np.maximum(start_ms - pauses[0] - at_ms, at_ms - end_ms - pauses[1])
        talk *= np.clip(outside / FADE_MS, 0.0, 1.0).astype(np.float32)
    else:
        level_db = rng.uniform(*FAR_DB)
    loudness = np.sqrt(np.mean(word**2)) / max(1.0, np.sqrt(np.mean(talker**2)))
    both = audio + talk * (loudness * 10 ** (level_db / 20))
    return np.clip(np.rint(both), -32768, 32767).astype(np.int16)


def _part(samples: np.ndarray, start: int, rate_hz: int) -> tuple[np.ndarray, float, float]:
    length = SCENE_MS * rate_hz // 1000
    part = samples[start : start + length]
    return np.resize(part, length), 0.0, float(SCENE_MS)


@dataclasses.dataclass(frozen=True, eq=False)
class Surroundings:
    """What scenes are mixed with, and how.

    Attributes:
      noises: recordings of background, int16 [N] each.
      settings: how.
      rate_hz: of all audio.
    """

    noises: Sequence[np.ndarray]
    settings: Mixing
    rate_hz: int

    @functools.cached_property
    def fingerprint(self) -> str:
        """What tells them from others."""
        told = hashlib.sha256(f"{self.settings}\n{self.rate_hz}".encode())
        for noise in self.noises:
            told.update(noise.tobytes())
        return told.hexdigest()

    def heard(self, scenes: Sequence[Scene], audio: np.ndarray) -> np.ndarray:
        """What a device hears of scenes int16 [n, N]: int16 [n, N]."""
        length = audio.shape[1]
        beside = np.zeros((TOGETHER, NOISES, length), np.float32)
        padded = np.zeros((TOGETHER, length), np.float32)
        found = np.empty_like(audio)
        for first in range(0, len(scenes), TOGETHER):
            some = scenes[first : first + TOGETHER]
            padded[: len(some)] = to_float(audio[first : first + TOGETHER])
            for row, scene in enumerate(some):
                rng = np.random.default_rng(scene.key)
                for number in range(NOISES if self.noises else 0):
                    noise = self.noises[int(rng.integers(len(self.noises)))]
                    at = int(rng.integers(max(1, len(noise) - length + 1)))
                    beside[row, number] = to_float(np.resize(noise[at : at + length], length))
            keys = np.asarray([scene.key % 2**32 for scene in some], np.uint32)
            keys = np.pad(keys, (0, TOGETHER - len(some)))
            mixed = _mixed(self.settings, self.rate_hz)(keys, padded, beside)
            found[first : first + TOGETHER] = np.rint(np.asarray(mixed)[: len(some)] * 32768)
        return found


@functools.cache
def _mixed(settings: Mixing, rate_hz: int) -> Callable:
    def one(key: jax.Array, speech: jax.Array, noises: jax.Array) -> jax.Array:
        return mix(jax.random.key(key), speech[None], noises[None], settings, rate_hz).noisy[0]

    return compiled(jax.vmap(one))


def frames_of(frontend: Frontend) -> int:
    """Frames of a scene."""
    return frontend.frames(frontend.clip_samples(SCENE_MS)) - frontend.skipped_frames


def features_of(
    frontend: Frontend,
    around: Surroundings,
    scenes: Sequence[Scene],
    audio: np.ndarray,
    say: Say | None = None,
) -> np.ndarray:
    """Features float16 [n, T, F] of what is heard of scenes int16 [n, N], each from silence.

    Those of consecutive scenes of a recording are a file on disk, named by what tells front end,
    scenes and surroundings; so a stopped command goes on, and the next one finds them.
    """
    paths = [scene.path for scene in scenes]
    firsts = [n for n in range(len(paths)) if not n or paths[n] != paths[n - 1]]
    each = [slice(*ends) for ends in itertools.pairwise([*firsts, len(paths)])]
    parts = [np.zeros((0, frames_of(frontend), frontend.features), np.float16)]
    told = f"{frontend.fingerprint()}\n{around.fingerprint}"
    progress = _Progress(len(scenes), say)
    for group in _groups(each):
        files = [_file(told, scenes[place], audio[place]) for place in group]
        kept = [_read(file) for file in files]
        missing = [place for place, found in zip(group, kept, strict=True) if found is None]
        made = parts[0]
        if missing:
            some = [scene for place in missing for scene in scenes[place]]
            heard = around.heard(some, np.concatenate([audio[place] for place in missing]))
            made = unkept_features_of(frontend, heard)
        for place, file, known in zip(group, files, kept, strict=True):
            if known is None:
                count = place.stop - place.start
                known, made = made[:count], made[count:]
                file.parent.mkdir(parents=True, exist_ok=True)
                with replacing(file) as new:
                    np.save(new, known)
            parts.append(known)
        progress.add(group[-1].stop, sum(place.stop - place.start for place in missing))
    return np.concatenate(parts)


def _groups(each: Sequence[slice]) -> Iterator[list[slice]]:
    """Consecutive ones of at least `AT_LEAST` scenes."""
    group: list[slice] = []
    for place in each:
        group.append(place)
        if place.stop - group[0].start >= AT_LEAST:
            yield group
            group = []
    if group:
        yield group


class _Progress:
    """Says now and then how many hours are done, and how long the rest takes."""

    def __init__(self, scenes: int, say: Say | None):
        self._scenes, self._say, self._made = scenes, say, 0
        self._begun = self._said = time.monotonic()

    def add(self, done: int, made: int) -> None:
        self._made += made
        now = time.monotonic()
        if self._say is None or not self._made or now - self._said < SAY_EVERY_S:
            return
        self._said, hours = now, SCENE_MS / 3.6e6
        left_s = (self._scenes - done) * (now - self._begun) / self._made
        self._say(
            f"features: {done * hours:.2f} of {self._scenes * hours:.2f} h, "
            f"{left_s / 60:.0f} min left"
        )


def unkept_features_of(frontend: Frontend, audio: np.ndarray) -> np.ndarray:
    """Features float16 [n, T, F] of scenes int16 [n, N], each from silence."""
    run, frames, found = _features(frontend), frames_of(frontend), []
    for first in range(0, len(audio), TOGETHER):
        some = audio[first : first + TOGETHER]
        padded = np.zeros((TOGETHER, audio.shape[1]), np.int16)
        padded[: len(some)] = some
        found.append(np.asarray(run(padded))[: len(some), -frames:].astype(np.float16))
    return np.concatenate(found)


@functools.cache
def _features(frontend: Frontend) -> Callable:
    def run(clips: jax.Array) -> jax.Array:
        return frontend.push(to_float(clips), frontend.initial_state(len(clips)))[0]

    return compiled(run)


def _file(told: str, scenes: Sequence[Scene], audio: np.ndarray) -> Path:
    name = hashlib.sha256(f"{told}\n{[scene.key for scene in scenes]}\n".encode())
    name.update(np.ascontiguousarray(audio).tobytes())
    return default_folder() / "scenes" / f"{name.hexdigest()[:24]}.npy"


def _read(file: Path) -> np.ndarray | None:
    """None where there is no file, or one that was cut off."""
    try:
        return np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
