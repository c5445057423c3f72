"""What a run's thresholds are found on, and what of that is stored."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aqtaudio.errors import BadInput
from aqtaudio.runs.lists import FOLDER, RUN, Listed
from aqtaudio.runs.run import Run
from aqtaudio.tasks.keywords.data import EvaluationItem, KeywordData
from aqtaudio.tasks.keywords.task import Keywords


def run_clips(
    run: Run, task: Keywords, folders: Sequence[Path], split: str
) -> tuple[KeywordData, list[EvaluationItem]]:
    """Clips of a run's keywords in a split, and which of them are listened for."""
    data, listed = listed_clips(run, task, folders, split, FOLDER)
    return data, listed.items


def listed_clips(
    run: Run, task: Keywords, folders: Sequence[Path], split: str, which: str
) -> tuple[KeywordData, Listed]:
    """The same of `which` list, "folder" or "run", where the run's is of clips."""
    data = task.clips(folders, run.experiment.setup, (split,))
    if task.item is EvaluationItem:
        return data, run.listed(data, split, which)
    if which == RUN:
        raise BadInput("--list run: the run's list is of scenes, not of clips")
    return data, Listed(data.evaluation_list(split))


def kept(found: Mapping[str, Any]) -> dict[str, Any]:
    """What detector.json keeps of what `detect` found."""
    return {name: found[name] for name in found if name not in ("scene", "curve")}
