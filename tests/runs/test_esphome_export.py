"""A run's wake words for ESPHome: pairs of file and manifest, and who can have them."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from corpus import STREAM, write_corpus
from esphome_run import EXPERIMENT, write_run

from aqtaudio.commands.command_line import main
from aqtaudio.detection import stored
from aqtaudio.detection.detector import Detector, DetectorSettings
from aqtaudio.errors import BadInput
from aqtaudio.experiment import save_json
from aqtaudio.firmware.esp_arena import scratch_bytes
from aqtaudio.program.execute import Executor
from aqtaudio.program.litert import LiteRT
from aqtaudio.runs.esphome import Cutoff, Maker, cutoff, manifest, require_servable, word_programs
from aqtaudio.runs.run import Run
from aqtaudio.runs.train import train
from aqtaudio.settings import overlay
from aqtaudio.tasks.keywords.spotting import Spotting
from aqtaudio.tasks.keywords.task import Keywords
from aqtaudio.tasks.keywords.word_threshold import WordNetwork
from aqtaudio.tasks.stream import Framer, Stream

pytestmark = pytest.mark.optimized(False)

RATE_HZ = 16_000


def test_words_and_their_places(esphome_run):
    assert require_servable(Run(esphome_run)) == {"hey low": 0, "high": 1}


REFUSED = {
    "another front end": ({"frontend.hop_ms": 20.0}, "hop_ms is 10.0 in ESPHome, 20.0 in the run"),
    "another kind": ({"frontend": STREAM.frontend}, "MicroFrontend in ESPHome, Mfcc in the run"),
    "features": ({"frontend.codes": "calibrated"}, "codes is 'esphome' in ESPHome, 'calibrated'"),
    "clips": ({"stream_block_frames": 0}, "takes whole clips; a run with stream_block_frames"),
    "name": ({"task": Keywords(("vad",), clip_ms=500)}, "ESPHome takes a model called 'vad'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_who_is_refused_is_told_why(esphome_run, tmp_path, name: str):
    changes, message = REFUSED[name]
    for file in ("program.npz", "model.tflite"):
        (tmp_path / file).write_bytes((esphome_run / file).read_bytes())
    save_json(overlay(EXPERIMENT, changes), tmp_path / "config.json")
    with pytest.raises(BadInput, match=message):
        require_servable(Run(tmp_path))


def test_the_manifest_is_of_version_2():
    maker = Maker("A. Body", "https://example.org", ("en", "de"))
    value = manifest("hey_low", "hey_low.tflite", Cutoff(200, 10), 30_016, maker)
    assert value == {
        "type": "micro",
        "wake_word": "hey low",
        "author": "A. Body",
        "website": "https://example.org",
        "model": "hey_low.tflite",
        "trained_languages": ["en", "de"],
        "version": 2,
        "micro": {
            "probability_cutoff": 0.7863,
            "feature_step_size": 10,
            "sliding_window_size": 10,
            "tensor_arena_size": 30_016,
            "minimum_esphome_version": "2024.7.0",
        },
    }
    assert "website" not in manifest("a", "a.tflite", Cutoff(1, 1), 16, Maker())
    with pytest.raises(BadInput, match="website 'example.org'; allowed: an http or https address"):
        Maker(website="example.org")


@pytest.mark.parametrize("share", [0.003, 0.5, 0.7311, 0.9, 0.9961, 0.9999])
def test_what_the_device_makes_of_a_cutoff_is_the_threshold(share: float):
    """It rings where the bytes' mean is above int(255 * cutoff): where p reaches the threshold."""
    level = int(255 * cutoff(share, 10).share)
    for byte in range(256):
        assert (byte > level) == (byte / 256 >= share) or share > 255 / 256


@pytest.mark.parametrize(
    ("kind", "source", "target", "taps", "least"),
    [
        # esp_nn 1.2: 1x1, 48 to 64 channels; its filter, 8 columns of 16 bits, alignment.
        ("conv2d", (1, 1, 48), (1, 1, 64), (1, 1), 48 * 64 + 32),
        # A published first layer: two filters of rows padded to 48 channels, sums, alignment.
        ("conv2d", (7, 1, 40), (1, 1, 32), (5, 1), 2 * 5 * 48 * 32 + 4 * 32 + 32),
        ("depthwise_conv2d", (21, 1, 64), (1, 1, 64), (21, 1), 2 * (21 * 64 + 21 * 64) + 16),
    ],
)
def test_scratch_covers_what_releases_of_esp_nn_ask_for(kind, source, target, taps, least):
    assert scratch_bytes(kind, source, target, taps) >= least


