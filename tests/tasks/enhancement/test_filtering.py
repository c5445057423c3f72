"""From results to sound: against the reference arrays, frame by frame, and what changes nothing."""

import functools
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aqtaudio.errors import BadInput
from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.models.deep_filter_net import DeepFilterNet3
from aqtaudio.tasks.enhancement.changing import synthesise
from aqtaudio.tasks.enhancement.filtering import Filtering, Results
from aqtaudio.tasks.enhancement.whole import analysed, of_audio, synthesised
from aqtaudio.tasks.model_network import ModelNetwork
from aqtaudio.tasks.setup import Setup
from aqtaudio.vocabulary.floating import Floating

pytestmark = pytest.mark.optimized(False)

PUBLISHED = DeepFilterFeatures()
SMALL = DeepFilterFeatures(
    sample_rate_hz=8000, bands=8, bands_to_hz=4000.0, filtered_bins=8, level_invariant=True
)
PLAIN = Filtering()
AUDIO_LIMIT, SPECTRUM_LIMIT = 1e-5, 1e-6


@pytest.fixture(scope="module")
def reference(shared_folder: Path) -> dict[str, np.ndarray]:
    folder = shared_folder / "golden" / "deepfilternet3"
    if not folder.is_dir():
        pytest.skip("no reference activations")
    found = {}
    for file in ("reference_synth.npz", "reference_synth_layers.npz"):
        with np.load(folder / file, allow_pickle=False) as arrays:
            found |= dict(arrays)
    return found | {"weights": folder / "weights_folded.npz"}


def as_complex(parts: np.ndarray) -> np.ndarray:
    """[..., 2] to [1, ...]."""
    return (parts[..., 0] + 1j * parts[..., 1]).astype(np.complex64)[None]


def with_neighbours(spectrum: jax.Array, filtering: Filtering) -> jax.Array:
    """The frames that filters of the first and last frame see: zeros beyond the clip."""
    before = filtering.taps - 1 - filtering.ahead
    return jnp.pad(spectrum, ((0, 0), (before, filtering.ahead), (0, 0)))


def applied(filtering: Filtering, results: Results, spectrum, frontend) -> jax.Array:
    return filtering.apply(results, with_neighbours(spectrum, filtering), frontend)


@pytest.mark.parametrize(("name", "beta"), [("spec_enh", 0.0), ("spec_enh_pf", 0.02)])
def test_reference_spectra(reference: dict[str, np.ndarray], name: str, beta: float):
    filters = as_complex(reference["df_coefs"]).transpose(0, 2, 3, 1)
    results = Results(reference["mask"][None], filters, reference["lsnr"][None])
    noisy, expected = as_complex(reference["spec"]), as_complex(reference[name])
    found = applied(Filtering(post_filter=beta), results, noisy, PUBLISHED)
    np.testing.assert_allclose(found.real, expected.real, atol=SPECTRUM_LIMIT, rtol=0)
    np.testing.assert_allclose(found.imag, expected.imag, atol=SPECTRUM_LIMIT, rtol=0)


def test_reference_synthesis(reference: dict[str, np.ndarray]):
    """Its first hop belongs to the silence before the clip."""
    found, tail = synthesise(as_complex(reference["spec_enh"]), jnp.zeros((1, 480)), PUBLISHED)
    raw, aligned = reference["audio_enh_raw"], reference["audio_enh"]
    np.testing.assert_allclose(found[0], raw, atol=AUDIO_LIMIT, rtol=0)
    np.testing.assert_allclose(found[0, 480 : 480 + len(aligned)], aligned, atol=AUDIO_LIMIT)
    assert tail.shape == (1, 480)


def test_results_of_outputs(reference: dict[str, np.ndarray]):
    """The model's order: gains, filters by bin and tap, local SNR."""
    out, mask, snr = reference["df_out"], reference["mask"], (reference["lsnr"] + 15) / 50
    outputs = np.concatenate([mask, out, snr[:, None]], -1)[None]
    found = PLAIN.results(outputs, PUBLISHED)
    np.testing.assert_array_equal(found.gains[0], mask)
    filters = as_complex(reference["df_coefs"]).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(found.filters, filters, atol=1e-7)
    np.testing.assert_allclose(found.snr_db[0], reference["lsnr"], atol=1e-5)


