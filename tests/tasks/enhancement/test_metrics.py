"""Scores against what they must be by definition; means against what may not enter them."""

import json
import math

import numpy as np
import pytest

from aqtaudio.errors import BadInput
from aqtaudio.tasks import sound_quality as metrics

HZ = 16000


def syllables(seconds: float, seed: int = 0, sample_rate_hz: int = HZ) -> np.ndarray:
    """Harmonics of a wandering pitch in bursts: enough of speech for what scores speech."""
    draw = np.random.default_rng(seed)
    time = np.arange(int(seconds * sample_rate_hz)) / sample_rate_hz
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * time)) / sample_rate_hz
    voice = sum(np.sin(k * phase + draw.uniform(0, 6)) / k for k in range(1, 25))
    bursts = np.clip(np.sin(2 * np.pi * 2.3 * time), 0, 1)
    return (0.1 * voice * bursts).astype(np.float32)


def orthogonal_noise(signal: np.ndarray, snr_db: float, seed: int = 1) -> np.ndarray:
    """Noise without a mean or a part along the signal: its SNR is the SI-SDR."""
    signal = signal.astype(np.float64) - signal.mean()
    noise = np.random.default_rng(seed).standard_normal(len(signal))
    noise -= noise.mean()
    noise -= signal * (noise @ signal) / (signal @ signal)
    return noise * np.sqrt(signal @ signal / (noise @ noise) / 10 ** (snr_db / 10))


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 3.0, 40.0])
def test_si_sdr_is_the_snr_of_orthogonal_noise(snr_db: float):
    clean = syllables(2)
    noise = orthogonal_noise(clean, snr_db)
    assert metrics.si_sdr(clean, clean + noise) == pytest.approx(snr_db, abs=1e-6)


@pytest.mark.parametrize("scale", [1e-4, -0.5, 1.0, 30.0])
@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_si_sdr_knows_neither_scale_nor_offset(scale: float, offset: float):
    clean = syllables(1).astype(np.float64)
    noisy = clean + orthogonal_noise(clean, 5.0)
    assert metrics.si_sdr(clean, scale * noisy + offset) == pytest.approx(5.0, abs=1e-6)
    assert metrics.si_sdr(scale * clean + offset, noisy) == pytest.approx(5.0, abs=1e-6)


def test_si_sdr_of_the_reference_itself_has_no_bound():
    clean = syllables(1)
    assert metrics.si_sdr(clean, clean) > 200
    assert metrics.si_sdr(clean, 0.25 * clean) > 200


def test_si_sdr_of_whole_numbers_is_that_of_their_values():
    clean = syllables(1)
    codes = np.rint(clean * 32768).astype(np.int16)
    assert metrics.si_sdr(clean, codes) == metrics.si_sdr(clean, codes / 32768)


def test_silence_has_no_si_sdr():
    clean, silent = syllables(1), np.zeros(HZ, np.float32)
    assert math.isnan(metrics.si_sdr(silent, clean))
    assert math.isnan(metrics.si_sdr(clean, silent))
    assert math.isnan(metrics.si_sdr(clean, silent + 0.3))


@pytest.mark.parametrize(
    "estimate", [np.zeros(10), np.zeros((HZ, 1)), np.full(HZ, np.nan), np.zeros(0)]
)
def test_signals_that_cannot_be_scored_are_refused(estimate: np.ndarray):
    with pytest.raises(BadInput):
        metrics.si_sdr(syllables(1), estimate)


def test_improvement_is_against_the_mixture():
    clean = syllables(1)
    noisy, enhanced = (clean + orthogonal_noise(clean, db) for db in (2.0, 9.0))
    found = metrics.scores(clean, noisy, enhanced, HZ, with_models=False)
    assert found == pytest.approx({"si_sdr_db": 9.0, "si_sdr_improvement_db": 7.0}, abs=1e-6)


def test_scores_are_those_at_16_khz():
    """What lies above 8 kHz is not heard."""
    clean = syllables(2, sample_rate_hz=48000)
    hiss = 0.2 * np.sin(2 * np.pi * 12000 * np.arange(len(clean)) / 48000)
    found = metrics.scores(clean, clean + hiss, clean + hiss, 48000, with_models=False)
    assert found["si_sdr_db"] > 40


def test_pesq_of_itself_is_its_best():
    pytest.importorskip("pesq")
    clean = syllables(3)
    assert metrics.pesq_wb(clean, clean, HZ) == pytest.approx(4.644, abs=1e-3)
    assert metrics.pesq_wb(clean, clean + orthogonal_noise(clean, 0.0), HZ) < 2


def test_pesq_without_utterances_does_not_exist():
    pytest.importorskip("pesq")
    clean, silent = syllables(2), np.zeros(2 * HZ, np.float32)
    assert math.isnan(metrics.pesq_wb(silent, clean, HZ))
    assert math.isnan(metrics.pesq_wb(silent, silent, HZ))
    assert math.isnan(metrics.pesq_wb(clean, silent, HZ))
    assert math.isnan(metrics.pesq_wb(clean[:3000], clean[:3000], HZ))


