"""Training speech of a narrow band is no target, where the task says so."""

from collections.abc import Set
from pathlib import Path

import numpy as np
import pytest
from speech_corpus import write_speech_corpus

from aqtaudio.data import audio, manifest
from aqtaudio.data.upper_band import has_upper_band
from aqtaudio.errors import BadInput
from aqtaudio.tasks.enhancement.data import EnhancementData

RATE_HZ = 16000


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_speech_corpus(tmp_path_factory.mktemp("voices") / "corpus", RATE_HZ)


def speech_of(folder: Path, split: str) -> list[str]:
    rows = manifest.read(folder)
    return [row.path for row in rows if row.label == "speech" and row.split == split]


def loaded(folder: Path, narrow: Set[str], without: Set[str] = frozenset()) -> EnhancementData:
    """The corpus; recordings in `narrow` have lost the upper half of their band."""
    rows = [row for row in manifest.read(folder) if row.path not in without]
    whole = (audio.load_int16(row.file, RATE_HZ) for row in rows)
    pairs = zip(rows, whole, strict=True)
    samples = [lower_half(x) if row.path in narrow else x for row, x in pairs]
    return EnhancementData(rows, samples, RATE_HZ, RATE_HZ, evaluation_ms=1000)


def lower_half(samples: np.ndarray) -> np.ndarray:
    spectrum = np.fft.rfft(samples)
    spectrum[len(spectrum) // 2 :] = 0
    return np.rint(np.fft.irfft(spectrum, len(samples))).astype(np.int16)


def test_only_narrow_training_speech_goes(folder):
    first = speech_of(folder, "train")[0]
    narrow = {first, *speech_of(folder, "val")}
    data = loaded(folder, narrow)
    kept = data.with_full_band_training_speech()
    items = data.evaluation_list("val")
    assert kept.evaluation_list("val") == items and kept.holds(items)
    given = kept.training_batch(0, 8, seed=0)
    expected = loaded(folder, narrow, without={first}).training_batch(0, 8, seed=0)
    for one, other in zip(given, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    before, _ = data.training_batch(0, 8, seed=0)
    assert not all(has_upper_band(clip, RATE_HZ) for clip in before)
    assert all(has_upper_band(clip, RATE_HZ) for clip in given[0])


def test_nothing_but_narrow_bands_is_refused(folder):
    data = loaded(folder, set(speech_of(folder, "train")))
    with pytest.raises(BadInput, match="task.full_band: no recording .* has an upper band; needed"):
        data.with_full_band_training_speech()


def test_a_rate_without_an_upper_band_is_refused(folder):
    data = EnhancementData.load([folder], 8000, 8000, evaluation_ms=1000)
    with pytest.raises(BadInput, match="sample_rate_hz is 8000; allowed: 15000 or more"):
        data.with_full_band_training_speech()
