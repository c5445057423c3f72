"""Where a network's sound goes: a file that appears when it is whole, or standard output."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import soundfile

from aqtaudio.data.audio import to_int16
from aqtaudio.errors import BadInput
from aqtaudio.files import replacing
from aqtaudio.tasks.sound_source import RAW, Source

UNCLIPPED = ("FLOAT", "DOUBLE")
"""Subtypes that hold more than full scale."""


class Target(Protocol):
    """What is written to.

    Attributes:
      written: samples of each channel so far.
      clipped: samples that passed full scale, and were cut there.
    """

    written: int
    clipped: int

    def write(self, samples: np.ndarray) -> np.ndarray:
        """Writes float samples [N, channels]; returns what was kept of them."""
        ...


@contextlib.contextmanager
def opened(target: str, like: Source, rate_hz: int) -> Iterator[Target]:
    """A file of the source's kind that appears when it is whole; "-": standard output."""
    if target == "-":
        if like.is_raw:
            yield _RawTarget("standard output", sys.stdout.buffer)
            return
        content = io.BytesIO()
        with _sound_file(target, content, "WAV", like, rate_hz) as made:
            yield made
        sys.stdout.buffer.write(content.getvalue())
        sys.stdout.buffer.flush()
        return
    path = Path(target)
    if path.suffix.lower() in RAW:
        with replacing(path) as new, open(new, "wb") as file:
            yield _RawTarget(target, file)
        return
    name = path.suffix.lstrip(".").upper()
    if name not in soundfile.available_formats() or name == "RAW":
        known = ", ".join(sorted(soundfile.available_formats())).lower()
        raise BadInput(f"{target}: unknown kind of file; allowed: {known}")
    with replacing(path) as new, _sound_file(target, os.fsencode(new), name, like, rate_hz) as made:
        yield made


@contextlib.contextmanager
def _sound_file(
    target: str, content: bytes | BinaryIO, kind: str, like: Source, rate_hz: int
) -> Iterator["_FileTarget"]:
    # What MPEG holds is no subtype of other kinds, whatever `check_format` says.
    keeps = "MPEG" not in like.subtype and soundfile.check_format(kind, like.subtype)
    keeps = keeps and rate_hz == like.rate_hz  # telephone codes are not for wider bands
    subtype = like.subtype if keeps else None
    how = rate_hz, like.channels, subtype
    try:
        file = soundfile.SoundFile(content, "w", *how, format=kind)
    except (soundfile.SoundFileError, OSError) as error:
        raise _refusal(target, error) from error
    with _closed(target, file):
        for name, text in like.texts.items():
            with contextlib.suppress(soundfile.SoundFileError, AttributeError):
                setattr(file, name, text)  # kinds without a place for it refuse
        yield _FileTarget(target, file)


@contextlib.contextmanager
def _closed(target: str, file: soundfile.SoundFile) -> Iterator[None]:
    """What is still to be written is written when a file is closed: a full disk shows here too."""
    try:
        yield
        file.close()
    except soundfile.SoundFileError as error:
        raise _refusal(target, error) from error
    finally:
        with contextlib.suppress(soundfile.SoundFileError):
            file.close()


def _refusal(target: str, error: Exception) -> BadInput:
    reason = str(error).rstrip(".")  # of a full disk libsndfile says "System error."
    return BadInput(f"{target} cannot be written: {reason}; needed: enough space")


class _FileTarget:
    """A sound file."""

    def __init__(self, target: str, file: soundfile.SoundFile):
        self._target, self._file = target, file
        self._clips = file.subtype not in UNCLIPPED
        self.written = self.clipped = 0

    def write(self, samples: np.ndarray) -> np.ndarray:
        if self._clips:
            self.clipped += int(np.count_nonzero(np.abs(samples) > 1))
            samples = np.clip(samples, -1, 1)
        try:
            self._file.write(samples)
        except (soundfile.SoundFileError, OSError) as error:
            raise _refusal(self._target, error) from error
        self.written += len(samples)
        return samples


class _RawTarget:
    """Little-endian 16-bit samples, at once."""

    def __init__(self, target: str, file: BinaryIO):
        self._target, self._file = target, file
        self.written = self.clipped = 0

    def write(self, samples: np.ndarray) -> np.ndarray:
        self.clipped += int(np.count_nonzero(np.abs(samples) > 1))
        self._file.write(to_int16(samples).astype("<i2").tobytes())
        self._file.flush()
        self.written += len(samples)
        return np.clip(samples, -1, 1)
