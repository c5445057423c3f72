"""Features of DeepFilterNet: against the reference arrays, and laws of level, steps and streams."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from scipy.signal import resample_poly

from aqtaudio.errors import BadInput
from aqtaudio.frontends.deep_filter import POWER_FLOOR, DeepFilterFeatures, DeepFilterState

pytestmark = pytest.mark.optimized("slow")

HZ = 16_000
PUBLISHED = DeepFilterFeatures()
INVARIANT = DeepFilterFeatures(level_invariant=True)
HEARS_FALLS = dataclasses.replace(INVARIANT, fall_db=15.0)
ALL = pytest.mark.parametrize(
    "frontend",
    [dataclasses.replace(x, sample_rate_hz=HZ) for x in (PUBLISHED, INVARIANT, HEARS_FALLS)],
    ids=("published", "level_invariant", "hears_falls"),
)
BANDS = 32
STEP_FRAME = 100


def sound(seconds: float, sample_rate_hz: int = HZ) -> np.ndarray:
    """A wandering, breathing voice over noise, -25 dBFS, float32 [1, N]."""
    time = np.arange(int(seconds * sample_rate_hz)) / sample_rate_hz
    pitch_hz = 120 + 20 * np.sin(2 * np.pi * 2 * time)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / sample_rate_hz
    voice = sum(np.sin(k * phase) / k for k in range(1, 30))
    voice *= (0.5 + 0.5 * np.sin(2 * np.pi * 4 * time)) * 0.1
    noise = 0.02 * np.random.RandomState(1234).standard_normal(len(time))
    return (voice + noise).astype(np.float32)[None]


@functools.cache
def pushed(frontend: DeepFilterFeatures):
    return jax.jit(frontend.push)


def features(frontend: DeepFilterFeatures, audio: np.ndarray) -> np.ndarray:
    """[T, F] of one clip."""
    made, _ = pushed(frontend)(audio, frontend.initial_state(1))
    return np.asarray(made[0])


def gain(db: float) -> np.float32:
    return np.float32(10 ** (db / 20))


@pytest.fixture(scope="module")
def reference(shared_folder: Path) -> dict[str, np.ndarray]:
    folder = shared_folder / "golden" / "deepfilternet3"
    if not folder.is_dir():
        pytest.skip("no reference activations")
    files = ("reference_synth.npz", "reference_synth_layers.npz", "weights_folded.npz")
    wanted = {"audio_in", "spec", "erb_db", "feat_erb", "feat_spec", "erb_widths", "window"}
    wanted |= {"erb_fb", "mask.erb_inv_fb"}
    found = {}
    for file in files:
        with np.load(folder / file, allow_pickle=False) as arrays:
            found |= {name: arrays[name] for name in set(arrays) & wanted}
    return found


def test_bands_and_window(reference: dict[str, np.ndarray]):
    np.testing.assert_array_equal(PUBLISHED.widths, reference["erb_widths"])
    np.testing.assert_allclose(PUBLISHED.band_means(), reference["erb_fb"], atol=1e-7)
    np.testing.assert_array_equal(PUBLISHED.band_members().T, reference["mask.erb_inv_fb"])
    np.testing.assert_allclose(PUBLISHED.window(), reference["window"], atol=2e-7, rtol=0)
    assert PUBLISHED.decay == 0.99


def test_reference_features(reference: dict[str, np.ndarray]):
    """The clip and two more hops, as the authors' program hears it."""
    audio = np.pad(reference["audio_in"], (0, 960))[None]
    push = jax.jit(PUBLISHED.push_with_spectrum)
    found, spectrum, _ = push(audio, PUBLISHED.initial_state(1))
    parts = np.stack([spectrum[0].real, spectrum[0].imag], -1)
    powers = np.sum(np.square(parts), -1) @ PUBLISHED.band_means()
    detail = reference["feat_spec"].reshape(len(powers), -1)
    for got, expected, limit in (
        (parts, reference["spec"], 1e-7),
        (10 * np.log10(powers + POWER_FLOOR), reference["erb_db"], 1e-3),
        (found[0, :, :BANDS], reference["feat_erb"], 2e-5),
        (found[0, :, BANDS:], detail, 5e-6),
    ):
        np.testing.assert_allclose(got, expected, atol=limit, rtol=0)


