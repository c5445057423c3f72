"""Experiment: everything that decides a run's numbers, as frozen dataclasses.

A config file is Python that defines `EXPERIMENT = Experiment(...)`.
"""

import dataclasses
import functools
import json
import math
import re
import runpy
from pathlib import Path
from typing import Any, Literal

import flax.linen as nn

from aqtaudio.data.augmentation import Augmentation
from aqtaudio.errors import BadInput
from aqtaudio.files import write_json
from aqtaudio.frontends.embedded import Embedded
from aqtaudio.frontends.frontend import Frontend
from aqtaudio.frontends.spectral import Mfcc
from aqtaudio.models.ds_cnn import DSCNN
from aqtaudio.recipe import Recipe
from aqtaudio.settings import added, from_json, to_json
from aqtaudio.tasks.keywords.task import Keywords
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.task import Task


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """AdamW with warm-up and cosine decay to zero.

    Attributes:
      steps: 0 skips the phase.
      batch_size: clips per step.
      learning_rate: its peak.
      warmup_steps: linear, from zero.
      weight_decay: decoupled, kernels only.
      label_smoothing: share of the target spread over all classes.
      trains: layers whose path matches this regular expression are trained; the others keep their
        parameters, batch statistics and learned ranges.
      patience: the phase ends after so many evaluations without a lower loss on the validation
        clips, and in any case with the best state of all evaluations, its start included. 0: it
        ends with its last state. Otherwise `evaluate_every` is part of what a run is.
      gradient_clip: largest norm of all gradients together.
    """

    steps: int = 3000
    batch_size: int = 128
    learning_rate: float = 3e-3
    warmup_steps: int = 100
    weight_decay: float = 1e-3
    label_smoothing: float = 0.1
    trains: str = added(".*")
    patience: int = added(0)
    gradient_clip: float = added(5.0)

    def __post_init__(self):
        try:
            re.compile(self.trains)
        except re.error as error:
            raise BadInput(f"optimizer: trains {self.trains!r}: {error}") from error
        for holds, message in self._rules():
            if not holds:
                raise BadInput(f"optimizer: {message}")

    def _rules(self) -> tuple[tuple[bool, str], ...]:
        rate, decay = self.learning_rate, self.weight_decay
        return (
            (
                self.steps >= 0 and self.batch_size >= 1 and self.warmup_steps >= 0,
                "steps and warmup_steps must be >= 0, batch_size >= 1",
            ),
            (
                0 < rate < math.inf and 0 <= decay < math.inf and 0 <= self.label_smoothing < 1,
                "learning_rate must be above 0, weight_decay >= 0, label_smoothing in [0, 1)",
            ),
            (self.patience >= 0, f"patience is {self.patience}; allowed: >= 0"),
            (
                0 < self.gradient_clip < math.inf,
                f"gradient_clip is {self.gradient_clip}; allowed: above 0",
            ),
        )