def test_pesq_of_many_utterances_ends():
    """50 utterances in one call end the process."""
    pytest.importorskip("pesq")
    seconds = 45
    bursts = np.arange(seconds * HZ) / HZ % 0.55 < 0.27
    clean = 0.1 * bursts * np.random.default_rng(0).standard_normal(len(bursts))
    assert metrics.pesq_wb(clean, clean, HZ) == pytest.approx(4.644, abs=1e-3)


def test_stoi():
    pytest.importorskip("pystoi")
    clean = syllables(2)
    assert metrics.stoi(clean, clean, HZ) == pytest.approx(1.0, abs=1e-6)
    assert metrics.stoi(clean, clean + orthogonal_noise(clean, -15.0), HZ) < 0.7
    assert metrics.stoi(clean, np.zeros_like(clean), HZ) == pytest.approx(0.0, abs=1e-6)


def test_stoi_of_too_little_speech_does_not_exist():
    pytest.importorskip("pystoi")
    word = np.zeros(3 * HZ)
    word[:2000] = syllables(3)[400:2400]
    assert math.isnan(metrics.stoi(word, word, HZ))
    assert math.isnan(metrics.stoi(0 * word, word, HZ))
    assert math.isnan(metrics.stoi(word[:1000], word[:1000], HZ))


@pytest.mark.slow
def test_dnsmos_takes_any_level_and_loads_once():
    pytest.importorskip("speechmos")
    pytest.importorskip("librosa")
    pytest.importorskip("onnxruntime")
    clean = syllables(2)
    loud = clean / np.abs(clean).max()
    found = metrics.dnsmos(loud, HZ)
    assert list(found) == ["ovrl", "sig", "bak", "p808"]
    assert all(1 <= value <= 5 for value in found.values())
    assert metrics.dnsmos(3 * loud, HZ) == pytest.approx(found, abs=1e-3)
    assert metrics._dnsmos_model.cache_info().misses == 1


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "pesq", None)
    with pytest.raises(BadInput, match=r"pesq.*aqtaudio\[quality\]"):
        metrics.pesq_wb(syllables(1), syllables(1), HZ)


def test_means_hold_nothing_that_does_not_exist():
    rows = [{"pesq": 2.0, "stoi": 0.5}, {"pesq": math.nan, "stoi": math.inf}, {"pesq": 3.0}]
    found = metrics.summary(rows)
    assert found["pesq"] == 2.5 and found["stoi"] == 0.5
    assert found["n"] == {"pesq": 2, "stoi": 1}
    assert found["left_out"] == {"pesq": 1, "stoi": 2}
    assert set(found["intervals"]) == {"pesq"}
    json.dumps(found, allow_nan=False)


def test_a_metric_without_scores_has_no_mean():
    found = metrics.summary([{"pesq": math.nan}, {"pesq": math.nan}])
    assert found == {"n": {"pesq": 0}, "left_out": {"pesq": 2}, "intervals": {}}
    assert metrics.summary([]) == {"n": {}, "left_out": {}, "intervals": {}}


def test_intervals_hold_the_mean_and_shrink():
    draw = np.random.default_rng(0)
    widths = []
    for count in (20, 2000):
        values = 2 + draw.standard_normal(count)
        found = metrics.summary([{"pesq": value} for value in values])
        low, high = found["intervals"]["pesq"]
        assert low < found["pesq"] < high
        assert found["pesq"] == pytest.approx(values.mean())
        widths.append(high - low)
    assert widths[1] == pytest.approx(2 * 1.96 / math.sqrt(2000), rel=0.15)
    assert widths[1] < widths[0] / 5


def test_intervals_cover_what_they_promise():
    draw = np.random.default_rng(1)
    tables = draw.standard_normal((100, 40))
    intervals = [
        metrics.summary([{"pesq": v} for v in values])["intervals"]["pesq"] for values in tables
    ]
    assert 85 <= sum(low <= 0 <= high for low, high in intervals) <= 100


def test_mixtures_of_a_speaker_count_less_than_those_of_many():
    """20 speakers of 10 mixtures each: the interval is that of 20 values, not of 200."""
    draw = np.random.default_rng(0)
    speakers = np.repeat(np.arange(20), 10)
    values = draw.standard_normal(20)[speakers] + 0.1 * draw.standard_normal(200)
    rows = [{"pesq": value} for value in values]
    alone, together = (
        metrics.summary(rows, groups)["intervals"]["pesq"] for groups in (None, list(speakers))
    )
    assert 2 < (together[1] - together[0]) / (alone[1] - alone[0]) < 4.5


def test_one_speaker_gives_no_interval():
    assert metrics.summary([{"pesq": 1.0}, {"pesq": 2.0}], ["a", "a"])["intervals"] == {}


def test_per_snr():
    rows = [{"pesq": value} for value in (1.0, 2.0, 3.0, 5.0)]
    found = metrics.summary(rows, list("abab"), [0, -5.0, 0, -5.0])
    assert list(found["per_snr"]) == ["-5", "0"]
    assert found["per_snr"]["0"]["pesq"] == 2.0 and found["per_snr"]["-5"]["pesq"] == 3.5
    assert found["pesq"] == 2.75
    json.dumps(found, allow_nan=False)
