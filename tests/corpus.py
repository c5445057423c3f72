"""Tones for words, hiss for silence, a tiny experiment on them, and one finished run to share.

A pytest plugin, named in conftest.py.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aqtaudio.adaptation.recalibrate import TrainingSettings, recalibrate
from aqtaudio.data import manifest
from aqtaudio.data.manifest import Recording
from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.frontends.micro import MicroFrontend
from aqtaudio.frontends.spectral import Mfcc
from aqtaudio.models.ds_cnn import DSCNN
from aqtaudio.models.matchbox_net import MatchboxNet
from aqtaudio.recipe import FLOAT, low_rank
from aqtaudio.runs.export import export
from aqtaudio.runs.run import Run
from aqtaudio.runs.train import train
from aqtaudio.settings import overlay
from aqtaudio.tasks.keywords.task import Keywords

RATE_HZ = 8000
TONES_HZ = {"low": 300, "high": 1500, "other": 700}
CLIPS_PER_WORD = 12
CLIPS = 3 * CLIPS_PER_WORD + 6  # 6: as much hiss as there is, in clips that do not overlap

EXPERIMENT = Experiment(
    model=DSCNN(width=8, blocks=1),
    task=Keywords(("low", "high"), clip_ms=500),
    frontend=Mfcc(sample_rate_hz=RATE_HZ, upper_hz=3500.0, coefficients=10),
    optimizer=Optimizer(steps=60, batch_size=16, learning_rate=2e-2, warmup_steps=5),
    finetune=Optimizer(steps=10, batch_size=16, learning_rate=1e-3, warmup_steps=2),
    calibration_batches=2,
    evaluate_every=40,
    checkpoint_every=40,
)
# Ranks below 4, so that the 8x8 kernel becomes two thin ones.
LOW_RANK = dataclasses.replace(EXPERIMENT, recipe=low_rank("pointwise_1", 0.02, 0.8))
# Blocks of two frames, 40 ms.
STREAM = dataclasses.replace(
    EXPERIMENT,
    model=MatchboxNet(width=8, first_kernel=3, kernels=(5,), last_kernel=3, causal=True),
    optimizer=dataclasses.replace(EXPERIMENT.optimizer, steps=150),
    stream_block_frames=2,
)
# As many frames and features as EXPERIMENT's own front end.
MICRO = MicroFrontend(sample_rate_hz=RATE_HZ, channels=10, upper_hz=3500.0, pcan_offset=40.0)


def write_corpus(
    folder: Path, splits: tuple[str, ...] = ("train", "val"), rate_hz: int = RATE_HZ
) -> Path:
    """Twelve clips of half a second of each word in each split, and four seconds of hiss."""
    rng = np.random.default_rng(0)
    seconds = np.arange(rate_hz // 2) / rate_hz
    recordings = []

    def add(path: str, label: str, split: str, samples: np.ndarray) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / path, samples, rate_hz)
        length_s = len(samples) / rate_hz
        recordings.append(Recording(path, label, "-", split, "made", "CC0", length_s, rate_hz))

    for split in splits:
        for word, tone_hz in TONES_HZ.items():
            for number in range(CLIPS_PER_WORD):
                phase = 2 * np.pi * tone_hz * rng.uniform(0.9, 1.1) * seconds
                hiss = 0.02 * rng.standard_normal(len(seconds))
                add(f"words/{split}/{word}/{number}.flac", word, split, 0.3 * np.sin(phase) + hiss)
        hiss = np.clip(0.1 * rng.standard_normal(4 * rate_hz), -0.5, 0.5)
        add(f"noise/{split}/hiss.flac", "noise:hiss", split, hiss)
    manifest.write(folder, recordings)
    return folder


@pytest.fixture(scope="session")
def tone_corpus(once) -> Path:
    """The manifest folder. Not to be written to."""
    return once("tones", write_corpus)


@pytest.fixture(scope="session")
def few_shot_corpus(tmp_path_factory) -> Path:
    """The corpus with a second recording of hiss: one is held out. Not to be written to."""
    folder = write_corpus(tmp_path_factory.mktemp("few") / "corpus")
    rows = manifest.read(folder)
    hiss = next(row for row in rows if row.path == "noise/train/hiss.flac")
    more = dataclasses.replace(hiss, path="noise/train/more.flac")
    samples = 0.1 * np.random.default_rng(1).standard_normal(4 * RATE_HZ)
    soundfile.write(folder / more.path, np.clip(samples, -0.5, 0.5), RATE_HZ)
    manifest.write(folder, [*rows, more])
    return folder


def trains(experiment: Experiment, corpus: Path) -> Callable[[Path], object]:
    """What writes a finished run."""
    return lambda folder: train(experiment, [corpus], folder, say=lambda text: None)


@pytest.fixture(scope="session")
def tiny_run(once, tone_corpus) -> Path:
    """A finished run of EXPERIMENT. Not to be written to."""
    return once("run", trains(EXPERIMENT, tone_corpus))


@pytest.fixture(scope="session")
def tiny_float(once, tone_corpus, tiny_run) -> Path:
    """A finished float run: the float model of `tiny_run`. Not to be written to."""
    changes = {"recipe": FLOAT, "init_from": str(tiny_run), "optimizer.steps": 0}
    return once("float", trains(overlay(EXPERIMENT, changes), tone_corpus))


@pytest.fixture(scope="session")
def tiny_artifact(once, tone_corpus, tiny_run) -> Path:
    """Its artifact folder. Not to be written to."""
    return once("art", lambda folder: export(Run(tiny_run), folder, [tone_corpus]))


@pytest.fixture(scope="session")
def tiny_hearing(once, tone_corpus, tiny_run) -> Path:
    """What `recalibrate` writes where `tiny_run` is to hear MICRO without a step of training.

    Not to be written to.
    """
    still = TrainingSettings(steps=0, finetune_steps=0)
    data, quiet = [tone_corpus], lambda text: None
    return once("hear", lambda at: recalibrate(Run(tiny_run), MICRO, data, at, still, quiet))


@pytest.fixture(scope="session")
def tiny_stream(once, tone_corpus) -> Path:
    """A finished run of STREAM. Not to be written to."""
    return once("stream", trains(STREAM, tone_corpus))