# A spotting run: what comes out of the file is what `detect` found its thresholds on.

SPOTTING = dataclasses.replace(
    EXPERIMENT, task=Spotting(("hey low", "high"), clip_ms=510), stream_context_clips=0
)


@pytest.fixture(scope="module")
def spotting_run(once) -> Path:
    return once("esphome_spotting", lambda folder: write_run(folder, SPOTTING))


@pytest.fixture
def cutoffs(monkeypatch) -> list[dict[str, Cutoff]]:
    """Those of every export; no files are written."""
    found: list[dict[str, Cutoff]] = []
    name = "aqtaudio.runs.esphome.export_esphome"
    monkeypatch.setattr(name, lambda run, out, cutoffs, maker: found.append(cutoffs))
    return found


def test_cutoffs_of_a_spotting_run_are_its_own(spotting_run, tmp_path, cutoffs, capsys):
    run = shutil.copytree(spotting_run, tmp_path / "run")
    export = ["export", str(run), "--to", "esphome", "--out", str(tmp_path / "pairs")]
    assert main(export) == 0
    assert "0.5 is a guess" in capsys.readouterr().err
    settings = {
        "hey low": DetectorSettings(smoothing_ms=80.0, threshold=0.75),
        "high": DetectorSettings(smoothing_ms=150.0, threshold=0.9),
    }
    words = {word: dataclasses.asdict(each) for word, each in settings.items()}
    stored.write(run, {"words": words})
    assert main(export) == 0
    assert str(run / stored.NAME) in capsys.readouterr().err
    assert main([*export, "--cutoff", "0.6"]) == 0
    assert main([*export, "--smoothing-ms", "150"]) == 0
    assert "0.5 is a guess" in capsys.readouterr().err
    # 80 ms are three calls of 30 ms; 0.75 is byte 192, which has to be above the level.
    assert cutoffs == [
        {"hey low": Cutoff(127, 3), "high": Cutoff(127, 3)},
        {"hey low": Cutoff(191, 3), "high": Cutoff(230, 5)},
        {"hey low": Cutoff(153, 3), "high": Cutoff(153, 3)},
        {"hey low": Cutoff(127, 5), "high": Cutoff(127, 5)},
    ]
    assert main([*export, "--negatives", str(tmp_path)]) == 2
    assert "--negatives DIR are heard beside --data DIR" in capsys.readouterr().err


@pytest.mark.slow
def test_cutoffs_of_a_spotting_run_are_found(once, corpus, tmp_path, cutoffs, capsys):
    """On clips, as `detect` does, though the run's own list is of scenes."""
    experiment = overlay(SPOTTING, {"task.keywords": "low,high"})
    run = write_run(tmp_path / "run", experiment)
    export = ["export", str(run), "--to", "esphome", "--out", str(tmp_path / "pairs")]
    assert main([*export, "--data", str(corpus), "--negatives", str(corpus)]) == 0
    told = capsys.readouterr().err
    assert len(cutoffs) == 1 and set(cutoffs[0]) == {"low", "high"}
    assert all(each.window_blocks == 3 for each in cutoffs[0].values())
    assert re.search(r"high: threshold \S+; missed \d+ of 12, \d+ false alarms in ", told)


# One word of tones at 16 kHz, from the training to the device's runtime.


@pytest.fixture(scope="module")
def corpus(once) -> Path:
    return once("tones_16", lambda folder: write_corpus(folder, rate_hz=RATE_HZ))


@pytest.fixture(scope="module")
def trained(once, corpus) -> Path:
    experiment = dataclasses.replace(EXPERIMENT, task=Keywords(("low", "high"), clip_ms=500))
    quiet = lambda text: None  # noqa: E731
    return once("esphome_trained", lambda out: train(experiment, [corpus], out, say=quiet))


@pytest.fixture(scope="module")
def pairs(once, trained) -> Path:
    """At a cutoff that tells the tones apart: few minutes of negatives do not find one."""

    def write(out: Path) -> None:
        arguments = ["export", trained, "--to", "esphome", "--out", out, "--cutoff", 0.85]
        assert main([*map(str, arguments), "--smoothing-ms", "150"]) == 0

    return once("esphome_pairs", write)


