"""The micro front end against the programs that devices run: not one value differs.

Variant "c" against the operator in TensorFlow's package, "tflm" against the published preprocessor
in TFLite Micro's interpreter, as it is and rewritten for other settings. The slow tests compare
more than ten million values each; `pytest -m slow -s` prints how many.
"""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from micro_oracles import (
    GOLDEN_FILE,
    Preprocessor,
    int8_of,
    preprocessor,
    quickly_compiled,
    random_settings,
    signals,
    tensorflow_op,
)

from aqtaudio.data import audio, manifest
from aqtaudio.errors import BadInput
from aqtaudio.frontends.micro import MicroFrontend

MILLIONS = 10_000_000
TFLM = MicroFrontend(variant="tflm")
NAMED = {
    "micro_speech": MicroFrontend(),
    "micro_wake_word": MicroFrontend(hop_ms=10),
    "c_defaults": MicroFrontend(window_ms=25, hop_ms=10, channels=32, pcan=False),
    "narrow_band": MicroFrontend(sample_rate_hz=8000, upper_hz=3800, channels=20),
    "music": MicroFrontend(sample_rate_hz=44_100, window_ms=64, hop_ms=21, channels=64, log=False),
}
Oracle = Callable[[np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def published(shared_folder) -> bytes:
    path = shared_folder / GOLDEN_FILE
    if not path.is_file():
        pytest.skip("no published preprocessor in the shared folder")
    return path.read_bytes()


def require_equal(settings: MicroFrontend, oracle: Oracle, samples: np.ndarray, quick: bool) -> int:
    """The number of values compared, of int16 [B, N]."""
    if quick:
        features = quickly_compiled(settings, samples)[0]
    else:
        features = settings.integers(samples.astype(np.int32), settings.initial_state(len(samples)))
        features = features[0]
    theirs = np.stack([oracle(clip) for clip in samples])
    differing = np.asarray(features) != theirs
    assert not differing.any(), f"{differing.sum((1, 2))} of {theirs[0].size}: {settings}"
    return theirs.size


def rewritten(published: bytes, settings: MicroFrontend) -> Oracle:
    return Preprocessor(preprocessor(published, settings), settings)


def tensorflow(settings: MicroFrontend) -> Oracle:
    return lambda clip: tensorflow_op(settings, clip)


def minutes(shared_folder: Path, seconds: int, rows: int) -> Iterator[np.ndarray]:
    """All real recordings end to end, int16 [rows, seconds of 16 kHz]."""
    paths = [shared_folder / "data" / one.path for one in manifest.read(shared_folder / "data")]
    size, held = rows * seconds * 16_000, []
    for path in paths:
        held.append(audio.load_int16(path))
        if sum(map(len, held)) >= size:
            joined = np.concatenate(held)
            yield joined[:size].reshape(rows, -1)
            held = [joined[size:]]


@pytest.mark.parametrize("name", NAMED)
def test_c_is_the_tensorflow_op(name):
    settings = NAMED[name]
    samples = signals(np.random.default_rng(0), settings.sample_rate_hz, settings.sample_rate_hz)
    require_equal(settings, tensorflow(settings), samples, quick=name != "micro_speech")


@pytest.mark.sampled(2)
@pytest.mark.parametrize("seed", range(4))
def test_c_is_the_tensorflow_op_with_random_settings(seed):
    rng = np.random.default_rng(seed)
    settings = random_settings(rng)
    samples = signals(rng, settings.sample_rate_hz, settings.sample_rate_hz)
    require_equal(settings, tensorflow(settings), samples, quick=True)


@pytest.mark.parametrize(("channels", "bin_"), [(32, 80), (40, 225), (64, 119)])
def test_weights_at_a_rounding_boundary_are_the_librarys(channels, bin_):
    """A tone in the bin whose weight float32 and float64 round apart, before anything hides it:
    one more or less changes the channel by 0.02 %, steps of its ten thousands.
    """
    settings = MicroFrontend(channels=channels, pcan=False, log=False, min_signal_remaining=1.0)
    tone = 5000 * np.sin(2 * np.pi * bin_ * 31.25 * np.arange(16_000) / 16_000)
    samples = np.stack([tone, tone / 3]).round().astype(np.int16)
    require_equal(settings, tensorflow(settings), samples, quick=True)


def test_what_the_library_refuses_is_refused():
    """Filters up to the last bin that it takes, and one more."""
    import tensorflow as tf

    settings = MicroFrontend(upper_hz=7999.0)
    samples = signals(np.random.default_rng(1), 16_000, 16_000)
    require_equal(settings, tensorflow(settings), samples, quick=True)
    with pytest.raises(BadInput, match="need bins"):
        dataclasses.replace(settings, upper_hz=8000.0)
    object.__setattr__(settings, "upper_hz", 8000.0)
    with pytest.raises(tf.errors.OpError):
        tensorflow_op(settings, samples[0])


@pytest.mark.parametrize("hop_ms", [20, 10])
def test_tflm_is_the_published_preprocessor(published, hop_ms):
    settings = dataclasses.replace(TFLM, hop_ms=hop_ms)
    samples = signals(np.random.default_rng(hop_ms), 32_000, 16_000)
    oracle = Preprocessor(published, settings)
    codes = np.stack([oracle(clip) for clip in samples])
    features = np.asarray(quickly_compiled(settings, samples)[0])
    np.testing.assert_array_equal(int8_of(features), codes)


def test_the_rewritten_preprocessor_is_the_published_one(published):
    samples = signals(np.random.default_rng(3), 32_000, 16_000)
    ours, theirs = rewritten(published, TFLM), Preprocessor(published, TFLM)
    for clip in samples:
        np.testing.assert_array_equal(int8_of(ours(clip)), theirs(clip))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("seed", range(4))
def test_tflm_is_the_preprocessor_with_random_settings(published, seed):
    """The 16-bit features, which 8 bits would hide."""
    rng = np.random.default_rng(seed)
    settings = random_settings(rng, variant="tflm", log=True)
    samples = signals(rng, settings.sample_rate_hz, settings.sample_rate_hz)
    require_equal(settings, rewritten(published, settings), samples, quick=True)


def test_tflm_is_the_preprocessor_on_clipped_squares(published):
    """TFLite Micro scales a window that holds -32768 in its middle by what comes after."""
    settings = dataclasses.replace(TFLM, pcan=False, min_signal_remaining=1.0)
    samples = np.stack([np.roll(_square(period), period // 3) for period in range(2, 800, 7)])
    require_equal(settings, rewritten(published, settings), samples, quick=True)


def _square(period: int) -> np.ndarray:
    return np.where(np.arange(16_000) % period < period // 2, 32767, -32768).astype(np.int16)


@pytest.mark.slow
def test_c_is_the_tensorflow_op_over_ten_million_values_of_random_settings():
    compared, seed = 0, 100
    while compared < MILLIONS:
        rng, seed = np.random.default_rng(seed), seed + 1
        settings = random_settings(rng)
        samples = signals(rng, 20 * settings.sample_rate_hz, settings.sample_rate_hz)
        compared += require_equal(settings, tensorflow(settings), samples, quick=False)
    print(f"c, {seed - 100} random settings: {compared:,} values, 0 differ")


@pytest.mark.slow
def test_tflm_is_the_preprocessor_over_ten_million_values_of_random_settings(published):
    compared, seed = 0, 100
    while compared < MILLIONS:
        rng, seed = np.random.default_rng(seed), seed + 1
        settings = random_settings(rng, variant="tflm", log=True)
        samples = signals(rng, 20 * settings.sample_rate_hz, settings.sample_rate_hz)
        compared += require_equal(settings, rewritten(published, settings), samples, quick=False)
    print(f"tflm, {seed - 100} random settings: {compared:,} values, 0 differ")


@pytest.mark.slow
def test_c_is_the_tensorflow_op_on_all_recordings(shared_folder):
    settings = MicroFrontend(hop_ms=10)
    compared = sum(
        require_equal(settings, tensorflow(settings), samples, quick=False)
        for samples in minutes(shared_folder, 60, 8)
    )
    print(f"c, recordings: {compared:,} values, 0 differ")
    assert compared >= MILLIONS


@pytest.mark.slow
def test_tflm_is_the_published_preprocessor_on_all_recordings(shared_folder, published):
    """The codes of the file as it is, and the 16-bit features of the rewritten one."""
    settings = dataclasses.replace(TFLM, hop_ms=10)
    codes_of, features_of = Preprocessor(published, settings), rewritten(published, settings)
    compared = 0
    for samples in minutes(shared_folder, 60, 8):
        compared += require_equal(settings, features_of, samples, quick=False)
        for clip in samples[:2]:
            np.testing.assert_array_equal(int8_of(features_of(clip)), codes_of(clip))
    print(f"tflm, recordings: {compared:,} values, 0 differ")
    assert compared >= MILLIONS
