"""Picovoice's benchmark: its count, its figure, and that a killed one goes on."""

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aqtaudio.data.wake_word_stream import RATE_HZ, Part, plan
from aqtaudio.detection.detector import DetectorSettings
from aqtaudio.errors import BadInput
from aqtaudio.frontends.spectral import Mfcc
from aqtaudio.tasks.keywords.picovoice import Protocol, counts, figures
from aqtaudio.tasks.setup import Setup

pytestmark = pytest.mark.optimized(False)

FRONTEND = Mfcc(sample_rate_hz=RATE_HZ, window_ms=40.0, hop_ms=20.0, coefficients=10)
SETUP = Setup(FRONTEND, 500, block_frames=1)
CLASSES = ("box", "unknown", "silence")
HOP = FRONTEND.hop_samples


class Levels:
    """A stream that takes what does not swing around zero for "box"."""

    block_ms = SETUP.block_ms

    def push(self, samples: np.ndarray) -> np.ndarray:
        count = (len(samples) - FRONTEND.window_samples + HOP) // HOP
        blocks = samples[: count * HOP].reshape(count, HOP).astype(np.float64)
        share = np.abs(blocks.mean(axis=1)) / (1 + np.sqrt(np.square(blocks).mean(axis=1)))
        return np.stack([12 * share - 6, np.zeros(count), np.zeros(count)], axis=1)


class Opener:
    """Opens streams, so many times."""

    def __init__(self, times: int = 99):
        self.left, self.opened = times, 0

    @contextlib.contextmanager
    def __call__(self):
        if not self.left:
            raise KeyboardInterrupt
        self.left, self.opened = self.left - 1, self.opened + 1
        yield Levels()


def write_folders(base: Path) -> Path:
    """Six words that are a constant, two of them hidden in hiss; speech and noise that are hiss."""
    rng = np.random.default_rng(0)

    def write(path: str, samples: np.ndarray) -> None:
        (base / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(base / path, np.clip(samples, -1, 1), RATE_HZ, subtype="PCM_16")

    for number in range(6):
        hiss = 0.1 * rng.standard_normal(8000)
        write(f"words/box/{number}.flac", 0.5 + 0.1 * hiss if number < 4 else hiss)
    for number in range(3):
        write(f"speech/1/2/1-2-{number}.flac", 0.1 * rng.standard_normal(16000))
    lines = "".join(f"1-2-{number} WORDS\n" for number in range(3))
    (base / "speech/1/2/1-2.trans.txt").write_text(lines)
    write("noise/X/ch01.wav", 0.1 * rng.standard_normal(5 * RATE_HZ))
    return base


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return write_folders(tmp_path_factory.mktemp("protocol"))


def protocol(base: Path, folder: Path, opens: Opener, piece_s: float = 7.0) -> Protocol:
    planned = plan("box", base / "words/box", base / "speech", base / "noise", 40 / 3600, 778)
    at = DetectorSettings(smoothing_ms=60)
    return Protocol(opens, SETUP, CLASSES, "box", planned, folder, at, piece_s)


def test_it_finds_what_is_there(base, tmp_path):
    told: list[str] = []
    found = protocol(base, tmp_path, Opener()).result(told.append)
    assert found["events"] == 6 and found["at"]["misses"] == 2
    assert found["miss_rate"] == pytest.approx(1 / 3)
    assert found["at"]["false_alarms"] == 0
    low, high = found["at"]["false_alarms_per_hour_interval"]
    assert low == 0 and high > 100  # 40 s say little
    json.dumps(found, allow_nan=False)


def test_a_killed_one_goes_on(base, tmp_path):
    opens = Opener(3)
    with pytest.raises(KeyboardInterrupt):
        protocol(base, tmp_path / "killed", opens).result(print)
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "killed").glob("*.npy")}
    assert len(kept) == 3
    rest, undisturbed = Opener(), Opener()
    found = protocol(base, tmp_path / "killed", rest).result(print)
    assert found == protocol(base, tmp_path / "other", undisturbed).result(print)
    assert rest.opened == undisturbed.opened - 3 > 0
    assert all(file.stat().st_mtime_ns == when for file, when in kept.items())


