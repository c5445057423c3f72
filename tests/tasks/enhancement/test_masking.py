"""Masks of bands: what they do to sound, in clips and in streams."""

import dataclasses
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from aqtaudio.data.mixing import Mixing
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment, identity, load_config
from aqtaudio.frontends.band_spectrum import BandSpectrum
from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.models.gtcrn import GTCRN
from aqtaudio.settings import from_json, overlay, to_json
from aqtaudio.tasks.enhancement import whole
from aqtaudio.tasks.enhancement.filtering import Filtering
from aqtaudio.tasks.enhancement.masking import Masking
from aqtaudio.tasks.enhancement.stream import Enhancer
from aqtaudio.tasks.enhancement.task import Enhancement

pytestmark = pytest.mark.optimized(False)

ROOT = Path(__file__).parents[3]
FRONTEND = BandSpectrum(sample_rate_hz=2000, low_bins=9, high_bands=6)
MASKS = {
    "complex": Masking("complex"),
    "real": Masking("real"),
    "compressed": Masking("complex", compression=0.3),
}
EACH = pytest.mark.parametrize("masking", MASKS.values(), ids=MASKS)


class Network:
    """Without memory: a function of a frame's features."""

    def __init__(self, function):
        self._function = function

    def whole(self, features: np.ndarray, at_once: int = 128) -> np.ndarray:
        return self._function(features)

    def endless(self, blocks: np.ndarray) -> np.ndarray:
        return self._function(blocks)


def saying(values: np.ndarray) -> Network:
    """One answer to everything."""
    return Network(lambda x: np.broadcast_to(np.float32(values), (*x.shape[:-1], len(values))))


def ones(masking: Masking) -> np.ndarray:
    values = np.zeros((FRONTEND.bands, masking.parts))
    values[:, 0] = 1
    return values.ravel()


def noise(samples: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).normal(size=(1, samples)).astype(np.float32)


@EACH
@pytest.mark.parametrize("samples", [1, 31, 32, 333, 640])
def test_a_mask_of_ones_leaves_sound_as_it_is(masking: Masking, samples: int):
    """To the last sample."""
    audio = noise(samples)
    found = whole.of_audio(saying(ones(masking)), audio, masking, FRONTEND)
    np.testing.assert_allclose(found, audio, atol=1e-6)


def test_a_complex_mask_turns_and_a_real_one_scales():
    audio = noise(640)
    half = whole.of_audio(saying(0.5 * ones(MASKS["real"])), audio, MASKS["real"], FRONTEND)
    np.testing.assert_allclose(half, 0.5 * audio, atol=1e-6)
    turned = -ones(MASKS["complex"])
    found = whole.of_audio(saying(turned), audio, MASKS["complex"], FRONTEND)
    np.testing.assert_allclose(found, -audio, atol=1e-6)


def test_a_compressed_mask_is_one_of_compressed_magnitudes():
    """(|X|^c exp(i arg X)) M, its magnitude expanded again."""
    rng = np.random.default_rng(2)
    mask, noisy = rng.normal(size=(2, 1, 3, FRONTEND.bands, 2)).astype(np.float32)
    noisy = (noisy[..., 0] + 1j * noisy[..., 1])[..., :9]
    masking = MASKS["compressed"]
    found = masking.results(jnp.asarray(mask.reshape(1, 3, -1)), FRONTEND)[..., :9] * noisy
    compressed = np.abs(noisy) ** 0.3 * np.exp(1j * np.angle(noisy))
    masked = compressed * (mask[..., :9, 0] + 1j * mask[..., :9, 1])
    expected = np.abs(masked) ** (1 / 0.3) * np.exp(1j * np.angle(masked))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@EACH
@pytest.mark.parametrize("samples", [0, 5, 203, 320])
@pytest.mark.parametrize("block_frames", [1, 3])
def test_a_stream_is_the_whole_clip(masking: Masking, samples: int, block_frames: int):
    audio = noise(samples)[0]
    values = masking.values(FRONTEND)
    weights = np.random.default_rng(1).normal(size=(FRONTEND.features, values))
    network = Network(lambda x: np.tanh(x @ np.float32(weights)))
    enhancer = Enhancer(network, block_frames, FRONTEND, masking)
    half = samples // 2
    parts = [enhancer.push(audio[:half]), enhancer.push(audio[half:]), enhancer.finish()]
    clip = whole.of_audio(network, audio[None], masking, FRONTEND)[0]
    np.testing.assert_allclose(np.concatenate(parts), clip, atol=1e-5)
    assert enhancer.delay_ms == FRONTEND.hop_ms * (1 + block_frames)


