"""A teacher's vectors of recordings, on disk: made once per recording and settings of the teacher.

A folder per teacher, named by its fingerprint (its settings and the bytes of its files), holds its
settings as text and a file per recording, named by the recording's samples. What is there is not
made again, so a stopped command goes on.
"""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.files import replacing, write
from aqtaudio.tasks.embedding.teachers import Teacher

SETTINGS = "teacher.txt"
VARIABLE = "AQTAUDIO_CACHE"
Say = Callable[[str], None]
SAY_EVERY_S = 10.0


def default_folder() -> Path:
    """Where vectors are kept unless told: $AQTAUDIO_CACHE, or .cache/aqtaudio at home."""
    told = os.environ.get(VARIABLE)
    return Path(told) if told else Path.home() / ".cache/aqtaudio"


def embedded(
    teacher: Teacher,
    clips: Sequence[np.ndarray],
    folder: Path | None = None,
    say: Say | None = None,
) -> list[np.ndarray]:
    """Vectors float32 [m, D] of each recording, int16 [N]; `say` hears how far it is.

    Raises BadInput as the teacher does, and where the folder holds another teacher's vectors.
    """
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
