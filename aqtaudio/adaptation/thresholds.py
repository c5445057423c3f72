"""What a run's thresholds are found on, and what of that is stored."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aqtaudio.runs.run import Run
from aqtaudio.tasks.keywords.data import EvaluationItem, KeywordData
from aqtaudio.tasks.keywords.task import Keywords


def run_clips(
    run: Run, task: Keywords, folders: Sequence[Path], split: str
) -> tuple[KeywordData, list[EvaluationItem]]:
    """Clips of a run's keywords in a split, and which of them are listened for: those of the run's
    own list, where that is of clips.
    """
    data = task.clips(folders, run.experiment.setup, (split,))
    listed = task.item is EvaluationItem
    return data, run.items(data, split) if listed else data.evaluation_list(split)


def kept(found: Mapping[str, Any]) -> dict[str, Any]:
    """What detector.json keeps of what `detect` found."""
    return {name: found[name] for name in found if name not in ("scene", "curve")}
