"""A job of a sweep: runs that train together, as one process.

python -m aqtaudio.sweep.job JOB.json
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aqtaudio.data import compilations
from aqtaudio.errors import BadInput
from aqtaudio.files import write, write_json
from aqtaudio.program import memory


def command_of(specs: Sequence[Any]) -> list[str]:
    """The command of the runs `specs` (`study.scheduler.RunSpec`); writes its file."""
    from aqtaudio.settings import overlay, to_json

    runs = []
    for spec in specs:
        experiment = spec.run.experiment
        if spec.parent_dir is not None:
            experiment = overlay(experiment, {"init_from": str(spec.parent_dir)})
        runs.append({"experiment": to_json(experiment), "out": str(spec.run_dir)})
    specs[0].run_dir.mkdir(parents=True, exist_ok=True)
    file = specs[0].run_dir / "job.json"
    write_json(file, {"data": [str(folder) for folder in specs[0].data], "runs": runs})
    return [sys.executable, "-m", "aqtaudio.sweep.job", str(file)]


def main(file: Path) -> int:
    """Trains the runs that have no row yet; what keeps one from it goes into its error.txt."""
    memory.keep_freed()
    compilations.keep()
    from aqtaudio.runs.train import train_together  # JAX
    from aqtaudio.settings import from_json

    job = json.loads(file.read_text())
    runs = [(from_json(run["experiment"]), Path(run["out"])) for run in job["runs"]]
    runs = [(experiment, out) for experiment, out in runs if not (out / "row.json").exists()]
    results = train_together(runs, [Path(folder) for folder in job["data"]], print) if runs else []
    failed = False
    for (_, out), result in zip(runs, results, strict=True):
        if isinstance(result, BadInput):
            failed = True
            out.mkdir(parents=True, exist_ok=True)
            write(out / "error.txt", f"{result}\n")
            print(result, file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