def test_pieces_are_one_stream(base, tmp_path):
    scores = []
    for piece_s in (3.0, 1000.0):
        one = protocol(base, tmp_path / str(piece_s), Opener(), piece_s)
        one.result(print)
        scores.append(np.concatenate(list(one._scores())))
    np.testing.assert_array_equal(*scores)


def test_counts():
    words = [Part(None, 51200, 16000, True), Part(None, 102400, 16000, True)]
    first, last = 51200, 51200 + 16000 + 8000
    assert counts(np.asarray([first, first + 5000, last]), words) == (1, 0)
    assert counts(np.asarray([first - 1, last + 1024]), words) == (0, 2)
    assert counts(np.asarray([102500, first]), words) == (2, 0)
    assert counts(np.zeros(0, np.int64), words) == (0, 0)


def test_the_miss_rate_is_interpolated_at_one_false_alarm_in_ten_hours():
    points = [(0.9, 50, 1), (0.8, 70, 4), (0.7, 69, 3), (0.6, 90, 9), (0.5, 60, 20)]
    found = figures(points, 100, 24.0)  # 2.4 alarms, between 1 and 3
    assert found["miss_rate"] == pytest.approx(0.5 - (0.5 - 0.31) * 1.4 / 2)
    assert found["at"]["threshold"] == 0.9
    assert [point["threshold"] for point in found["curve"]] == [0.9, 0.7, 0.8, 0.6]
    assert figures([(0.5, 40, 2)], 100, 24.0)["miss_rate"] == pytest.approx(0.6)
    assert figures([(0.5, 40, 3)], 100, 24.0)["miss_rate"] is None


def test_another_rate_is_refused(base, tmp_path):
    other = Setup(Mfcc(sample_rate_hz=8000, upper_hz=3500.0, coefficients=10), 500, block_frames=1)
    planned = plan("box", base / "words/box", base / "speech", base / "noise", 40 / 3600, 778)
    with pytest.raises(BadInput, match="hears 8000 Hz"):
        Protocol(Opener(), other, CLASSES, "box", planned, tmp_path, DetectorSettings())


def test_what_the_command_needs(tmp_path, refused):
    assert "--data DIR is needed, or --protocol" in refused("detect", tmp_path)
    words = ("detect", tmp_path, "--protocol", "picovoice", "--keywords", tmp_path)
    assert "needs --background DIR, --noise DIR" in refused(*words)
    more = (*words, "--background", tmp_path, "--noise", tmp_path)
    assert "--hours is 25.0; allowed: over 0, at most 24" in refused(*more, "--hours", 25)
    assert "--seed is -1" in refused(*more, "--seed", -1)


@pytest.mark.slow
def test_the_command_on_a_committed_run(base, tmp_path, answer, cli):
    run = Path(__file__).parents[3] / "results/wake_words/artifacts/029a96243476"
    shutil.copytree(base / "words/box", tmp_path / "words/Alexa")
    shutil.copytree(run, tmp_path / "run")
    arguments = ("detect", tmp_path / "run", "--protocol", "picovoice", "--hours", 0.005)
    for name in ("speech", "noise"):
        arguments += ("--background" if name == "speech" else "--noise", base / name)
    arguments += ("--keywords", tmp_path / "words")
    status, value = answer(*arguments)
    assert status == 0 and list(value["words"]) == ["alexa"]
    assert value["words"]["alexa"]["events"] == 6
    assert value["miss_rate"] == value["words"]["alexa"]["miss_rate"]
    kept = list((tmp_path / "run/picovoice").glob("alexa-*/*.npy"))
    assert len(kept) == 1
    status, out, _ = cli(*arguments)
    assert status == 0 and "alexa: 6 recordings in 0.0" in out