ENGINES = ("auto", "carrier", "integer")
MAY_DIFFER = ("frontend", "task", "model")


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One run.

    Training has a float phase (`optimizer`) and, unless `recipe.mode` is "float", a quantized one
    (`finetune`) that starts from the folded, calibrated float model. `init_from` is a run directory
    whose float model the float phase starts from, or a file of published weights (.npz, .h5 or
    .h5.gz) that the model can read; with `optimizer.steps` 0 it is taken as it is.
    That run has the same model, task and front end but for what `init_differs` names.

    Attributes:
      calibration_batches: training batches that activation ranges are taken from.
      seed: of initial weights, batches and augmentation.
      engine: what native training computes its dots in: "integer" (int8), "carrier" (the same
        integers in float32), or "auto", the faster on the device.
      evaluate_every, checkpoint_every: steps. Like `engine`, they are not part of what a run is,
        but for the `patience` of an optimizer.
      stream_block_frames: frames that the program takes per call, with state: a stream. 0: it takes
        whole clips.
      stream_context_clips: clips that a stream has heard before each training clip. Models with
        memory that were only trained from silence fail in a stream.
      init_differs: what may be another than in the run that `init_from` names: "frontend", whose
        features must have the same shape, "task", whose outputs start fresh where its classes are
        others, and "model": layers that are new or of another shape start fresh.
      distillation: weight of what the float model teaches in the quantized phase: the divergence
        of the answers from its own (of logits, softened: Hinton et al., arXiv:1503.02531).
      distilled_blocks: modules whose outputs are to be the float model's too, each with the weight
        of `distillation` on its relative squared error: those whose path matches this regular
        expression. Empty: the answers alone.
      encoder: of what `join` made, the name of the encoder's run, which the program begins with.
    """

    model: nn.Module = DSCNN()
    task: Task = Keywords()
    frontend: Frontend = Mfcc()
    augmentation: Augmentation = Augmentation()
    recipe: Recipe = Recipe()
    optimizer: Optimizer = Optimizer()
    finetune: Optimizer = Optimizer(steps=600, learning_rate=5e-4, warmup_steps=30)
    calibration_batches: int = 16
    init_from: str | None = None
    seed: int = 0
    engine: Literal["auto", "carrier", "integer"] = "auto"
    evaluate_every: int = 500
    checkpoint_every: int = 500
    stream_block_frames: int = added(0)
    stream_context_clips: int = added(1)
    init_differs: tuple[str, ...] = added(())
    distillation: float = added(0.0)
    distilled_blocks: str = added("")
    encoder: str | None = added(None)

    def __post_init__(self):
        for holds, message in _rules(self):
            if not holds:
                raise BadInput(message)
        _require_clips(self)
        self.task.require_fit(self.setup)

    @functools.cached_property
    def setup(self) -> Setup:
        """What the task knows of the run."""
        block = self.stream_block_frames
        before = self.stream_context_clips if block else 0
        return Setup(self.frontend, self.task.clip_ms, block, before, self.augmentation)

    def built_model(self) -> nn.Module:
        """The model with the outputs that the task needs."""
        return self.task.fitted(self.model)


def _rules(run: Experiment) -> list[tuple[bool, str]]:
    """What has to hold of settings, and what to say where it does not."""
    least = min(run.optimizer.batch_size, run.finetune.batch_size)
    counts = ("calibration_batches", "evaluate_every", "checkpoint_every")
    return [
        *(
            (getattr(run, name) >= 1, f"{name} is {getattr(run, name)}; at least 1 is needed")
            for name in counts
        ),
        (run.engine in ENGINES, f"engine is {run.engine!r}; allowed: {', '.join(ENGINES)}"),
        *(
            (
                name in MAY_DIFFER,
                f"init_differs names {name!r}; allowed: {', '.join(MAY_DIFFER)}",
            )
            for name in run.init_differs
        ),
        (0 <= run.distillation < math.inf, f"distillation is {run.distillation}; allowed: >= 0"),
        (0 <= run.seed < 2**31, f"seed is {run.seed}; allowed: 0 to 2147483647"),
        (
            0 <= run.stream_context_clips < max(least, 2),
            f"stream_context_clips is {run.stream_context_clips}; allowed: 0 to {least - 1}, the "
            "other clips of a batch",
        ),
    ]


def _require_clips(experiment: Experiment) -> None:
    """Raises BadInput where the front end makes nothing of a clip, or no stream."""
    frontend, setup = experiment.frontend, experiment.setup
    block = experiment.stream_block_frames
    frames = frontend.frames(setup.clip_samples) - frontend.skipped_frames
    if frames < 1:
        raise BadInput(
            f"task.clip_ms {setup.clip_ms} is shorter than the front end's window, "
            f"{frontend.window_ms} ms"
        )
    if not 0 <= block <= frames:
        raise BadInput(
            f"stream_block_frames is {block}; allowed: 0 (whole clips) to {frames}, the frames of "
            "a clip"
        )
    if block and not frontend.streams:
        raise BadInput(f"{type(frontend).__name__} takes whole clips: it does not stream")
    if block and frontend.hop_samples > frontend.window_samples:
        raise BadInput("a stream's front end must have a hop_ms of at most its window_ms")


NOT_IDENTITY: tuple[str, ...] = ("engine", "checkpoint_every")


def deployed(experiment: Experiment) -> Experiment:
    """Settings of what a device runs: of a head behind an encoder those of both, which hears the
    encoder's front end in blocks of the frames that make a vector; of any other its own.
    """
    frontend = experiment.frontend
    if not isinstance(frontend, Embedded):
        return experiment
    inner, frames = frontend.encoder, experiment.stream_block_frames
    return dataclasses.replace(
        experiment,
        frontend=inner.frontend,
        stream_block_frames=frames * inner.block_frames,
        encoder=Path(frontend.run).name,
    )


def identity(experiment: Experiment) -> dict[str, Any]:
    """What changes a run's numbers, as JSON: the part that its id is a hash of.

    A head behind an encoder is what is deployed, so that it has one id wherever the encoder lies.
    """
    value = to_json(deployed(experiment), added_defaults=False)
    skipped = set(NOT_IDENTITY)
    if not (experiment.optimizer.patience or experiment.finetune.patience):
        skipped.add("evaluate_every")
    return {name: child for name, child in value.items() if name not in skipped}


def load_config(path: Path) -> Experiment:
    """The `EXPERIMENT` of a config file (Python), or a saved config.json."""
    if not Path(path).is_file():
        raise BadInput(f"{path}: no such config file")
    if Path(path).suffix == ".json":
        return load_json(Path(path))
    try:
        experiment = runpy.run_path(str(path)).get("EXPERIMENT")
    except BadInput:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a user's file raises
        raise BadInput(f"{path}: {type(error).__name__}: {error}") from error
    if not isinstance(experiment, Experiment):
        raise BadInput(f"{path}: a config file must define EXPERIMENT = Experiment(...)")
    return experiment


def save_json(experiment: Experiment, path: Path) -> None:
    """Writes config.json, whole or not at all."""
    write_json(path, to_json(experiment))


def load_json(path: Path) -> Experiment:
    """Reads config.json."""
    try:
        experiment = from_json(json.loads(path.read_text()))
    except FileNotFoundError:
        raise BadInput(f"{path.parent}: not a run (no {path.name})") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: not readable JSON ({error})") from error
    if not isinstance(experiment, Experiment):
        raise BadInput(f"{path}: not an experiment")
    return experiment
