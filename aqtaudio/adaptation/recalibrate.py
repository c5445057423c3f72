"""Recalibration: a run goes on training behind the front end that a device really has."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio.adaptation import recalibration_page
from aqtaudio.adaptation.keyword_scores import scores
from aqtaudio.data import manifest
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment
from aqtaudio.files import write, write_json
from aqtaudio.frontends.frontend import Frontend
from aqtaudio.runs.evaluate import served
from aqtaudio.runs.export import export
from aqtaudio.runs.run import Run
from aqtaudio.runs.train import train
from aqtaudio.settings import differences
from aqtaudio.tasks.keywords.task import Keywords

WARMUP_STEPS = 20
LEARNING_RATE_SHARE = 2 / 3
"""Of the run's own learning rate: its float model is good, and is not to be lost."""


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """How long to train, and how fast.

    Attributes:
      steps: of the float phase. 0 leaves the weights to the quantized phase; with `finetune_steps`
        0 too, nothing changes but the ranges.
      finetune_steps: of the quantized phase; None: as many as the run had.
      learning_rate: the peak of the float phase; None: two thirds of the run's.
    """

    steps: int = 1000
    finetune_steps: int | None = None
    learning_rate: float | None = None


DEFAULTS = TrainingSettings()


def recalibrate(
    run: Run,
    target: Frontend,
    folders: Sequence[Path],
    out: Path,
    settings: TrainingSettings = DEFAULTS,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Trains `run` on for `target` into out/run, or goes on where that stopped.

    Also writes out/recalibration.json and .md, and out/artifact where TFLite Micro runs the model.

    Args:
      run: a finished run with its checkpoints; it is not changed.
      target: gives features of the same shape as the run's own front end.
      folders: recordings, or the device's features of them where `target` is `DeviceFeatures`.
      out: a new folder, or one of an unfinished recalibration with the same settings.
      settings: of the training.
      say: is told what goes on.

    Returns:
      What `frontend recalibrate --json` prints: metrics of the validation clips "before" (the run
      behind the target), "matched" (the run behind its own front end; None where one of the two is
      known by its features only), "after"; "runtime" of all of them, "clips_used" and
      "clips_evaluated", "steps", "input_scale" and "input_zero_point" before and after (None for a
      float run), "parity" of the new run, paths "run" and "artifact" (None where none was made).

    Raises:
      BadInput: `recalibrated` cannot start from the run, bad data, or `out` holds something else.
    """
    own = run.experiment
    Keywords.of(own.task)  # what is told is accuracies
    child = recalibrated(run, target, settings)
    if out.exists() and not (out / "run").is_dir() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out} is not empty and holds no recalibration; name a new folder")
    after = train(child, folders, out / "run", say)
    runtime = served(run)
    comparable = own.frontend.takes_audio and target.takes_audio
    found: dict[str, Any] = {
        "before": _metrics(Run(run.path, target), folders, runtime),
        "matched": _metrics(run, folders, runtime) if comparable else None,
        "after": _metrics(after, folders, runtime),
    }
    grids = {"before": input_grid(run), "after": input_grid(after)}
    row = json.loads((after.path / "row.json").read_text())
    value = {
        **found,
        "runtime": runtime,
        "differences": differences(own.frontend, target, "in the run", "in the target"),
        "clips_used": sum(row.split == "train" for row in manifest.read_all(folders)),
        "clips_evaluated": int(np.sum(found["after"]["confusion"]["counts"])),
        "steps": {"float": child.optimizer.steps, "quantized": _quantized_steps(child)},
        "input_scale": {name: grid and grid[0] for name, grid in grids.items()},
        "input_zero_point": {name: grid and grid[1] for name, grid in grids.items()},
        "parity": row.get("parity"),
        "run": str(after.path),
        "artifact": _exported(after, out / "artifact", folders),
    }
    write_json(out / "recalibration.json", value)
    write(out / "recalibration.md", recalibration_page.markdown(value))
    return value


def recalibrated(run: Run, target: Frontend, settings: TrainingSettings = DEFAULTS) -> Experiment:
    """The experiment that goes on from `run`: same model, task and recipe; all layers are trained.

    Where a device has computed the features, augmentation keeps nothing but its masks.
    """
    own = run.experiment
    whole = {"trains": ".*", "patience": 0}
    finetune_steps, learning_rate = settings.finetune_steps, settings.learning_rate
    if finetune_steps is None:
        finetune_steps = own.finetune.steps
    if learning_rate is None:
        learning_rate = own.optimizer.learning_rate * LEARNING_RATE_SHARE
    augmentation = own.augmentation
    return dataclasses.replace(
        own,
        frontend=target,
        augmentation=augmentation if target.takes_audio else augmentation.without_audio(),
        init_from=str(run.path),
        init_differs=("frontend",),
        optimizer=dataclasses.replace(
            own.optimizer,
            steps=settings.steps,
            learning_rate=learning_rate,
            warmup_steps=WARMUP_STEPS,
            **whole,
        ),
        finetune=dataclasses.replace(own.finetune, steps=finetune_steps, **whole),
    )


def input_grid(run: Run) -> tuple[float, int] | None:
    """(scale, zero point) of the program's input; None for a float run."""
    if run.experiment.recipe.mode == "float":
        return None
    edge = run.program.edges[run.program.inputs[0]]
    return float(edge.scale), int(edge.zero_point)


def _metrics(run: Run, folders: Sequence[Path], runtime: str) -> dict[str, Any]:
    """Metrics on the validation clips of `folders`, not on the list of clips the run was made with:
    before and after are compared on the same ones.
    """
    data = run.data(folders, ("val",))
    evaluation: Any = data.evaluation_arrays(data.evaluation_list("val"))
    return scores(run, evaluation, runtime)


def _quantized_steps(experiment: Experiment) -> int:
    return 0 if experiment.recipe.mode == "float" else experiment.finetune.steps


def _exported(run: Run, out: Path, folders: Sequence[Path]) -> str | None:
    """The artifact, made unless it is there (of this very run: `train` saw to it)."""
    from aqtaudio.program.check import check

    if run.experiment.recipe.mode == "float" or not check(run.model).micro_compatible:
        return None
    if not out.exists():
        export(run, out, folders)
    return str(out)
