"""Which speech is taken, what is scored, and that all of it is the same whoever asks."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from speech_corpus import write_speech_corpus

from aqtaudio.data import manifest
from aqtaudio.data.manifest import Recording
from aqtaudio.data.upper_band import has_upper_band
from aqtaudio.errors import BadInput
from aqtaudio.tasks.bandwidth.data import BandwidthData, SpeechItem, at_level
from aqtaudio.tasks.bandwidth.lines import CONDITIONS, LISTED, narrow_band

pytestmark = pytest.mark.optimized(False)

HZ = 16000


def noise(seed: int, samples: int = 2 * HZ) -> np.ndarray:
    """int16, all frequencies alike."""
    return np.rint(3000 * np.random.default_rng(seed).normal(size=samples)).astype(np.int16)


def without_upper_half(samples: np.ndarray) -> np.ndarray:
    spectrum = np.fft.rfft(samples)
    spectrum[len(spectrum) // 2 :] = 0
    return np.rint(np.fft.irfft(spectrum, len(samples))).astype(np.int16)


def made(**changes) -> BandwidthData:
    recordings, samples = [], []
    for number in range(6):
        split = "val" if number < 4 else "train"
        name = f"{split}/{number}.wav"
        recordings.append(Recording(name, "speech", f"s{number // 2}", split, "", "", 2.0, HZ))
        samples.append(noise(number, HZ * (1 + number % 3)))
    settings = {"clip_samples": HZ // 2, "evaluation_ms": 1500} | changes
    return BandwidthData(recordings, samples, HZ, **settings)


def test_what_has_no_upper_band():
    assert has_upper_band(noise(0), HZ)
    assert not has_upper_band(without_upper_half(noise(0)), HZ)
    assert not has_upper_band(np.zeros(HZ, np.int16), HZ)


def test_recordings_without_an_upper_band_are_left_out(tmp_path):
    folder = write_speech_corpus(tmp_path / "voices", HZ)
    rows = manifest.read(folder)
    narrow = next(row for row in rows if row.label == "speech" and row.split == "train")
    samples, _ = soundfile.read(narrow.file, dtype="int16")
    soundfile.write(narrow.file, without_upper_half(samples), HZ)
    data = BandwidthData.load([folder], HZ, HZ)
    assert data.left_out == (narrow.path,)
    assert not data.holds([SpeechItem(narrow.path, 0, "resampled", -25.0)])


def test_nothing_but_narrow_bands_is_refused(tmp_path):
    folder = write_speech_corpus(tmp_path / "voices", 8000)
    with pytest.raises(BadInput, match="split 'train' of .* has no full-band speech"):
        BandwidthData.load([Path(folder)], HZ, HZ)


def test_every_speaker_in_every_condition_and_any_prefix_is_fair():
    data = made()
    items = data.evaluation_list("val")
    assert len(items) == 2 * len(LISTED)
    pairs = {(data.speaker_of(item), item.condition) for item in items}
    assert len(pairs) == len(items)
    assert {data.speaker_of(item) for item in items[:2]} == {"s0", "s1"}


def test_evaluation_clips_are_their_items():
    data = made()
    items = data.evaluation_list("val")
    narrow, wide = data.evaluation_arrays(items)
    assert narrow.shape == wide.shape == (len(items), 24000)
    for index, item in enumerate(items):
        level_db = 20 * np.log10(np.sqrt(np.mean(np.square(wide[index] / 32768))))
        assert level_db == pytest.approx(item.level_dbfs, abs=0.1)
        spectrum = np.abs(np.fft.rfft(narrow[index].astype(float)))
        assert spectrum[len(spectrum) * 17 // 32 :].mean() < 0.05 * spectrum[: 3000 * 3 // 2].mean()
    again = data.evaluation_arrays(items[::-1])
    np.testing.assert_array_equal(again[0][::-1], narrow)


@pytest.mark.parametrize("change", ["path", "condition", "start"])
def test_bad_items(change: str):
    data = made()
    item = data.evaluation_list("val")[0]
    changed = {
        "path": SpeechItem("no.wav", 0, "resampled", -25.0),
        "condition": SpeechItem(item.path, 0, "pigeon", -25.0),
        "start": SpeechItem(item.path, 10**6, "resampled", -25.0),
    }[change]
    with pytest.raises(BadInput):
        data.evaluation_arrays([changed])


def test_batches_depend_on_what_is_asked_alone():
    one, other = made(), made()
    other.training_batch(7, 4, 0)
    np.testing.assert_array_equal(one.training_batch(3, 4, 0)[0], other.training_batch(3, 4, 0)[0])
    assert (one.training_batch(3, 4, 0)[0] != one.training_batch(3, 4, 1)[0]).any()
    assert one.training_batch(3, 4, 0)[0].shape == (4, HZ // 2)


def test_lines_keep_the_lower_band():
    clip = at_level(noise(0), -25.0)
    for name, line in CONDITIONS.items():
        found = narrow_band(clip, name, HZ)
        ratio = np.abs(np.fft.rfft(found))[200:5000] / np.abs(np.fft.rfft(clip))[200:5000]
        near = 0.4 if line.codec == "gsm" else 0.05  # which models speech, and this is noise
        assert np.median(ratio) == pytest.approx(1, abs=near), name
        assert len(found) == len(clip)
