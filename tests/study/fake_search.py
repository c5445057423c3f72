"""A search over fake runs, whose figures are formulas: `fake_search.py OUT` resumes it.

Their jobs are processes, or done at once by the engine `Instant`.
"""

import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace

from aqtaudio.errors import BadInput
from aqtaudio.study.engine import Local
from aqtaudio.study.scheduler import How
from aqtaudio.study.search import run_search
from aqtaudio.study.space import Search

# A layer's weight in the quality that 4 bits cost, and in the bit-operations.
LAYERS = {"first": (8, 1), "middle": (2, 5), "last": (3, 2)}

COMMAND = """
import json, os, pathlib, time
folder, quality, cost, seconds = pathlib.Path(sys.argv[1]), *map(float, sys.argv[2:])
with open(folder / "starts", "a") as file:
    file.write("started\\n")
time.sleep(seconds)
row = {"metrics": {"integer": {"accuracy": quality}}, "costs": {"bitops": cost}}
(folder / "new").write_text(json.dumps(row))
os.replace(folder / "new", folder / "row.json")
"""
FAILS = "raise SystemExit('no luck')"


@dataclass(frozen=True)
class Experiment:
    first: int = 8
    middle: int = 8
    last: int = 8
    seed: int = 0
    seconds: float = 0.0

    @property
    def figures(self):
        """(quality, bit-operations)."""
        bits = asdict(self)
        lost = sum((8 - bits[name]) ** 2 * weight for name, (weight, _) in LAYERS.items())
        cost = sum(bits[name] * weight for name, (_, weight) in LAYERS.items())
        return 0.95 - 0.0005 * lost + 0.01 * self.seed, 8 * cost


def overlay(experiment, overrides):
    try:
        return replace(experiment, **overrides)
    except TypeError:
        allowed = ", ".join(asdict(experiment))
        raise BadInput(f"unknown setting in {', '.join(overrides)}; allowed: {allowed}") from None


def launch(specs):
    (spec,) = specs
    arguments = [spec.run_dir, *spec.run.experiment.figures, spec.run.experiment.seconds]
    return [sys.executable, "-IS", "-c", f"import sys{COMMAND}", *map(str, arguments)]


class Instant:
    """An engine whose jobs are done, in this process, before `start` returns."""

    slots = 1

    def start(self, command, run_dirs, environment):
        (folder,) = run_dirs
        folder.mkdir(parents=True, exist_ok=True)
        _, _, _, code, *arguments = command
        if code == FAILS:
            return Done(1)
        exec(COMMAND, {"sys": SimpleNamespace(argv=["-c", *arguments])})
        return Done(0)

    def stop(self, attempts):
        pass


@dataclass(frozen=True)
class Done:
    code: int
    seconds: float = 0.1
    lost: bool = False

    def status(self):
        return self.code

    def error(self, status):
        return "no luck"


def small(**changes):
    """Sixty-four choices, twenty-four trials."""
    settings = {
        "name": "fake",
        "experiment": Experiment(),
        "space": {name: (8, 6, 4, 2) for name in LAYERS},
        "runs": lambda choice: choice,
        "trials": 24,
        "generation": 8,
        "first": [dict.fromkeys(LAYERS, 8), dict.fromkeys(LAYERS, 2)],
    }
    return Search(**{**settings, **changes})


def search(out, what=None, launch=launch, metric="accuracy", **options):
    how = How(overlay, asdict, launch, **{"engine": Instant(), **options})
    return run_search(what or small(), [out], out, how, metric)


if __name__ == "__main__":
    slow = small(experiment=Experiment(seconds=0.1))
    search(Path(sys.argv[1]), slow, engine=Local(workers=1), resume=True)
