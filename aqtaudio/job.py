"""A job of a sweep: runs that train together, as one process.

python -m aqtaudio.job JOB.json
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aqtaudio.errors import BadInput
from aqtaudio.pipeline import train_together
from aqtaudio.settings import from_json, overlay, to_json


def command_of(specs: Sequence[Any]) -> list[str]:
    """The command of the runs `specs` (`study.scheduler.RunSpec`); writes its file."""
    runs = []
    for spec in specs:
        experiment = spec.run.experiment
        if spec.parent_dir is not None:
            experiment = overlay(experiment, {"init_from": str(spec.parent_dir)})
        runs.append({"experiment": to_json(experiment), "out": str(spec.run_dir)})
    specs[0].run_dir.mkdir(parents=True, exist_ok=True)
    file = specs[0].run_dir / "job.json"
    text = json.dumps({"data": str(specs[0].data_dir), "runs": runs}, indent=1)
    temporary = file.with_name("job.json.partial")
    temporary.write_text(text + "\n")
    temporary.replace(file)
    return [sys.executable, "-m", "aqtaudio.job", str(file)]


def main(file: Path) -> int:
    """Trains the runs that have no row yet; what keeps one from it goes into its error.txt."""
    job = json.loads(file.read_text())
    runs = [(from_json(run["experiment"]), Path(run["out"])) for run in job["runs"]]
    runs = [(experiment, out) for experiment, out in runs if not (out / "row.json").exists()]
    results = train_together(runs, Path(job["data"]), print) if runs else []
    failed = False
    for (_, out), result in zip(runs, results, strict=True):
        if isinstance(result, BadInput):
            failed = True
            out.mkdir(parents=True, exist_ok=True)
            (out / "error.txt").write_text(f"{result}\n")
            print(result, file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
