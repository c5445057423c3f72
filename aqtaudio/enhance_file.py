"""A sound file through a run: any rate, any number of channels, any length in constant memory."""

import contextlib
import math
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from aqtaudio.enhance import Enhancer, with_filtering
from aqtaudio.enhancement.spectrogram import Columns, write
from aqtaudio.errors import BadInput
from aqtaudio.run_directory import Run
from aqtaudio.study.measures import main_metric, quality
from aqtaudio.study.store import Store

CHUNK_MS = 2000
LEAST_RATE_HZ = 1000
STUDY = Path(__file__).parents[1] / "results/denoise"
"""Where no run is named, its best artifact enhances."""


def enhance_file(
    source: Path,
    target: Path,
    run_folder: Path | None = None,
    runtime: str = "integer",
    hop_by_hop: bool = False,
    post_filter: float | None = None,
    attenuation_limit_db: float | None = None,
    png: Path | None = None,
) -> dict[str, Any]:
    """Writes `target` with the samples of `source`, enhanced: as many, at the same rate.

    Every channel is enhanced on its own. `target` is there whole or not at all; beside it a picture
    (`png`; by default its name with .png).

    Args:
      hop_by_hop: samples are handed over as a device has them, a hop at a time. The result is the
        same; it takes longer.

    Returns:
      What `enhance --json` prints: out, png, run, runtime, seconds, channels, sample_rate_hz,
      real_time_factor (time of computing a chunk over its length, the median: compiling is not
      counted where there are three or more) and delay_ms.

    Raises:
      BadInput: a file that is no sound or holds none, a format that cannot be written, or a run of
        another task.
    """
    run = Run(run_folder or _default_run())
    png = png or target.with_suffix(".png")
    if len({path.resolve() for path in (source, target, png)}) < 3:
        raise BadInput(f"{target}: source, target and picture must be three files")
    for path in (target, png):
        if path.is_dir() or not path.parent.is_dir():
            raise BadInput(f"{path} cannot be written: name a file in a folder that exists")
    filtering = with_filtering(run, post_filter, attenuation_limit_db)
    with contextlib.ExitStack() as opened:
        heard = opened.enter_context(_opened(source))
        made = opened.enter_context(_Written(target, heard))
        channels = [
            opened.enter_context(_Channel(Enhancer(run, runtime, filtering), heard.samplerate))
            for _ in range(heard.channels)
        ]
        pictures = Columns(heard.samplerate), Columns(heard.samplerate)
        factor = _pass(heard, made, channels, pictures, hop_by_hop)
    write(*pictures, heard.samplerate, png)
    return {
        "out": str(target),
        "png": str(png),
        "run": str(run.path),
        "runtime": runtime,
        "seconds": made.written / heard.samplerate,
        "channels": len(channels),
        "sample_rate_hz": heard.samplerate,
        "real_time_factor": factor,
        "delay_ms": channels[0].delay_ms,
    }


def _default_run() -> Path:
    """The artifact of the study that has the best quality."""
    artifacts = STUDY / "artifacts"
    rows = [row for row in Store(STUDY).rows() if (artifacts / str(row["run_id"])).is_dir()]
    if not rows:
        raise BadInput(f"no run is named and {STUDY} has no artifacts; name a run directory")
    metric = main_metric(rows)
    best = max(rows, key=lambda row: quality(row, metric) or -math.inf)
    return artifacts / str(best["run_id"])


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


class _Written:
    """A sound file of the source's kind that appears when it is whole."""

    def __init__(self, target: Path, like: soundfile.SoundFile):
        name = target.suffix.lstrip(".").upper()
        if name not in soundfile.available_formats():
            known = ", ".join(sorted(soundfile.available_formats())).lower()
            raise BadInput(f"{target}: unknown kind of file; allowed: {known}")
        # What MPEG holds is no subtype of other kinds, whatever `check_format` says.
        keeps = "MPEG" not in like.subtype and soundfile.check_format(name, like.subtype)
        subtype = like.subtype if keeps else None
        self._target, self.written = target, 0
        self._partial = target.with_name(f".{target.stem}.{os.getpid()}.partial{target.suffix}")
        try:
            self._file = soundfile.SoundFile(
                self._partial, "w", like.samplerate, like.channels, subtype, format=name
            )
        except (soundfile.SoundFileError, OSError) as error:
            self._partial.unlink(missing_ok=True)
            raise BadInput(f"{target} cannot be written: {error}") from error

    def __enter__(self) -> "_Written":
        return self

    def __exit__(self, kind: type | None, *error: object) -> None:
        try:
            self._file.close()
            if kind is None:
                self._partial.replace(self._target)
        finally:
            self._partial.unlink(missing_ok=True)

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

    def __enter__(self) -> "_Channel":
        self._enhancer.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._enhancer.__exit__(*error)

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
