"""Files through an enhancer: the whole band, any container, raw samples, pipes.

The networks are made up: one takes nothing away, one everything.
"""

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aqtaudio.data.pipes import Raw
from aqtaudio.errors import BadInput
from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.tasks.enhancement.filtering import Filtering
from aqtaudio.tasks.enhancement.stream import Enhancer
from aqtaudio.tasks.sound_file import convert_file

pytestmark = pytest.mark.optimized(False)

RATE_HZ = 1600
FRONTEND = DeepFilterFeatures(
    sample_rate_hz=RATE_HZ, bands=4, least_bins=1, bands_to_hz=800.0, filtered_bins=8
)
LIMIT_DB = 6.0
KEPT = 10 ** (-LIMIT_DB / 20)


class Constant:
    """A network that says the same of every frame."""

    def __init__(self, gain: float):
        filters = np.zeros((FRONTEND.filtered_bins, Filtering().taps, 2))
        filters[:, Filtering().taps - 1 - Filtering().ahead, 0] = gain
        gains = np.full(FRONTEND.bands, gain)
        self._answer = np.concatenate([gains, filters.ravel(), [1.0]]).astype(np.float32)

    def whole(self, features: np.ndarray, at_once: int = 128) -> np.ndarray:
        return np.broadcast_to(self._answer, (*features.shape[:-1], len(self._answer)))

    def endless(self, blocks: np.ndarray) -> np.ndarray:
        return self.whole(blocks)


def enhancers(gain: float, limit_db: float | None = None):
    @contextlib.contextmanager
    def opened():
        yield Enhancer(Constant(gain), 1, FRONTEND, Filtering(attenuation_limit_db=limit_db))

    return opened


def sound(rate_hz: int, seconds: float = 1.2) -> np.ndarray:
    """Hiss over the whole band, and a tone near its end."""
    samples = round(rate_hz * seconds)
    hiss = 0.05 * np.random.default_rng(0).standard_normal(samples)
    return hiss + 0.2 * np.sin(2 * np.pi * 0.4 * np.arange(samples))


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 2205, 4800])
@pytest.mark.parametrize("hop_by_hop", [False, True])
def test_what_takes_nothing_away_gives_the_file_back(tmp_path, rate_hz, hop_by_hop):
    """All of its band, of which the network hears a part."""
    audio = sound(rate_hz)
    soundfile.write(tmp_path / "in.wav", audio, rate_hz, subtype="FLOAT")
    convert_file(tmp_path / "in.wav", tmp_path / "out.wav", enhancers(1.0), hop_by_hop)
    out, _ = soundfile.read(tmp_path / "out.wav")
    assert len(out) == len(audio)
    np.testing.assert_allclose(out[100:-200], audio[100:-200], atol=2e-3)


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 4800])
def test_the_limit_holds_over_the_whole_band(tmp_path, rate_hz):
    """And without a limit nothing is left of what is above the network's rate either."""
    audio = sound(rate_hz)
    soundfile.write(tmp_path / "in.wav", audio, rate_hz, subtype="FLOAT")
    for limit_db, kept in ((LIMIT_DB, KEPT), (None, 0.0)):
        convert_file(tmp_path / "in.wav", tmp_path / "out.wav", enhancers(0.0, limit_db))
        out, _ = soundfile.read(tmp_path / "out.wav")
        np.testing.assert_allclose(out[100:-200], kept * audio[100:-200], atol=2e-3)


def test_floats_are_not_clipped_and_integers_say_so(tmp_path):
    audio = 20 * sound(RATE_HZ)
    soundfile.write(tmp_path / "in.wav", audio, RATE_HZ, subtype="FLOAT")
    found = convert_file(tmp_path / "in.wav", tmp_path / "out.wav", enhancers(1.0))
    out, _ = soundfile.read(tmp_path / "out.wav")
    np.testing.assert_allclose(out[100:-200], audio[100:-200], rtol=1e-3, atol=2e-2)
    assert np.abs(out).max() > 3 and found["clipped_samples"] == 0
    found = convert_file(tmp_path / "in.wav", tmp_path / "out.flac", enhancers(1.0))
    whole, _ = soundfile.read(tmp_path / "out.flac")
    assert found["clipped_samples"] == np.count_nonzero(np.abs(out) > 1) > 100
    assert np.abs(whole).max() <= 1


def test_compiling_is_in_no_figure(tmp_path):
    """Of a file of one chunk too."""
    soundfile.write(tmp_path / "in.wav", sound(RATE_HZ), RATE_HZ)
    found = convert_file(tmp_path / "in.wav", tmp_path / "out.wav", enhancers(1.0))
    assert 0 < found["real_time_factor"] < 0.5


