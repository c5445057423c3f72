"""Log-mel and MFCC against librosa and tf.signal, and the laws that any front end keeps."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqtaudio.errors import BadInput
from aqtaudio.frontends import spectral
from aqtaudio.frontends.spectral import LogMel, Mfcc

pytestmark = pytest.mark.optimized("slow")

RAW = {"mean": (0.0,), "scale": (1.0,)}
VARIANTS = {
    "default": {},
    "mlperf_tiny": {"window_ms": 30.0, "upper_hz": 4000.0, "log_floor_value": 1e-6},
    "kws_streaming": {"log_floor": "max", "log_floor_value": 1e-12, "coefficients": 20},
    "ten_ms_hop": {"window_ms": 30.0, "hop_ms": 10.0, "upper_hz": 7600.0, "coefficients": 40},
    "wide": {"mel_bands": 80, "lower_hz": 0.0, "upper_hz": 8000.0, "fft_length": 2048},
    "power_hamming": {"spectrum": "power", "window": "hamming", "window_periodic": False},
    "narrow_band": {"sample_rate_hz": 8000, "upper_hz": 3800.0, "mel_bands": 20},
}


def clips(count: int, samples: int = 16_000) -> np.ndarray:
    """Chirps over noise, float32 [count, samples]: no bin so quiet that float32 loses it."""
    random = np.random.default_rng(count)
    time = np.arange(samples) / 16_000
    start_hz, slope = random.uniform(100, 900, (2, count, 1))
    tone = np.sin(2 * np.pi * (start_hz + slope * time) * time) * random.uniform(0, 0.5, (count, 1))
    return (tone + 0.03 * random.standard_normal((count, samples))).astype(np.float32)


def make(kind: type[LogMel], variant: dict) -> LogMel:
    if kind is LogMel:
        variant = {name: value for name, value in variant.items() if name != "coefficients"}
    return kind(**{**RAW, **variant})


def tf_features(frontend: LogMel, audio: np.ndarray) -> np.ndarray:
    """The same features from tf.signal, in float64."""
    import tensorflow as tf

    def window(length, dtype):
        make = tf.signal.hann_window if frontend.window == "hann" else tf.signal.hamming_window
        return make(length, periodic=frontend.window_periodic, dtype=dtype)

    spectrum = tf.abs(
        tf.signal.stft(
            audio.astype(np.float64),
            frontend.window_samples,
            frontend.hop_samples,
            frontend.fft_samples,
            window,
        )
    )
    if frontend.spectrum == "power":
        spectrum = spectrum**2
    matrix = tf.signal.linear_to_mel_weight_matrix(
        frontend.mel_bands,
        spectrum.shape[-1],
        frontend.sample_rate_hz,
        frontend.lower_hz,
        frontend.upper_hz,
        tf.float64,
    )
    mel = spectrum @ matrix
    floor = frontend.log_floor_value
    logs = tf.math.log(mel + floor if frontend.log_floor == "add" else tf.maximum(mel, floor))
    if isinstance(frontend, Mfcc):
        logs = tf.signal.mfccs_from_log_mel_spectrograms(logs)[..., : frontend.coefficients]
    return logs.numpy()


def librosa_features(frontend: LogMel, audio: np.ndarray) -> np.ndarray:
    """The same features from librosa, in float64."""
    import librosa
    import scipy.signal

    # librosa centres the window within the transform; the shift leaves magnitudes alone.
    side = (frontend.fft_samples - frontend.window_samples) // 2
    spectrum = librosa.stft(
        np.pad(audio.astype(np.float64), ((0, 0), (side, side))),
        n_fft=frontend.fft_samples,
        hop_length=frontend.hop_samples,
        win_length=frontend.window_samples,
        window=scipy.signal.get_window(
            frontend.window, frontend.window_samples, fftbins=frontend.window_periodic
        ),
        center=False,
    )
    power = 2 if frontend.spectrum == "power" else 1
    matrix = librosa.filters.mel(
        sr=frontend.sample_rate_hz,
        n_fft=frontend.fft_samples,
        n_mels=frontend.mel_bands,
        fmin=frontend.lower_hz,
        fmax=frontend.upper_hz,
        htk=True,
        norm=None,
        dtype=np.float64,
    )
    mel = matrix @ np.abs(spectrum) ** power
    floor = frontend.log_floor_value
    logs = np.log(mel + floor if frontend.log_floor == "add" else np.maximum(mel, floor))
    if isinstance(frontend, Mfcc):
        logs = librosa.feature.mfcc(S=logs, n_mfcc=frontend.coefficients, norm="ortho")
        logs[:, 0] *= math.sqrt(2)
    return logs.swapaxes(1, 2)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", [LogMel, Mfcc])
@pytest.mark.parametrize("variant", VARIANTS)
def test_equals_tf_signal(kind, variant):
    frontend = make(kind, VARIANTS[variant])
    audio = clips(3)
    np.testing.assert_allclose(frontend(audio), tf_features(frontend, audio), atol=1e-4)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", [LogMel, Mfcc])
@pytest.mark.parametrize("variant", VARIANTS)
def test_equals_librosa(kind, variant):
    frontend = make(kind, {**VARIANTS[variant], "mel_triangles": "hz"})
    audio = clips(3)
    np.testing.assert_allclose(frontend(audio), librosa_features(frontend, audio), atol=1e-4)


def test_the_kinds_of_triangles_differ():
    mel, hz = (make(LogMel, {"mel_triangles": kind})(clips(1)) for kind in ("mel", "hz"))
    assert float(jnp.abs(mel - hz).max()) > 1e-3


@pytest.mark.parametrize("frontend", [LogMel(), Mfcc()])
def test_a_batch_is_its_clips(frontend):
    """Also where the batch is no multiple of a chunk."""
    audio = clips(spectral.CHUNK_CLIPS + 5, 4_000)
    single = jnp.concatenate([frontend(audio[i : i + 1]) for i in (0, 31, 32, 36)])
    np.testing.assert_allclose(frontend(audio)[jnp.array([0, 31, 32, 36])], single, atol=1e-5)


@pytest.mark.parametrize("frontend", [LogMel(), Mfcc()])
def test_jit_is_eager(frontend):
    audio = clips(2, 4_000)
    compiled = jax.jit(frontend)(audio)
    with jax.disable_jit():
        np.testing.assert_allclose(frontend(audio), compiled, atol=1e-5)


@pytest.mark.parametrize("log_floor", ["add", "max"])
@pytest.mark.parametrize("kind", [LogMel, Mfcc])
def test_silence_and_full_scale_are_finite(kind, log_floor):
    frontend = kind(log_floor=log_floor, log_floor_value=1e-12)
    square = jnp.where(jnp.arange(16_000) % 40 < 20, 1.0, -1.0)
    features = frontend(jnp.stack([jnp.zeros(16_000), square]))
    assert bool(jnp.isfinite(features).all())


def test_silence_is_the_floor():
    features = make(LogMel, {})(jnp.zeros((1, 16_000)))
    np.testing.assert_allclose(features, math.log(1e-3), rtol=1e-6)


def test_a_hop_later_is_a_frame_later():
    frontend = LogMel()
    audio = clips(2)
    late = frontend(audio[:, frontend.hop_samples :])
    np.testing.assert_allclose(late, frontend(audio)[:, 1:], atol=1e-5)


def test_twice_as_loud_adds_log_two():
    frontend = make(LogMel, {"log_floor": "max", "log_floor_value": 1e-12})
    audio = clips(2)
    np.testing.assert_allclose(frontend(2 * audio) - frontend(audio), math.log(2), atol=1e-5)


def test_normalisation_subtracts_then_divides_and_repeats_its_last_value():
    audio = clips(2)
    raw = make(Mfcc, {})(audio)
    frontend = Mfcc(mean=(3.0, -1.0), scale=(10.0, 5.0, 2.0))
    mean = np.array([3.0] + 9 * [-1.0])
    scale = np.array([10.0, 5.0] + 8 * [2.0])
    np.testing.assert_allclose(frontend(audio), (raw - mean) / scale, rtol=1e-4, atol=1e-5)


def test_settings_from_json_are_the_same_settings():
    frontend = Mfcc(mean=(1.0, 2.0))
    again = Mfcc(**{**dataclasses.asdict(frontend), "mean": [1.0, 2.0]})
    assert again == frontend and hash(again) == hash(frontend)


@settings(max_examples=60, deadline=None)
@given(
    window_ms=st.floats(5, 70),
    hop_ms=st.floats(1, 40),
    samples=st.integers(1, 20_000),
    bands=st.integers(1, 24),
)
def test_frames_are_the_whole_windows(window_ms, hop_ms, samples, bands):
    frontend = LogMel(window_ms=window_ms, hop_ms=hop_ms, mel_bands=bands, fft_length=2048)
    length, hop = frontend.window_samples, frontend.hop_samples
    whole = sum(start + length <= samples for start in range(0, samples, hop))
    assert frontend.feature_shape(samples) == (whole, bands)
    audio = jax.ShapeDtypeStruct((2, samples), jnp.float32)
    if whole:
        assert jax.eval_shape(frontend, audio).shape == (2, whole, bands)
    else:
        with pytest.raises(BadInput, match="shorter than the window"):
            jax.eval_shape(frontend, audio)


@settings(max_examples=60, deadline=None)
@given(
    bands=st.integers(1, 128),
    fft_log2=st.integers(10, 13),
    lower_hz=st.floats(0, 3000),
    upper_hz=st.floats(3100, 8000),
    triangles=st.sampled_from(["mel", "hz"]),
)
def test_mel_weights_cover_what_lies_between_the_outer_peaks(
    bands, fft_log2, lower_hz, upper_hz, triangles
):
    """Neighbouring triangles sum to one; settings with an empty band are refused."""
    try:
        frontend = LogMel(
            mel_bands=bands,
            fft_length=2**fft_log2,
            lower_hz=lower_hz,
            upper_hz=upper_hz,
            mel_triangles=triangles,
        )
    except BadInput as refusal:
        assert "holds no bin" in str(refusal)
        return
    weights = spectral.mel_matrix(frontend)
    assert weights.min() >= 0 and weights.max() <= 1 + 1e-12
    assert (weights.max(axis=0) > 0).all()
    peaks = np.linspace(*spectral.hz_to_mel(np.array([lower_hz, upper_hz])), bands + 2)[1:-1]
    bins = spectral.hz_to_mel(np.fft.rfftfreq(2**fft_log2, 1 / 16_000))
    inner = (bins >= peaks[0]) & (bins <= peaks[-1]) & (bins > 0)
    np.testing.assert_allclose(weights[inner].sum(axis=1), 1.0, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"upper_hz": 8000.1}, "0 to 8000.0 Hz"),
        ({"lower_hz": -1.0}, "lower_hz"),
        ({"lower_hz": 7000.0}, "must rise"),
        ({"coefficients": 41}, "mel_bands, 40"),
        ({"coefficients": 0}, "coefficients 0"),
        ({"window_ms": 30.0, "mel_bands": 128}, "holds no bin"),
        ({"fft_length": 512}, "fft_length 512"),
        ({"hop_ms": 0.0}, "hop_ms"),
        ({"window_ms": 0.05}, "window_ms"),
        ({"sample_rate_hz": 0}, "sample_rate_hz"),
        ({"mel_bands": 0}, "mel_bands"),
        ({"window": "kaiser"}, "hann or hamming"),
        ({"spectrum": "log"}, "magnitude or power"),
        ({"log_floor": "clip"}, "add or max"),
        ({"log_floor_value": 0.0}, "log_floor_value"),
        ({"mel_triangles": "bark"}, "mel or hz"),
        ({"mean": ()}, "mean"),
        ({"mean": 11 * (0.0,)}, "mean has 11"),
        ({"scale": (1.0, 0.0)}, "scale"),
        ({"upper_hz": float("nan")}, "must rise"),
        ({"level": "loud"}, "as_is or running"),
        ({"level_fall_db_per_s": -1.0}, "level_fall_db_per_s"),
        ({"level_least": float("inf")}, "level_least"),
    ],
)
def test_nonsense_is_refused(change, message):
    with pytest.raises(BadInput, match=message):
        Mfcc(**change)


# --- levels

RUNNING = {"level": "running", "log_floor_value": 1e-9}


def test_a_stream_has_the_levels_of_its_clip():
    """To a step, which is where the spectrum's float sums differ between lengths."""
    made = LogMel(**RAW, **RUNNING)
    audio = clips(3, 640 + 31 * 320) * np.linspace(1, 0.01, 640 + 31 * 320, dtype=np.float32)
    state, parts, place = made.initial_state(3), [], 0
    for frames in (8, 24):
        end = place + (frames - 1) * made.hop_samples + made.window_samples
        found, state = made.push(audio[:, place:end], state)
        parts.append(found)
        place += frames * made.hop_samples
    whole, step = np.asarray(made(audio)), 1 / spectral.LEVEL_STEPS
    found = np.concatenate(parts, 1)
    np.testing.assert_allclose(found, whole, atol=1.01 * step)
    assert np.mean(found != whole) < 0.05
    np.testing.assert_array_equal(whole / step, np.rint(whole / step))
    nothing, same = made.push(audio[:, :100], state)
    assert nothing.shape == (3, 0, made.features)
    np.testing.assert_array_equal(same, state)
    cepstra = Mfcc(**RAW, **RUNNING)
    np.testing.assert_allclose(cepstra(audio), whole @ cepstra.projection(), atol=1e-2)