@ALL
@pytest.mark.parametrize(
    "hops", [(1, 1, 3, 2), pytest.param((5,), marks=pytest.mark.slow)], ids=str
)
def test_streams_are_clips(frontend: DeepFilterFeatures, hops: tuple[int, ...]):
    """To the last digit: so every input code of a network is the same."""
    audio = sound(0.4)
    expected = features(frontend, audio)
    state, found, at, turn = frontend.initial_state(1), [], 0, 0
    while at < audio.shape[1]:
        samples = hops[turn % len(hops)] * frontend.hop_samples
        made, state = pushed(frontend)(audio[:, at : at + samples], state)
        found.append(np.asarray(made[0]))
        at, turn = at + samples, turn + 1
    np.testing.assert_array_equal(np.concatenate(found), expected)
    assert expected.shape == frontend.feature_shape(audio.shape[1]) == (40, frontend.features)


@ALL
def test_clips_do_not_mix(frontend: DeepFilterFeatures):
    clips = np.concatenate([sound(0.3), 0 * sound(0.3), 0.01 * sound(0.3)])
    found, _ = pushed(frontend)(clips, frontend.initial_state(3))
    for clip, made in zip(clips, found, strict=True):
        np.testing.assert_array_equal(made, features(frontend, clip[None]))


def test_half_a_hop_waits():
    """Only whole hops are heard."""
    frontend, audio = DeepFilterFeatures(sample_rate_hz=HZ), sound(0.1)
    state = frontend.initial_state(1)
    made, after = pushed(frontend)(audio[:, : frontend.hop_samples + 7], state)
    expected, _ = pushed(frontend)(audio[:, : frontend.hop_samples], state)
    np.testing.assert_array_equal(made, expected)
    np.testing.assert_array_equal(after.before, audio[:, : frontend.hop_samples])


@pytest.mark.sampled(3)
@pytest.mark.parametrize("db", [-35, -20, -10, 20])
@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
@pytest.mark.parametrize("fall_db", [0.0, 15.0])
def test_level_invariance(fall_db: float, rate_hz: int, db: int):
    """Of a clip at -25 dBFS; bands above the audio's rate have only the floor to tell of."""
    frontend = dataclasses.replace(INVARIANT, sample_rate_hz=rate_hz, fall_db=fall_db)
    audio = sound(1.0, rate_hz)
    apart = np.abs(features(frontend, gain(db) * audio) - features(frontend, audio))
    is_heard = np.array([*(np.array(frontend.widths) > 0), *[True] * 2 * frontend.filtered_bins])
    # -60 dBFS is near what rounding to 16 bits leaves.
    assert apart[:, is_heard].max() < (5e-3 if db == -35 else 2e-5)
    assert apart.max() < (0.15 if db == -35 else 2e-5)


def test_published_features_depend_on_the_level():
    """The running mean is of magnitudes, its root divides: 20 dB less leave 10 dB less."""
    audio = sound(3.0, HZ)
    frontend = dataclasses.replace(PUBLISHED, sample_rate_hz=HZ)
    loud, quiet = (features(frontend, gain(db) * audio) for db in (0, -20))
    ratio = np.linalg.norm(quiet[-50:, BANDS:]) / np.linalg.norm(loud[-50:, BANDS:])
    assert 20 * np.log10(ratio) == pytest.approx(-10, abs=1.0)
    assert np.abs(quiet - loud)[:50, :BANDS].max() > 0.3  # nor do its levels start alike


def stepped(frontend: DeepFilterFeatures, db: float) -> np.ndarray:
    """How far features [T, F] are from those of the clip without a step."""
    audio = sound(2.0, frontend.sample_rate_hz)
    other = audio.copy()
    other[:, STEP_FRAME * frontend.hop_samples :] *= gain(db)
    return np.abs(features(frontend, other) - features(frontend, audio))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
@pytest.mark.parametrize("db", [-20, -30])
def test_steps_down_are_over_in_two_frames(db: int, rate_hz: int):
    invariant, published = (
        stepped(dataclasses.replace(x, sample_rate_hz=rate_hz), db) for x in (INVARIANT, PUBLISHED)
    )
    assert invariant[:STEP_FRAME].max() == published[:STEP_FRAME].max() == 0
    assert invariant[STEP_FRAME + 1 :].max() < 0.1
    second = published[STEP_FRAME + 1 : STEP_FRAME + 90, :BANDS]
    assert second.max(-1).min() > 0.1
    assert second.max() > 0.4


