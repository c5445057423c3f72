"""Runs over continuous audio: what was trained is what listens."""

import dataclasses
import io
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from corpus import RATE_HZ, STREAM
from hypothesis import given, settings
from hypothesis import strategies as st

from aqtaudio.data import manifest
from aqtaudio.detection import stored
from aqtaudio.errors import BadInput
from aqtaudio.frontends.micro import MicroFrontend
from aqtaudio.program.child import MicroError
from aqtaudio.program.execute import CHUNK_BLOCKS
from aqtaudio.program.micro import Interpreter
from aqtaudio.runs.evaluate import evaluate
from aqtaudio.runs.export import export
from aqtaudio.runs.network import RUNTIMES, listening
from aqtaudio.runs.run import FILES, Run
from aqtaudio.tasks.keywords.task import Keywords
from aqtaudio.tasks.stream import Framer

pytestmark = pytest.mark.optimized(False)

SECONDS = 12


def hiss(seconds: float = SECONDS) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.normal(0, 2000, int(seconds * RATE_HZ)).astype(np.int16)


@pytest.fixture(scope="session")
def speech(tone_corpus) -> np.ndarray:
    """Clips one after the other."""
    rows = [row for row in manifest.read(tone_corpus) if row.split == "val"]
    clips = [soundfile.read(tone_corpus / row.path, dtype="int16")[0] for row in rows[::2]]
    return np.concatenate([part for clip in clips for part in (clip, hiss(1))])


@pytest.fixture(scope="session")
def wav(tmp_path_factory, speech):
    path = tmp_path_factory.mktemp("audio") / "speech.wav"
    soundfile.write(path, speech, RATE_HZ, "PCM_16")
    return path


def logits(run: Run, runtime: str, samples: np.ndarray, pieces: int = 1) -> np.ndarray:
    with listening(run, runtime) as stream:
        return np.concatenate([stream.push(part) for part in np.array_split(samples, pieces)])


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 4000), max_size=8))
def test_blocks_are_the_same_however_audio_arrives(lengths):
    samples = hiss()
    whole, pieces = Framer(STREAM.setup), Framer(STREAM.setup)
    expected = whole.push(samples)
    assert len(expected) == whole.blocks_in(len(samples)) > CHUNK_BLOCKS
    parts = np.split(samples, np.cumsum(lengths))
    found = np.concatenate([pieces.push(part) for part in parts])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_blocks_are_the_front_ends_frames():
    samples = hiss(2)
    expected = np.asarray(STREAM.frontend(samples[None].astype(np.float32) / 32768))[0]
    found = Framer(STREAM.setup).push(samples)
    np.testing.assert_allclose(np.concatenate(found), expected[: 2 * len(found)], atol=1e-4)


def test_blocks_of_a_device_are_exact_however_audio_arrives():
    """A micro front end remembers its noise estimate between blocks."""
    frontend = MicroFrontend(sample_rate_hz=RATE_HZ, channels=10, upper_hz=3500.0)
    experiment = dataclasses.replace(STREAM, frontend=frontend)
    samples = hiss(4)
    expected = np.asarray(frontend(samples[None].astype(np.float32) / 32768))[0]
    whole, pieces = Framer(experiment.setup), Framer(experiment.setup)
    found = np.concatenate([pieces.push(part) for part in np.array_split(samples, 23)])
    np.testing.assert_array_equal(found, whole.push(samples))
    np.testing.assert_array_equal(np.concatenate(found), expected[: 2 * len(found)])
    assert len(found) > CHUNK_BLOCKS and len(np.unique(found)) > 50


def test_audio_may_come_in_pieces(tiny_stream, speech):
    """Features of a chunk may differ from those of single blocks by an ulp, so rarely by a code."""
    run = Run(tiny_stream)
    found, expected = (logits(run, "integer", speech, pieces) for pieces in (7, 1))
    assert np.mean(found == expected) > 0.99


def test_what_was_trained_is_what_listens(tiny_stream, speech):
    """The reading that was trained, the program and TFLite Micro: the same logits, to the bit."""
    run = Run(tiny_stream)
    expected = logits(run, "integer", speech)
    assert len(np.unique(expected)) > 20
    for runtime in ("quantized", "micro"):
        np.testing.assert_array_equal(logits(run, runtime, speech), expected)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_stream_is_asked_at_the_end_of_every_clip(tiny_stream, tone_corpus, answer, runtime):
    status, value = answer("evaluate", tiny_stream, "--data", tone_corpus, "--runtime", runtime)
    assert status == 0 and value["n"] == 42
    assert value["metrics"]["accuracy"] > 0.8