@pytest.mark.parametrize("exponent", [-8, -3, 2])
def test_gain_does_not_matter_to_running_levels(exponent):
    """But for the rounding to steps; the plain front end follows the gain."""
    audio, made = clips(3, 8000), LogMel(**RAW, **RUNNING, level_least=-20.0)
    changed = made(audio * np.float32(2.0**exponent))
    np.testing.assert_allclose(changed, made(audio), atol=1.01 / spectral.LEVEL_STEPS)
    assert float(made(audio).max()) == 0.0


def test_running_levels_fall_and_have_a_least():
    audio = clips(3, 32_000)[:1]
    audio[:, 10_000:] *= 1e-3
    made = LogMel(**RAW, **RUNNING, level_fall_db_per_s=20.0)
    loudest = np.asarray(made(audio)).max((0, 2))
    rate = np.log(10.0) / 20 * 20.0 * 0.02  # logarithm per frame
    later = loudest[40:90]
    assert np.polyfit(np.arange(50), later, 1)[0] == pytest.approx(rate, rel=0.1)
    quiet = np.asarray(made(audio * np.float32(1e-5))).max()
    assert quiet < -4  # silence is not brought up
    plain = np.asarray(LogMel(**RAW, log_floor_value=1e-9)(audio))
    shapes = [x - x.max(-1, keepdims=True) for x in (np.asarray(made(audio)), plain)]
    np.testing.assert_allclose(*shapes, atol=1.01 / spectral.LEVEL_STEPS)


def test_what_features_are_kept_under():
    """Plain features are found under what they were kept under before levels were a setting."""
    assert "level" not in LogMel().fingerprint()
    made = [LogMel(level="running", level_least=least) for least in (-1.0, -2.0)]
    assert len({one.fingerprint() for one in (LogMel(), *made)}) == 3
