"""A teacher's vectors of recordings, on disk: made once per recording and settings of the teacher.

A folder per teacher, named by its fingerprint (its settings and the bytes of its files), holds its
settings as text and a file per recording, named by the recording's samples. What is there is not
made again, so a stopped command goes on.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from aqtaudio.data.cache_folder import default_folder
from aqtaudio.errors import BadInput
from aqtaudio.files import replacing, write
from aqtaudio.tasks.embedding.teachers import Reduced, Teacher

SETTINGS = "teacher.txt"
Say = Callable[[str], None]
SAY_EVERY_S = 10.0
TOGETHER = 64
"""Clips that a teacher is given at once, at least."""


def embedded(
    teacher: Teacher,
    clips: Sequence[np.ndarray],
    folder: Path | None = None,
    say: Say | None = None,
) -> list[np.ndarray]:
    """Vectors float32 [m, D] of each recording, int16 [N]; `say` hears how far it is.

    Those of a teacher that reduces another one's are that one's, reduced: what is kept on disk
    serves every reduction.

    Raises BadInput as the teacher does, and where the folder holds another teacher's vectors.
    """
    if isinstance(teacher, Reduced):
        teacher.files()
        return [teacher.reduced(x) for x in embedded(teacher.teacher, clips, folder, say)]
    place = (folder or default_folder()) / "teachers" / teacher.fingerprint()
    _require_own(place, teacher)
    progress = _Progress(sum(map(len, clips)) / teacher.sample_rate_hz, say)
    found = []
    for samples in clips:
        file = place / f"{hashlib.sha256(samples.tobytes()).hexdigest()[:20]}.npy"
        vectors = _read(file)
        if made := vectors is None:
            vectors = teacher.embed(samples[None])[0]
            with replacing(file) as new:
                np.save(new, vectors)
        found.append(vectors)
        progress.add(len(samples) / teacher.sample_rate_hz, made)
    return found


def embedded_in_clips(
    teacher: Teacher,
    recordings: Sequence[np.ndarray],
    clip_samples: int,
    folder: Path | None = None,
    say: Say | None = None,
) -> list[np.ndarray]:
    """Vectors float32 [clips, m, D] of each recording, int16 [N], cut into whole clips.

    Clips of several recordings are embedded together. Otherwise as `embedded`.
    """
    place = (folder or default_folder()) / "teachers" / teacher.fingerprint()
    _require_own(place, teacher)
    progress = _Progress(sum(map(len, recordings)) / teacher.sample_rate_hz, say)
    found = []
    for group in _groups(recordings, clip_samples):
        files = [_clips_file(place, samples, clip_samples) for samples in group]
        counts = [len(samples) // clip_samples for samples in group]
        kept = [_read(file) for file in files]
        missing = [number for number, vectors in enumerate(kept) if vectors is None]
        if missing:
            cut = (group[n][: counts[n] * clip_samples] for n in missing)
            clips = np.concatenate([samples.reshape(-1, clip_samples) for samples in cut])
            made = teacher.embed(clips)
            for number in missing:
                own, made = made[: counts[number]], made[counts[number] :]
                vectors = kept[number] = own.reshape(-1, own.shape[-1])
                with replacing(files[number]) as new:
                    np.save(new, vectors)
        for number, (vectors, samples) in enumerate(zip(kept, group, strict=True)):
            assert vectors is not None
            found.append(vectors.reshape(counts[number], -1, vectors.shape[-1]))
            progress.add(len(samples) / teacher.sample_rate_hz, number in missing)
    return found


def _groups(recordings: Sequence[np.ndarray], clip_samples: int) -> Iterator[list[np.ndarray]]:
    """Recordings in order, each time those that have `TOGETHER` clips."""
    group, clips = [], 0
    for samples in recordings:
        group.append(samples)
        clips += len(samples) // clip_samples
        if clips >= TOGETHER:
            yield group
            group, clips = [], 0
    if group:
        yield group


def _clips_file(place: Path, samples: np.ndarray, clip_samples: int) -> Path:
    name = hashlib.sha256(samples.tobytes()).hexdigest()[:20]
    return place / f"{name}_{clip_samples}.npy"


def _require_own(place: Path, teacher: Teacher) -> None:
    """The folder is new, or of this teacher."""
    file, text = place / SETTINGS, f"{teacher}\n"
    try:
        place.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            write(file, text)
    except OSError as error:
        raise BadInput(f"{place} cannot be made: {error.strerror}") from None
    if file.read_text() != text:
        raise BadInput(f"{place} holds vectors of another teacher, see {SETTINGS}; delete it")


def _read(file: Path) -> np.ndarray | None:
    """None where there is no file, or one that was cut off."""
    try:
        vectors = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return vectors if vectors.ndim == 2 and np.isfinite(vectors).all() else None


class _Progress:
    """Says now and then how many hours are done, and how long the rest takes."""

    def __init__(self, seconds: float, say: Say | None):
        self._total, self._say = seconds, say
        self._done = self._made = 0.0
        self._begun = self._said = time.monotonic()

    def add(self, seconds: float, made: bool) -> None:
        self._done += seconds
        self._made += seconds * made
        now = time.monotonic()
        if self._say is None or now - self._said < SAY_EVERY_S or not self._made:
            return
        self._said = now
        speed = self._made / (now - self._begun)
        left = (self._total - self._done) / speed
        self._say(
            f"teacher: {self._done / 3600:.2f} of {self._total / 3600:.2f} h embedded, "
            f"{speed:.0f} times as fast as it plays, {left / 60:.0f} min left"
        )
