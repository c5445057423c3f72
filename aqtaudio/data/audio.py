"""Audio files to arrays: mono, at one rate, refused when they hold nothing usable."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from aqtaudio.errors import BadInput

FULL_SCALE = 32768
NO_LENGTH = 2**40
"""Samples of a file of which libsndfile does not know how many: FLAC that went into a pipe."""
NO_LENGTH_TOLD = (
    "its header does not say how long it is, so libsndfile cannot read it; write it again, for "
    "example by ffmpeg -i IN.flac OUT.flac"
)


def load(path: Path, sample_rate_hz: int = 16000) -> np.ndarray:
    """Reads one file, mixed down to mono and resampled (soxr, high quality) where the rate differs.

    Returns:
      float32 [samples] in [-1, 1).

    Raises:
      BadInput: the file is missing, unreadable, empty, or has samples that are not finite.
    """
    with _open(path) as file:
        return _floats(file, path, sample_rate_hz)


def load_int16(path: Path, sample_rate_hz: int = 16000) -> np.ndarray:
    """`load` as int16 codes of step 1/32768: exact for 16-bit mono files at that rate."""
    with _open(path) as file:
        plain = file.subtype == "PCM_16" and file.channels == 1
        if plain and file.samplerate == sample_rate_hz:
            return _read(file, path, "int16")
        return to_int16(_floats(file, path, sample_rate_hz))


def chunks(path: Path, sample_rate_hz: int = 16000, chunk_ms: int = 1000) -> Iterator[np.ndarray]:
    """`load_int16` piece by piece, in constant memory: int16 [n] each, together the whole file.

    Raises:
      BadInput: as `load`, when the bad part is reached.
    """
    with _open(path) as file:
        plain = file.subtype == "PCM_16" and file.channels == 1
        exact = plain and file.samplerate == sample_rate_hz
        resampler = soxr.ResampleStream(file.samplerate, sample_rate_hz, 1, dtype="float32")
        left, count = file.frames, max(1, chunk_ms * file.samplerate // 1000)
        if not left:
            raise BadInput(f"{path} holds no samples")
        while left > 0:
            samples = _read(file, path, "int16" if exact else "float32", count)
            left -= len(samples)
            if exact:
                yield samples
                continue
            mono = _mono(samples, path)
            if file.samplerate != sample_rate_hz:
                mono = resampler.resample_chunk(mono, last=left <= 0)
            yield to_int16(mono)


def require_readable(path: Path) -> None:
    """Raises BadInput for a file that is missing or, by its header, no audio."""
    _open(path).close()


def require_permission(path: Path | str) -> None:
    """Raises BadInput for a file that may not be read; libsndfile says "System error"."""
    if not os.access(path, os.R_OK):
        raise BadInput(f"{path} cannot be read: {os.strerror(errno.EACCES)}")


def write(path: Path, samples: np.ndarray, sample_rate_hz: int) -> None:
    """Writes int16 or float samples [N] or [N, channels]; the ending tells the kind of file.

    Raises OSError, which names it, where no more can be written.
    """
    try:
        soundfile.write(os.fsencode(path), samples, sample_rate_hz)
    except soundfile.SoundFileError as error:  # of a full disk libsndfile says "System error."
        told = f"cannot be written: {reason(error)}; needed: enough space"
        raise OSError(errno.EIO, told, str(path)) from error


def reason(error: BaseException) -> str:
    """Why a file cannot be opened or written, in libsndfile's words, without the file's name."""
    return str(getattr(error, "error_string", error)).rstrip(".")


def to_float(codes: Any) -> Any:
    """int16 codes of step 1/32768, a NumPy or JAX array: float32 samples in [-1, 1), exactly."""
    return codes.astype(np.float32) / FULL_SCALE


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Rounds samples in [-1, 1) to int16 codes of step 1/32768; what is louder saturates."""
    codes = np.rint(np.asarray(samples, np.float32) * FULL_SCALE)
    return np.clip(codes, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def _open(path: Path) -> soundfile.SoundFile:
    if not Path(path).is_file():
        raise BadInput(f"no audio file {path}")
    require_permission(path)
    try:
        file = soundfile.SoundFile(os.fsencode(path))
    except TypeError as error:  # libsndfile takes .raw for headerless
        raise BadInput(f"{path} is raw audio without a header, of unknown rate") from error
    except (soundfile.SoundFileError, OSError) as error:
        raise BadInput(f"{path} is not audio that libsndfile reads: {reason(error)}") from error
    if file.frames >= NO_LENGTH:
        file.close()
        raise BadInput(f"{path}: {NO_LENGTH_TOLD}")
    return file


def _read(file: soundfile.SoundFile, path: Path, dtype: str, frames: int = -1) -> np.ndarray:
    # Of files that cannot be searched (GSM) libsndfile wants to be told how many.
    frames = file.frames if frames < 0 else frames
    try:
        samples = file.read(frames, dtype=dtype)
    except (soundfile.SoundFileError, OSError, ValueError, MemoryError) as error:
        raise BadInput(f"{path} is damaged: {error}") from error
    if not samples.size:
        raise BadInput(f"{path} holds no samples")
    return samples


def _floats(file: soundfile.SoundFile, path: Path, sample_rate_hz: int) -> np.ndarray:
    return at_rate(_read(file, path, "float32"), path, file.samplerate, sample_rate_hz)


def at_rate(samples: np.ndarray, name: Path | str, from_hz: int, sample_rate_hz: int) -> np.ndarray:
    """float32 [N] in [-1, 1), mono and at a rate, of samples [n] or [n, channels].

    Raises BadInput where they are not finite, or none are left; `name` is what they are called.
    """
    samples = _mono(samples, name)
    if from_hz != sample_rate_hz:
        samples = soxr.resample(samples, from_hz, sample_rate_hz)
        if not samples.size:
            raise BadInput(f"{name} holds no samples at {sample_rate_hz} Hz")
    return np.clip(samples, -1.0, 1.0 - 1.0 / FULL_SCALE).astype(np.float32)


def _mono(samples: np.ndarray, path: Path | str) -> np.ndarray:
    if not np.isfinite(samples).all():
        raise BadInput(f"{path} holds samples that are NaN or infinite")
    return samples.mean(axis=1) if samples.ndim == 2 else samples
