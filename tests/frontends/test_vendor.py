"""One vendor's port: each deviation, against published numbers and the micro front end."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from corpus import EXPERIMENT
from initial import QUICKLY
from micro_oracles import int8_of, quickly_compiled, signals, voices

from aqtaudio.errors import BadInput
from aqtaudio.frontends import vendor
from aqtaudio.frontends.micro import MicroFrontend
from aqtaudio.frontends.named import write
from aqtaudio.frontends.vendor import VendorFrontend, persistent_trace
from aqtaudio.runs.frontend_named import frontend_of
from aqtaudio.settings import from_json, overlay, to_json

pytestmark = pytest.mark.optimized("slow")

VENDOR = VendorFrontend()
PLAIN = VendorFrontend(
    whole_band=False,
    clip_range=False,
    estimate="recursive",
    correction_bits=3,
    plain_log=False,
    code_range=False,
)
DEVIATIONS = {
    "whole_band": True,
    "clip_range": True,
    "estimate": "cell",
    "correction_bits": -1,
    "plain_log": True,
    "code_range": True,
}


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([voices(rng, 16_000, 16_000) for _ in range(3)])


@functools.partial(jax.jit, static_argnums=0, compiler_options=QUICKLY)
def _quickly(settings: VendorFrontend, samples: jax.Array) -> jax.Array:
    return settings.integers(samples)


def integers(settings: VendorFrontend, samples: np.ndarray) -> np.ndarray:
    """Codes [B, T, C] of int16 [B, N], by a program that is made quickly."""
    return np.asarray(_quickly(settings, samples.astype(np.int32)))


def filtered(settings: VendorFrontend, signal: list) -> np.ndarray:
    """Of one clip, [T][C]."""
    with jax.enable_x64(True):
        cells = jnp.asarray(signal, jnp.uint32)[None]
        return np.asarray(vendor.noise_filtered(settings, cells))[0].astype(int)


def test_a_second_has_49_by_40_codes(samples):
    codes = integers(VENDOR, samples)
    assert codes.shape == (3, *VENDOR.feature_shape(16_000)) == (3, 49, 40)
    assert codes.min((1, 2)).tolist() == [-128] * 3 and codes.max((1, 2)).tolist() == [127] * 3


def test_without_deviations_it_is_the_micro_front_end():
    samples = signals(np.random.default_rng(1), 16_000, 16_000)
    expected = int8_of(np.asarray(quickly_compiled(MicroFrontend(), samples)[0]))
    np.testing.assert_array_equal(integers(PLAIN, samples), expected)


@pytest.mark.parametrize("name", DEVIATIONS)
def test_every_deviation_changes_the_codes(name, samples):
    small = dataclasses.replace(PLAIN, window_ms=8, hop_ms=4, channels=8)
    changed = dataclasses.replace(small, **{name: DEVIATIONS[name]})
    assert (integers(changed, samples) != integers(small, samples)).any()


def test_the_deviations_are_the_vendors():
    assert dataclasses.replace(PLAIN, **DEVIATIONS) == VENDOR


def test_a_fresh_estimate_subtracts_a_constant_share():
    """x (1 - 0.025) and x (1 - 0.06), whatever was before."""
    signal = np.random.default_rng(0).integers(0, 65536, (5, 40))
    even, odd = ((signal * 1024 * share // 16384) for share in (409, 983))
    estimate = np.where(np.arange(40) % 2, odd, even)
    with jax.enable_x64(True):
        cells = jnp.asarray(signal, jnp.uint32).reshape(-1, 1, 40)
        left = vendor.micro.without_noise(VENDOR.library, cells, jnp.zeros((5, 40), jnp.uint32))[0]
    np.testing.assert_array_equal(left[:, 0], (signal * 1024 - estimate) // 1024)
    share = np.where(np.arange(40) % 2, 0.94, 0.975)
    np.testing.assert_allclose(left[:, 0], signal * share, atol=4)


def test_gain_control_of_tensorflows_own_test():
    """Its numbers are those of correction bits -1, which is where the vendor has them from."""
    two = VendorFrontend(channels=2)
    assert filtered(two, [[247_311, 508_620]]).tolist() == [[3578, 1533]]
    gains, snr_shift = vendor._gains(VENDOR)
    assert snr_shift == 10 and gains[:3, 0].tolist() == [32636, 32636, 32635]


def test_loudness_is_lost():
    """A clip of half the amplitude has nearly the same codes, silence those of the middle."""
    rng = np.random.default_rng(2)
    clip = voices(rng, 16_000, 16_000) // 2
    levels = np.stack([2 * clip, clip, 0 * clip])
    loud, quiet, silent = integers(VENDOR, levels)
    assert np.mean(np.abs(loud - quiet)) < 2
    assert not silent.any()
    loud, _, silent = integers(PLAIN, levels)
    assert (silent == -128).all() and loud.max() > 0


def test_one_loud_cell_changes_the_whole_clip(samples):
    clipped = samples.copy()
    clipped[:, 15_000:15_300] = np.where(np.arange(300) % 40 < 20, 32767, -32768)
    before, after = (integers(VENDOR, clips)[:, :40] for clips in (samples, clipped))
    assert (before != after).mean() > 0.3


def test_the_persistent_estimate_only_grows():
    """Frames 1, 10 and 60 of 2000; the library leaves 1950, 1880; 1553, 1077; 438, 99."""
    left = persistent_trace(np.array([2000, 2000]), 200)
    assert left[[0, 9, 59]].tolist() == [[1950, 1880], [1500, 800], [99, 99]]
    assert (left[60:] == 99).all()


def test_what_only_grows_is_refused():
    with pytest.raises(BadInput, match="only grows.*allowed: cell, recursive"):
        VendorFrontend(estimate="persistent")


@pytest.mark.optimized(True)
def test_a_batch_is_its_clips_also_in_a_larger_program(samples):
    audio = jnp.asarray(samples / 32768, jnp.float32)
    alone = VENDOR.normalised(integers(VENDOR, samples))

    @jax.jit
    def within(audio):
        features = VENDOR(audio + 0.0)
        return features.mean(), features

    np.testing.assert_array_equal(within(audio)[1], alone)
    np.testing.assert_array_equal(VENDOR(audio[1:2])[0], alone[1])


def test_normalisation_subtracts_then_divides():
    frontend = VendorFrontend(mean=(-100.0, 3.0), scale=(50.0, 2.0))
    codes = jnp.arange(-128, 128)[:, None] * jnp.ones(40, jnp.int32)
    mean = np.array([-100.0, *39 * [3.0]])
    scale = np.array([50.0, *39 * [2.0]])
    np.testing.assert_allclose(frontend.normalised(codes), (codes - mean) / scale, rtol=1e-6)


def test_it_has_a_name_and_is_kept(tmp_path):
    assert frontend_of("vendor") == VENDOR
    changed = dataclasses.replace(VENDOR, plain_log=False, mean=(1.0, 2.0))
    assert frontend_of(str(write(changed, tmp_path))) == changed
    assert from_json(json.loads(json.dumps(to_json(VENDOR)))) == VENDOR


def test_an_experiment_takes_its_settings():
    experiment = dataclasses.replace(
        EXPERIMENT, frontend=dataclasses.replace(VENDOR, sample_rate_hz=8000)
    )
    changed = overlay(experiment, {"frontend.plain_log": "false", "frontend.estimate": "recursive"})
    assert not changed.frontend.plain_log and changed.frontend.estimate == "recursive"
    assert from_json(to_json(changed)) == changed
    assert changed.setup.feature_shape == (24, 40)
    whole = overlay(experiment, {"frontend": VENDOR})
    assert whole.frontend == VENDOR


def test_it_does_not_stream():
    experiment = dataclasses.replace(EXPERIMENT, frontend=VENDOR)
    with pytest.raises(BadInput, match="takes whole clips"):
        dataclasses.replace(experiment, stream_block_frames=2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"estimate": "none"}, "estimate 'none'"),
        ({"correction_bits": 10}, "-9 to 9"),
        ({"channels": 0}, "channels 0"),
        ({"hop_ms": 40.0}, "at most window_ms"),
        ({"mean": ()}, "mean has 0"),
        ({"scale": (0.0,)}, "positive"),
    ],
)
def test_nonsense_is_refused(change, message):
    with pytest.raises(BadInput, match=message):
        VendorFrontend(**change)
