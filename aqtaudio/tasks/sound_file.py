"""A sound file through a network: any rate, any number of channels, any length, little memory."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soxr

from aqtaudio.data.pipes import Raw
from aqtaudio.errors import BadInput
from aqtaudio.files import require_place
from aqtaudio.tasks import sound_source, sound_target
from aqtaudio.tasks.spectrogram import Columns, write

CHUNK_MS = 2000
COMPILED_AFTER = 3
"""Chunks of a file whose median leaves the first, which compiles, out."""
SAY_EVERY_S = 5.0


class SoundStream(Protocol):
    """A network that makes sound of sound, from silence on.

    One that also has `push_with_gain` and `finish_with_gain` lets pass what lies above its rate:
    they return what `push` and `finish` do and, beside each sample, the gain that the sound above
    is to have, float32 [n, 2].

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


Streams = Callable[[], contextlib.AbstractContextManager[Any]]
"""Opens a `SoundStream` that begins."""


def convert_file(
    source: Path | str,
    target: Path | str,
    streams: Streams,
    hop_by_hop: bool = False,
    png: Path | None = None,
    raw: Raw | None = None,
    say: Callable[[str], None] = lambda text: None,
    rate_hz: int | None = None,
) -> dict[str, Any]:
    """Writes `target` with what a network makes of `source`: as long, at the same rate or another.

    Every channel is converted on its own. A file is there whole or not at all; beside it a picture
    (`png`; by default its name with .png; none beside standard output).

    Args:
      source: a sound file; "-": standard input.
      target: of a kind that can be written; its ending tells which. "-": standard output, WAV at
        the end or, of raw samples, raw samples as they are known.
      streams: opens one for each channel.
      hop_by_hop: samples are handed over as a device has them, a hop at a time. The result is the
        same; it takes longer.
      png: where the picture goes.
      raw: what raw samples are, of files without a header and of standard input; None: standard
        input has one.
      say: told how far it is, where that takes long.
      rate_hz: of `target`; None: that of `source`. With a rate `source` must have less.

    Returns:
      out, png (None without), seconds, channels, sample_rate_hz, clipped_samples (of an integer
      file: full scale was passed), real_time_factor (time of computing a chunk over its length, the
      median, without compiling) and delay_ms.

    Raises:
      BadInput: a file that is no sound or holds none, or a format that cannot be written.
    """
    picture = _picture(str(source), str(target), png)
    with contextlib.ExitStack() as opened:
        heard = opened.enter_context(sound_source.opened(str(source), raw))
        if rate_hz is not None and heard.rate_hz >= rate_hz:
            raise BadInput(f"{heard.name}: {heard.rate_hz} Hz; allowed: below {rate_hz}")
        rates_hz = heard.rate_hz, rate_hz or heard.rate_hz
        made = opened.enter_context(sound_target.opened(str(target), heard, rates_hz[1]))
        size = max(1, heard.rate_hz * CHUNK_MS // 1000)
        if hop_by_hop:
            with streams() as stream:
                size = max(1, round(stream.frontend.hop_ms * heard.rate_hz / 1000))
        if heard.frames is not None and heard.frames < COMPILED_AFTER * size:
            _warm(streams, heard.frames, rates_hz, size)
        channels = [opened.enter_context(_opened(streams, rates_hz)) for _ in range(heard.channels)]
        before, after = Columns(rates_hz[0]), Columns(rates_hz[1])
        pictures = (before, after) if picture else ()
        factor = _pass(heard, made, channels, pictures, size, say)
    if picture:
        write(before, after, rates_hz[1], picture)
    return {
        "out": str(target),
        "png": str(picture) if picture else None,
        "seconds": made.written / rates_hz[1],
        "channels": len(channels),
        "sample_rate_hz": rates_hz[1],
        "clipped_samples": made.clipped,
        "real_time_factor": factor,
        "delay_ms": channels[0].delay_ms,
    }


def _picture(source: str, target: str, png: Path | None) -> Path | None:
    """Where the picture goes. Raises BadInput where two of the files are one, or have no folder."""
    if png is None and target != "-":
        png = Path(target).with_suffix(".png")
    files = [Path(file) for file in (source, target) if file != "-"] + ([png] if png else [])
    if len({path.resolve() for path in files}) < len(files):
        raise BadInput(f"{target}: source, target and picture must be three files")
    for path in (Path(target) if target != "-" else None, png):
        if path:
            require_place(path)
    return png


def _warm(streams: Streams, samples: int, rates_hz: tuple[int, int], size: int) -> None:
    """As much silence first, in the same pieces: so that compiling is in no figure."""
    left = samples
    with _opened(streams, rates_hz) as channel:
        while left:
            count = min(size, left)
            left -= count
            channel.push(np.zeros(count, np.float32), is_last=not left)


class _Channel:
    """One channel, from a rate and to a rate, through a stream at its own; as long out as in."""

    def __init__(self, stream: Any, from_hz: int, to_hz: int, columns: int = 1):
        self._stream, self._rates_hz = stream, (from_hz, to_hz)
        self.delay_ms = stream.delay_ms
        own_hz = stream.frontend.sample_rate_hz
        self._there = _resampling(from_hz, own_hz, 1)
        self._back = _resampling(own_hz, to_hz, columns)
        self._heard = self._made = 0

    def close(self) -> None:
        """Nothing will be pushed any more.

        soxr's binding complains on standard error of resamplers that are there when a process
        ends, and so are those that a cycle holds: commands do not look for cycles
        (`commands.command_line`).
        """
        self._there = self._back = None

    def push(self, samples: np.ndarray, is_last: bool) -> np.ndarray:
        """Samples that are known now; at the last ones, all that are owed."""
        self._heard += len(samples)
        out = self._known(self._at_own_rate(samples, is_last), is_last)
        return self._owed(out, is_last)

    def _at_own_rate(self, samples: np.ndarray, is_last: bool) -> np.ndarray:
        return samples if self._there is None else self._there.resample_chunk(samples, last=is_last)

    def _known(self, samples: np.ndarray, is_last: bool) -> np.ndarray:
        out = self._stream.push(samples)
        return np.concatenate([out, self._stream.finish()]) if is_last else out

    def _owed(self, out: np.ndarray, is_last: bool) -> np.ndarray:
        """At the rate to write, no more than is owed; at the last ones, all of it."""
        if self._back is not None:
            out = self._back.resample_chunk(out.astype(np.float32), last=is_last)
        owed = self._heard * self._rates_hz[1] // self._rates_hz[0] - self._made
        out = out[:owed]
        if is_last:  # resampling there and back may leave a sample out
            out = np.pad(out, [(0, owed - len(out)), *[(0, 0)] * (out.ndim - 1)])
        self._made += len(out)
        return out


class _WiderChannel(_Channel):
    """A channel with sound above the network's rate, which passes as the network's gain says."""

    def __init__(self, stream: Any, rate_hz: int):
        # Resampled together: what was made, its gain, what the network heard.
        super().__init__(stream, rate_hz, rate_hz, columns=3)
        self._given = np.zeros(0, np.float32)  # at the file's rate, not converted yet
        self._at_own = np.zeros(0, np.float32)  # the same at the network's

    def push(self, samples: np.ndarray, is_last: bool) -> np.ndarray:
        self._given = np.concatenate([self._given, samples])
        made, gains, heard = super().push(samples, is_last).T
        given, self._given = self._given[: len(made)], self._given[len(made) :]
        return made + np.clip(gains, 0, 1) * (given - heard)

    def _known(self, samples: np.ndarray, is_last: bool) -> np.ndarray:
        self._at_own = np.concatenate([self._at_own, samples])
        known = self._stream.push_with_gain(samples)
        if is_last:
            known = np.concatenate([known, self._stream.finish_with_gain()])
        heard, self._at_own = self._at_own[: len(known)], self._at_own[len(known) :]
        return np.column_stack([known, heard])


@contextlib.contextmanager
def _opened(streams: Streams, rates_hz: tuple[int, int]) -> Iterator[_Channel]:
    """A channel from a rate to another, through a stream that begins."""
    with streams() as stream, contextlib.closing(_channel(stream, *rates_hz)) as channel:
        yield channel


def _channel(stream: Any, from_hz: int, to_hz: int) -> _Channel:
    passes = from_hz == to_hz and hasattr(stream, "push_with_gain")
    if passes and from_hz > stream.frontend.sample_rate_hz:
        return _WiderChannel(stream, from_hz)
    return _Channel(stream, from_hz, to_hz)


def _resampling(from_hz: int, to_hz: int, columns: int) -> soxr.ResampleStream | None:
    if from_hz == to_hz:
        return None
    return soxr.ResampleStream(from_hz, to_hz, columns, dtype="float32")


def _pass(
    heard: sound_source.Source,
    made: sound_target.Target,
    channels: list[_Channel],
    pictures: tuple[Columns, ...],
    size: int,
    say: Callable[[str], None],
) -> float:
    """All samples through; the median share of a chunk's time that computing it took."""
    factors, told, done = [], time.monotonic(), 0
    for samples, is_last in heard.chunks(size):
        started = time.perf_counter()
        parts = [c.push(samples[:, i], is_last) for i, c in enumerate(channels)]
        seconds = time.perf_counter() - started
        if len(samples):
            factors.append(seconds * heard.rate_hz / len(samples))
        out = made.write(np.stack(parts, 1))
        for picture, sound in zip(pictures, (samples, out), strict=bool(pictures)):
            picture.push(sound.mean(1))
        done += len(samples)
        if time.monotonic() - told >= SAY_EVERY_S:
            told = time.monotonic()
            whole = f" of {heard.frames / heard.rate_hz:,.0f}" if heard.frames else ""
            say(f"{done / heard.rate_hz:,.0f}{whole} s")
    return statistics.median(factors)
