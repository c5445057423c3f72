"""From a finished run to an artifact folder: the file, its proof, and what the device needs."""

import json
import shutil
from pathlib import Path

import numpy as np

from aqtaudio import enhancement_bundle, frontend_bundle
from aqtaudio.data.new_folder import new_folder
from aqtaudio.enhancement.task import Enhancement
from aqtaudio.errors import BadInput
from aqtaudio.evaluate import random_codes, real_codes
from aqtaudio.experiment import Experiment
from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.program.cost import cost
from aqtaudio.program.execute import Executor
from aqtaudio.run_directory import FILES, Run
from aqtaudio.study.files import write

GOLDEN_CLIPS = 16
GOLDEN_HOPS = 64
"""Of noise suppressors: a thousand codes each, and only their GRUs remember more than a few."""


def export(run: Run, out: Path, data_folder: Path | None = None) -> Path:
    """Writes an artifact folder: the run without checkpoints, firmware, front end, op report.

    Golden vectors come from recordings where `data_folder` is given, else from random codes.
    """
    from aqtaudio.program.check import check
    from aqtaudio.program.firmware import write_bundle

    report = check(run.model)
    if not report.micro_compatible:
        raise BadInput(f"{run.path}: not Micro-compatible: {'; '.join(report.reasons)}")
    executor = Executor(run.program)
    codes = golden_codes(run, executor, data_folder)
    with new_folder(out) as folder:
        for name in FILES:
            if (run.path / name).exists():
                shutil.copy(run.path / name, folder / name)
        arena = report.arena_bytes or 0
        block_ms = run.experiment.block_ms if run.experiment.streams else None
        write_bundle(
            folder / "firmware", run.program, run.model, arena, codes, executor(codes), block_ms
        )
        _write_frontend(folder, run.experiment, executor)
        operations = cost(run.program).to_json() | {"check": report.to_json()}
        write(folder / "operations.json", json.dumps(operations, indent=1) + "\n")
    return out


def _write_frontend(folder: Path, experiment: Experiment, executor: Executor) -> None:
    """What the device computes around the program."""
    frontend, task = experiment.frontend, experiment.task
    if isinstance(task, Enhancement) and isinstance(frontend, DeepFilterFeatures):
        enhancement_bundle.write(folder, frontend, task.filtering, executor)
    else:
        frontend_bundle.write(folder, frontend, executor)


def golden_codes(run: Run, executor: Executor, data_folder: Path | None) -> np.ndarray:
    """Input codes of a few validation clips, two of a stream's, or random ones."""
    experiment, count = run.experiment, GOLDEN_CLIPS
    if experiment.streams:  # so many blocks that every state is full
        frames = 2 * experiment.feature_shape[0]
        if isinstance(experiment.task, Enhancement):
            frames = min(frames, GOLDEN_HOPS)
        count = frames // experiment.stream_block_frames
    if data_folder is None:
        return random_codes(run.program, count, seed=0)
    data = run.data(data_folder, ("val",))
    clips, _ = data.evaluation_arrays(run.items(data, "val")[:GOLDEN_CLIPS])
    return real_codes(run, executor, clips)[:count]
