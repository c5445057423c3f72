"""Audio is read exactly, resampled when needed, and refused when it is not usable."""

import os

import jax.numpy as jnp
import numpy as np
import pytest
import soundfile

from aqtaudio.data import audio
from aqtaudio.errors import BadInput
from aqtaudio.tasks import sound_source


def test_16_bit_audio_is_exact(tmp_path):
    codes = np.random.default_rng(0).integers(-32768, 32768, 999, dtype=np.int16)
    soundfile.write(tmp_path / "a.flac", codes, 16000)
    assert np.array_equal(audio.load_int16(tmp_path / "a.flac"), codes)
    samples = audio.load(tmp_path / "a.flac")
    assert samples.dtype == np.float32
    assert np.array_equal(samples, codes / np.float32(32768))
    assert np.array_equal(audio.to_int16(samples), codes)
    for given in (codes, jnp.asarray(codes)):
        assert audio.to_float(given).dtype == np.float32
        assert np.array_equal(audio.to_float(given), samples)


@pytest.mark.parametrize("rate_hz", [8000, 22050, 44100, 48000])
def test_other_rates_and_stereo_give_the_same_tone(tmp_path, rate_hz):
    def tone(rate):
        return 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)

    stereo = np.stack([1.5 * tone(rate_hz), 0.5 * tone(rate_hz)], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, rate_hz)
    samples = audio.load(tmp_path / "a.wav", 16000)
    assert len(samples) == 16000
    inner = slice(800, -800)
    assert np.abs(samples - tone(16000))[inner].max() < 1e-3
    assert np.array_equal(audio.load_int16(tmp_path / "a.wav"), audio.to_int16(samples))


@pytest.mark.parametrize("chunk_ms", [3, 170, 5000])
def test_chunks_are_the_whole_file(tmp_path, chunk_ms):
    codes = np.random.default_rng(0).integers(-32768, 32768, 16001, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", codes, 16000)
    parts = list(audio.chunks(tmp_path / "a.wav", 16000, chunk_ms))
    assert np.array_equal(np.concatenate(parts), codes)
    assert max(map(len, parts)) <= 16 * chunk_ms


def test_chunks_are_resampled_without_seams(tmp_path):
    seconds = np.arange(3 * 44100) / 44100
    stereo = np.stack([np.sin(2 * np.pi * 440 * seconds)] * 2, axis=1)
    soundfile.write(tmp_path / "a.wav", 0.5 * stereo, 44100)
    found = np.concatenate(list(audio.chunks(tmp_path / "a.wav", 16000, 100)))
    whole = audio.load_int16(tmp_path / "a.wav", 16000)
    assert abs(len(found) - len(whole)) <= 1
    length = min(len(found), len(whole))
    assert np.abs(found[:length].astype(int) - whole[:length])[800:-800].max() <= 8


def test_chunks_of_what_is_not_audio(tmp_path):
    with pytest.raises(BadInput, match="no audio file"):
        next(audio.chunks(tmp_path / "none.wav"))
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.int16), 16000)
    with pytest.raises(BadInput, match="holds no samples"):
        next(audio.chunks(tmp_path / "empty.wav"))


def test_louder_than_full_scale_saturates(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([2.0, -2.0, 0.0]), 16000, subtype="FLOAT")
    assert audio.load(tmp_path / "a.wav").tolist() == [1 - 2**-15, -1.0, 0.0]
    assert audio.load_int16(tmp_path / "a.wav").tolist() == [32767, -32768, 0]


@pytest.mark.parametrize("read", [audio.load, audio.load_int16])
@pytest.mark.parametrize("case", ["missing", "text", "empty", "nan", "damaged"])
def test_unusable_audio_is_refused_by_name(tmp_path, read, case):
    file = tmp_path / f"{case}.wav"
    if case == "text":
        file.write_text("not audio")
    if case == "empty":
        soundfile.write(file, np.zeros(0), 16000)
    if case == "nan":
        soundfile.write(file, np.array([0.1, np.nan]), 16000, subtype="FLOAT")
    if case == "damaged":
        file = tmp_path / "damaged.flac"
        soundfile.write(file, np.random.default_rng(0).uniform(-1, 1, 50_000), 16000)
        file.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(BadInput, match=file.name) as raised:
        read(file)
    assert "\n" not in str(raised.value)


def test_gsm_is_read_whole_as_in_chunks(tmp_path):
    """libsndfile cannot search in it."""
    file = tmp_path / "phone.wav"
    samples = 0.1 * np.random.default_rng(0).standard_normal(8000)
    soundfile.write(file, samples, 8000, subtype="GSM610")
    whole = audio.load_int16(file, 8000)
    assert len(whole) >= 8000 and np.abs(whole).max() > 1000
    np.testing.assert_array_equal(np.concatenate(list(audio.chunks(file, 8000))), whole)


def test_a_flac_of_unknown_length_is_refused_with_the_remedy(tmp_path):
    file = tmp_path / "piped.flac"
    soundfile.write(file, 0.1 * np.ones(8000), 8000)
    content = bytearray(file.read_bytes())
    content[21] &= 0xF0  # of STREAMINFO, the 36 bits of its number of samples
    content[22:26] = bytes(4)
    file.write_bytes(content)
    for read in (audio.load, audio.load_int16, lambda path: list(audio.chunks(path))):
        with pytest.raises(BadInput, match="does not say how long it is.*ffmpeg"):
            read(file)


def test_names_of_any_bytes(tmp_path):
    """What another system wrote need not be UTF-8."""
    codes = np.arange(400, dtype=np.int16)
    file = tmp_path / os.fsdecode(b"geh\xf6r.wav")
    audio.write(file, codes, 16000)
    assert os.listdir(os.fsencode(tmp_path)) == [b"geh\xf6r.wav"]
    assert np.array_equal(audio.load_int16(file), codes)
    with sound_source.opened(str(file), None) as source:
        (samples,) = (part for part, _ in source.chunks(1000))
        assert np.array_equal(audio.to_int16(samples[:, 0]), codes)
    file.write_bytes(b"no sound")
    with pytest.raises(
        BadInput, match="is not audio that libsndfile reads: Format not recognised$"
    ):
        audio.load(file)