def pausing(seconds: float, sample_rate_hz: int) -> np.ndarray:
    """Noise that pauses, 40 dB less, from 0.4 to 0.6 s and so on every 0.8 s."""
    samples = int(seconds * sample_rate_hz)
    noise = 0.05 * np.random.RandomState(5).standard_normal(samples)
    is_paused = np.arange(samples) // (sample_rate_hz // 5) % 4 == 2
    return (noise * np.where(is_paused, gain(-40), 1)).astype(np.float32)[None]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
@pytest.mark.parametrize("offset", [0.0, 0.3, 0.7])
def test_falls_are_heard_where_pauses_hide_a_step(offset: float, rate_hz: int):
    """The noise after a step of -30 dB is above what it was in a pause."""
    deaf, hears = (dataclasses.replace(x, sample_rate_hz=rate_hz) for x in (INVARIANT, HEARS_FALLS))
    audio = pausing(1.5, rate_hz)
    other = audio.copy()
    other[:, int((STEP_FRAME + offset) * deaf.hop_samples) :] *= gain(-30)
    apart = [np.abs(features(x, other) - features(x, audio)) for x in (deaf, hears)]
    soon = slice(STEP_FRAME + 3, STEP_FRAME + 15)
    least, most = (x[soon, : deaf.bands].mean(-1) for x in apart)
    assert least.min() > 0.4 and most.max() < 0.25  # how much two frames differ by chance