def scene() -> np.ndarray:
    """Tones in hiss, int16: low, high, other, each twice."""
    rng, seconds = np.random.default_rng(3), np.arange(RATE_HZ // 2) / RATE_HZ
    hiss = lambda: 0.02 * rng.standard_normal(RATE_HZ // 2)  # noqa: E731
    parts = [hiss() for _ in range(4)]
    for tone_hz in (300, 1500, 700, 1500, 300, 700):
        parts += [0.3 * np.sin(2 * np.pi * tone_hz * seconds) + hiss(), hiss(), hiss(), hiss()]
    return np.rint(32768 * np.clip(np.concatenate(parts), -0.9, 0.9)).astype(np.int16)


@pytest.mark.slow
def test_every_word_has_a_pair_that_passes(pairs):
    assert sorted(path.name for path in pairs.iterdir()) == [
        *("high.json", "high.tflite", "low.json", "low.tflite")
    ]
    for word in ("low", "high"):
        assert main(["check", str(pairs / f"{word}.tflite"), "--target", "esphome"]) == 0
        value = json.loads((pairs / f"{word}.json").read_text())
        assert value["model"] == f"{word}.tflite" and value["micro"]["sliding_window_size"] == 5


@pytest.mark.slow
@pytest.mark.parametrize("word", ["low", "high"])
def test_the_runtime_for_computers_hears_what_we_hear(trained, pairs, word: str):
    """Its kernels are LiteRT's without XNNPACK, whose rounding is not TFLite Micro's: bytes are
    those of that runtime to the last one, and near to the device's; detections are the same.

    A table of its front end is rounded otherwise, too: one feature in ten thousand is another.
    """
    package = pytest.importorskip("pymicro_wakeword")
    run, samples = Run(trained), scene()
    setup, program = run.experiment.setup, word_programs(run)[word]
    settings = json.loads((pairs / f"{word}.json").read_text())["micro"]
    mean_of, share = settings["sliding_window_size"], settings["probability_cutoff"]
    heard = package.MicroWakeWord.from_config(pairs / f"{word}.json")
    # Features, in the device's codes.
    listener, theirs = package.MicroWakeWordFeatures(), []
    for first in range(0, len(samples), 160):
        theirs += list(listener.process_streaming(samples[first : first + 160].tobytes()))
    blocks = Framer(setup).push(samples)
    scale, zero_point = heard.input_scale, heard.input_zero_point
    codes = np.rint(np.concatenate(theirs, 1)[0] / scale + zero_point).astype(np.int8)
    codes = codes[: len(codes) // 3 * 3].reshape(-1, 3, 40)
    ours = Executor(program).quantize(blocks).reshape(-1, 3, 40)
    assert len(codes) == len(ours) and np.mean(codes != ours) < 1e-3
    # Bytes.
    single = package.MicroWakeWord.from_config(pairs / f"{word}.json")
    single._probabilities = type(single._probabilities)(maxlen=1)
    single.sliding_window_size = 1
    shares = [single.process_streaming_prob(each) for each in theirs][2::3]
    bytes_there = np.rint(256 * np.array(shares)).astype(int)[: len(codes)]
    with LiteRT((pairs / f"{word}.tflite").read_bytes(), "BUILTIN_WITHOUT_DEFAULT_DELEGATES") as it:
        assert np.array_equal(it.invoke(codes)[0].reshape(-1), bytes_there)
    bytes_here = Executor(program)(codes.reshape(-1, 3, 1, 40)).reshape(-1).astype(int) + 128
    assert np.abs(bytes_here - bytes_there).max() <= 16 and bytes_here.max() > 200
    # Detections.
    rings = [heard.process_streaming(each) for each in theirs][2::3]
    there = np.flatnonzero(np.diff([False, *rings]) & np.array(rings))
    threshold = int(255 * share + 1) / 256
    detector = Detector(
        Keywords((word,)).classes,
        (word,),
        setup.block_ms,
        DetectorSettings(mean_of * setup.block_ms, threshold, 0.0),
    )
    stream = Stream(WordNetwork(Executor(program)), setup)
    here = [round(1000 * x.time_s / 30) - 1 for x in detector.push(stream.push(samples))]
    assert len(here) == len(there) == 2 and np.abs(np.array(here) - there).max() <= 1


@pytest.mark.slow
def test_the_device_hears_what_we_hear(trained, pairs):
    """TFLite Micro, byte for byte, on sound."""
    from aqtaudio.program.micro import Micro

    run = Run(trained)
    for word, program in word_programs(run).items():
        executor = Executor(program)
        codes = executor.quantize(Framer(run.experiment.setup).push(scene()))
        with Micro((pairs / f"{word}.tflite").read_bytes()) as micro:
            bytes_there = micro.invoke(codes.reshape(-1, 3, 40))[0]
        assert np.array_equal(bytes_there, executor(codes).astype(int) + 128)
