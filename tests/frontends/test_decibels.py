"""Decibels below the loudest: anchors of the published student, librosa, and laws of streams."""

import dataclasses
import gzip
import io
from typing import Any

import h5py
import jax.numpy as jnp
import numpy as np
import pytest

from aqtaudio.errors import BadInput
from aqtaudio.frontends.decibels import (
    LINEAR,
    MEL_128,
    MEL_256,
    RunningDecibels,
    WindowDecibels,
    mel_matrix,
    window_curve,
)
from aqtaudio.settings import from_json, to_json

pytestmark = pytest.mark.optimized("slow")

STUDENT = WindowDecibels()
RAW = {"mean": (0.0,), "scale": (1.0,)}


def sound(samples: int, clips: int = 2, seed: int = 0) -> np.ndarray:
    """Chirps over noise, float32 [clips, samples]."""
    rng, time = np.random.default_rng(seed), np.arange(samples) / 8000
    tones = np.sin(2 * np.pi * (200 + 300 * time * rng.uniform(0.5, 2, (clips, 1))) * time)
    return (0.3 * tones + 0.02 * rng.standard_normal((clips, samples))).astype(np.float32)


def test_matrix_of_the_student():
    """Facts of the matrix in the published weights; peaks where the scale puts them."""
    matrix = mel_matrix(STUDENT)
    assert matrix.shape == (513, 64)
    assert np.count_nonzero(np.float32(matrix)) == 1003
    per_band = np.count_nonzero(matrix, axis=0)
    assert (per_band.min(), per_band.max()) == (5, 34)
    np.testing.assert_allclose(matrix.sum(0), 1 / 7.8125, rtol=0.02)  # an area of 1 over a bin
    mels = 2595 * np.log10(1 + 4000 / 700) * np.arange(1, 65) / 65
    centres_hz = 700 * (10 ** (mels / 2595) - 1)
    assert np.abs(7.8125 * matrix.argmax(0) - centres_hz).max() <= 7.8125


def test_window_and_matrix_are_those_of_the_published_weights(shared_folder):
    file = shared_folder / "golden" / "sea" / "sea64.h5.gz"
    if not file.is_file():
        pytest.skip("no published student in the shared folder")
    with h5py.File(io.BytesIO(gzip.decompress(file.read_bytes())), "r") as opened:
        group = opened["model_weights/melspectrogram_1/melspectrogram_1"]
        matrix, window = group["Variable:0"][:], group["real_kernels:0"][:, 0, 0, 0]
    np.testing.assert_allclose(window_curve(STUDENT), window, atol=1e-7, rtol=0)
    found = mel_matrix(STUDENT)
    np.testing.assert_allclose(found, matrix, atol=1e-7, rtol=0)
    np.testing.assert_array_equal(np.float32(found) != 0, matrix != 0)


MATRICES = {"student": STUDENT, "mel256": MEL_256, "mel128": MEL_128}
MATRICES["htk at 48 kHz"] = dataclasses.replace(MEL_128, mel_scale="htk")


@pytest.mark.filterwarnings("ignore:Empty filters")
@pytest.mark.parametrize("name", MATRICES)
def test_matrices_are_librosas(name: str):
    import librosa

    made = MATRICES[name]
    expected = librosa.filters.mel(
        sr=made.sample_rate_hz,
        n_fft=made.window_samples,
        n_mels=made.mel_bands,
        htk=made.mel_scale == "htk",
        norm="slaney",
        dtype=np.float64,
    )
    np.testing.assert_allclose(mel_matrix(made), expected.T, atol=1e-12, rtol=1e-9)