PROCESS = """
import atexit, gc, sys
sys.path.insert(0, sys.argv[1])
from test_sound_files import convert_file, enhancers

gc.disable()  # as a command does
atexit.register(gc.freeze)
opened = convert_file.__globals__["_opened"]
kept = []

def in_a_cycle(*given):
    kept.append(kept)
    channel = opened(*given)
    kept.append(channel)
    return channel

convert_file.__globals__["_opened"] = in_a_cycle
convert_file(sys.argv[2], sys.argv[3], enhancers(1.0))
del in_a_cycle, kept
"""


def test_a_process_ends_without_a_word_of_resamplers(tmp_path):
    """Whatever still holds what has resampled."""
    soundfile.write(tmp_path / "in.wav", sound(48_000), 48_000)
    files = [str(tmp_path / name) for name in ("in.wav", "out.wav")]
    command = [sys.executable, "-c", PROCESS, str(Path(__file__).parent), *files]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stderr == ""


def test_title_and_artist_stay(tmp_path):
    texts = {"title": "At the sea", "artist": "Nobody"}
    with soundfile.SoundFile(tmp_path / "in.flac", "w", RATE_HZ, 1) as file:
        for name, text in texts.items():
            setattr(file, name, text)
        file.write(sound(RATE_HZ))
    for name in ("out.flac", "out.wav", "out.ogg"):
        convert_file(tmp_path / "in.flac", tmp_path / name, enhancers(1.0))
        with soundfile.SoundFile(tmp_path / name) as file:
            assert texts.items() <= file.copy_metadata().items(), name


@pytest.fixture
def codes() -> np.ndarray:
    """Two channels."""
    audio = sound(RATE_HZ)
    return np.rint(32767 * np.stack([audio, audio[::-1]], 1)).astype("<i2")


class Output:
    """Standard output that keeps what it gets."""

    def __init__(self):
        self.buffer = io.BytesIO()


def through_pipes(monkeypatch, content: bytes, raw: Raw | None) -> tuple[bytes, dict]:
    out = Output()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        found = convert_file("-", "-", enhancers(1.0), raw=raw)
    return out.buffer.getvalue(), found


def test_raw_samples_in_files_and_pipes(tmp_path, codes, monkeypatch):
    codes.tofile(tmp_path / "in.raw")
    raw = Raw(RATE_HZ, 2)
    found = convert_file(tmp_path / "in.raw", tmp_path / "out.raw", enhancers(1.0), raw=raw)
    out = np.fromfile(tmp_path / "out.raw", "<i2").reshape(-1, 2)
    assert out.shape == codes.shape and found["channels"] == 2 and found["seconds"] == 1.2
    assert np.abs(out.astype(int) - codes)[100:-200].max() <= 2
    content, found = through_pipes(monkeypatch, codes.tobytes() + b"x", raw)
    piped = np.frombuffer(content, "<i2").reshape(-1, 2)
    assert np.abs(piped.astype(int) - out).max() <= 1 and found["png"] is None


def test_a_container_in_a_pipe_comes_out_as_wav(codes, monkeypatch):
    file = io.BytesIO()
    soundfile.write(file, codes, RATE_HZ, format="FLAC")
    content, _ = through_pipes(monkeypatch, file.getvalue(), None)
    out, rate_hz = soundfile.read(io.BytesIO(content), dtype="int16")
    assert content[:4] == b"RIFF" and rate_hz == RATE_HZ
    assert np.abs(out.astype(int) - codes)[100:-200].max() <= 2


@pytest.mark.parametrize(
    ("content", "raw", "said"),
    [
        (b"", Raw(RATE_HZ), "standard input holds no samples"),
        (b"RIFF" + bytes(400), Raw(RATE_HZ), "holds an audio file .WAV."),
        (bytes(400), None, "cannot be read as sound"),
        (bytes(400), Raw(500), "500 Hz; allowed: 1000 and more"),
    ],
)
def test_pipes_that_are_refused(monkeypatch, content, raw, said):
    with pytest.raises(BadInput, match=said):
        through_pipes(monkeypatch, content, raw)


def test_raw_files_that_are_refused(tmp_path, codes):
    codes.tofile(tmp_path / "in.raw")
    with pytest.raises(BadInput, match="in.raw: raw samples have no header; needed: --rate"):
        convert_file(tmp_path / "in.raw", tmp_path / "out.wav", enhancers(1.0))
    soundfile.write(tmp_path / "in.wav", codes, RATE_HZ)
    with pytest.raises(BadInput, match="in.wav: --rate and --channels are of raw samples"):
        convert_file(tmp_path / "in.wav", tmp_path / "out.wav", enhancers(1.0), raw=Raw(RATE_HZ))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.raw", "in.wav"]
