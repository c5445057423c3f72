"""Figures of a run on recordings, in any runtime."""

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aqtaudio.runs.lists import FOLDER
from aqtaudio.runs.network import network
from aqtaudio.runs.run import Run


def evaluate(
    run: Run,
    folders: Sequence[Path],
    split: str,
    runtime: str,
    limit: int | None = None,
    which: str = FOLDER,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Figures of `run` on a split of manifest folders, as the JSON that `evaluate --json` prints.

    Args:
      run: the run.
      folders: recordings.
      split: "train", "val" or "test".
      runtime: one of `runs.network.RUNTIMES`.
      limit: at most so many items (a fair sample).
      which: list of "val" it is: "folder", made of the folders as they are, or "run", the run's.
      say: told where these two differ.
    """
    task, setup = run.experiment.task, run.experiment.setup
    with network(run, runtime) as opened:
        data = run.data(folders, (split,))
        listed = run.listed(data, split, which)
        if listed.notice:
            say(listed.notice)
        items = listed.items[:limit]
        metrics = task.scores(opened, data, items, setup)
        speed = task.speed(opened, data, items, setup)
    value = {"runtime": runtime, "split": split, "n": len(items), **listed.facts()}
    value |= {"metrics": metrics, **task.certainty(metrics)}
    return value | speed | _macs_per_second(run)


def measured(run: Run, data: Any, items: Sequence[Any], runtime: str) -> dict[str, Any]:
    """Figures of `runtime` on the items of an evaluation list."""
    with network(run, runtime) as opened:
        return run.experiment.task.scores(opened, data, items, run.experiment.setup)


def row_figures(run: Run, data: Any, items: Sequence[Any]) -> dict[str, Any]:
    """What a row says of the run's figures."""
    is_float = run.experiment.recipe.mode == "float"
    runtimes = ("float",) if is_float else ("float", "quantized", "integer")
    networks = functools.partial(network, run)
    return run.experiment.task.row(networks, runtimes, data, items, run.experiment.setup)


def served(run: Run) -> str:
    """The runtime whose figures count: "integer", or "float" of a float run."""
    return "float" if run.experiment.recipe.mode == "float" else "integer"


def _macs_per_second(run: Run) -> dict[str, int]:
    """Of a finished stream's network, as its row tells it."""
    row = run.path / "row.json"
    if not (run.experiment.setup.streams and row.is_file()):
        return {}
    return {"macs_per_second": json.loads(row.read_text())["stream"]["macs_per_second"]}
