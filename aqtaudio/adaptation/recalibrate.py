"""Recalibration: a run goes on training behind the front end that a device really has."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio import evaluate, pipeline
from aqtaudio.adaptation import recalibration_page
from aqtaudio.data import manifest
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment
from aqtaudio.export import export
from aqtaudio.frontends.frontend import Frontend
from aqtaudio.run_directory import Items, Run
from aqtaudio.settings import differences

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
    folder: Path,
    out: Path,
    settings: TrainingSettings = DEFAULTS,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Trains `run` on for `target` into out/run, or goes on where that stopped.

    Also writes out/recalibration.json and .md, and out/artifact where TFLite Micro runs the model.

    Args:
      run: a finished run with its checkpoints; it is not changed.
      target: gives features of the same shape as the run's own front end.
      folder: recordings, or the device's features of them where `target` is `DeviceFeatures`.
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
    _ = own.words  # raises where it is no keyword run: what is told is accuracies
    child = recalibrated(run, target, settings)
    if out.exists() and not (out / "run").is_dir() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out} is not empty and holds no recalibration; name a new folder")
    after = pipeline.train(child, folder, out / "run", say)
    runtime = "float" if own.recipe.mode == "float" else "integer"
    comparable = own.frontend.takes_audio and target.takes_audio
    scores: dict[str, Any] = {
        "before": _metrics(Run(run.path, target), folder, runtime),
        "matched": _metrics(run, folder, runtime) if comparable else None,
        "after": _metrics(after, folder, runtime),
    }
    grids = {"before": input_grid(run), "after": input_grid(after)}
    row = json.loads((after.path / "row.json").read_text())
    value = {
        **scores,
        "runtime": runtime,
        "differences": differences(own.frontend, target, "in the run", "in the target"),
        "clips_used": sum(row.split == "train" for row in manifest.read(folder)),
        "clips_evaluated": int(np.sum(scores["after"]["confusion"]["counts"])),
        "steps": {"float": child.optimizer.steps, "quantized": _quantized_steps(child)},
        "input_scale": {name: grid and grid[0] for name, grid in grids.items()},
        "input_zero_point": {name: grid and grid[1] for name, grid in grids.items()},
        "parity": row.get("parity"),
        "run": str(after.path),
        "artifact": _exported(after, out / "artifact", folder),
    }
    _write(out / "recalibration.json", json.dumps(value, indent=1) + "\n")
    _write(out / "recalibration.md", recalibration_page.markdown(value))
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


def _metrics(run: Run, folder: Path, runtime: str) -> dict[str, Any]:
    """Metrics on the validation clips of `folder`, not on the list of clips the run was made with:
    before and after are compared on the same ones.
    """
    data = run.data(folder, ("val",))
    items: Items = data.evaluation_list("val")
    evaluation = data.evaluation_arrays(items)
    return evaluate.evaluate_clips(run, evaluation, runtime)


def _quantized_steps(experiment: Experiment) -> int:
    return 0 if experiment.recipe.mode == "float" else experiment.finetune.steps


def _exported(run: Run, out: Path, folder: Path) -> str | None:
    """The artifact, made unless it is there (of this very run: `pipeline.train` saw to it)."""
    from aqtaudio.program.check import check

    if run.experiment.recipe.mode == "float" or not check(run.model).micro_compatible:
        return None
    if not out.exists():
        export(run, out, folder)
    return str(out)


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.partial")
    temporary.write_text(text)
    temporary.replace(path)
