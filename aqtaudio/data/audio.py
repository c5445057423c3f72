"""Audio files to arrays: mono, at one rate, refused when they hold nothing usable."""

from pathlib import Path

import numpy as np
import soundfile
import soxr

from aqtaudio.errors import BadInput

FULL_SCALE = 32768


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


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Rounds samples in [-1, 1) to int16 codes of step 1/32768; what is louder saturates."""
    codes = np.rint(np.asarray(samples, np.float32) * FULL_SCALE)
    return np.clip(codes, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def _open(path: Path) -> soundfile.SoundFile:
    if not Path(path).is_file():
        raise BadInput(f"no audio file {path}")
    try:
        return soundfile.SoundFile(path)
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        raise BadInput(f"{path} is not audio that libsndfile reads: {error}") from error


def _read(file: soundfile.SoundFile, path: Path, dtype: str) -> np.ndarray:
    try:
        samples = file.read(dtype=dtype)
    except (soundfile.SoundFileError, OSError) as error:
        raise BadInput(f"{path} is damaged: {error}") from error
    if not samples.size:
        raise BadInput(f"{path} holds no samples")
    return samples


def _floats(file: soundfile.SoundFile, path: Path, sample_rate_hz: int) -> np.ndarray:
    samples = _read(file, path, "float32")
    if not np.isfinite(samples).all():
        raise BadInput(f"{path} holds samples that are NaN or infinite")
    if samples.ndim == 2:
        samples = samples.mean(axis=1)
    if file.samplerate != sample_rate_hz:
        samples = soxr.resample(samples, file.samplerate, sample_rate_hz)
        if not samples.size:
            raise BadInput(f"{path} holds no samples at {sample_rate_hz} Hz")
    return np.clip(samples, -1.0, 1.0 - 1.0 / FULL_SCALE).astype(np.float32)
