"""A run that ESPHome can serve, made without training: its folder, as `train` leaves it.

A pytest plugin, named in conftest.py.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from corpus import STREAM
from initial import calibrated, initial

from aqtaudio.compression.fold import fold
from aqtaudio.experiment import Experiment, save_json
from aqtaudio.frontends.named import NAMED
from aqtaudio.program import program as programs
from aqtaudio.program.tflite import to_tflite
from aqtaudio.runs.train import recorded
from aqtaudio.tasks.keywords.task import Keywords

EXPERIMENT = dataclasses.replace(
    STREAM,
    task=Keywords(("hey low", "high"), clip_ms=500),
    frontend=NAMED["micro-esphome"],
    stream_block_frames=3,
)


@pytest.fixture(scope="session")
def esphome_run(once) -> Path:
    """A run folder. Not to be written to."""
    return once("esphome", write_run)


def write_run(folder: Path, experiment: Experiment = EXPERIMENT) -> Path:
    """Random weights, calibrated on random features: config.json, program.npz, model.tflite."""
    folder.mkdir(parents=True)
    model, (frames, bands) = experiment.built_model(), experiment.setup.feature_shape
    scale = experiment.frontend.features_scale or 1 / 64
    codes = np.random.default_rng(0).integers(-128, 128, (16, frames, bands))
    features = (scale * codes).astype(np.float32)
    variables = initial(model, features)
    params = fold(variables["params"], variables["batch_stats"])
    ranges = calibrated(model, params, [features], experiment.recipe)
    ranges["input"]["output"]["scale"] = np.float32(scale)
    program = recorded(experiment, {"params": params, "ranges": ranges})
    save_json(experiment, folder / "config.json")
    programs.save(program, folder / "program.npz")
    (folder / "model.tflite").write_bytes(to_tflite(program))
    return folder