def test_a_stream_behind_another_front_end(tiny_stream, tone_corpus):
    """Its features are the other front end's: where that is its own, nothing changes."""
    run = Run(tiny_stream)
    own = evaluate(run, [tone_corpus], "val", "integer", 12)
    assert evaluate(run.hearing(STREAM.frontend), [tone_corpus], "val", "integer", 12) == own
    other = run.hearing(dataclasses.replace(STREAM.frontend, mean=(14.0, 8.0)))
    assert other.experiment.setup.streams
    assert evaluate(other, [tone_corpus], "val", "integer", 12)["metrics"] != own["metrics"]
    with pytest.raises(BadInput, match="24 frames of 10 features"):
        run.hearing(dataclasses.replace(STREAM.frontend, coefficients=12))


def test_row_of_a_stream(tiny_stream):
    row = json.loads((tiny_stream / "row.json").read_text())
    assert row["parity"]["mismatches"] == 0
    assert row["parity"]["n"] == 2 * 1500  # 60 s are 1500 blocks of 40 ms
    assert row["stream"]["block_ms"] == 40
    assert row["stream"]["macs_per_second"] == round(row["costs"]["macs"] / 0.04)
    assert row["stream"]["accuracy_from_silence"] > 0.8
    assert row["costs"]["state_bytes"] == Run(tiny_stream).program.state_bytes > 0


@pytest.mark.parametrize("runtime", ["micro", "litert"])
def test_parity_of_a_stream(tiny_stream, tone_corpus, answer, runtime):
    arguments = ("--data", tone_corpus, "--n", 150, "--runtime", runtime)
    status, value = answer("parity", tiny_stream, *arguments)
    assert status == 0 and value["mismatches"] == 0
    assert value["n"] == 300 and value["outputs"] == 300 * 4


def told(cli, *arguments) -> dict:
    """The last line of JSON, of all; those before are the detections, one each."""
    status, out, err = cli("listen", *arguments, "--json")
    *lines, value = map(json.loads, out.splitlines())
    assert status == 0 and err == "" and lines == value["detections"]
    return value


def test_listen_hears_the_words(tiny_stream, wav, cli):
    arguments = ("listen", tiny_stream, wav, "--smoothing-ms", 120, "--threshold", 0.6)
    value = told(cli, *arguments[1:])
    assert value["runtime"] == "micro"
    assert value["seconds"] == pytest.approx(len(soundfile.read(wav)[0]) / RATE_HZ)
    labels = [detection["label"] for detection in value["detections"]]
    assert set(labels) <= {"low", "high"} and len(labels) >= 6
    status, out, err = cli(*arguments)
    assert status == 0 and err == f"listening to {wav}: words low, high; threshold 0.6\n"
    assert [line.split()[-1] for line in out.splitlines()] == labels


def test_listen_to_a_pipe(tiny_stream, wav, cli, monkeypatch, speech, tmp_path):
    expected = told(cli, tiny_stream, wav)
    pipe = io.BytesIO(speech.astype("<i2").tobytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(pipe))
    value = told(cli, tiny_stream, "-")
    stereo = np.stack([speech, speech], 1).astype("<i2")
    stereo.tofile(tmp_path / "two.raw")
    how = ("--channels", 2, "--rate", RATE_HZ)
    assert told(cli, tiny_stream, tmp_path / "two.raw", *how) == value
    assert value["seconds"] == expected["seconds"]
    heard = [[(d["label"], d["time_s"]) for d in v["detections"]] for v in (value, expected)]
    assert heard[0] == heard[1]


def test_listen_to_what_cannot_be_heard(tiny_run, tiny_stream, tmp_path, wav, refused):
    assert "takes whole clips" in refused("listen", tiny_run, wav)
    assert "no audio file" in refused("listen", tiny_stream, tmp_path / "none.wav")
    (tmp_path / "text.wav").write_text("not audio")
    assert "not audio" in refused("listen", tiny_stream, tmp_path / "text.wav")
    assert "threshold" in refused("listen", tiny_stream, wav, "--threshold", 2)
    assert "of raw samples" in refused("listen", tiny_stream, wav, "--rate", 16000)


@pytest.fixture
def own_stream(tiny_stream, tmp_path):
    """A copy of the run, to be written to."""
    return shutil.copytree(tiny_stream, tmp_path / "run")