@pytest.mark.slow
def test_from_end_to_end(reference: dict[str, np.ndarray]):
    model = DeepFilterNet3(norm=False, pathway=False)
    with np.load(reference["weights"], allow_pickle=False) as arrays:
        variables = model.with_published(arrays)

    setup = Setup(PUBLISHED, clip_ms=3000, block_frames=1)
    network = ModelNetwork(model, variables, Floating(), setup)
    found = of_audio(network, reference["audio_in"][None], PLAIN, PUBLISHED)
    np.testing.assert_allclose(found[0], reference["audio_enh"], atol=AUDIO_LIMIT, rtol=0)


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).normal(size=(1, samples)).astype(np.float32)


@jax.jit
def spectra(audio: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Features and spectra of a clip."""
    return analysed(audio, SMALL)


@functools.cache
def random_results(frames: int, taps: int = 5, seed: int = 1) -> Results:
    draw = np.random.default_rng(seed)
    shape = (1, frames, SMALL.filtered_bins, taps)
    filters = draw.normal(size=shape) + 1j * draw.normal(size=shape)
    gains = draw.uniform(size=(1, frames, SMALL.bands))
    return Results(jnp.float32(gains), jnp.complex64(filters), jnp.zeros((1, frames)))


def identity(frames: int, filtering: Filtering, frontend: DeepFilterFeatures) -> np.ndarray:
    """Outputs that say: nothing to be taken away."""
    filters = np.zeros((1, frames, frontend.filtered_bins, filtering.taps, 2), np.float32)
    filters[..., filtering.taps - 1 - filtering.ahead, 0] = 1
    gains, snr = np.ones((1, frames, frontend.bands)), np.ones((1, frames, 1))
    rows = [gains, filters.reshape(1, frames, -1), snr]
    return np.concatenate(rows, -1).astype(np.float32)


@pytest.mark.parametrize(
    ("filtering", "samples"),
    [
        (PLAIN, 8000),
        (PLAIN, 7999),
        (PLAIN, 79),
        (Filtering(gains="all"), 8001),
        (Filtering(taps=3, ahead=0), 8001),
        (Filtering(attenuation_limit_db=6), 80),
    ],
    ids=str,
)
def test_gains_of_one_are_the_input(filtering: Filtering, samples: int):
    """Analysis and synthesis reconstruct perfectly, to the last sample, whatever the length."""
    audio = noise(samples)

    class Same:
        def whole(self, features: np.ndarray, at_once: int = 128) -> np.ndarray:
            return identity(features.shape[1], filtering, SMALL)

    found = of_audio(Same(), audio, filtering, SMALL)
    assert found.shape == audio.shape
    np.testing.assert_allclose(found, audio, atol=1e-6)


def test_training_sees_the_same_frames():
    """Sound of features without the flush at the end, as in training."""
    audio = noise(8000)
    features, spectrum = spectra(audio)
    assert features.shape[1] == spectrum.shape[1] - 2 == 98
    outputs = identity(features.shape[1], PLAIN, SMALL)
    found = synthesised(outputs, spectrum, PLAIN, SMALL)
    np.testing.assert_allclose(found, audio[:, : 97 * 80], atol=1e-6)


def test_a_filter_shifts():
    """A filter that takes the frame after, or before, its own."""
    frames = 20
    spectrum = spectra(noise(frames * SMALL.hop_samples))[1]
    for tap in range(PLAIN.taps):
        filters = np.zeros((1, frames, SMALL.filtered_bins, PLAIN.taps), np.complex64)
        filters[..., tap] = 1
        results = Results(np.zeros((1, frames, SMALL.bands)), filters, np.zeros((1, frames)))
        found = applied(PLAIN, results, spectrum, SMALL)[:, 2:-2, : SMALL.filtered_bins]
        first = 2 + tap - 2
        expected = spectrum[:, first : first + frames - 4, : SMALL.filtered_bins]
        np.testing.assert_allclose(found, expected, atol=1e-7)


def test_gains_above_or_everywhere():
    frames = 12
    spectrum = spectra(noise(frames * SMALL.hop_samples))[1]
    results, low = random_results(frames), SMALL.filtered_bins
    above, everywhere = (
        applied(Filtering(gains=gains), results, spectrum, SMALL) for gains in ("above", "all")
    )
    gains = results.gains @ SMALL.band_members().T
    np.testing.assert_array_equal(above[..., low:], everywhere[..., low:])
    np.testing.assert_allclose(above[..., low:], (spectrum * gains)[..., low:], atol=1e-7)
    np.testing.assert_allclose(
        everywhere[..., :low], above[..., :low] * gains[..., :low], atol=1e-7
    )
    # What is filtered does not see the gains.
    other = results._replace(gains=0 * results.gains)
    unseen = applied(Filtering(gains="above"), other, spectrum, SMALL)
    np.testing.assert_array_equal(unseen[..., :low], above[..., :low])
    assert not unseen[..., low:].any()


@pytest.mark.parametrize("filtering", [PLAIN, Filtering(post_filter=0.05, gains="all")], ids=str)
@pytest.mark.parametrize("block", [1, 3])
def test_frame_by_frame_is_the_whole(filtering: Filtering, block: int):
    frames, reach = 24, filtering.taps - 1
    spectrum = spectra(noise(frames * SMALL.hop_samples))[1]
    padded, results = with_neighbours(spectrum, filtering), random_results(frames)
    zeros = jnp.zeros((1, SMALL.hop_samples))
    expected, last = synthesise(filtering.apply(results, padded, SMALL), zeros, SMALL)

    @jax.jit
    def step(tail, results, spectrum):
        return synthesise(filtering.apply(results, spectrum, SMALL), tail, SMALL)

    tail, found = zeros, []
    for first in range(0, frames, block):
        part = Results(*(x[:, first : first + block] for x in results))
        samples, tail = step(tail, part, padded[:, first : first + block + reach])
        found.append(samples)
    np.testing.assert_allclose(jnp.concatenate(found, 1), expected, atol=1e-6)
    np.testing.assert_allclose(tail, last, atol=1e-6)


@pytest.mark.parametrize("limit_db", [0.0, 6.0, 20.0])
def test_attenuation_limit(limit_db: float):
    """Where all is taken away, so much is left; without a limit nothing is."""
    frames = 12
    spectrum = spectra(noise(frames * SMALL.hop_samples))[1]
    nothing = jax.tree.map(jnp.zeros_like, random_results(frames))
    left = applied(Filtering(attenuation_limit_db=limit_db), nothing, spectrum, SMALL)
    np.testing.assert_allclose(left, spectrum * 10 ** (-limit_db / 20), atol=1e-7)
    assert not applied(PLAIN, nothing, spectrum, SMALL).any()
    some = random_results(frames)
    unlimited = applied(PLAIN, some, spectrum, SMALL)
    found = applied(Filtering(attenuation_limit_db=200.0), some, spectrum, SMALL)
    np.testing.assert_allclose(found, unlimited, atol=1e-6)


def test_the_post_filter_takes_more_where_there_is_less():
    frames = 12
    spectrum = spectra(noise(frames * SMALL.hop_samples))[1]
    low = SMALL.filtered_bins

    def kept(gain: float, beta: float) -> np.ndarray:
        results = random_results(frames)
        results = results._replace(gains=gain * jnp.ones_like(results.gains))
        found = applied(Filtering(post_filter=beta), results, spectrum, SMALL)
        return np.asarray(jnp.abs(found / spectrum)[..., low:-1])

    np.testing.assert_allclose(kept(1.0, 0.02), 1.0, rtol=1e-5)
    assert (kept(0.1, 0.02) < 0.7 * kept(0.1, 0.0)).all()
    assert (kept(0.1, 0.05) < kept(0.1, 0.02)).all()
    results = jax.tree.map(jnp.zeros_like, random_results(frames))
    assert np.isfinite(applied(Filtering(post_filter=0.02), results, spectrum, SMALL)).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gains": "none"}, "gains is 'none'; allowed: above, all"),
        ({"ahead": 5}, "ahead is 5; allowed: 0 to 4, below taps"),
        ({"ahead": -1}, "ahead is -1"),
        ({"taps": 0, "ahead": 0}, "below taps"),
        ({"post_filter": -0.1}, "must be >= 0"),
        ({"post_filter": math.nan}, "must be >= 0"),
        ({"attenuation_limit_db": -1.0}, "must be >= 0"),
        ({"attenuation_limit_db": math.nan}, "must be >= 0"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense(settings: dict, message: str):
    with pytest.raises(BadInput, match=message.split(";")[0]) as error:
        Filtering(**settings)
    assert message in str(error.value) and "\n" not in str(error.value)
