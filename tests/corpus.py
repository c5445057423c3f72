"""Tones for words, hiss for silence, a tiny experiment on them, and one finished run to share.

A pytest plugin, named in conftest.py.
"""

import dataclasses
import os
from pathlib import Path

# XLA is loud about the machine when it loads a compiled program; tests read standard error.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import numpy as np
import pytest
import soundfile

from aqtaudio.data import manifest
from aqtaudio.data.manifest import Recording
from aqtaudio.experiment import Experiment, Optimizer
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


def write_corpus(folder: Path, splits: tuple[str, ...] = ("train", "val")) -> Path:
    """Twelve clips of half a second of each word in each split, and four seconds of hiss."""
    rng = np.random.default_rng(0)
    seconds = np.arange(RATE_HZ // 2) / RATE_HZ
    recordings = []

    def add(path: str, label: str, split: str, samples: np.ndarray) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / path, samples, RATE_HZ)
        length_s = len(samples) / RATE_HZ
        recordings.append(Recording(path, label, "-", split, "made", "CC0", length_s, RATE_HZ))

    for split in splits:
        for word, tone_hz in TONES_HZ.items():
            for number in range(CLIPS_PER_WORD):
                phase = 2 * np.pi * tone_hz * rng.uniform(0.9, 1.1) * seconds
                hiss = 0.02 * rng.standard_normal(len(seconds))
                add(f"words/{split}/{word}/{number}.flac", word, split, 0.3 * np.sin(phase) + hiss)
        hiss = np.clip(0.1 * rng.standard_normal(4 * RATE_HZ), -0.5, 0.5)
        add(f"noise/{split}/hiss.flac", "noise:hiss", split, hiss)
    manifest.write(folder, recordings)
    return folder


@pytest.fixture(scope="session")
def compilations(tmp_path_factory) -> Path:
    """Compiled programs are kept for the session, in this folder: what is trained again is not
    compiled again, nor in the other test process, nor in the processes of `environment`.
    """
    base = tmp_path_factory.getbasetemp()
    session = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = Path(os.environ.get("JAX_COMPILATION_CACHE_DIR") or session / "jax")
    folder.mkdir(exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return folder


@pytest.fixture(scope="session")
def environment(compilations) -> dict[str, str]:
    """For child processes that train."""
    return os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(compilations),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


@pytest.fixture(scope="session")
def tone_corpus(tmp_path_factory) -> Path:
    """The manifest folder. Not to be written to."""
    return write_corpus(tmp_path_factory.mktemp("tones") / "corpus")


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


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory, tone_corpus, compilations) -> Path:
    """A finished run of EXPERIMENT. Not to be written to."""
    folder = tmp_path_factory.mktemp("tiny") / "run"
    train(EXPERIMENT, [tone_corpus], folder, say=lambda text: None)
    return folder


@pytest.fixture(scope="session")
def tiny_float(tmp_path_factory, tone_corpus, tiny_run) -> Path:
    """A finished float run: the float model of `tiny_run`. Not to be written to."""
    folder = tmp_path_factory.mktemp("tiny") / "float"
    changes = {"recipe": FLOAT, "init_from": str(tiny_run), "optimizer.steps": 0}
    train(overlay(EXPERIMENT, changes), [tone_corpus], folder, say=lambda text: None)
    return folder


@pytest.fixture(scope="session")
def tiny_artifact(tmp_path_factory, tone_corpus, tiny_run) -> Path:
    """Its artifact folder. Not to be written to."""
    return export(Run(tiny_run), tmp_path_factory.mktemp("tiny") / "art", [tone_corpus])


@pytest.fixture(scope="session")
def tiny_stream(tmp_path_factory, tone_corpus, compilations) -> Path:
    """A finished run of STREAM. Not to be written to."""
    folder = tmp_path_factory.mktemp("tiny") / "stream"
    train(STREAM, [tone_corpus], folder, say=lambda text: None)
    return folder
