"""Columns of streams: the same however they arrive, and no more of them however long it lasts."""

import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from aqtaudio.errors import BadInput
from aqtaudio.tasks.spectrogram import Columns, write

pytestmark = pytest.mark.optimized(False)

HZ = 16000


def tone(seconds: float, frequency_hz: float, amplitude: float = 1.0) -> np.ndarray:
    time = np.arange(int(seconds * HZ)) / HZ
    return amplitude * np.sin(2 * np.pi * frequency_hz * time)


def pushed(*chunks: np.ndarray, limit: int = 2000) -> Columns:
    columns = Columns(HZ, limit)
    for chunk in chunks:
        columns.push(chunk)
    return columns


def test_a_full_sine_is_0_dbfs_in_its_bin():
    image = pushed(tone(1, 2000)).decibels()
    assert image.shape == (61, 257)
    assert image.argmax(axis=1).tolist() == [64] * 61
    assert image.max(axis=1) == pytest.approx(np.zeros(61), abs=1e-3)


def test_int16_is_full_scale_1():
    signal = tone(0.5, 1000, 0.5)
    codes = np.rint(signal * 32768).astype(np.int16)
    loud = pushed(signal).decibels().max(axis=1)
    assert pushed(codes).decibels().max(axis=1) == pytest.approx(loud, abs=1e-3)


@pytest.mark.parametrize("limit", [8, 2000])
def test_chunks_do_not_show(limit: int):
    signal = np.random.default_rng(0).standard_normal(3 * HZ)
    whole = pushed(signal, limit=limit)
    parts = pushed(*np.split(signal, [1, 100, 5000, 5001, 40000]), limit=limit)
    np.testing.assert_allclose(parts.decibels(), whole.decibels(), atol=1e-4)
    assert parts.seconds == whole.seconds == 3.0


def test_merged_columns_are_means_of_power():
    signal = np.random.default_rng(0).standard_normal(256 * 17)  # 16 frames
    fine, coarse = (10 ** (pushed(signal, limit=n).decibels() / 10) for n in (100, 8))
    assert fine.shape[0] == 16 and coarse.shape[0] == 4
    np.testing.assert_allclose(coarse, fine.reshape(4, 4, -1).mean(axis=1), rtol=1e-4)


def test_memory_does_not_grow_with_the_stream():
    columns, chunk, peaks = Columns(HZ, limit=64), np.zeros(HZ // 4, np.float32), []
    tracemalloc.start()
    for _ in range(4):
        tracemalloc.reset_peak()
        for _ in range(60):
            columns.push(chunk)
        peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert peaks[3] < 1.1 * peaks[0]
    assert 32 <= len(columns.decibels()) <= 65


def test_a_long_chunk_is_taken_in_blocks():
    columns, chunk = Columns(HZ), np.zeros(60 * HZ, np.float32)
    tracemalloc.start()
    columns.push(chunk)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16e6
    assert 1000 <= len(columns.decibels()) <= 2001


@pytest.mark.parametrize("samples", [0, 1, 100])
def test_less_than_a_window_is_one_column(samples: int):
    assert pushed(np.ones(samples)).decibels().shape == (1, 257)


@pytest.mark.parametrize("rate_hz", [8000, 48000])
def test_picture(tmp_path: Path, rate_hz: int):
    noisy = np.random.default_rng(0).standard_normal(2 * rate_hz).astype(np.float32)
    file = tmp_path / "a.png"
    write(noisy, Columns(rate_hz), rate_hz, file)
    picture = imread(file)
    assert picture.shape[0] > 500 and picture.shape[1] > 900
    assert picture[..., :3].std() > 0.05
    assert list(tmp_path.iterdir()) == [file]


def test_columns_and_samples_give_one_picture(tmp_path: Path):
    signals = tone(1, 500), tone(1, 500, 0.1)
    write(*signals, HZ, tmp_path / "a.png")
    write(*(pushed(x) for x in signals), HZ, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_scale_is_shared(tmp_path: Path):
    """The quieter one is darker: each on its own scale they would be alike."""
    noise = np.random.default_rng(0).standard_normal(HZ)
    write(noise, 0.01 * noise, HZ, tmp_path / "a.png")
    picture = imread(tmp_path / "a.png")[..., :3].mean(axis=2)
    before, after = (picture[rows, 200:900] for rows in (slice(100, 250), slice(450, 600)))
    assert after.mean() < before.mean() - 0.2


def test_a_file_that_cannot_be_written(tmp_path: Path):
    with pytest.raises(BadInput, match="cannot be written"):
        write(tone(1, 500), tone(1, 500), HZ, tmp_path / "none" / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_floats_of_any_size_have_a_picture(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loud = pushed(tone(1, 1000, 1e30).astype(np.float32))
        write(loud, pushed(tone(1, 1000)), HZ, tmp_path / "loud.png")
    assert np.isfinite(loud.decibels()).all()
