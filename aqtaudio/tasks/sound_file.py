"""A sound file through a network: any rate, any number of channels, any length, little memory."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile
import soxr

from aqtaudio.errors import BadInput
from aqtaudio.files import replacing
from aqtaudio.tasks.spectrogram import Columns, write

CHUNK_MS = 2000
LEAST_RATE_HZ = 1000


class SoundStream(Protocol):
    """A network that makes sound of sound, from silence on.

    Attributes:
      frontend: what the network sees.
      delay_ms: from a sample that goes in to the one that comes out, beyond computing, at most.
    """

    frontend: Any
    delay_ms: float

    def push(self, samples: np.ndarray) -> np.ndarray:
        """float32 samples that are final once float32 samples [N], full scale 1, are known."""
        ...

    def finish(self) -> np.ndarray:
        """The rest: as many samples will have come out as went in."""
        ...


Streams = Callable[[], contextlib.AbstractContextManager[SoundStream]]
"""Opens a stream that begins."""


def convert_file(
    source: Path,
    target: Path,
    streams: Streams,
    hop_by_hop: bool = False,
    png: Path | None = None,
    rate_hz: int | None = None,
) -> dict[str, Any]:
    """Writes `target` with what a network makes of `source`: as long, at the same rate or another.

    Every channel is converted on its own. `target` is there whole or not at all; beside it is a
    picture (`png`; by default its name with .png).

    Args:
      source: a sound file.
      target: of a kind that can be written; its ending tells which.
      streams: opens one for each channel.
      hop_by_hop: samples are handed over as a device has them, a hop at a time. The result is the
        same; it takes longer.
      png: where the picture goes.
      rate_hz: of `target`; None: that of `source`. With a rate `source` must have less.

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
        if rate_hz is not None and heard.samplerate >= rate_hz:
            raise BadInput(f"{source}: {heard.samplerate} Hz; allowed: below {rate_hz}")
        rates = heard.samplerate, rate_hz or heard.samplerate
        made = opened.enter_context(_written(target, heard, rates[1]))
        channels = [
            _Channel(opened.enter_context(streams()), *rates) for _ in range(heard.channels)
        ]
        pictures = Columns(rates[0]), Columns(rates[1])
        factor = _pass(heard, made, channels, pictures, hop_by_hop)
    write(*pictures, rates[1], png)
    return {
        "out": str(target),
        "png": str(png),
        "seconds": made.written / rates[1],
        "channels": len(channels),
        "sample_rate_hz": rates[1],
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
def _written(target: Path, like: soundfile.SoundFile, rate_hz: int) -> Iterator["_Written"]:
    """A sound file of the source's kind that appears when it is whole."""
    name = target.suffix.lstrip(".").upper()
    if name not in soundfile.available_formats():
        known = ", ".join(sorted(soundfile.available_formats())).lower()
        raise BadInput(f"{target}: unknown kind of file; allowed: {known}")
    # What MPEG holds is no subtype of other kinds, whatever `check_format` says.
    keeps = "MPEG" not in like.subtype and soundfile.check_format(name, like.subtype)
    keeps = keeps and rate_hz == like.samplerate  # telephone codes are not for wider bands
    subtype = like.subtype if keeps else None
    with replacing(target) as new:
        try:
            file = soundfile.SoundFile(new, "w", rate_hz, like.channels, subtype, format=name)
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
    """One channel, from a rate and to a rate, through a stream at its own; as long out as in."""

    def __init__(self, stream: SoundStream, from_hz: int, to_hz: int):
        self._stream = stream
        self.delay_ms = stream.delay_ms
        own_hz = stream.frontend.sample_rate_hz
        self._there, self._back = _resampling(from_hz, own_hz), _resampling(own_hz, to_hz)
        self._rates_hz = from_hz, to_hz
        self._heard = self._made = 0
        self.hop_samples = round(stream.frontend.hop_ms * from_hz / 1000)

    def push(self, samples: np.ndarray, is_last: bool) -> np.ndarray:
        """Samples that are known now; at the last ones, all that are owed."""
        self._heard += len(samples)
        if self._there is not None:
            samples = self._there.resample_chunk(samples, last=is_last)
        out = self._stream.push(samples)
        if is_last:
            out = np.concatenate([out, self._stream.finish()])
        if self._back is not None:
            out = self._back.resample_chunk(out, last=is_last)
        owed = self._heard * self._rates_hz[1] // self._rates_hz[0] - self._made
        out = out[:owed]
        if is_last:  # resampling there and back may leave a sample out
            out = np.pad(out, (0, owed - len(out)))
        self._made += len(out)
        return out


def _resampling(from_hz: int, to_hz: int) -> soxr.ResampleStream | None:
    if from_hz == to_hz:
        return None
    return soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32")


def _pass(
    heard: soundfile.SoundFile,
    made: _Written,
    channels: list[_Channel],
    pictures: tuple[Columns, Columns],
    hop_by_hop: bool,
) -> float:
    """All samples through; the median share of a chunk's time that computing it took."""
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