SHAPES = {
    "student": (STUDENT, 8000, (50, 64), (432, 432)),
    "mel256": (MEL_256, 48_000, (199, 256), (0, 1964)),
    "mel128, first weights": (dataclasses.replace(MEL_128, padding="same"), 48_000, (199, 128),
                              (982, 982)),
    "mel128, centred": (dataclasses.replace(MEL_128, padding="centre"), 48_000, (199, 128),
                        (1024, 940)),
    "linear": (LINEAR, 48_000, (197, 257), (0, 0)),
    "centred": (WindowDecibels(padding="centre"), 8000, (51, 64), (512, 512)),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_and_padding(name: str):
    frontend, samples, shape, padding = SHAPES[name]
    assert frontend.feature_shape(samples) == shape
    assert frontend.padding_samples(samples) == padding
    assert frontend(sound(samples, clips=1)).shape == (1, *shape)


VARIANTS: dict[str, dict[str, Any]] = {
    "student": {},
    "magnitude": {"spectrum": "magnitude"},
    "slaney": {"mel_scale": "slaney", "padding": "end"},
    "bins": {"mel_bands": 0, "padding": "none"},
    "centred": {"padding": "centre", "hop_ms": 12.5, "mel_bands": 20},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_values_are_those_of_the_formula(name: str):
    made, audio = WindowDecibels(**RAW, **VARIANTS[name]), sound(4000)
    before, behind = made.padding_samples(4000)
    frames = made.frames(4000)
    padded = np.pad(np.float64(audio), ((0, 0), (before, behind)))
    expected = []
    for clip in padded:
        rows = [
            np.fft.rfft(clip[made.hop_samples * n :][:1024] * window_curve(made))
            for n in range(frames)
        ]
        values = np.abs(rows)
        if made.mel_bands and made.spectrum == "power":
            values = np.sqrt(values**2 @ mel_matrix(made))
        elif made.mel_bands:
            values = values @ mel_matrix(made)
        levels = 10 * np.log10(np.maximum(values, 1e-10))
        expected.append(np.maximum(levels - levels.max(), -80))
    np.testing.assert_allclose(made(audio), expected, atol=1e-4)


def test_the_two_definitions_differ():
    """By less than 4 dB anywhere, and by about a quarter of one on noise."""
    audio = sound(8000, seed=2)
    power, magnitude = (WindowDecibels(**RAW, spectrum=x)(audio) for x in ("power", "magnitude"))
    difference = np.asarray(power - magnitude)
    assert 0.1 < difference.std() < 1.0 and np.abs(difference).max() < 4


def test_gain_does_not_matter_and_silence_is_the_loudest():
    audio = sound(8000)
    np.testing.assert_allclose(STUDENT(audio), STUDENT(audio / 64), atol=1e-4)
    loudest = (0 - STUDENT.mean[0]) / STUDENT.scale[0]
    np.testing.assert_allclose(STUDENT(np.zeros((1, 8000), np.float32)), loudest, rtol=1e-6)
    assert float(STUDENT(audio).max()) == pytest.approx(loudest)
    click = np.zeros((1, 8000), np.float32)
    click[0, 4000] = 0.5
    assert float(STUDENT(click).min()) == pytest.approx((-80 - STUDENT.mean[0]) / STUDENT.scale[0])


def test_a_batch_is_its_windows():
    audio = sound(8000, clips=37)
    alone = jnp.concatenate([STUDENT(audio[n : n + 1]) for n in (0, 31, 36)])
    np.testing.assert_allclose(STUDENT(audio)[np.array([0, 31, 36])], alone, atol=1e-5)


@pytest.mark.parametrize(
    "made",
    [RunningDecibels(), RunningDecibels(decay_db_per_s=0.0), RunningDecibels(fixed_db=10.0)],
    ids=("decays", "stays", "fixed"),
)
@pytest.mark.parametrize("blocks", [(1, 10, 1, 10, 10, 2), (32, 2)], ids=str)
def test_a_stream_is_its_clip(made: RunningDecibels, blocks: tuple[int, ...]):
    """However many frames come at once."""
    audio = sound(6400, seed=4) * np.linspace(1, 0.01, 6400, dtype=np.float32)
    state, parts, place = made.initial_state(2), [], 0
    for frames in blocks:
        end = place + (frames - 1) * made.hop_samples + made.window_samples
        found, state = made.push(audio[:, place:end], state)
        parts.append(found)
        place += frames * made.hop_samples
    np.testing.assert_allclose(np.concatenate(parts, 1), made(audio), atol=1e-5)


def test_a_running_maximum_forgets():
    """By its decay; before that nothing is above 0 dB, and a fixed reference knows no maximum."""
    made = RunningDecibels(**RAW, decay_db_per_s=10.0)
    audio = sound(16_000, clips=1, seed=5)
    audio[:, 8000:] /= 1000  # 30 dB here
    loudest = np.asarray(made(audio)).max((0, 2))
    assert loudest.max() == 0
    frames = np.flatnonzero(np.arange(len(loudest)) * 160 >= 8000)
    fall, at = loudest[frames], np.arange(len(frames)) * 0.02
    waits = fall < -1
    assert waits.sum() > 20
    # Of a steady sound it comes back as fast as the maximum is forgotten, but for its own changes.
    slope = np.polyfit(at[waits], fall[waits], 1)[0]
    assert slope == pytest.approx(10.0, abs=1.5)
    fixed = np.asarray(RunningDecibels(**RAW, fixed_db=-10.0)(audio))
    np.testing.assert_allclose(fixed - np.asarray(
        RunningDecibels(**RAW, fixed_db=-20.0)(audio)), -10.0, atol=1e-4)  # fmt: skip
    assert fixed.max() > 10


def test_within_a_steady_sound_both_kinds_agree():
    """The maximum of a window that begins with its loudest frame is the running one."""
    audio = np.tile(sound(160, clips=1, seed=6), 56)[:, :8864]
    window = WindowDecibels(padding="none")
    running = RunningDecibels(decay_db_per_s=0.0)
    assert window.feature_shape(8864) == running.feature_shape(8864) == (50, 64)
    np.testing.assert_allclose(window(audio), running(audio), atol=1e-3)


def test_which_stream():
    assert not WindowDecibels.streams and RunningDecibels.streams


@pytest.mark.parametrize("made", [STUDENT, MEL_256, RunningDecibels(fixed_db=3.0)])
def test_settings_survive_json(made):
    assert from_json(to_json(made)) == made


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (WindowDecibels, {"padding": "left"}, "padding 'left'"),
        (WindowDecibels, {"mel_scale": "bark"}, "mel_scale 'bark': htk or slaney"),
        (WindowDecibels, {"spectrum": "energy"}, "spectrum 'energy'"),
        (WindowDecibels, {"mel_bands": -1}, "mel_bands -1"),
        (WindowDecibels, {"hop_ms": 0.0}, "hop_ms"),
        (WindowDecibels, {"scale": (0.0,)}, "each positive"),
        (WindowDecibels, {"mean": ()}, "mean has 0 values"),
        (RunningDecibels, {"decay_db_per_s": -1.0}, "decay_db_per_s -1.0"),
        (RunningDecibels, {"fixed_db": float("nan")}, "fixed_db nan"),
    ],
)
def test_settings_that_make_no_sense(kind, changes: dict[str, Any], message: str):
    with pytest.raises(BadInput, match="front end: ") as error:
        kind(**changes)
    assert message in str(error.value)


def test_audio_that_is_too_short():
    with pytest.raises(BadInput, match="shorter than the window"):
        RunningDecibels()(np.zeros((1, 1000), np.float32))
    with pytest.raises(BadInput, match="shorter than the window"):
        STUDENT(np.zeros((1, 0), np.float32))