def test_a_click_is_a_fall_that_is_forgotten():
    audio = 0.3 * pausing(0.3, HZ)
    audio = np.concatenate([audio] * 12, 1)  # no pauses
    other = audio.copy()
    other[:, HZ : HZ + HZ // 20] *= gain(40)
    frontend = dataclasses.replace(HEARS_FALLS, sample_rate_hz=HZ)
    apart = np.abs(features(frontend, other) - features(frontend, audio))[:, : frontend.bands]
    after = apart[105:, np.array(frontend.widths) > 0].mean(-1)
    assert after[0] > 0.3 and after[100] < 0.4 and after[200] < 0.15


def test_what_does_not_fall_is_heard_alike():
    for audio in (sound(2.0), sound(2.0)[:, ::-1]):
        deaf, hears = (
            features(dataclasses.replace(x, sample_rate_hz=HZ), audio)
            for x in (INVARIANT, HEARS_FALLS)
        )
        np.testing.assert_array_equal(deaf, hears)


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_steps_up_are_forgotten(rate_hz: int):
    frontend = dataclasses.replace(INVARIANT, sample_rate_hz=rate_hz)
    apart = stepped(frontend, 30)
    assert np.isfinite(apart).all()
    assert apart[-1, :BANDS].max() < 0.3 and apart[-1, BANDS:].max() < 0.2


@ALL
def test_digital_silence(frontend: DeepFilterFeatures):
    """At the beginning, in the middle, for long: nothing is lost, nothing drifts away."""
    audio, hop = sound(3.0), frontend.hop_samples
    silent = audio.copy()
    silent[:, : 30 * hop] = silent[:, 120 * hop : 220 * hop] = 0
    found = features(frontend, silent)
    assert np.isfinite(found).all() and np.abs(found).max() < 2.5
    nothing = features(frontend, np.zeros((1, 20 * HZ), np.float32))
    assert np.isfinite(nothing).all() and np.abs(nothing).max() < 1.5
    assert not nothing[:, BANDS:].any()
    np.testing.assert_allclose(nothing[-1], nothing[-100], atol=0.01)


def test_sound_after_silence_is_heard_as_from_the_start():
    """A level-invariant stream starts with the first frame that is not silent."""
    audio, frontend = sound(1.0), dataclasses.replace(INVARIANT, sample_rate_hz=HZ)
    late = np.pad(audio, ((0, 0), (50 * frontend.hop_samples, 0)))
    found, expected = features(frontend, late)[50:], features(frontend, audio)
    assert np.abs(found - expected)[:, BANDS:].max() < 1e-4
    is_heard = np.array(frontend.widths) > 0
    assert np.abs(found - expected)[:, :BANDS][:, is_heard].max() < 1e-4


@pytest.mark.parametrize(
    ("level_invariant", "levels", "spectrum"), [(False, 0.03, 0.01), (True, 0.08, 0.1)]
)
def test_another_rate_hears_the_same(level_invariant: bool, levels: float, spectrum: float):
    """16 kHz with the bands of 48 kHz, and the same sound at 48 kHz: bands below 8 kHz.

    Level invariance asks quantiles of all bands that are there, which are others.
    """
    narrow = DeepFilterFeatures(sample_rate_hz=HZ, level_invariant=level_invariant)
    wide = DeepFilterFeatures(level_invariant=level_invariant)
    shared = [a == b for a, b in zip(narrow.widths, wide.widths, strict=True)]
    assert sum(shared) == 24 and all(shared[:24]) and sum(narrow.widths) == narrow.bins
    audio = sound(2.0)
    up = resample_poly(audio[0].astype(np.float64), 3, 1, window=("kaiser", 12.0))
    ours, theirs = features(narrow, audio), features(wide, up.astype(np.float32)[None])
    apart = np.abs(ours - theirs)
    assert apart[:, :24].max() < levels
    assert apart[:, BANDS:].max() < spectrum
    assert np.corrcoef(ours[:, BANDS:].ravel(), theirs[:, BANDS:].ravel())[0, 1] > 0.999


def test_bands_above_half_the_rate_are_empty():
    frontend = DeepFilterFeatures(sample_rate_hz=HZ)
    members = frontend.band_members()
    np.testing.assert_array_equal(members.sum(0), frontend.widths)
    np.testing.assert_array_equal(members.sum(1), 1)  # each bin has its band
    assert not frontend.band_means()[:, -1].any()


def test_a_state_says_what_it_is():
    state = INVARIANT.initial_state(2)
    assert isinstance(state, DeepFilterState)
    np.testing.assert_allclose(state.levels[1, [0, -1]], [-60, -90])
    np.testing.assert_allclose(state.magnitudes[1, [0, -1]], [1e-3, 1e-4], rtol=1e-6)
    assert state.heard.shape == (2, 2, 32)
    assert state.before.shape == (2, 480) and not state.is_started.any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window_ms": 20.0}, "window_ms is 20.0; allowed: hop_ms, 10.0"),
        ({"bands_to_hz": 0.0}, "bands_to_hz and mean_ms must be above 0"),
        ({"bands_to_hz": float("nan")}, "bands_to_hz and mean_ms must be above 0"),
        ({"fall_db": 15.0}, "fall_db is 15.0; allowed: 0, and above it where level_invariant"),
        ({"fall_db": -1.0, "level_invariant": True}, "fall_db is -1.0; allowed: 0"),
        ({"fall_db": float("nan"), "level_invariant": True}, "fall_db is nan; allowed: 0"),
        ({"mean_ms": -1.0}, "bands_to_hz and mean_ms must be above 0"),
        ({"filtered_bins": 0}, "filtered_bins is 0; allowed: 1 to the 481 bins"),
        ({"filtered_bins": 482}, "filtered_bins is 482; allowed: 1 to the 481 bins"),
        ({"window_ms": 0.02, "hop_ms": 0.02}, "bins of a hop of 1 samples"),
        ({"bands_to_hz": 8000.0}, "end below half the sample rate"),
        ({"bands": 0}, "bands and least_bins must be at least 1"),
        ({"least_bins": 0}, "bands and least_bins must be at least 1"),
        ({"mean_ms": float("inf")}, "mean_ms"),
        ({"mean_ms": 30_000.0}, "mean_ms is 30000.0; allowed: 1.42857 to 19000"),
        ({"mean_ms": 1.0}, "mean_ms is 1.0; allowed"),
        ({"bands_to_hz": float("inf")}, "bands_to_hz"),
        ({"hop_ms": 0.0, "window_ms": 0.0}, "hop"),
        ({"hop_ms": -10.0, "window_ms": -10.0}, "hop"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense(settings: dict[str, Any], message: str):
    with pytest.raises(BadInput) as error:
        DeepFilterFeatures(**settings)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert str(error.value).startswith("frontend: ")
