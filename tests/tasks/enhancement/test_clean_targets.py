"""Training speech that a published model has cleaned: its own noise is gone, all else as it was."""

from pathlib import Path

import numpy as np
import pytest
from speech_corpus import write_speech_corpus

from aqtaudio.data import audio, manifest
from aqtaudio.errors import BadInput
from aqtaudio.experiment import load_config
from aqtaudio.settings import overlay
from aqtaudio.tasks import sound_quality as metrics
from aqtaudio.tasks.enhancement.clean_targets import cleaner
from aqtaudio.tasks.enhancement.data import EnhancementData

pytestmark = pytest.mark.optimized(False)

CONFIG = Path(__file__).parents[3] / "configs/denoise_deep_filter_net.py"
RATE_HZ = 16000


def prepared(data: EnhancementData, cleaned_by: str | None) -> EnhancementData:
    """As a run with this setting trains on it."""
    experiment = overlay(load_config(CONFIG), {"task.cleaned_by": cleaned_by})
    return experiment.task.prepared(data, experiment.setup)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> EnhancementData:
    folder = write_speech_corpus(tmp_path_factory.mktemp("voices") / "corpus", RATE_HZ)
    return EnhancementData.load([folder], RATE_HZ, RATE_HZ, evaluation_ms=1000)


def test_without_the_setting_nothing_changes(data):
    assert prepared(data, None) is data


def test_only_training_speech_changes(data):
    def silenced(samples: np.ndarray) -> np.ndarray:
        return samples // 2

    changed = data.with_training_speech(silenced)
    speech_before, noise_before = data.training_batch(0, 4, seed=0)
    speech_after, noise_after = changed.training_batch(0, 4, seed=0)
    assert 0 < np.abs(speech_after).max() <= np.abs(speech_before).max() // 2 + 1
    np.testing.assert_array_equal(noise_after, noise_before)
    items = data.evaluation_list("val")
    assert changed.evaluation_list("val") == items
    for one, other in zip(
        changed.evaluation_arrays(items), data.evaluation_arrays(items), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("some/run", r"cleaned_by is some/run; allowed: published weights"),
        ("nowhere/weights.npz", "cleaned_by: .*nowhere/weights.npz"),
    ],
)
def test_bad_weights(data, named, message):
    with pytest.raises(BadInput, match=message):
        prepared(data, named)


@pytest.mark.slow
def test_the_noise_of_a_recording_goes(shared_folder, tmp_path, monkeypatch):
    """Once: what was made is kept, and made again where a file is not whole."""
    monkeypatch.setenv("AQTAUDIO_CACHE", str(tmp_path))
    weights = shared_folder / "golden/deepfilternet3/weights_folded.npz"
    rows = [row for row in manifest.read(shared_folder / "data") if row.label == "speech"]
    plain = audio.load_int16(shared_folder / "data" / rows[0].path, RATE_HZ)[: 12 * RATE_HZ]
    hiss = np.random.default_rng(0).standard_normal(len(plain))
    recorded = np.rint(plain + 0.3162 * np.std(plain) * hiss).astype(np.int16)
    made = cleaner(str(weights), RATE_HZ)(recorded)
    assert made.shape == recorded.shape and made.dtype == np.int16
    before, after = (metrics.si_sdr(plain.astype(float), x.astype(float)) for x in (recorded, made))
    assert before == pytest.approx(10, abs=0.5) and after > before + 2
    (kept,) = (tmp_path / "cleaned").iterdir()
    np.testing.assert_array_equal(np.load(kept), made)
    kept.write_bytes(kept.read_bytes()[:-100])
    np.testing.assert_array_equal(cleaner(str(weights), RATE_HZ)(recorded), made)
