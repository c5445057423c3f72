"""A device's features: the integers of a dump, normalised, are what a model sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from corpus import EXPERIMENT

from aqtaudio.errors import BadInput
from aqtaudio.frontends.device import DeviceFeatures
from aqtaudio.frontends.micro import STEPS_PER_UNIT, MicroFrontend
from aqtaudio.settings import differences, from_json, overlay, to_json
from aqtaudio.training.preflight import require_trainable

pytestmark = pytest.mark.optimized("slow")

MICRO = MicroFrontend(mean=(13.0, 12.0), scale=(6.5, 4.0))
DUMPED = DeviceFeatures(
    bands=40,
    mean=tuple(STEPS_PER_UNIT * mean for mean in MICRO.mean),
    scale=tuple(STEPS_PER_UNIT * scale for scale in MICRO.scale),
)


@pytest.mark.parametrize("clip_ms", [500, 1000, 1010, 29, 30])
def test_a_clip_has_the_frames_of_its_windows(clip_ms):
    frames = MICRO.frames(MICRO.clip_samples(clip_ms))
    assert DUMPED.clip_samples(clip_ms) == 40 * frames
    assert DUMPED.feature_shape(DUMPED.clip_samples(clip_ms)) == (frames, 40)


@pytest.mark.parametrize(
    ("window_ms", "hop_ms", "frames"), [(30, 20, 49), (40, 20, 49), (25, 12.5, 79), (20, 32, 31)]
)
def test_rates(window_ms, hop_ms, frames):
    frontend = DeviceFeatures(window_ms, hop_ms, 8, (0,), (1,))
    assert frontend.clip_samples(1000) == 8 * frames
    assert frontend.sample_rate_hz * hop_ms == 8 * 1000


def test_features_are_those_of_the_front_end_that_was_dumped():
    audio = np.random.default_rng(0).integers(-9000, 9000, (3, 16_000)).astype(np.float32) / 32768
    samples = jnp.asarray(audio * 32768, jnp.int32)
    integers, _ = jax.jit(MICRO.integers)(samples, MICRO.initial_state(3))
    dump = np.asarray(integers).astype(np.int16).reshape(3, -1).astype(np.float32) / 32768
    np.testing.assert_array_equal(jax.jit(DUMPED)(dump), jax.jit(MICRO)(audio))
    np.testing.assert_array_equal(DUMPED(dump), jax.jit(DUMPED)(dump))


def test_every_integer_is_kept():
    frontend = DeviceFeatures(bands=64, mean=(0.0,), scale=(1.0,))
    steps = np.arange(-32768, 32768, dtype=np.int16)
    features = frontend(steps.astype(np.float32)[None] / 32768)
    np.testing.assert_array_equal(np.asarray(features).reshape(-1), steps)


def test_settings_are_told_apart_and_kept():
    assert from_json(to_json(DUMPED)) == DUMPED and hash(from_json(to_json(DUMPED))) == hash(DUMPED)
    assert "sample_rate_hz" not in to_json(DUMPED)
    other = overlay(DUMPED, {"hop_ms": 10.0})
    assert other.sample_rate_hz == 4000
    assert differences(DUMPED, other) == "hop_ms is 20.0 there, 10.0 here"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bands": 0}, "bands 0"),
        ({"hop_ms": 0.0}, "hop_ms 0.0"),
        ({"hop_ms": 15.0}, "40 bands every 15.0 ms are 2666.67 integers.*whole"),
        ({"window_ms": -1.0}, "window_ms -1.0"),
        ({"mean": ()}, "mean has 0 values"),
        ({"mean": 41 * (0.0,)}, "mean has 41"),
        ({"scale": (1.0, 0.0)}, "scale"),
    ],
)
def test_nonsense_is_refused(change, message):
    with pytest.raises(BadInput, match=message):
        overlay(DUMPED, change)
    with pytest.raises(BadInput):
        DeviceFeatures()  # nothing is known of a device that says nothing


def test_augmentation_of_audio_is_refused():
    frontend = DeviceFeatures(bands=10, mean=(0.0,), scale=(1.0,))
    experiment = overlay(EXPERIMENT, {"frontend": frontend})
    for name in ("time_shift_ms", "speed_change", "gain_db", "noise_probability"):
        others = overlay(experiment.augmentation.without_audio(), {"noise_max_volume": 0.1})
        value = getattr(EXPERIMENT.augmentation, name)
        changed = overlay(experiment, {"augmentation": overlay(others, {name: value})})
        with pytest.raises(BadInput, match="augmentation changes audio"):
            require_trainable(changed)
    without = overlay(experiment, {"augmentation": experiment.augmentation.without_audio()})
    require_trainable(without)
    assert without.augmentation.spec_time_masks == EXPERIMENT.augmentation.spec_time_masks
