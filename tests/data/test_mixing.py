"""Mixtures hold what was asked for, and nothing depends on anything but key, place and input."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from speech_corpus import noise, speech

from aqtaudio import settings
from aqtaudio.data import reverberation
from aqtaudio.data.mixing import Mixing, mix
from aqtaudio.errors import BadInput

pytestmark = pytest.mark.optimized("slow")

RATE_HZ = 8000
SAMPLES = 2 * RATE_HZ
CLIPS = 8
STEP = 1 / 32768
PLAIN = Mixing(
    noise_only_probability=0.0,
    speech_only_probability=0.0,
    reverb_probability=0.0,
    band_limit_probability=0.0,
    level_dbfs=(-35.0, -35.0),
    level_step_probability=0.0,
    clipping_probability=0.0,
)
EVERYTHING = Mixing(
    reverb_probability=0.5,
    rt60_ms=(100.0, 300.0),
    band_limit_probability=0.5,
    level_step_probability=0.5,
    clipping_probability=0.5,
)


def change(plain: Mixing = PLAIN, **changes) -> Mixing:
    return dataclasses.replace(plain, **changes)


@functools.cache
def clips(count: int = CLIPS) -> tuple[jax.Array, jax.Array]:
    rng = np.random.default_rng(0)
    voices = [speech(SAMPLES, RATE_HZ, rng) for _ in range(count)]
    kinds = ("rain", "fan", "clicks")
    noises = [[noise(kind, SAMPLES, rng) for kind in kinds] for _ in range(count)]
    return jnp.asarray(voices, jnp.float32), jnp.asarray(noises, jnp.float32)


def mixed(plain: Mixing, seed: int = 0, count: int = CLIPS):
    return jax.tree.map(np.asarray, mix(jax.random.key(seed), *clips(count), plain, RATE_HZ))


def decibels(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(power)


def level_db(signal: np.ndarray) -> np.ndarray:
    return decibels(np.mean(np.square(signal, dtype=np.float64), axis=-1))


@pytest.mark.parametrize(("snr_db", "band_limits"), [(-5.0, 0.0), (20.0, 1.0)])
def test_the_ratio_asked_is_the_ratio_got(snr_db, band_limits):
    for seed in range(3):
        plain = change(snr_db=(snr_db, snr_db), band_limit_probability=band_limits)
        got = mixed(plain, seed)
        np.testing.assert_allclose(level_db(got.clean) - level_db(got.noise), snr_db, atol=0.01)


def test_ratios_and_levels_fill_their_ranges():
    got = mixed(change(snr_db=(-5.0, 20.0), level_dbfs=(-60.0, -20.0)), count=64)
    for drawn, low, high in (
        (level_db(got.clean) - level_db(got.noise), -5, 20),
        (level_db(got.clean + got.noise), -60, -20),
    ):
        assert low - 0.01 < drawn.min() < low + 4 and high - 4 < drawn.max() < high + 0.01
        assert abs(drawn.mean() - (low + high) / 2) < 5


def test_the_parts_add_up_to_what_is_heard():
    got = mixed(EVERYTHING, count=32)
    whole = got.clean + got.noise
    error = np.abs(got.noisy - whole)
    # What is not rounding is clipping: beyond the loudest that is heard.
    high, low = got.noisy.max(axis=1, keepdims=True), got.noisy.min(axis=1, keepdims=True)
    clipped = (whole > high + STEP / 2) | (whole < low - STEP / 2)
    assert 0 < clipped.mean() < 0.5
    assert (error[~clipped] <= 0.5 * STEP + 1e-6).all()
    assert np.array_equal(got.noisy * 32768, np.round(got.noisy * 32768))
    assert got.noisy.min() >= -1 and got.noisy.max() <= 1 - STEP


def test_levels_are_as_drawn_and_taken_off_by_the_gain():
    got = mixed(change(level_dbfs=(-60.0, -60.0)))
    np.testing.assert_allclose(level_db(got.clean + got.noise), -60, atol=0.01)
    np.testing.assert_allclose(level_db(got.noisy / got.gain), -25, atol=0.05)
    assert (got.gain == got.gain[:, :1]).all()


def test_a_step_changes_mixture_and_target_at_once():
    step = change(level_step_probability=1.0, level_step_db=(-20.0, -20.0))
    got, still = mixed(step), mixed(PLAIN)
    # The draws of everything else are the same.
    np.testing.assert_allclose(got.clean / got.gain, still.clean / still.gain, atol=1e-5)
    np.testing.assert_allclose(got.noise / got.gain, still.noise / still.gain, atol=1e-5)
    ratios_db = 20 * np.log10(got.gain[:, 1:] / got.gain[:, :-1])
    clip, place = np.nonzero(ratios_db)
    assert clip.tolist() == list(range(CLIPS)) and len(set(place)) == CLIPS
    np.testing.assert_allclose(ratios_db[clip, place], -20, atol=1e-3)
    assert place.min() >= SAMPLES // 10 - 1 and place.max() < SAMPLES - SAMPLES // 10


def test_steps_stay_between_silence_and_full_scale():
    plain = change(level_dbfs=(-60.0, 0.0), level_step_probability=1.0)
    gain = np.concatenate([mixed(plain, seed, 64).gain for seed in range(4)])
    before_db, after_db = (20 * np.log10(gain[:, place]) - 25 for place in (0, -1))
    assert -60.01 < after_db.min() < -50 and -10 < after_db.max() < 0.01
    steps_db = after_db - before_db
    assert -40.01 < steps_db.min() < -35 and 35 < steps_db.max() < 40.01
    # Nothing piles up at the ends, as it would if steps were cut.
    assert (np.minimum(abs(after_db), abs(after_db + 60)) < 0.01).mean() < 0.02


def test_clipping_spares_the_target():
    got = mixed(change(clipping_probability=1.0, clipping_share=(0.5, 0.5)))
    still = mixed(PLAIN)
    np.testing.assert_array_equal(got.clean, still.clean)
    peaks = np.abs(got.clean + got.noise).max(axis=1)
    np.testing.assert_allclose(np.abs(got.noisy).max(axis=1), peaks / 2, atol=STEP)


def test_speech_alone_and_noise_alone():
    got = mixed(change(noise_only_probability=0.3, speech_only_probability=0.3), count=64)
    no_speech, no_noise = ~got.clean.any(axis=1), ~got.noise.any(axis=1)
    assert 8 < no_speech.sum() < 32 and 8 < no_noise.sum() < 32
    np.testing.assert_allclose(level_db(got.clean + got.noise), -35, atol=0.01)


def test_silence_is_no_reason_for_noise_without_end():
    voices, noises = clips()
    nothing = jnp.zeros_like(voices)
    alone = mix(jax.random.key(0), nothing, noises, EVERYTHING, RATE_HZ)
    mute = mix(jax.random.key(0), voices, jnp.zeros_like(noises), EVERYTHING, RATE_HZ)
    none = mix(jax.random.key(0), nothing, jnp.zeros_like(noises), EVERYTHING, RATE_HZ)
    for got in (alone, mute, none):
        assert all(np.isfinite(part).all() for part in got)
    assert not np.asarray(alone.clean).any() and np.asarray(alone.noisy).any(axis=1).all()
    assert not np.asarray(none.noisy).any()


def test_speech_drifts_by_up_to_what_was_asked():
    plain = change(speech_only_probability=1.0, speech_drift_db=20.0)
    voices = np.asarray(clips(32)[0], np.float64)
    clean = mixed(plain, count=32).clean
    first, last = slice(0, SAMPLES // 2), slice(SAMPLES // 2, None)
    tilt = level_db(clean[:, last]) - level_db(clean[:, first])
    tilt -= level_db(voices[:, last]) - level_db(voices[:, first])
    # Half of the way from start to end lies between the middles of the halves.
    assert -12 < tilt.min() < -5 and 5 < tilt.max() < 12


def test_one_to_three_noises_with_levels_of_their_own():
    """Noises that are told apart by their place: each sounds in a third of the clip."""
    third = SAMPLES // 3
    voices = clips(64)[0]
    rng = np.random.default_rng(3)
    noises = np.zeros((64, 3, SAMPLES), np.float32)
    for number in range(3):
        noises[:, number, number * third : (number + 1) * third] = rng.standard_normal(third)
    got = mix(jax.random.key(0), voices, jnp.asarray(noises), PLAIN, RATE_HZ)
    thirds = np.asarray(got.noise)[:, : 3 * third].reshape(64, 3, third)
    heard = thirds.any(axis=-1)
    counts = np.bincount(heard.sum(axis=1), minlength=4)
    assert counts[0] == 0 and (counts[1:] > 8).all()
    levels = level_db(thirds[heard.all(axis=1)])
    spread = np.abs(levels[:, 0] - levels[:, 1])
    assert 1 < spread.max() < PLAIN.noise_spread_db + 0.5


def test_band_limits_cut_where_they_say():
    plain = change(
        band_limit_probability=1.0, low_pass_hz=(1000.0, 1000.0), high_pass_hz=(300.0, 300.0)
    )
    rng = np.random.default_rng(0)
    hiss = jnp.asarray(rng.standard_normal((64, 4, SAMPLES)), jnp.float32)
    got = mix(jax.random.key(1), hiss[:, 0], hiss[:, 1:], plain, RATE_HZ)
    frequency_hz = np.fft.rfftfreq(SAMPLES, 1 / RATE_HZ)

    def band_db(part: jax.Array, low_hz: float, high_hz: float) -> np.ndarray:
        power = np.abs(np.fft.rfft(np.asarray(part))) ** 2
        inside = (frequency_hz >= low_hz) & (frequency_hz < high_hz)
        middle = (frequency_hz >= 450) & (frequency_hz < 700)
        return decibels(power[:, inside].mean(axis=1) / power[:, middle].mean(axis=1))

    high, low = band_db(got.noise, 2000, 4000), band_db(got.noise, 10, 100)
    assert ((high < -30) | (abs(high) < 2)).all() and ((low < -30) | (abs(low) < 4)).all()
    kinds = np.bincount((high < -30) + 2 * (low < -30), minlength=4)
    assert kinds[0] == 0 and (kinds[1:] > 8).all()  # high, low, both
    speech_cut = (band_db(got.clean, 2000, 4000) < -30) | (band_db(got.clean, 10, 100) < -30)
    assert 16 < speech_cut.sum() < 48


def test_a_room_has_an_early_part_and_a_tail_that_decays():
    for seed in range(4):
        room = reverberation.response(jax.random.key(seed), (400.0, 400.0), 6400, 16000)
        early, late = np.asarray(room.early), np.asarray(room.late)
        edge = round(reverberation.EARLY_MS * 16)
        assert early[0] == 1 and not early[edge:].any() and not late[:edge].any()
        ratio_db = -decibels(np.sum((early + late)[1:] ** 2))
        assert -3.1 < ratio_db < 12.1
        slope_db = level_db(late[1600:2400]) - level_db(late[4800:5600])
        assert abs(slope_db - 30) < 3  # 200 ms of 400


def test_the_target_keeps_the_early_part():
    """A click: the target ends 50 ms after it, the rest is noise."""
    clicks = jnp.zeros((4, SAMPLES)).at[:, 4000].set(1.0)
    plain = change(speech_only_probability=1.0, reverb_probability=1.0, rt60_ms=(300.0, 300.0))
    got = mix(jax.random.key(0), clicks, jnp.zeros((4, 3, SAMPLES)), plain, RATE_HZ)
    clean, noise = np.abs(np.asarray(got.clean)), np.abs(np.asarray(got.noise))
    floor = 1e-5 * clean.max(axis=1, keepdims=True)
    assert (clean.argmax(axis=1) == 4000).all()
    assert (clean[:, :4000] < floor).all() and (clean[:, 4400:] < floor).all()
    assert (noise[:, :4400] < floor).all() and (noise[:, 4400:4800].max(axis=1) > 0).all()


def test_the_same_key_gives_the_same_mixtures():
    one, again, other = mixed(EVERYTHING, 1), mixed(EVERYTHING, 1), mixed(EVERYTHING, 2)
    for part in one._fields:
        np.testing.assert_array_equal(getattr(one, part), getattr(again, part))
    assert not np.isclose(one.gain, other.gain).all(axis=1).any()


def test_clips_do_not_depend_on_their_neighbours():
    voices, noises = clips()
    whole = mix(jax.random.key(5), voices, noises, EVERYTHING, RATE_HZ)
    other = mix(
        jax.random.key(5), voices.at[1:].multiply(0.1), noises.at[1:].set(0), EVERYTHING, RATE_HZ
    )
    part = mix(jax.random.key(5), voices[:3], noises[:3], EVERYTHING, RATE_HZ)
    for a, b, c in zip(whole, other, part, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_allclose(a[:3], c, rtol=1e-4, atol=2 * STEP)
    assert len(np.unique(np.asarray(whole.gain)[:, 0])) == CLIPS


def test_mixing_is_part_of_a_jitted_step():
    def step(key, voices, noises):
        return mix(key, voices, noises, PLAIN, RATE_HZ).noisy.sum()

    total = jax.jit(step)(jax.random.key(0), *clips())
    np.testing.assert_allclose(total, mixed(PLAIN).noisy.sum(), rtol=1e-3, atol=0.1)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"snr_db": (5.0, -5.0)}, "snr_db"),
        ({"snr_db": (0.0, float("nan"))}, "snr_db"),
        ({"level_dbfs": (-60.0, 6.0)}, "level_dbfs"),
        ({"rt60_ms": (10.0, 300.0)}, "rt60_ms"),
        ({"clipping_share": (0.0, 1.0)}, "clipping_share"),
        ({"noises": 0}, "1 to 3"),
        ({"noises": 4}, "1 to 3"),
        ({"reverb_probability": 1.1}, "0 to 1"),
        ({"clipping_probability": float("nan")}, "0 to 1"),
        ({"speech_drift_db": -1.0}, "speech_drift_db"),
        ({"noise_only_probability": 0.6, "speech_only_probability": 0.6}, "over 1"),
    ],
)
def test_settings_that_make_no_sense(wrong, line):
    with pytest.raises(BadInput, match=line) as error:
        Mixing(**wrong)
    assert "\n" not in str(error.value)


def test_settings_are_overlaid_and_kept_as_json():
    changed = settings.overlay(Mixing(), {"snr_db": "-10, 5", "noises": "2"})
    assert changed == Mixing(snr_db=(-10.0, 5.0), noises=2)
    assert settings.from_json(settings.to_json(changed)) == changed


def test_shapes_that_do_not_fit():
    voices, noises = clips()
    for wrong in (noises[:4], noises[:, :2], noises[:, :, 1:], voices):
        with pytest.raises(BadInput, match="allowed beside speech"):
            mix(jax.random.key(0), voices, wrong, PLAIN, RATE_HZ)
