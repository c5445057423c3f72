"""What a network is given: a sound file, raw samples, standard input; piece by piece."""

import contextlib
import dataclasses
import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from aqtaudio.data.audio import NO_LENGTH, NO_LENGTH_TOLD, require_permission, to_float
from aqtaudio.data.kept import READ_BYTES, Kept
from aqtaudio.data.pipes import Raw, require_raw
from aqtaudio.errors import BadInput

LEAST_RATE_HZ = 1000
RAW = (".raw", ".pcm", ".s16", ".s16le")
"""Endings of files without a header."""


@dataclasses.dataclass(frozen=True)
class Source:
    """Sound that is read once.

    Attributes:
      name: what it is called.
      rate_hz: of its samples.
      channels: of them.
      frames: samples of each channel; None: not known.
      subtype: libsndfile's name of how samples are coded.
      texts: title, artist and so on, where it has them.
      chunks: with so many samples at most: (float32 [n, channels], whether they are the last).
      is_raw: it has no header.
    """

    name: str
    rate_hz: int
    channels: int
    frames: int | None
    subtype: str
    texts: dict[str, str]
    chunks: Callable[[int], Iterator[tuple[np.ndarray, bool]]]
    is_raw: bool = False


@contextlib.contextmanager
def opened(source: str, raw: Raw | None) -> Iterator[Source]:
    """Opens a source; "-" is standard input. Raises BadInput for what is no sound."""
    if source == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise BadInput("standard input is no pipe; pipe a sound file or raw samples into it")
        if raw is not None:
            yield _raw("standard input", sys.stdin.buffer, raw, None)
            return
        content = sys.stdin.buffer.read()
        if not content:
            raise BadInput("standard input holds no samples")
        with _file("standard input", io.BytesIO(content)) as file:
            yield file
        return
    if not Path(source).is_file():
        raise BadInput(f"{source}: no such file")
    require_permission(source)
    if Path(source).suffix.lower() in RAW:
        if raw is None or raw.rate_hz is None:
            raise BadInput(
                f"{source}: raw samples have no header; needed: --rate HZ (and --channels N; "
                "little-endian 16-bit)"
            )
        with open(source, "rb") as pipe:
            frames = Path(source).stat().st_size // (2 * raw.channels)
            yield _raw(source, pipe, raw, frames)
        return
    if raw is not None:
        raise BadInput(f"{source}: --rate and --channels are of raw samples: -, or FILE.raw")
    with _file(source, os.fsencode(source)) as file:
        yield file


@contextlib.contextmanager
def _file(name: str, content: bytes | BinaryIO) -> Iterator[Source]:
    try:
        file = soundfile.SoundFile(content)
    except soundfile.LibsndfileError as error:
        told = f"{name} cannot be read as sound: {error.error_string}"
        if not isinstance(content, bytes):
            told += "; raw samples have no header: --rate HZ (and --channels N) tells what they are"
        raise BadInput(told) from error
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        raise BadInput(f"{name} cannot be read as sound: {error}") from error
    with file:
        if not file.frames:
            raise BadInput(f"{name} holds no samples")
        if file.frames >= NO_LENGTH:
            raise BadInput(f"{name}: {NO_LENGTH_TOLD}")
        _require_rate(name, file.samplerate)
        rate_hz, channels, frames = file.samplerate, file.channels, file.frames
        texts = file.copy_metadata()

        def chunks(size: int) -> Iterator[tuple[np.ndarray, bool]]:
            return _chunks(file, name, size)

        yield Source(name, rate_hz, channels, frames, file.subtype, texts, chunks)


def _chunks(file: soundfile.SoundFile, name: str, size: int) -> Iterator[tuple[np.ndarray, bool]]:
    left = file.frames
    while left:
        try:
            samples = file.read(size, dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, OSError) as error:
            raise BadInput(f"{name} is damaged: {error}") from error
        if not len(samples):
            raise BadInput(f"{name} ends before its header says")
        if not np.isfinite(samples).all():
            raise BadInput(f"{name} holds samples that are not finite")
        left -= len(samples)
        yield samples, not left


def _raw(name: str, pipe: BinaryIO, raw: Raw, frames: int | None) -> Source:
    """Raw samples: of a pipe as they come, what comes meanwhile is kept."""
    rate_hz = raw.rate_hz
    if rate_hz is None:
        raise BadInput(f"{name}: raw samples have no header; needed: --rate HZ")
    _require_rate(name, rate_hz)
    kept, frame_bytes = Kept(pipe), 2 * raw.channels

    def chunks(size: int) -> Iterator[tuple[np.ndarray, bool]]:
        held, started = b"", False
        while content := kept.read1(READ_BYTES):
            held += content
            if not started:
                require_raw(held, name)
            started = True
            while len(held) >= size * frame_bytes or (frames is None and len(held) >= frame_bytes):
                count = min(size, len(held) // frame_bytes) * frame_bytes
                codes, held = np.frombuffer(held[:count], "<i2"), held[count:]
                yield to_float(codes).reshape(-1, raw.channels), False
        if not started:
            raise BadInput(f"{name} holds no samples")
        codes = np.frombuffer(held[: len(held) // frame_bytes * frame_bytes], "<i2")
        yield to_float(codes).reshape(-1, raw.channels), True

    return Source(name, rate_hz, raw.channels, frames, "PCM_16", {}, chunks, is_raw=True)


def _require_rate(name: str, rate_hz: int) -> None:
    if rate_hz < LEAST_RATE_HZ:
        raise BadInput(f"{name}: {rate_hz} Hz; allowed: {LEAST_RATE_HZ} and more")
