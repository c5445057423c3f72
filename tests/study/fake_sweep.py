"""A sweep of tiny fake runs: `fake_sweep.py OUT WORKERS` launches it, as the tests do in-process.

A run counts to `steps`, keeping a checkpoint; it notes when another process is in its directory.
"""

import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from aqtaudio.study.local import run_study
from aqtaudio.study.space import Study, finetuned, param, product

COMMAND = """
import fcntl, json, os, pathlib, sys, time
folder, parent, steps, seconds = pathlib.Path(sys.argv[1]), sys.argv[2], *map(float, sys.argv[3:5])
guard = open(folder / "guard", "w")
try:
    fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    (folder / "clash").touch()
began_with = json.load(open(pathlib.Path(parent) / "row.json"))["total"] if parent else 0
checkpoint = folder / "checkpoint"
step = int(checkpoint.read_text()) if checkpoint.exists() else 0
with open(folder / "starts", "a") as file:
    file.write(f"{step}\\n")
while step < steps:
    time.sleep(seconds)
    step += 1
    (folder / "new").write_text(str(step))
    os.replace(folder / "new", checkpoint)
    with open(folder / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"step": step, "steps": steps, "loss": 1 / step}) + "\\n")
(folder / "new").write_text(json.dumps({"total": began_with + step, "device": "fake"}))
os.replace(folder / "new", folder / "row.json")
"""


@dataclass(frozen=True)
class Experiment:
    bits: int = 32
    seed: int = 0
    steps: int = 3
    seconds: float = 0.0


def overlay(experiment, overrides):
    return replace(experiment, **overrides)


def launch(spec):
    experiment = spec.run.experiment
    arguments = [spec.run_dir, spec.parent_dir or "", experiment.steps, experiment.seconds]
    return [sys.executable, "-IS", "-c", COMMAND, *arguments]


def wide_study(seeds=2):
    parents = param("seed", *range(seeds))
    return Study("fake", Experiment(), finetuned(parents, param("bits", 8, 4)))


def slow_study():
    """Runs long enough to be killed half-way."""
    parents = product(param("seed", 0, 1), param("steps", 8), param("seconds", 0.04))
    return Study("slow", Experiment(), finetuned(parents, param("bits", 8, 4)))


def sweep(out, launch=launch, study=None, **options):
    return run_study(
        study or wide_study(), out, out, overlay=overlay, identity=asdict, launch=launch, **options
    )


if __name__ == "__main__":
    sweep(Path(sys.argv[1]), study=slow_study(), workers=int(sys.argv[2]), resume=True)
