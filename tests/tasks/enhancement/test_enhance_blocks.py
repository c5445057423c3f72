"""Streams of any block length have a whole clip's samples, to the last one."""

from types import SimpleNamespace

import flax.linen as nn
import numpy as np
import pytest
from initial import calibrated, initial

from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.program.execute import Executor
from aqtaudio.program.tflite import to_tflite
from aqtaudio.recipe import Recipe
from aqtaudio.runs.network import network
from aqtaudio.tasks.enhancement import whole
from aqtaudio.tasks.enhancement.filtering import Filtering
from aqtaudio.tasks.enhancement.stream import Enhancer
from aqtaudio.vocabulary.layers import Conv2D, Input, Reshape
from aqtaudio.vocabulary.recording import record
from aqtaudio.vocabulary.signal import Signal

pytestmark = pytest.mark.optimized(False)

FRONTEND = DeepFilterFeatures(
    sample_rate_hz=1600, bands=4, least_bins=1, bands_to_hz=800.0, filtered_bins=8
)
FILTERING = Filtering()
WEIGHTS = (
    np.random.default_rng(0)
    .normal(size=(FRONTEND.features, FILTERING.values(FRONTEND)))
    .astype(np.float32)
)


class Forgetful:
    """A network without memory, frame by frame."""

    def whole(self, features: np.ndarray, at_once: int = 128) -> np.ndarray:
        return np.tanh(features @ WEIGHTS)

    def endless(self, blocks: np.ndarray) -> np.ndarray:
        return self.whole(blocks)


@pytest.mark.parametrize("samples", [0, 5, 203, 208])
@pytest.mark.parametrize("block_frames", [1, 2, 5])
def test_the_end(samples: int, block_frames: int):
    audio = np.random.default_rng(1).normal(size=samples).astype(np.float32)
    enhancer = Enhancer(Forgetful(), block_frames, FRONTEND, FILTERING)
    half = samples // 2
    parts = [enhancer.push(audio[:half]), enhancer.push(audio[half:]), enhancer.push(audio[:0])]
    stream = np.concatenate([*parts, enhancer.finish()])
    clip = whole.of_audio(Forgetful(), audio[None], FILTERING, FRONTEND)[0]
    np.testing.assert_allclose(stream, clip, atol=1e-5)


def test_however_many_clips_each_is_on_its_own():
    count = whole.CLIPS_AT_ONCE + 2
    clips = np.random.default_rng(2).integers(-9000, 9000, (count, 400)).astype(np.int16)
    together = whole.enhanced(Forgetful(), clips, FILTERING, FRONTEND)
    assert together.shape == clips.shape
    for clip, sound in zip(clips, together, strict=True):
        alone = whole.of_audio(Forgetful(), clip[None] / np.float32(32768), FILTERING, FRONTEND)
        np.testing.assert_allclose(sound, alone[0], atol=1e-6)


class Remembers(nn.Module):
    """Answers to a frame by three of them."""

    @nn.compact
    def __call__(self, x: Signal) -> Signal:
        frames, features = x.shape
        x = Input((frames, 1, features), name="input")(x)
        values = FILTERING.values(FRONTEND)
        x = Conv2D(values, (3, 1), padding="CAUSAL", relu=False, norm=False, name="conv")(x)
        return Reshape((frames, values), name="results")(x)


def test_in_micro_it_is_the_same_sound():
    """Hop by hop; what an enhancer remembers of frames is in TFLite Micro's variables."""
    rng, model = np.random.default_rng(2), Remembers()
    features = rng.normal(size=(4, 20, FRONTEND.features)).astype(np.float32)
    params = initial(model, features)["params"]
    variables = {"params": params, "ranges": calibrated(model, params, [features], Recipe())}
    program = record(model, variables, (1, FRONTEND.features), Recipe(), stream=True)
    assert program.states
    made = {"executor": Executor(program), "model": to_tflite(program), "path": "here"}
    run = SimpleNamespace(experiment=SimpleNamespace(recipe=Recipe()), **made)
    audio = rng.normal(size=403).astype(np.float32)
    sounds = []
    for runtime in ("integer", "micro"):
        with network(run, runtime) as opened:
            enhancer = Enhancer(opened, 1, FRONTEND, FILTERING)
            parts = [enhancer.push(audio[:203]), enhancer.push(audio[203:]), enhancer.finish()]
            sounds.append(np.concatenate(parts))
    np.testing.assert_array_equal(*sounds)
    assert len(sounds[0]) == len(audio) and np.std(sounds[0]) > 0.01
