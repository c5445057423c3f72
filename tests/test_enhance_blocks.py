"""Streams of any block length have a whole clip's samples, to the last one."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from aqtaudio import enhance
from aqtaudio.enhancement import whole
from aqtaudio.enhancement.filtering import Filtering
from aqtaudio.frontends.deep_filter import DeepFilterFeatures

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


def network(features) -> np.ndarray:
    return np.tanh(np.asarray(features) @ WEIGHTS)


@pytest.mark.parametrize("samples", [0, 5, 203, 208])
@pytest.mark.parametrize("block_frames", [1, 2, 5])
def test_the_end(monkeypatch: pytest.MonkeyPatch, samples: int, block_frames: int):
    monkeypatch.setattr(enhance, "answering", lambda run, runtime, opened: network)
    experiment = SimpleNamespace(
        suppression=(SimpleNamespace(filtering=FILTERING), FRONTEND),
        stream_block_frames=block_frames,
    )
    audio = np.random.default_rng(1).normal(size=samples).astype(np.float32)
    enhancer = enhance.Enhancer(SimpleNamespace(experiment=experiment))
    half = samples // 2
    parts = [enhancer.push(audio[:half]), enhancer.push(audio[half:]), enhancer.push(audio[:0])]
    stream = np.concatenate([*parts, enhancer.finish()])
    clip = whole.enhanced(network, jnp.asarray(audio)[None], FILTERING, FRONTEND)[0]
    np.testing.assert_allclose(stream, clip, atol=1e-5)
