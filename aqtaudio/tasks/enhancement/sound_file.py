"""A sound file through a network: any rate, any number of channels, any length, little memory."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from aqtaudio.errors import BadInput
from aqtaudio.files import replacing
from aqtaudio.tasks.enhancement.spectrogram import Columns, write
from aqtaudio.tasks.enhancement.stream import Enhancer

CHUNK_MS = 2000
LEAST_RATE_HZ = 1000

Enhancers = Callable[[], contextlib.AbstractContextManager[Enhancer]]
"""Opens an enhancer of a stream that begins."""


def enhance_file(
    source: Path,
    target: Path,
    enhancers: Enhancers,
    hop_by_hop: bool = False,
    png: Path | None = None,
) -> dict[str, Any]:
    """Writes `target` with the samples of `source`, enhanced: as many, at the same rate.

    Every channel is enhanced on its own. `target` is there whole or not at all; beside it a picture
    (`png`; by default its name with .png).

    Args:
      source: a sound file.
      target: of a kind that can be written; its ending tells which.
      enhancers: opens one for each channel.
      hop_by_hop: samples are handed over as a device has them, a hop at a time. The result is the
        same; it takes longer.
      png: where the picture goes.

    Returns:
      out, png, seconds, channels, sample_rate_hz, real_time_factor (time of computing a chunk over
      its length, the median: compiling is not counted where there are three or more) and delay_ms.

    Raises:
      BadInput: a file that is no sound or holds none, or a format that cannot be written.
    """
    png = png or target.with_suffix(".png")
    if len({path.resolve() for path in (source, target, png)}) < 3:
        raise BadInput(f"{target}: source, target and picture must be three files")
    for path in (target, png):
        if path.is_dir() or not path.parent.is_dir():
            raise BadInput(f"{path} cannot be written: name a file in a folder that exists")
    with contextlib.ExitStack() as opened:
        heard = opened.enter_context(_opened(source))
        made = opened.enter_context(_written(target, heard))
        channels = [
            _Channel(opened.enter_context(enhancers()), heard.samplerate)
            for _ in range(heard.channels)
        ]
        pictures = Columns(heard.samplerate), Columns(heard.samplerate)
        factor = _pass(heard, made, channels, pictures, hop_by_hop)
    write(*pictures, heard.samplerate, png)
    return {
        "out": str(target),
        "png": str(png),
        "seconds": made.written / heard.samplerate,
        "channels": len(channels),
        "sample_rate_hz": heard.samplerate,
        "real_time_factor": factor,
        "delay_ms": channels[0].delay_ms,
    }


def _opened(source: Path) -> soundfile.SoundFile:
    if not source.is_file():
        raise BadInput(f"{source}: no such file")
    try:
        file = soundfile.SoundFile(source)
    except soundfile.SoundFileError as error:
        raise BadInput(f"{source} cannot be read as sound: {error}") from error
    if not file.frames:
        raise BadInput(f"{source} holds no samples")
    if file.samplerate < LEAST_RATE_HZ:
        raise BadInput(f"{source}: {file.samplerate} Hz; allowed: {LEAST_RATE_HZ} and more")
    return file


@contextlib.contextmanager
def _written(target: Path, like: soundfile.SoundFile) -> Iterator["_Written"]:
    """A sound file of the source's kind that appears when it is whole."""
    name = target.suffix.lstrip(".").upper()
    if name not in soundfile.available_formats():
        known = ", ".join(sorted(soundfile.available_formats())).lower()
        raise BadInput(f"{target}: unknown kind of file; allowed: {known}")
    # What MPEG holds is no subtype of other kinds, whatever `check_format` says.
    keeps = "MPEG" not in like.subtype and soundfile.check_format(name, like.subtype)
    subtype = like.subtype if keeps else None
    rate_hz, channels = like.samplerate, like.channels
    with replacing(target) as new:
        try:
            file = soundfile.SoundFile(new, "w", rate_hz, channels, subtype, format=name)
        except (soundfile.SoundFileError, OSError) as error:
            raise BadInput(f"{target} cannot be written: {error}") from error
        with file:
            yield _Written(target, file)


class _Written:
    """The samples that are written."""

    def __init__(self, target: Path, file: soundfile.SoundFile):
        self._target, self._file, self.written = target, file, 0

    def write(self, samples: np.ndarray) -> None:
        """Samples [N, channels]."""
        try:
            self._file.write(samples)
        except (soundfile.SoundFileError, OSError) as error:
            raise BadInput(f"{self._target} cannot be written: {error}") from error
        self.written += len(samples)


class _Channel:
    """One channel at the file's rate through an enhancer at its own; as many samples out as in."""

    def __init__(self, enhancer: Enhancer, sample_rate_hz: int):
        self._enhancer = enhancer
        self.delay_ms = enhancer.delay_ms
        rates = (sample_rate_hz, enhancer.frontend.sample_rate_hz)
        self._there = self._back = None
        if rates[0] != rates[1]:
            self._there = soxr.ResampleStream(*rates, 1, dtype="float32")
            self._back = soxr.ResampleStream(*rates[::-1], 1, dtype="float32")
        self._owed = 0
        self.hop_samples = round(enhancer.frontend.hop_ms * sample_rate_hz / 1000)

    def push(self, samples: np.ndarray, is_last: bool) -> np.ndarray:
        """Enhanced samples that are known now; at the last ones, all that are owed."""
        self._owed += len(samples)
        if self._there is not None:
            samples = self._there.resample_chunk(samples, last=is_last)
        out = self._enhancer.push(samples)
        if is_last:
            out = np.concatenate([out, self._enhancer.finish()])
        if self._back is not None:
            out = self._back.resample_chunk(out, last=is_last)
        out = out[: self._owed]
        if is_last:  # resampling there and back may leave a sample out
            out = np.pad(out, (0, self._owed - len(out)))
        self._owed -= len(out)
        return out


def _pass(
    heard: soundfile.SoundFile,
    made: _Written,
    channels: list[_Channel],
    pictures: tuple[Columns, Columns],
    hop_by_hop: bool,
) -> float:
    """All samples through; the median share of a chunk's time that enhancing it took."""
    size = channels[0].hop_samples if hop_by_hop else heard.samplerate * CHUNK_MS // 1000
    factors = []
    for samples, is_last in _chunks(heard, size):
        started = time.perf_counter()
        parts = [c.push(samples[:, i], is_last) for i, c in enumerate(channels)]
        seconds = time.perf_counter() - started
        factors.append(seconds * heard.samplerate / len(samples))
        out = np.clip(np.stack(parts, 1), -1, 1)
        made.write(out)
        for picture, sound in zip(pictures, (samples, out), strict=True):
            picture.push(sound.mean(1))
    return statistics.median(factors)


def _chunks(file: soundfile.SoundFile, size: int) -> Iterator[tuple[np.ndarray, bool]]:
    """(float32 [n, channels], whether they are the last)."""
    left = file.frames
    while left:
        try:
            samples = file.read(size, dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, OSError) as error:
            raise BadInput(f"{file.name} is damaged: {error}") from error
        if not len(samples):
            raise BadInput(f"{file.name} ends before its header says")
        if not np.isfinite(samples).all():
            raise BadInput(f"{file.name} holds samples that are not finite")
        left -= len(samples)
        yield samples, not left
