"""Bands of a spectrum: laws of windows, triangles and streams."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aqtaudio.errors import BadInput
from aqtaudio.frontends.band_spectrum import LEVEL_STEPS, BandSpectrum, BandSpectrumState
from aqtaudio.settings import from_json, to_json

pytestmark = pytest.mark.optimized("slow")

BINS = {"low_bins": 256, "high_bands": 0}
KINDS = {
    "spectrum": BandSpectrum(),
    "log": BandSpectrum(kind="log"),
    "running spectrum": BandSpectrum(level="running", level_fall_db_per_s=40.0),
    "running log": BandSpectrum(kind="log", level="running"),
    "compressed": BandSpectrum(kind="compressed", **BINS),
    "running compressed": BandSpectrum(kind="compressed", level="running", **BINS),
}
EACH = pytest.mark.parametrize("frontend", KINDS.values(), ids=KINDS)


def noise(samples: int, clips: int = 1) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).normal(size=(clips, samples)).astype(np.float32)


@EACH
@pytest.mark.parametrize("hops", [(1, 1, 1, 5), (3, 5), (8,)])
def test_streams_are_clips(frontend: BandSpectrum, hops: tuple[int, ...]):
    """To the last bit, however many hops come at once."""
    push = jax.jit(frontend.push_with_spectrum)
    audio = noise(sum(hops) * frontend.hop_samples, 2)
    expected = push(audio, frontend.initial_state(2))
    state, parts = frontend.initial_state(2), []
    for count in hops:
        taken, audio = np.split(audio, [count * frontend.hop_samples], 1)
        *found, state = push(taken, state)
        parts.append(found)
    for index in range(2):
        whole = np.concatenate([part[index] for part in parts], 1)
        np.testing.assert_array_equal(whole, expected[index])
    jax.tree.map(np.testing.assert_array_equal, state, expected[2])


def test_windows_sum_to_one():
    rising, falling = np.square(BandSpectrum().window()).reshape(2, -1)
    np.testing.assert_allclose(rising + falling, 1, atol=1e-6)


@pytest.mark.parametrize(("low_bins", "high_bands"), [(65, 64), (33, 20), (200, 3), (256, 0)])
def test_every_bin_is_shared_out(low_bins: int, high_bands: int):
    """So a mask of ones is one at every bin; each band has a bin that is its own."""
    frontend = BandSpectrum(low_bins=low_bins, high_bands=high_bands)
    triangles = frontend.triangles()
    if high_bands:
        np.testing.assert_allclose(triangles.sum(1), 1, atol=1e-6)
    assert ((triangles > 0).sum(1) <= 2).all() and (triangles.max(0) == 1).all()
    ones = np.ones((2, frontend.bands), np.float32)
    np.testing.assert_allclose(frontend.spread(jnp.asarray(ones)), 1, atol=1e-6)


def test_bands_and_masks_are_linear_where_they_say():
    """Bands of a spectrum that is constant above the low bins are sums of triangles."""
    frontend = BandSpectrum()
    spectrum = np.full((1, frontend.bins), 2 - 1j, np.complex64)
    found = np.asarray(frontend.seen(jnp.asarray(spectrum))).reshape(frontend.bands, 3)
    widths = np.concatenate([np.ones(frontend.low_bins), frontend.triangles().sum(0)])
    np.testing.assert_allclose(found[:, 0], np.sqrt(5) * widths, rtol=1e-5)
    np.testing.assert_allclose(found[:, 1], 2 * widths, rtol=1e-5)
    np.testing.assert_allclose(found[:, 2], -widths, rtol=1e-5)


def test_bins_alone_are_compressed_and_the_last_is_masked_as_the_one_below():
    """|X|^c exp(i arg X); what is not heard follows what is."""
    frontend = BandSpectrum(kind="compressed", compression=0.5, **BINS)
    rng = np.random.default_rng(0)
    magnitudes, angles = rng.uniform(0.1, 40, (1, 257)), rng.uniform(-3, 3, (1, 257))
    spectrum = jnp.asarray(magnitudes * np.exp(1j * angles), jnp.complex64)
    found = np.asarray(frontend.seen(spectrum)).reshape(256, 2)
    expected = np.sqrt(magnitudes) * np.exp(1j * angles)
    np.testing.assert_allclose(found[:, 0] + 1j * found[:, 1], expected[0, :256], rtol=1e-4)
    mask = jnp.arange(256.0)
    np.testing.assert_array_equal(frontend.spread(mask), [*range(256), 255])


@EACH
def test_levels(frontend: BandSpectrum):
    """What a gain changes: everything as it is; nothing at a running level but for its steps."""
    push = jax.jit(frontend.push_with_spectrum)
    audio = noise(32 * frontend.hop_samples) * np.float32([[1], [0.1], [0.01]])
    louder, softer, softest = np.asarray(push(audio, frontend.initial_state(3))[0])
    if frontend.level == "running":
        np.testing.assert_allclose(softer, louder, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(softest, louder, rtol=1e-4, atol=1e-4)
    elif frontend.kind == "log":
        widths = np.concatenate([np.ones(frontend.low_bins), frontend.triangles().sum(0)])
        np.testing.assert_allclose(softer + widths, louder, rtol=1e-4, atol=1e-4)
    else:
        times = 10**frontend.compression if frontend.kind == "compressed" else 10
        np.testing.assert_allclose(times * softer, louder, rtol=1e-4, atol=1e-4)


def test_running_level_of_a_sine():
    """At once where it rises, by so many dB per second where it falls."""
    frontend = BandSpectrum(level="running", level_fall_db_per_s=3.0)
    hops = round(2 * frontend.sample_rate_hz / frontend.hop_samples)
    sine = np.sin(2 * np.pi * 1000 / 16_000 * np.arange(hops * frontend.hop_samples))
    push = jax.jit(frontend.push_with_spectrum)

    def level(audio: np.ndarray, state: BandSpectrumState) -> tuple[float, BandSpectrumState]:
        *_, state = push(audio[None].astype(np.float32), state)
        return float(np.asarray(state.level)[0]) / LEVEL_STEPS, state

    loud, state = level(sine, frontend.initial_state(1))
    assert loud == pytest.approx(-3.01, abs=0.01)
    assert level(np.zeros_like(sine), state)[0] == pytest.approx(loud - 6.0, abs=0.1)
    assert level(0.1 * sine, frontend.initial_state(1))[0] == pytest.approx(loud - 20, abs=0.01)


def test_offset_is_no_level():
    """Once it is there, as its beginning is a click: it counts 30 dB less than sound does."""
    frontend = BandSpectrum(level="running", level_fall_db_per_s=1000.0, level_least_dbfs=-100.0)
    audio = np.full((1, 16_000), 0.5, np.float32)
    *_, state = jax.jit(frontend.push_with_spectrum)(audio, frontend.initial_state(1))
    assert np.asarray(state.level)[0] / LEVEL_STEPS < 20 * np.log10(0.5) - 30


@EACH
def test_silence_is_finite(frontend: BandSpectrum):
    push = jax.jit(frontend.push_with_spectrum)
    features, spectrum, _ = push(np.zeros((1, 2048), np.float32), frontend.initial_state(1))
    assert np.isfinite(features).all() and not np.abs(spectrum).any()


@EACH
def test_full_scale_is_finite_and_forgotten(frontend: BandSpectrum):
    """A square wave of full scale, then an offset; 100 s of silence later all is as it began."""
    push = jax.jit(frontend.push_with_spectrum)
    begin = frontend.initial_state(1)
    square = np.sign(np.sin(np.arange(16_384) / 10) + 1e-9).astype(np.float32)[None]
    for sound in (square, np.ones_like(square)):
        features, _, state = push(sound, begin)
        assert np.isfinite(features).all()
        silence = np.zeros((1, 100 * frontend.sample_rate_hz), np.float32)
        *_, state = push(silence[:, : silence.shape[1] // 256 * 256], state)
        jax.tree.map(np.testing.assert_array_equal, state, begin)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "mel"}, "allowed: spectrum, log, compressed"),
        ({"compression": 0.0}, "above 0, up to 1"),
        ({"low_bins": 257, "high_bands": 0}, "fewer bands than bins"),
        ({"window_ms": 32.0}, "allowed: hop_ms"),
        ({"low_bins": 0}, "at least 1 and 3"),
        ({"low_bins": 200, "high_bands": 57}, "fewer bands than bins"),
        ({"high_bands": 2}, "at least 1 and 3"),
        ({"low_bins": 5, "high_bands": 200}, "narrower than a bin"),
        ({"level": "loud"}, "allowed: as_is, running"),
        ({"level_fall_db_per_s": -1.0}, "allowed: 0 to 1000"),
        ({"level_least_dbfs": 3.0}, "allowed: -120 to 0"),
        ({"level_shown_dbfs": float("nan")}, "allowed: -120 to 0"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit(settings: dict, message: str):
    with pytest.raises(BadInput, match=message):
        BandSpectrum(**settings)


@EACH
def test_it_is_kept_as_json(frontend: BandSpectrum):
    assert from_json(to_json(frontend)) == frontend
