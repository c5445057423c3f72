"""Streams of any block length have a whole clip's samples, to the last one."""

import numpy as np
import pytest

from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.tasks.enhancement import whole
from aqtaudio.tasks.enhancement.filtering import Filtering
from aqtaudio.tasks.enhancement.stream import Enhancer

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
