"""Samples as features: in pieces as at once; one level whatever the input's; nothing saturates."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aqtaudio.errors import BadInput
from aqtaudio.frontends.wave import QUIETEST_PEAK, WaveBlocks
from aqtaudio.settings import from_json, to_json

pytestmark = pytest.mark.optimized("slow")
PLAIN, LEVELLED = WaveBlocks(), WaveBlocks(peak=0.5)
BLOCKS = 12


@functools.cache
def pushing(frontend: WaveBlocks):
    return jax.jit(frontend.push)


def sound() -> np.ndarray:
    """Two streams [2, N] that rise, stop and begin anew."""
    rng = np.random.default_rng(0)
    level = np.repeat([0.01, 0.02, 0.3, 0.3, 0.0, 0.0, 0.0, 0.004, 0.9, 0.1, 0.1, 0.05], 256)
    return (level * rng.uniform(-1, 1, (2, 256 * BLOCKS))).astype(np.float32)


def test_plain_blocks_are_the_samples():
    audio = sound()
    found, _ = pushing(PLAIN)(audio, PLAIN.initial_state(2))
    assert found.shape == (2, BLOCKS, 256) == (2, *PLAIN.feature_shape(audio.shape[1]))
    np.testing.assert_array_equal(np.asarray(found).reshape(2, -1), audio)


@pytest.mark.parametrize("size", [1, 4])
def test_pieces_are_the_whole(size: int):
    audio = sound()
    whole, last = pushing(LEVELLED)(audio, LEVELLED.initial_state(2))
    state, parts = LEVELLED.initial_state(2), []
    for start in range(0, audio.shape[1], 256 * size):
        part, state = pushing(LEVELLED)(audio[:, start : start + 256 * size], state)
        parts.append(part)
    np.testing.assert_array_equal(np.concatenate(parts, 1), whole)
    np.testing.assert_array_equal(state, last)


def test_nothing_passes_the_peak_and_loud_blocks_reach_it():
    found = np.abs(pushing(LEVELLED)(sound(), LEVELLED.initial_state(2))[0])
    assert found.max() <= np.float32(0.5) * (1 + 1e-6)
    np.testing.assert_allclose(found.max((0, 2))[[2, 8]], 0.5, rtol=1e-2)


def test_the_level_of_the_input_is_not_heard():
    audio = sound()
    loud, _ = pushing(LEVELLED)(audio, LEVELLED.initial_state(2))
    quiet, _ = pushing(LEVELLED)(audio / 16, LEVELLED.initial_state(2))
    np.testing.assert_allclose(loud[:, 3:], quiet[:, 3:], rtol=1e-4, atol=1e-6)


def test_what_is_nearly_silent_stays_quiet():
    found, _ = pushing(LEVELLED)(sound() * 1e-4, LEVELLED.initial_state(2))
    assert np.abs(found).max() < 0.6 * 0.9e-4 / QUIETEST_PEAK


def test_gains_are_what_undoes_it():
    audio = jnp.asarray(sound())
    push = jax.jit(LEVELLED.push_with_gain)
    blocks, gains, _ = push(audio, LEVELLED.initial_state(2))
    features, _ = pushing(LEVELLED)(audio, LEVELLED.initial_state(2))
    np.testing.assert_array_equal(np.asarray(blocks).reshape(2, -1), audio)
    np.testing.assert_allclose(features / gains, blocks, rtol=1e-6, atol=1e-9)


def test_settings():
    assert from_json(to_json(LEVELLED)) == LEVELLED
    for change in ({"peak": 0.0}, {"hop_ms": 8.0}, {"peak": 0.5, "decay_ms": 0.0}):
        with pytest.raises(BadInput, match="WaveBlocks"):
            dataclasses.replace(LEVELLED, **change)
