"""Narrow bands: nothing above the band's end, the levels asked for, the codes of G.711."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aqtaudio.data.codecs import CODECS, coded
from aqtaudio.data.narrowing import Narrowing, mu_law, narrowed, resampled
from aqtaudio.errors import BadInput

pytestmark = pytest.mark.optimized("slow")
HZ = 16000
CLIPS = 6
# One setting for all tests: other settings are compiled again.
SETTINGS = Narrowing(level_dbfs=(-30.0, -20.0), mu_law_probability=0.5, causal_probability=0.5)


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    return np.random.default_rng(0).normal(scale=0.05, size=(CLIPS, HZ)).astype(np.float32)


def levels_db(signal: np.ndarray) -> np.ndarray:
    return 20 * np.log10(np.sqrt(np.mean(np.square(signal), -1)))


def test_lower_half_is_heard_upper_half_is_gone(clips):
    line = narrowed(jax.random.key(0), clips, SETTINGS)
    spectrum, original = (
        np.abs(np.fft.rfft(np.hanning(HZ) * np.asarray(x))) for x in (line.narrow, line.wide)
    )
    assert (spectrum[:, 4100:].max(1) < 1e-3 * spectrum[:, 500:3000].mean(1)).all()
    ratio = spectrum[:, 500:3000].sum(1) / original[:, 500:3000].sum(1)
    np.testing.assert_allclose(ratio, 1, atol=0.1)


def test_levels(clips):
    line = narrowed(jax.random.key(1), clips, SETTINGS)
    found = levels_db(np.asarray(line.wide))
    assert (found > -30.1).all() and (found < -19.9).all() and np.ptp(found) > 1
    np.testing.assert_allclose(levels_db(np.asarray(line.wide / line.level)), -25, atol=0.01)


def test_same_key_same_clips(clips):
    one, same, other = (
        np.asarray(narrowed(jax.random.key(key), clips, SETTINGS).narrow) for key in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-3


def test_clips_differ_in_their_filters(clips):
    alike = np.repeat(clips[:1], CLIPS, 0)
    line = narrowed(jax.random.key(0), alike, SETTINGS)
    spectrum = np.abs(np.fft.rfft(np.asarray(line.narrow / line.level)))
    edges = spectrum[:, 3500:3900].mean(1) / spectrum[:, 1000:2000].mean(1)
    assert np.ptp(edges) > 0.2


def test_silence_stays_silent():
    line = narrowed(
        jax.random.key(0), np.zeros((CLIPS, HZ), np.float32),
        dataclasses.replace(SETTINGS, noise_probability=0.0),
    )  # fmt: skip
    assert not np.asarray(line.narrow).any()


def test_twice_the_rate_keeps_the_samples():
    x = np.random.default_rng(0).normal(size=64).astype(np.float32)
    x -= np.resize([1, -1], 64) * np.mean(x * np.resize([1, -1], 64))  # nothing at the band's end
    found = np.asarray(jax.jit(resampled)(x))
    np.testing.assert_allclose(found[::2], x, atol=1e-5)


def test_mu_law_is_g711():
    """Decoded values are those of the recommendation's table, and the nearest to what goes in."""
    places, segments = np.arange(16), np.arange(8)[:, None]
    table = np.unique(((2 * places + 33) << segments) - 33) / 8192  # 14 bits
    table = np.concatenate([-table, table])
    samples = np.linspace(-0.98, 0.98, 4001).astype(np.float32)
    coded = np.asarray(jax.jit(mu_law)(jnp.asarray(samples)))
    apart = np.abs(coded[:, None] - table).min(1)
    assert apart.max() < 1e-6
    nearest = np.abs(samples[:, None] - table).min(1)
    # Values are told apart in their middle; at segments' ends a third of the way.
    assert (np.abs(coded - samples) <= 2 * nearest + 1e-6).all()
    assert len(np.unique(coded)) > 230


def test_codecs_in_the_step_are_those_of_files(clips):
    always = dataclasses.replace(SETTINGS, codec_probability=1.0, mu_law_probability=0.0)
    never = dataclasses.replace(SETTINGS, mu_law_probability=0.0)
    found, before = (
        np.rint(np.asarray(narrowed(jax.random.key(3), clips, x).narrow)[:, ::2] * 32768)
        for x in (always, never)
    )
    chosen = set()
    for one, plain in zip(found, before, strict=True):
        made = {name: coded(plain.astype(np.int16), name) for name in CODECS}
        # The last samples ring on beyond the clip; resampling loses what is at the band's end.
        lost = {name: np.std((one - x)[160:-320]) for name, x in made.items()}
        nearest = min(lost, key=lambda name: lost[name])
        assert lost[nearest] < 0.1 * np.std((made[nearest] - plain)[160:-320]), lost
        chosen.add(nearest)
    assert chosen == set(CODECS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"edge": (0.9, 0.8)}, "edge"),
        ({"level_dbfs": (-10.0, 5.0)}, "level_dbfs"),
        ({"noise_probability": 1.5}, "noise_probability"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(BadInput, match=message):
        Narrowing(**settings)
