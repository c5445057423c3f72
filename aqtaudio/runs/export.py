"""From a finished run to an artifact folder: the file, its proof, and what the device needs."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.files import new_folder, write, write_json
from aqtaudio.frontends import named
from aqtaudio.program.cost import cost
from aqtaudio.program.execute import Executor
from aqtaudio.runs.parity import random_codes, recorded_codes
from aqtaudio.runs.run import FILES, Run

GOLDEN_CLIPS = 16


def export(run: Run, out: Path, folders: Sequence[Path] = ()) -> Path:
    """Writes an artifact folder: the run without checkpoints, firmware, front end, op report.

    Golden vectors come from recordings where `folders` are given, else from random codes.
    """
    from aqtaudio.program.check import check
    from aqtaudio.program.firmware import write_bundle

    report = check(run.model)
    if not report.micro_compatible:
        raise BadInput(f"{run.path}: not Micro-compatible: {'; '.join(report.reasons)}")
    executor, setup = Executor(run.program), run.experiment.setup
    codes = golden_codes(run, executor, folders)
    with new_folder(out) as folder:
        for name in FILES:
            if (run.path / name).exists():
                shutil.copy(run.path / name, folder / name)
        arena = report.arena_bytes or 0
        block_ms = setup.block_ms if setup.streams else None
        write_bundle(
            folder / "firmware", run.program, run.model, arena, codes, executor(codes), block_ms
        )
        named.write(run.experiment.frontend, folder)
        _write_device_files(run, executor, folder)
        operations = cost(run.program).to_json() | {"check": report.to_json()}
        write_json(folder / "operations.json", operations)
    return out


def _write_device_files(run: Run, executor: Executor, folder: Path) -> None:
    """What the device computes around the program."""
    experiment = run.experiment
    for name, text in experiment.task.device_files(experiment.setup, executor).items():
        file = folder / name
        is_more = file.name == "README.md" and file.exists()
        write(file, f"{file.read_text()}\n{text}" if is_more else text)


def golden_codes(run: Run, executor: Executor, folders: Sequence[Path]) -> np.ndarray:
    """Input codes of a few validation clips, two of a stream's, or random ones."""
    task, setup, count = run.experiment.task, run.experiment.setup, GOLDEN_CLIPS
    if setup.streams:
        count = task.golden_frames(setup) // setup.block_frames
    if not folders:
        return random_codes(run.program, count, seed=0)
    return recorded_codes(run, executor, run.data(folders, ("val",)), count)
