"""PNG of what an enhancer was given and what it made of it, as spectrograms."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.files import replacing

WINDOW_MS = 32
# Frames transformed at once: a long signal must not become as many spectra.
BLOCK_FRAMES = 512
SILENCE_DB = -120.0
RANGE_DB = 80.0
LOUDEST = 2.0**32
"""Of full scale, in a picture; files of floats may hold what has no square in float32."""


class Columns:
    """Spectrogram of a stream of any length in constant memory.

    Windows of about 32 ms (Hann, half overlapping); whenever `limit` columns are full, neighbours
    become one (the mean of their powers), so that half of the limit or more stay once it was
    reached.
    """

    def __init__(self, sample_rate_hz: int, limit: int = 2000):
        if limit < 2 or limit % 2:
            raise ValueError(f"a limit of {limit} columns; even, 2 or more")
        self.sample_rate_hz = sample_rate_hz
        self.samples = 0
        size = 2 ** round(math.log2(WINDOW_MS * sample_rate_hz / 1000))
        self._window = np.hanning(size + 1)[:-1]
        self._rest = np.zeros(0)
        self._columns = np.zeros((limit, size // 2 + 1), np.float32)
        self._full = 0
        self._frames_each = 1
        self._sum = np.zeros(size // 2 + 1)
        self._summed = 0

    def push(self, samples: np.ndarray) -> None:
        """Takes the next samples [n], float of full scale 1 or int16."""
        scale = 32768 if np.issubdtype(samples.dtype, np.integer) else 1
        self.samples += len(samples)
        step = len(self._window) // 2 * BLOCK_FRAMES
        for start in range(0, len(samples), step):
            piece = samples[start : start + step] / scale
            self._push(np.clip(piece, -LOUDEST, LOUDEST))

    def decibels(self) -> np.ndarray:
        """[columns, bins] from 0 Hz to half the sample rate, 0 dB: a sine of full scale."""
        columns = self._columns[: self._full]
        if self._summed:
            columns = np.vstack([columns, self._sum / self._summed])
        if not len(columns):
            short = np.zeros(len(self._window))
            short[: len(self._rest)] = self._rest
            columns = self._powers(short[None])
        full_scale = (self._window.sum() / 2) ** 2
        return 10 * np.log10(np.maximum(columns / full_scale, 10 ** (SILENCE_DB / 10)))

    @property
    def seconds(self) -> float:
        """What was pushed so far."""
        return self.samples / self.sample_rate_hz

    def _push(self, samples: np.ndarray) -> None:
        samples = np.concatenate([self._rest, samples])
        size, hop = len(self._window), len(self._window) // 2
        count = max(0, (len(samples) - size) // hop + 1)
        self._rest = samples[count * hop :]
        if not count:
            return
        frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]
        for power in self._powers(frames):
            self._sum += power
            self._summed += 1
            if self._summed == self._frames_each:
                self._close_column()

    def _powers(self, frames: np.ndarray) -> np.ndarray:
        return np.square(np.abs(np.fft.rfft(frames * self._window)))

    def _close_column(self) -> None:
        self._columns[self._full] = self._sum / self._summed
        self._full, self._summed = self._full + 1, 0
        self._sum[:] = 0
        if self._full == len(self._columns):
            self._full //= 2
            pairs = self._columns.reshape(self._full, 2, -1)
            self._columns[: self._full] = pairs.mean(axis=1)
            self._frames_each *= 2


def write(
    before: np.ndarray | Columns, after: np.ndarray | Columns, sample_rate_hz: int, file: Path
) -> None:
    """Writes both spectrograms below one another, on one scale of colours over 80 dB.

    Args:
      before: [samples] float of full scale 1 or int16; or the columns of a stream.
      after: likewise.

    Raises:
      BadInput: the file cannot be written.
    """
    from matplotlib.figure import Figure  # a third of a second, after the sound is there

    figure = Figure(figsize=(10, 6), layout="constrained")
    plots = figure.subplots(2, 1, sharex=True, sharey=True)
    shown = [_columns(signal, sample_rate_hz) for signal in (before, after)]
    decibels = [columns.decibels() for columns in shown]
    loudest_db = max(image.max() for image in decibels)
    for axes, title, columns, image in zip(
        plots, ("before", "after"), shown, decibels, strict=True
    ):
        drawn = axes.imshow(
            image.T,
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            extent=(0, max(columns.seconds, 1e-3), 0, columns.sample_rate_hz / 2000),
            vmin=loudest_db - RANGE_DB,
            vmax=loudest_db,
            cmap="magma",
        )
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_ylabel("frequency [kHz]")
    plots[-1].set_xlabel("time [s]")
    figure.colorbar(drawn, ax=plots, label="level [dBFS]")
    try:
        with replacing(file) as new:
            figure.savefig(new, format="png", dpi=120, metadata={"Software": ""})
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}") from error


def _columns(signal: np.ndarray | Columns, sample_rate_hz: int) -> Columns:
    if isinstance(signal, Columns):
        return signal
    columns = Columns(sample_rate_hz)
    columns.push(np.asarray(signal))
    return columns
