"""A sweep of tiny fake runs: `fake_sweep.py OUT WORKERS` launches it, as the tests do in-process.

A run counts to `steps`, keeping a checkpoint; it notes when another process is in its directory.
"""

import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from aqtaudio.study.engine import Local
from aqtaudio.study.scheduler import How, run_study
from aqtaudio.study.space import Study, finetuned, param, product

COMMAND = """
import fcntl, json, os, pathlib, sys, time

def replace(path, text):
    path.with_name("new").write_text(text)
    os.replace(path.with_name("new"), path)

class Run:
    def __init__(self, folder, parent, steps, seconds):
        self.folder, self.steps, self.seconds = pathlib.Path(folder), int(steps), float(seconds)
        self.guard = open(self.folder / "guard", "w")
        try:
            fcntl.flock(self.guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            (self.folder / "clash").touch()
        row = pathlib.Path(parent) / "row.json"
        self.began_with = json.loads(row.read_text())["total"] if parent else 0
        self.checkpoint = self.folder / "checkpoint"
        self.step = int(self.checkpoint.read_text()) if self.checkpoint.exists() else 0
        with open(self.folder / "starts", "a") as file:
            file.write(f"{self.step}\\n")

    def advance(self):
        if self.step >= self.steps:
            return False
        time.sleep(self.seconds)
        self.step += 1
        replace(self.checkpoint, str(self.step))
        line = {"step": self.step, "steps": self.steps, "loss": 1 / self.step}
        with open(self.folder / "metrics.jsonl", "a") as file:
            file.write(json.dumps(line) + "\\n")
        return True

    def finish(self):
        row = {"total": self.began_with + self.step, "device": "fake"}
        replace(self.folder / "row.json", json.dumps(row))

runs = [Run(*sys.argv[first:first + 4]) for first in range(1, len(sys.argv), 4)]
while any([run.advance() for run in runs]):
    pass
for run in runs:
    run.finish()
"""


@dataclass(frozen=True)
class Experiment:
    bits: int = 32
    seed: int = 0
    steps: int = 3
    seconds: float = 0.0


def overlay(experiment, overrides):
    return replace(experiment, **overrides)


def launch(specs):
    arguments = []
    for spec in specs:
        experiment = spec.run.experiment
        arguments += [spec.run_dir, spec.parent_dir or "", experiment.steps, experiment.seconds]
    return [sys.executable, "-IS", "-c", COMMAND, *arguments]


def wide_study(seeds=2):
    parents = param("seed", *range(seeds))
    return Study("fake", Experiment(), finetuned(parents, param("bits", 8, 4)))


def slow_study():
    """Runs long enough to be killed half-way."""
    parents = product(param("seed", 0, 1), param("steps", 8), param("seconds", 0.04))
    return Study("slow", Experiment(), finetuned(parents, param("bits", 8, 4)))


def of_equal_bits(run):
    return run.experiment.bits


def sweep(out, launch=launch, study=None, workers=1, **options):
    engine = options.pop("engine", None) or Local(workers, devices=())
    how = How(overlay, asdict, launch, engine, group=of_equal_bits, **options)
    return run_study(study or wide_study(), [out], out, how)


if __name__ == "__main__":
    folder, workers, batch, address = sys.argv[1:5]
    if address:
        from aqtaudio.study.ray_engine import Ray

    sweep(
        Path(folder),
        study=slow_study(),
        engine=Ray(address, int(workers)) if address else Local(int(workers), devices=()),
        batch=int(batch),
        resume=True,
    )
