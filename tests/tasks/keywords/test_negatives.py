"""Audio without keywords: which recordings, in which halves, and what is counted in it."""

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aqtaudio.commands.keywords import _show
from aqtaudio.data import manifest
from aqtaudio.data.manifest import Recording
from aqtaudio.detection.detector import Detection, DetectorSettings
from aqtaudio.frontends.spectral import Mfcc
from aqtaudio.tasks.keywords import listening
from aqtaudio.tasks.keywords.data import EvaluationItem, KeywordData
from aqtaudio.tasks.keywords.negatives import (
    Heard,
    halves,
    hear,
    kind_of,
    negatives,
    seconds_of,
)
from aqtaudio.tasks.keywords.task import Keywords
from aqtaudio.tasks.setup import Setup

pytestmark = pytest.mark.optimized(False)

RATE_HZ = 8000
WORDS = ("low", "high")


def recording(path: str, label: str, split: str, seconds: float, speaker: str = "-") -> Recording:
    return Recording(path, label, speaker, split, "made", "CC0", seconds, RATE_HZ)


def folder_of(folder: Path, rows: list[Recording], texts: dict[str, str] | None = None) -> Path:
    manifest.write(folder, rows)
    lines = [f"{path}\t{text}\n" for path, text in (texts or {}).items()]
    (folder / manifest.TRANSCRIPTS).write_text("".join(lines))
    return folder


@pytest.fixture
def folder(tmp_path):
    rows = [
        *(recording(f"v{n}", "speech", "val", 360, f"sv{n // 2}") for n in range(4)),
        *(recording(f"t{n}", "speech", "train", 600, f"st{n // 3}") for n in range(12)),
        *(recording(f"n{n}", "noise:rain", "val", 60) for n in range(2)),
        *(recording(f"m{n}", "noise:music", "val", 60) for n in range(2)),
        *(recording(f"w{n}", "other", "val", 1, f"sw{n}") for n in range(5)),
        *(recording(f"x{n}", "other", "train", 1, f"sx{n}") for n in range(5)),
        *(recording(f"k{n}", "low", "val", 1) for n in range(3)),
        recording("silence", "_silence_", "test", 100),
    ]
    return folder_of(tmp_path, rows, {"v0": "The high, high hills", "v1": "highly slow"})


def test_kinds():
    labels = {"speech": "speech", "noise:music": "music", "noise:x": "noise",
              "silence": "noise", "_silence_": "noise", "_unknown_": "words", "other": "words",
              "low": None}  # fmt: skip
    assert {label: kind_of(label, WORDS) for label in labels} == labels


def test_hours_come_from_other_splits_where_the_split_is_short(folder):
    paths = {
        hours: {one.recording.path for one in negatives([folder], [], WORDS, "val", hours)}
        for hours in (0, 0.49, 1.5, 9)
    }
    own = {f"{kind}{n}" for kind, count in (("v", 4), ("n", 2), ("m", 2)) for n in range(count)}
    own |= {f"w{n}" for n in range(5)}
    assert paths[0] == own
    assert paths[0.49] == own | {"silence"}
    assert own < paths[1.5] < paths[9] == own | {"silence"} | {f"t{n}" for n in range(12)}
    found = negatives([folder], [], WORDS, "val", 1.5)
    running = [one for one in found if one.kind != "words"]
    assert 1.5 * 3600 <= seconds_of(running) < 1.5 * 3600 + 600
    assert {one.recording.path[0] for one in found if one.trained} == {"t"}


def test_folders_of_negatives_come_before_training(folder, tmp_path):
    more = folder_of(tmp_path / "more", [recording("a", "speech", "train", 7200, "a")])
    found = negatives([folder], [more, folder], WORDS, "val", 2)
    assert not any(one.trained for one in found)
    assert [one.recording.path for one in found].count("a") == 1


def test_halves_are_even_and_share_no_speaker(folder):
    found = negatives([folder], [], WORDS, "val", 9)
    first, second = halves(found)
    assert len(first) + len(second) == len(found)
    speakers = [{one.recording.speaker for one in part} - {"-"} for part in (first, second)]
    assert not speakers[0] & speakers[1]
    for kind, trained in (("speech", False), ("speech", True), ("noise", False), ("music", False)):
        seconds = [
            seconds_of(one for one in part if (one.kind, one.trained) == (kind, trained))
            for part in (first, second)
        ]
        assert min(seconds) > 0 and max(seconds) <= 2 * min(seconds), kind
    assert not any(one.kind == "words" for one in first)
    again = halves(found[::-1])
    paths = [{one.recording.path for one in part} for part in (first, second, *again)]
    assert paths[:2] == paths[2:]


def test_a_word_that_is_said_is_no_false_alarm(folder):
    said = {one.recording.path: one.said for one in negatives([folder], [], WORDS, "val", 0)}
    assert said["v0"] == {"high"} and not said["v1"] and not said["n0"]
    heard = Heard(
        "speech", False, np.zeros((0, 4)), np.asarray([360.0, 720.0]), (said["v0"], said["v1"])
    )
    assert heard.hours == pytest.approx(0.2)
    assert heard.hours_without("high") == pytest.approx(0.1)
    alarms = [Detection("high", 10, 0.9), Detection("low", 10, 0.9), Detection("high", 400, 0.9)]
    assert heard.alarms(alarms) == alarms[1:]