@EACH
def test_post_filter_and_limit_are_for_masks_too(masking: Masking):
    audio = noise(640)
    quiet = saying(0.1 * ones(masking))

    def level(**settings) -> float:
        changed = dataclasses.replace(masking, **settings)
        return float(np.std(whole.of_audio(quiet, audio, changed, FRONTEND)) / np.std(audio))

    left = 0.1 ** (1 / masking.compression)
    assert level() == pytest.approx(left, rel=1e-3)
    assert level(post_filter=0.02) < 0.8 * left
    assert level(attenuation_limit_db=6.0) == pytest.approx(left + (1 - left) * 10**-0.3, rel=0.1)


@EACH
def test_what_lies_above_gets_the_last_bins_gain(masking: Masking):
    outputs = jnp.asarray(np.float32(-0.25 * ones(masking)))[None, None]
    results = masking.results(outputs, FRONTEND)
    gains, last = masking.highest_gains(results, jnp.ones(1), FRONTEND)
    much = 0.25 ** (1 / masking.compression)
    assert float(last[0]) == pytest.approx(much, abs=1e-6)  # how much, not which way
    assert gains.shape == (1, FRONTEND.hop_samples)
    assert gains[0, 0] > 0.9


def test_a_task_takes_the_front_end_that_its_filtering_fits():
    good = load_config(ROOT / "configs/denoise_gtcrn.py")
    assert from_json(to_json(good)) == good
    with pytest.raises(BadInput, match="no DeepFilterFeatures; allowed: BandSpectrum"):
        overlay(good, {"frontend": DeepFilterFeatures(sample_rate_hz=16_000)})
    with pytest.raises(BadInput, match="no BandSpectrum; allowed: DeepFilterFeatures"):
        overlay(good, {"task.filtering": Filtering()})
    real = overlay(good, {"task.filtering.kind": "real"})
    with pytest.raises(BadInput, match="ask for .*129.*: a real mask"):
        real.task.require_answers((1, 186, 258), real.setup)


def test_settings_of_masks():
    with pytest.raises(BadInput, match="allowed: complex, real"):
        Masking("polar")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="must be >= 0"):
        Masking(post_filter=-1.0)
    with pytest.raises(BadInput, match="compression is 0.0; allowed: above 0, up to 1"):
        Masking(compression=0.0)


def test_a_mask_has_no_signal_to_noise_ratio():
    """Targets without it; the loss is that of the spectrum alone."""
    model = GTCRN(bands=129)
    task = Enhancement(clip_ms=400, mixing=Mixing(), filtering=Masking(), snr_weight=1.0)
    setup = Experiment(
        model=model, task=task, frontend=BandSpectrum(), stream_block_frames=1,
        stream_context_clips=0,
    ).setup  # fmt: skip
    frames = setup.feature_shape[0]
    audio = jnp.asarray(noise(setup.clip_samples))
    _, spectrum = whole.analysed(audio, setup.frontend)  # type: ignore[arg-type]
    targets = {"clean": audio, "gain": jnp.ones_like(audio), "spectrum": spectrum}
    mask = np.zeros((129, 2), np.float32)
    mask[:, 0] = 1
    answers = jnp.broadcast_to(jnp.asarray(mask.ravel()), (1, frames, 258))
    loss, told = task.objective(answers, targets, setup, None, None)  # type: ignore[arg-type]
    assert told == {} and float(loss) == pytest.approx(0, abs=1e-3)


def test_runs_of_filters_keep_their_ids():
    """The setting has another type now; what a run is told apart by is the same text."""
    files = sorted((ROOT / "results/denoise/artifacts").glob("*/config.json"))
    every = [identity(load_config(file))["task"]["filtering"] for file in files]
    found = [value for value in every if not value["type"].endswith("Masking")]
    assert found
    for value in found:
        assert value["type"] == "aqtaudio.enhancement.filtering:Filtering"
        names = ["type", "taps", "ahead", "gains", "post_filter", "attenuation_limit_db"]
        assert list(value) == names
