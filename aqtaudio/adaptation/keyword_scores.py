"""Figures of a keyword run on clips of another list than its own."""

from typing import Any

import numpy as np

from aqtaudio.runs.network import network
from aqtaudio.runs.run import Run
from aqtaudio.tasks.keywords.task import Keywords


def scores(run: Run, arrays: tuple[np.ndarray, np.ndarray], runtime: str) -> dict[str, Any]:
    """Of clips, int16 [n, N], and class numbers [n]. BadInput where it is no keyword run."""
    task = Keywords.of(run.experiment.task)
    with network(run, runtime) as opened:
        return task.scores_of(opened, arrays, run.experiment.setup)