# A network that hears levels: louder samples are surer to be "low".
SETUP = Setup(Mfcc(sample_rate_hz=RATE_HZ, upper_hz=3500.0, coefficients=10), 500, block_frames=2)
BLOCK = SETUP.block_frames * SETUP.frontend.hop_samples


class Loudness:
    """A stream whose log odds of "low" are the level of a block over 1000."""

    block_ms, delay_ms = SETUP.block_ms, 0.0

    def __init__(self):
        self._kept = np.zeros(0, np.int16)

    def push(self, samples: np.ndarray) -> np.ndarray:
        audio = np.concatenate([self._kept, samples])
        count = len(audio) // BLOCK
        self._kept = audio[count * BLOCK :]
        peaks = np.abs(audio[: count * BLOCK].reshape(count, BLOCK).astype(float)).max(axis=1)
        logits = np.full((count, 4), -20.0)
        logits[:, 0], logits[:, 3] = peaks / 1000 - 4, 0.0
        return logits


@contextlib.contextmanager
def loudness():
    yield Loudness()


def burst(level: int, seconds: float = 0.3) -> np.ndarray:
    return np.full(int(seconds * RATE_HZ), level, np.int16)


@pytest.fixture
def spoken(tmp_path):
    """Twenty minutes of two speakers with a burst every ten seconds, and words that are louder."""
    rng, rows = np.random.default_rng(0), []
    for number in range(4):
        audio = np.zeros(300 * RATE_HZ, np.int16)
        for second in range(5, 295, 10):
            level = int(1000 * (1 + rng.exponential(1.0)))
            audio[second * RATE_HZ :][: len(burst(1))] = burst(min(level, 30000))
        rows.append(recording(f"s{number}.wav", "speech", "val", 300, f"s{number // 2}"))
        soundfile.write(tmp_path / rows[-1].path, audio, RATE_HZ, "PCM_16")
    soundfile.write(tmp_path / "n.wav", np.zeros(30 * RATE_HZ, np.int16), RATE_HZ, "PCM_16")
    rows.append(recording("n.wav", "noise:none", "val", 30))
    for number in range(6):
        clip = np.concatenate([burst(0, 0.1), burst(14000), burst(0, 0.1)])
        rows.append(recording(f"low/{number}.wav", "low", "val", 0.5))
        rows.append(recording(f"high/{number}.wav", "high", "val", 0.5))
        for path in (rows[-1].path, rows[-2].path):
            (tmp_path / path).parent.mkdir(exist_ok=True)
            soundfile.write(tmp_path / path, clip, RATE_HZ, "PCM_16")
    return folder_of(tmp_path, rows)


def test_a_threshold_is_found_on_one_half_and_measured_on_the_other(spoken, capsys):
    task = Keywords(WORDS, clip_ms=500)
    sharp = DetectorSettings(smoothing_ms=0, refractory_ms=100)
    trial = listening.Trial(loudness, task, SETUP, sharp)
    data = KeywordData.load([spoken], WORDS, RATE_HZ, SETUP.clip_samples, ("val",))
    items = [EvaluationItem(f"{w}/{n}.wav", w, 0) for w in WORDS for n in range(6)]
    found = negatives([spoken], [], WORDS, "val", 0)
    value = listening.detect(trial, data, items, found, "val", 60.0)
    low, high = (value["words"][word] for word in WORDS)
    # 60 an hour are 10 of 58 bursts in a half: those above exp(-level) = 10/58.
    odds = np.log(low["threshold"] / (1 - low["threshold"]))
    assert odds == pytest.approx(1 + np.log(58 / 10) - 4, abs=0.6)
    assert low["found"]["hours"] * 3600 == pytest.approx(600, rel=0.06)
    assert 3 <= low["measured"]["false_alarms"] <= 20
    assert low["measured"]["speech"]["hours"] * 3600 == pytest.approx(600)
    assert low["scene"]["misses"] == 0 and low["scene"]["events"] == 6
    # "high" is never heard: there is no alarm at the lowest threshold either.
    assert high["scene"]["misses"] == 6 and high["measured"]["false_alarms"] == 0
    assert high["found"]["by"] == "count" and high["threshold"] < 0.06
    speech = next(line for line in value["negatives"] if line["kind"] == "speech")
    rate, (few, many) = (speech[f"false_alarms_per_hour{end}"] for end in ("", "_interval"))
    assert few < rate < many and rate == pytest.approx(6 * speech["false_alarms"], rel=0.01)
    assert value["background"]["false_alarms"] == speech["false_alarms"]
    value |= {"runtime": "integer", "split": "val"}
    _show(value)
    out = capsys.readouterr().out
    count = low["measured"]["false_alarms"]
    assert f"measured: {count} false alarms in 0.1" in out and " h are few" in out
    for line in out.splitlines():  # no rate without its interval
        assert ("per hour (" in line) == ("per hour" in line) or "asked" in line or "few" in line


def test_what_is_heard_is_one_stream_per_kind(spoken):
    found = negatives([spoken], [], WORDS, "val", 0)
    told: list[str] = []
    heard = hear(loudness, found, RATE_HZ, told.append)
    assert [one.kind for one in heard] == ["speech", "noise"]
    assert heard[0].hours * 3600 == 1200 and heard[0].ends_s.tolist() == [300, 600, 900, 1200]
    assert len(heard[0].logits) == 1200 * RATE_HZ // BLOCK
    assert dataclasses.asdict(heard[1])["said"] == (frozenset(),)
