"""A sound file through a network: any rate, any number of channels, any length, little memory."""

import contextlib
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from aqtaudio.data.pipes import Raw
from aqtaudio.errors import BadInput
from aqtaudio.tasks.enhancement import sound_source, sound_target
from aqtaudio.tasks.enhancement.spectrogram import Columns, write
from aqtaudio.tasks.enhancement.stream import Enhancer

CHUNK_MS = 2000
COMPILED_AFTER = 3
"""Chunks of a file whose median leaves the first, which compiles, out."""
COLUMNS = 3
"""That a channel resamples together: enhanced, gain of the highest band, what the network heard."""
SAY_EVERY_S = 5.0

Enhancers = Callable[[], contextlib.AbstractContextManager[Enhancer]]
"""Opens an enhancer of a stream that begins."""


def enhance_file(
    source: Path | str,
    target: Path | str,
    enhancers: Enhancers,
    hop_by_hop: bool = False,
    png: Path | None = None,
    raw: Raw | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Writes `target` with the samples of `source`, enhanced: as many, at the same rate.

    Every channel is enhanced on its own. What lies above the network's rate, which it does not
    hear, passes with the gain of the highest band. A file is there whole or not at all; beside it a
    picture (`png`; by default its name with .png; none beside standard output).

    Args:
      source: a sound file; "-": standard input.
      target: of a kind that can be written; its ending tells which. "-": standard output, WAV at
        the end or, of raw samples, raw samples as they are known.
      enhancers: opens one for each channel.
      hop_by_hop: samples are handed over as a device has them, a hop at a time. The result is the
        same; it takes longer.
      png: where the picture goes.
      raw: what raw samples are, of files without a header and of standard input; None: standard
        input has one.
      say: told how far it is, where that takes long.

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
        made = opened.enter_context(sound_target.opened(str(target), heard))
        size = max(1, heard.rate_hz * CHUNK_MS // 1000)
        if hop_by_hop:
            with enhancers() as enhancer:
                size = max(1, round(enhancer.frontend.hop_ms * heard.rate_hz / 1000))
        if heard.frames is not None and heard.frames < COMPILED_AFTER * size:
            _warm(enhancers, heard, size)
        channels = [
            _Channel(opened.enter_context(enhancers()), heard.rate_hz)
            for _ in range(heard.channels)
        ]
        before, after = Columns(heard.rate_hz), Columns(heard.rate_hz)
        pictures = (before, after) if picture else ()
        factor = _pass(heard, made, channels, pictures, size, say)
    if picture:
        write(before, after, heard.rate_hz, picture)
    return {
        "out": str(target),
        "png": str(picture) if picture else None,
        "seconds": made.written / heard.rate_hz,
        "channels": len(channels),
        "sample_rate_hz": heard.rate_hz,
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
        if path and (path.is_dir() or not path.parent.is_dir()):
            raise BadInput(f"{path} cannot be written: name a file in a folder that exists")
    return png


def _warm(enhancers: Enhancers, heard: sound_source.Source, size: int) -> None:
    """As much silence first, in the same pieces: so that compiling is in no figure."""
    with enhancers() as enhancer:
        channel = _Channel(enhancer, heard.rate_hz)
        left = heard.frames or 0
        while left:
            count = min(size, left)
            left -= count
            channel.push(np.zeros(count, np.float32), is_last=not left)


class _Channel:
    """One channel at the file's rate through an enhancer at its own; as many samples out as in."""

    def __init__(self, enhancer: Enhancer, sample_rate_hz: int):
        self._enhancer = enhancer
        self.delay_ms = enhancer.delay_ms
        rates = (sample_rate_hz, enhancer.frontend.sample_rate_hz)
        self._there = self._back = None
        self._has_more = rates[0] > rates[1]  # sound that the network does not hear
        if rates[0] != rates[1]:
            self._there = soxr.ResampleStream(*rates, 1, dtype="float32")
            self._back = soxr.ResampleStream(*rates[::-1], COLUMNS, dtype="float32")
        self._given = np.zeros(0, np.float32)  # at the file's rate, not enhanced yet
        self._heard = np.zeros(0, np.float32)  # the same at the network's

    def push(self, samples: np.ndarray, is_last: bool) -> np.ndarray:
        """Enhanced samples that are known now; at the last ones, all that are owed."""
        self._given = np.concatenate([self._given, samples])
        if self._there is not None:
            samples = self._there.resample_chunk(samples, last=is_last)
        self._heard = np.concatenate([self._heard, samples])
        known = self._enhancer.push_with_gain(samples)
        if is_last:
            known = np.concatenate([known, self._enhancer.finish_with_gain()])
        out = np.column_stack([known, self._heard[: len(known)]])
        self._heard = self._heard[len(known) :]
        if self._back is not None:
            out = self._back.resample_chunk(out.astype(np.float32), last=is_last)
        out = out[: len(self._given)]
        if is_last:  # resampling there and back may leave a sample out
            out = np.pad(out, ((0, len(self._given) - len(out)), (0, 0)))
        given, self._given = self._given[: len(out)], self._given[len(out) :]
        enhanced, gains, heard = out.T
        if self._has_more:
            enhanced = enhanced + np.clip(gains, 0, 1) * (given - heard)
        return enhanced


def _pass(
    heard: sound_source.Source,
    made: sound_target.Target,
    channels: list[_Channel],
    pictures: tuple[Columns, ...],
    size: int,
    say: Callable[[str], None],
) -> float:
    """All samples through; the median share of a chunk's time that enhancing it took."""
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
