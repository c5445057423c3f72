"""A small student of a small teacher, trained once."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from speech_corpus import write_speech_corpus
from speech_weights import SMALL, made_arrays

from aqtaudio.data.mixing import Mixing
from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.frontends.speech_energies import SPEECH_ENERGIES
from aqtaudio.models.speech_embedding import SpeechEmbedding
from aqtaudio.runs.run import Run
from aqtaudio.runs.train import train
from aqtaudio.tasks.embedding.task import Embedding
from aqtaudio.tasks.embedding.teachers import Published

STEPS = Optimizer(steps=6, batch_size=4, learning_rate=3e-3, warmup_steps=2)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    return write_speech_corpus(tmp_path_factory.mktemp("corpus"), 16_000)


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> str:
    file = tmp_path_factory.mktemp("weights") / "weights.npz"
    np.savez(file, **made_arrays(SMALL))
    return str(file)


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
def run(corpus, experiment, tmp_path_factory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "run"
    return train(experiment, [corpus], out, say=lambda _: None)
