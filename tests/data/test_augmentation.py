"""What augmentation may change, how much of it, and that a key decides it all."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqtaudio.data.augmentation import Augmentation, augment_audio, mask_features
from aqtaudio.errors import BadInput

pytestmark = pytest.mark.optimized("slow")

NOTHING = Augmentation(
    time_shift_ms=0.0,
    speed_change=0.0,
    gain_db=0.0,
    noise_probability=0.0,
    noise_max_volume=0.0,
    spec_time_masks=0,
    spec_time_max_frames=0,
    spec_frequency_masks=0,
    spec_frequency_max_bands=0,
)
KEY = jax.random.key(7)


def only(**changes) -> Augmentation:
    return dataclasses.replace(NOTHING, **changes)


def clips(count: int = 64, samples: int = 4_000, level: float = 0.1) -> jax.Array:
    noise = jax.random.normal(jax.random.key(1), (count, samples))
    return jnp.clip(level * noise, -1.0, 0.99)


def recordings(count: int = 5, samples: int = 9_000) -> jax.Array:
    """Numbered samples: what was cropped, and from where, can be read from the values."""
    return (jnp.arange(samples) + 1 + 100 * jnp.arange(count)[:, None]).astype(jnp.int16)


def longest_run(flags: np.ndarray) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def test_nothing_asked_changes_nothing():
    audio, features = clips(), clips(8, 49 * 40).reshape(8, 49, 40)
    np.testing.assert_array_equal(augment_audio(KEY, audio, recordings(), NOTHING), audio)
    np.testing.assert_array_equal(mask_features(KEY, features, NOTHING), features)


def test_no_chance_of_noise_or_no_noise_adds_none():
    audio = clips()
    never = only(noise_probability=0.0, noise_max_volume=1.0)
    always = only(noise_probability=1.0, noise_max_volume=1.0)
    np.testing.assert_array_equal(augment_audio(KEY, audio, recordings(), never), audio)
    np.testing.assert_array_equal(augment_audio(KEY, audio, None, always), audio)


def test_babble_is_other_clips_of_the_batch():
    audio = clips(16)
    never = only(babble_probability=0.0, babble_max_volume=1.0)
    np.testing.assert_array_equal(augment_audio(KEY, audio, None, never), audio)
    some = only(babble_probability=0.5, babble_max_volume=0.3)
    added = np.asarray(augment_audio(KEY, audio, None, some)) - np.asarray(audio)
    rows, others = np.asarray(audio), np.flatnonzero(np.abs(added).max(1))
    assert 2 <= len(others) <= 14
    for row in others:
        share = rows @ added[row] / np.einsum("rn,rn->r", rows, rows)
        source = int(np.argmax(np.abs(share)))
        assert source != row and 0 < share[source] < 0.31
        np.testing.assert_allclose(added[row], share[source] * rows[source], atol=1e-4)


def test_the_key_decides():
    audio, features = clips(), clips(8, 49 * 40).reshape(8, 49, 40)
    for change in (
        lambda key: augment_audio(key, audio, recordings(), Augmentation()),
        lambda key: mask_features(key, features, Augmentation()),
    ):
        first, again, other = change(KEY), change(KEY), change(jax.random.key(8))
        assert (first.shape, first.dtype) == (again.shape, jnp.float32)
        np.testing.assert_array_equal(first, again)
        assert (first != other).mean() > 0.1


def test_clips_are_changed_in_their_own_way():
    audio = jnp.tile(clips(1), (64, 1))
    features = jnp.ones((64, 49, 40))
    changed = np.asarray(augment_audio(KEY, audio, recordings(), Augmentation()))
    masked = np.asarray(mask_features(KEY, features, Augmentation()))
    assert len(np.unique(changed, axis=0)) == 64
    assert len(np.unique(masked, axis=0)) > 55


def test_shift_moves_whole_samples_and_zeros_come_in():
    audio = np.asarray(clips(200))
    shifted = np.asarray(augment_audio(KEY, audio, None, only(time_shift_ms=50.0)))
    shifts = []
    for before, after in zip(audio, shifted, strict=True):
        first = int(np.flatnonzero(after)[0])
        match = int(np.flatnonzero(before == after[first])[0])
        shift = first - match
        expected = np.zeros_like(before)
        expected[max(0, shift) : 4_000 + min(0, shift)] = before[max(0, -shift) : 4_000 - shift]
        np.testing.assert_array_equal(after, expected)
        shifts.append(shift)
    assert -800 <= min(shifts) < -600 and 600 < max(shifts) <= 800


def test_shift_follows_the_sample_rate():
    click = jnp.zeros((100, 4_000)).at[:, 2_000].set(0.5)
    moved = augment_audio(KEY, click, None, only(time_shift_ms=50.0), sample_rate_hz=8_000)
    reach = np.abs(np.asarray(moved.argmax(axis=1)) - 2_000).max()
    assert 300 < reach <= 400


def test_speed_changes_the_pitch_within_its_range():
    tone_hz = 1_000.0
    tone = 0.5 * jnp.sin(2 * jnp.pi * tone_hz * jnp.arange(16_000) / 16_000)
    played = augment_audio(KEY, jnp.tile(tone, (64, 1)), None, only(speed_change=0.15))
    middle = np.asarray(played)[:, 4_000:12_000] * np.hanning(8_000)
    pitch_hz = np.abs(np.fft.rfft(middle, axis=1)).argmax(axis=1) * 2.0
    assert 848 <= pitch_hz.min() < 880 and 1_120 < pitch_hz.max() <= 1_152


def test_speed_is_linear_interpolation_about_the_middle():
    audio = np.asarray(clips(16))
    ramp = jnp.tile(jnp.linspace(-0.5, 0.5, 4_000), (16, 1))
    change = only(speed_change=0.3)
    slope = np.diff(np.asarray(augment_audio(KEY, ramp, None, change))[:, 1_950:2_050]).mean(axis=1)
    rate = slope / np.diff(np.asarray(ramp[0])).mean()
    places = 2_000 + (np.arange(4_000) - 2_000) * rate[:, None]
    padded = np.pad(audio, ((0, 0), (1, 1)))
    expected = [
        np.interp(at, np.arange(-1, 4_001), clip) for at, clip in zip(places, padded, strict=True)
    ]
    played = augment_audio(KEY, audio, None, change)
    # The rate read from the ramp is itself a measurement.
    np.testing.assert_allclose(played, expected, atol=0.02)


def test_gain_stays_within_its_decibels():
    audio = clips(200, level=0.05)
    gain = np.asarray(augment_audio(KEY, audio, None, only(gain_db=6.0)) / audio)
    decibels = 20 * np.log10(gain.mean(axis=1))
    assert gain.std(axis=1).max() < 1e-5
    assert -6 <= decibels.min() < -5 and 5 < decibels.max() <= 6


def test_quieter_clips_are_what_a_converter_makes_of_them():
    audio = clips()
    out = augment_audio(KEY, audio, None, only(quieter_db=40.0))
    codes = np.asarray(out) * 32768
    np.testing.assert_array_equal(codes, np.round(codes))
    rms = [np.sqrt(np.mean(np.asarray(x, np.float64) ** 2, 1)) for x in (out, audio)]
    decibels = 20 * np.log10(rms[0] / rms[1])
    assert -40.5 < decibels.min() < -35 and -5 < decibels.max() < 0.1


def test_noise_is_a_crop_at_the_volume_asked_in_the_share_asked():
    silence = jnp.zeros((500, 4_000))
    noise = recordings()
    settings = only(noise_probability=0.3, noise_max_volume=0.5)
    added = np.asarray(augment_audio(KEY, silence, noise, settings), np.float64) * 32768
    noisy = added[added.any(axis=1)]
    assert 0.2 < len(noisy) / 500 < 0.4
    # Numbered samples rise by one, so a clip rises by its volume.
    volume = (noisy[:, -1] - noisy[:, 0]) / 3_999
    first = noisy[:, 0] / volume
    assert 0 < volume.min() < 0.05 and 0.45 < volume.max() <= 0.5
    assert first.min() >= 0.99 and first.max() < 5_001 + 400.01
    assert first.max() - first.min() > 4_000
    straight = volume[:, None] * (first[:, None] + np.arange(4_000))
    np.testing.assert_allclose(noisy, straight, atol=0.02)


def test_every_recording_serves():
    noise = jnp.tile(jnp.arange(1, 6)[:, None], (1, 9_000)).astype(jnp.float32) / 10
    settings = only(noise_probability=1.0, noise_max_volume=1e-3)
    many = augment_audio(KEY, jnp.zeros((200, 100)), noise, settings)
    volumes = augment_audio(KEY, jnp.zeros((200, 100)), jnp.ones_like(noise), settings)
    which = np.rint(np.asarray(many / volumes)[:, 0] * 10).astype(int)
    assert set(which) == {1, 2, 3, 4, 5}


def test_int16_noise_is_float_noise():
    codes = jax.random.randint(KEY, (4, 9_000), -32_768, 32_768).astype(jnp.int16)
    audio = clips()
    whole = augment_audio(KEY, audio, codes, Augmentation())
    fraction = augment_audio(KEY, audio, codes.astype(jnp.float32) / 32_768, Augmentation())
    np.testing.assert_allclose(whole, fraction, atol=1e-6)


def test_loud_sums_are_clipped():
    audio = clips(level=0.5)
    louder = augment_audio(KEY, audio, recordings(), Augmentation(gain_db=20.0))
    assert float(louder.max()) == 1 - 1 / 32_768 and float(louder.min()) == -1.0


def test_noise_shorter_than_the_clips_is_refused():
    with pytest.raises(BadInput, match="noise of 3999 samples is shorter"):
        augment_audio(KEY, clips(), recordings(2, 3_999), Augmentation())


masks = given(
    frames=st.sampled_from([3, 20, 49]),
    bands=st.sampled_from([2, 10, 40]),
    longest=st.integers(0, 12),
    count=st.integers(0, 2),
)


@settings(max_examples=3, deadline=None)  # each is compiled
@masks
def test_masks_are_whole_rows_and_columns_within_their_limits(frames, bands, longest, count):
    require_whole_masks(frames, bands, longest, count)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@masks
def test_many_masks_are_whole_rows_and_columns(frames, bands, longest, count):
    require_whole_masks(frames, bands, longest, count)


def require_whole_masks(frames: int, bands: int, longest: int, count: int):
    features = jnp.ones((32, frames, bands))
    settings = only(
        spec_time_masks=count,
        spec_time_max_frames=longest,
        spec_frequency_masks=1,
        spec_frequency_max_bands=longest // 2,
    )
    mask = jax.jit(mask_features, static_argnums=2)
    kept = np.asarray(mask(KEY, features, settings))
    in_time, in_band = ~kept.any(axis=2), ~kept.any(axis=1)
    for clip, time, band in zip(kept, in_time, in_band, strict=True):
        if time.all() or band.all():
            assert not clip.any()
            continue
        np.testing.assert_array_equal(clip, np.outer(~time, ~band))
        assert time.sum() <= count * longest and longest_run(band) <= longest // 2
        assert longest_run(band) == band.sum()


def test_masks_reach_every_length_and_every_place():
    features = jnp.ones((2_000, 49, 40))
    one = only(spec_time_masks=1, spec_time_max_frames=10)
    masked = ~np.asarray(mask_features(KEY, features, one)).any(axis=2)
    counts = np.bincount(masked.sum(axis=1), minlength=11)
    assert len(counts) == 11 and counts.min() > 120
    assert masked.any(axis=0).all()


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Augmentation)])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_nonsense_is_refused(field, value):
    with pytest.raises(BadInput, match=field):
        Augmentation(**{field: value})


def test_shares_have_upper_limits():
    for change in ({"noise_probability": 1.1}, {"babble_probability": 2}, {"speed_change": 1.0}):
        with pytest.raises(BadInput, match=next(iter(change))):
            Augmentation(**change)