def test_detect(own_stream, tone_corpus, answer, cli, wav):
    """Thresholds for a rate, stored in the run; from there they are what listens and ships."""
    assert "0.5 is a guess" in cli("listen", own_stream, wav)[2]
    # 2000 per hour are 2.2 in 4 s of hiss, one of the two recordings.
    arguments = ("detect", own_stream, "--data", tone_corpus, "--smoothing-ms", 120)
    status, value = answer(*arguments, "--rate", 2000)
    scene, low_high = value["scene"], value["scene"]["miss_rate_interval"]
    assert status == 0 and scene["events"] == 24 == scene["hits"] + scene["misses"]
    assert low_high[0] <= scene["miss_rate"] <= low_high[1]
    assert scene["miss_rate"] <= 0.5 and 0 <= scene["latency_median_s"] + 0.5 < 1
    assert value["background"]["hours"] * 3600 == pytest.approx(4)
    assert [line["kind"] for line in value["negatives"]] == ["noise", "words"]
    rates = [point["miss_rate"] for point in value["curve"]]
    assert rates and rates == sorted(set(rates), reverse=True)
    for point in value["curve"]:
        low, high = point["false_alarms_per_hour_interval"]
        assert low <= point["false_alarms_per_hour"] <= high
    kept = stored.read(own_stream)
    assert kept is not None and set(kept) == {"low", "high"} and stored.NAME in FILES
    for word, at in kept.items():
        assert at.smoothing_ms == 120 and at.threshold == value["words"][word]["threshold"]
    heard = told(cli, own_stream, wav)
    assert heard["thresholds_are"] == "stored"
    assert heard["thresholds"] == {word: at.threshold for word, at in kept.items()}
    header = Keywords(("low", "high")).stored_files(own_stream)["firmware/model_labels.h"]
    numbers = header.partition("kModelThresholds[4] = {")[2].partition("}")[0]
    found = [float(number.rstrip("f")) for number in numbers.split(", ")]
    assert found == pytest.approx([kept["low"].threshold, kept["high"].threshold, 2, 2])


@pytest.mark.slow
def test_detect_for_people(own_stream, tone_corpus, cli, wav):
    arguments = ("detect", own_stream, "--data", tone_corpus, "--dry-run")
    status, out, _ = cli(*arguments)
    assert status == 0 and " of 24 words" in out and "low: threshold" in out
    assert not (own_stream / stored.NAME).exists()


def test_firmware_without_thresholds_says_that_half_is_a_guess(own_stream):
    task = Keywords(("low", "high"))
    assert not task.stored_files(own_stream)
    assert "a guess" in task._labels()


def test_an_interpreter_that_dies_is_one_line(tiny_stream, wav, cli, monkeypatch):
    def dies(*_):
        raise MicroError("the interpreter crashed (SIGKILL)")

    monkeypatch.setattr(Interpreter, "invoke", dies)
    status, out, err = cli("listen", tiny_stream, wav, "--runtime", "micro")
    assert (status, out) == (2, "") and err.startswith("listening to ") and err.count("\n") == 2
    assert "does not run in micro: the interpreter crashed" in err


def test_listen_to_pipes_that_hold_no_samples(tiny_stream, monkeypatch, refused, wav):
    for content, message in ((b"", "no samples"), (wav.read_bytes(), "name the file")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert message in refused("listen", tiny_stream, "-")
    monkeypatch.setattr(sys, "stdin", None)
    assert "no pipe" in refused("listen", tiny_stream, "-")


def test_golden_vectors_of_a_stream_fill_its_states(tiny_stream, tone_corpus, tmp_path):
    folder = export(Run(tiny_stream), tmp_path / "art", [tone_corpus])
    text = (folder / "firmware/model_golden.h").read_text()
    assert "kGoldenCalls = 24" in text  # two clips of 24 frames


def test_detect_refuses(tiny_stream, tiny_run, tone_corpus, refused):
    data = ("--data", tone_corpus)
    assert "takes whole clips" in refused("detect", tiny_run, *data)
    assert "allowed: 0 and more" in refused(
        "detect", tiny_stream, *data, "--false-alarms-per-hour", -1
    )
    assert "--hours" in refused("detect", tiny_stream, *data, "--hours", "nan")
    few = ("--hours", 0)
    assert "1 recordings of speech, noise" in refused("detect", tiny_stream, *data, *few)


# Not getrusage's figure: that one begins with the process that this one was forked from.
PEAK = """
import re, sys
from aqtaudio.commands.command_line import main
main(["listen", *sys.argv[1:]])
print(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])
"""


@pytest.mark.slow
def test_an_hour_takes_the_memory_of_a_minute(tiny_stream, tmp_path):
    peaks = []
    for minutes in (1, 60):
        path = tmp_path / f"{minutes}.wav"
        soundfile.write(path, np.tile(hiss(60), minutes), RATE_HZ, "PCM_16")
        done = subprocess.run(
            [sys.executable, "-c", PEAK, tiny_stream, path, "--threshold", "0.999"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        peaks.append(int(done.stdout.splitlines()[-1]))
    assert peaks[1] - peaks[0] < 20_000  # kB; 59 minutes more are 56,640 kB of samples
