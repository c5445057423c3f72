"""A small student of a small teacher, trained once."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from corpus import trains
from speech_corpus import write_speech_corpus
from speech_weights import SMALL, made_arrays

from aqtaudio.data.mixing import Mixing
from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.frontends.speech_energies import SPEECH_ENERGIES
from aqtaudio.models.speech_embedding import SpeechEmbedding
from aqtaudio.runs.run import Run
from aqtaudio.tasks.embedding.task import Embedding
from aqtaudio.tasks.embedding.teachers import Published

STEPS = Optimizer(steps=6, batch_size=4, learning_rate=3e-3, warmup_steps=2)


@pytest.fixture(scope="session")
def corpus(once) -> Path:
    return once("speech", lambda folder: write_speech_corpus(folder, 16_000))


@pytest.fixture(scope="session")
def weights(once) -> str:
    return str(once("weights", _write_weights) / "weights.npz")


def _write_weights(folder: Path) -> None:
    folder.mkdir()
    np.savez(folder / "weights.npz", **made_arrays(SMALL))


@pytest.fixture(scope="session")
def experiment(weights) -> Experiment:
    return Experiment(
        model=SpeechEmbedding((2, 2, 2, 3, 3), 5, relu=True),
        task=Embedding(
            clip_ms=1215,
            teacher=Published(weights, SMALL, SPEECH_ENERGIES),
            mixing=Mixing(reverb_probability=0.0),
        ),
        frontend=SPEECH_ENERGIES,
        stream_block_frames=8,
        stream_context_clips=0,
        optimizer=STEPS,
        finetune=dataclasses.replace(STEPS, steps=2),
        calibration_batches=1,
        evaluate_every=3,
        checkpoint_every=3,
    )


@pytest.fixture(scope="session")
def run(once, corpus, experiment) -> Run:
    return Run(once("student", trains(experiment, corpus)))
