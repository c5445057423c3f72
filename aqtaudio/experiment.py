"""Experiment: everything that decides a run's numbers, as frozen dataclasses.

A config file is Python that defines `EXPERIMENT = Experiment(...)`.
"""

import dataclasses
import json
import math
import re
import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from aqtaudio.compression.recipe import Recipe
from aqtaudio.data.augmentation import Augmentation
from aqtaudio.data.epochs import UNKNOWN_PER_KEYWORD
from aqtaudio.data.keywords import KeywordData, class_names
from aqtaudio.enhancement.data import EnhancementData
from aqtaudio.enhancement.task import Enhancement
from aqtaudio.errors import BadInput
from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.frontends.frontend import Frontend
from aqtaudio.frontends.spectral import Mfcc
from aqtaudio.models.ds_cnn import DSCNN
from aqtaudio.settings import added, from_json, to_json


@dataclasses.dataclass(frozen=True)
class Keywords:
    """The keyword-spotting task: `keywords`, "unknown" and "silence" in clips of `clip_ms`.

    Attributes:
      keywords: the words to tell apart.
      clip_ms: length of a clip.
      unknown_per_keyword: unknown clips that training hears per clip of a typical keyword. More of
        them: fewer other words are taken for a keyword, and more keywords are missed.
    """

    keywords: tuple[str, ...] = ("yes", "up", "down", "on", "off", "stop")
    clip_ms: int = 1000
    unknown_per_keyword: float = added(UNKNOWN_PER_KEYWORD)

    def __post_init__(self):
        class_names(self.keywords)
        if self.clip_ms < 100:
            raise BadInput(f"task.clip_ms is {self.clip_ms}; at least 100 is needed")
        if not 0 < self.unknown_per_keyword < math.inf:
            raise BadInput(
                f"task.unknown_per_keyword is {self.unknown_per_keyword}; allowed: above 0"
            )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in the order of the logits."""
        return class_names(self.keywords)


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
        if self.steps < 0 or self.batch_size < 1 or self.warmup_steps < 0:
            raise BadInput("optimizer: steps and warmup_steps must be >= 0, batch_size >= 1")
        finite = 0 < self.learning_rate < math.inf and 0 <= self.weight_decay < math.inf
        if not finite or not 0 <= self.label_smoothing < 1:
            raise BadInput(
                "optimizer: learning_rate must be above 0, weight_decay >= 0, "
                "label_smoothing in [0, 1)"
            )
        if self.patience < 0:
            raise BadInput(f"optimizer: patience is {self.patience}; allowed: >= 0")
        if not 0 < self.gradient_clip < math.inf:
            raise BadInput(f"optimizer: gradient_clip is {self.gradient_clip}; allowed: above 0")
        try:
            re.compile(self.trains)
        except re.error as error:
            raise BadInput(f"optimizer: trains {self.trains!r}: {error}") from error


ENGINES = ("auto", "carrier", "integer")
MAY_DIFFER = ("frontend", "task", "model")


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One run.

    Training has a float phase (`optimizer`) and, unless `recipe.mode` is "float", a quantized one
    (`finetune`) that starts from the folded, calibrated float model. `init_from` is a run directory
    whose float model the float phase starts from, or a file of published weights (.npz) that the
    model can read; with `optimizer.steps` 0 it is taken as it is.
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
    """

    model: nn.Module = DSCNN()
    task: Keywords | Enhancement = Keywords()
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

    def __post_init__(self):
        for name in ("calibration_batches", "evaluate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name} is {getattr(self, name)}; at least 1 is needed")
        if self.engine not in ENGINES:
            raise BadInput(f"engine is {self.engine!r}; allowed: {', '.join(ENGINES)}")
        for name in self.init_differs:
            if name not in MAY_DIFFER:
                raise BadInput(f"init_differs names {name!r}; allowed: {', '.join(MAY_DIFFER)}")
        if not 0 <= self.distillation < math.inf:
            raise BadInput(f"distillation is {self.distillation}; allowed: >= 0")
        if not 0 <= self.seed < 2**31:
            raise BadInput(f"seed is {self.seed}; allowed: 0 to 2147483647")
        clip_frames = self.frontend.frames(self.clip_samples) - self.frontend.skipped_frames
        if clip_frames < 1:
            raise BadInput(
                f"task.clip_ms {self.task.clip_ms} is shorter than the front end's window, "
                f"{self.frontend.window_ms} ms"
            )
        if not 0 <= self.stream_block_frames <= clip_frames:
            raise BadInput(
                f"stream_block_frames is {self.stream_block_frames}; allowed: 0 (whole clips) to "
                f"{clip_frames}, the frames of a clip"
            )
        if isinstance(self.task, Enhancement):
            self._require_enhancement(self.frontend, self.task)
        least = min(self.optimizer.batch_size, self.finetune.batch_size)
        if not 0 <= self.stream_context_clips < max(least, 2):
            raise BadInput(
                f"stream_context_clips is {self.stream_context_clips}; allowed: 0 to {least - 1}, "
                "the other clips of a batch"
            )
        if self.streams and not self.frontend.streams:
            raise BadInput(f"{type(self.frontend).__name__} takes whole clips: it does not stream")
        if self.streams and self.frontend.hop_samples > self.frontend.window_samples:
            raise BadInput("a stream's front end must have a hop_ms of at most its window_ms")

    @property
    def words(self) -> Keywords:
        """The task of a keyword run. BadInput where it is another."""
        if not isinstance(self.task, Keywords):
            raise BadInput(f"a run of {type(self.task).__name__}; allowed: a keyword run")
        return self.task

    @property
    def suppression(self) -> tuple[Enhancement, DeepFilterFeatures]:
        """Task and front end of an enhancement run. BadInput where it is another."""
        task, frontend = self.task, self.frontend
        if not (isinstance(task, Enhancement) and isinstance(frontend, DeepFilterFeatures)):
            raise BadInput(f"a run of {type(task).__name__}; allowed: an enhancement run")
        return task, frontend

    def _require_enhancement(self, frontend: Frontend, task: Enhancement) -> None:
        if not isinstance(frontend, DeepFilterFeatures):
            raise BadInput(
                f"an enhancement task has no {type(frontend).__name__}; allowed: DeepFilterFeatures"
            )
        if task.filtering.ahead != frontend.skipped_frames:
            raise BadInput(
                f"task.filtering.ahead is {task.filtering.ahead}; allowed: "
                f"{frontend.skipped_frames}, the look-ahead of the front end"
            )
        if not self.streams or self.stream_context_clips:
            raise BadInput(
                "an enhancement run is a stream that is trained from silence: "
                "stream_block_frames must be at least 1 and stream_context_clips 0"
            )

    @property
    def clip_samples(self) -> int:
        """Length of one clip."""
        return self.frontend.clip_samples(self.task.clip_ms)

    @property
    def streams(self) -> bool:
        """Whether the program is a stream's."""
        return self.stream_block_frames > 0

    @property
    def feature_shape(self) -> tuple[int, int]:
        """(frames, features) of one clip, as models see it; of a stream's, in whole blocks."""
        frames, features = self.frontend.feature_shape(self.clip_samples)
        frames -= self.frontend.skipped_frames
        return frames - frames % max(self.stream_block_frames, 1), features

    @property
    def input_shape(self) -> tuple[int, int]:
        """(frames, features) of one call of the program: a clip or a block."""
        frames, features = self.feature_shape
        return self.stream_block_frames or frames, features

    @property
    def hop_ms(self) -> float:
        """Time between two frames."""
        return 1000 * self.frontend.hop_samples / self.frontend.sample_rate_hz

    @property
    def block_ms(self) -> float:
        """Time between two calls of a stream's program."""
        return self.stream_block_frames * self.hop_ms

    def features(self, audio: jax.Array, clips_before: int = 0) -> jax.Array:
        """Features [B, *feature_shape] of clips, float32 [B, N] in [-1, 1): the latest frames.

        Args:
          audio: the clips.
          clips_before: others of the batch that the front end has heard before each.
        """
        state = self.frontend.initial_state(len(audio))
        for number in range(clips_before, 0, -1):
            _, state = self.frontend.push(jnp.roll(audio, number, 0), state)
        return self.frontend.push(audio, state)[0][:, -self.feature_shape[0] :]

    def load_data(
        self, folder: Path, splits: Sequence[str] = ("train", "val")
    ) -> KeywordData | EnhancementData:
        """The recordings of a manifest folder as a run of these settings sees them."""
        frontend = self.frontend
        if isinstance(self.task, Enhancement):
            return EnhancementData.load(folder, frontend.sample_rate_hz, self.clip_samples, splits)
        bands = None if frontend.takes_audio else frontend.features
        rate_hz, words = frontend.sample_rate_hz, self.words
        how = rate_hz, self.clip_samples, splits, bands, words.unknown_per_keyword
        return KeywordData.load(folder, words.keywords, *how)

    def built_model(self) -> nn.Module:
        """The model, with as many outputs as the task has classes."""
        if isinstance(self.task, Enhancement):
            return self.model
        return self.model.clone(classes=len(self.words.classes))


def heard_alike(experiment: Experiment) -> Experiment:
    """The settings that features depend on, the others as they are by default: one cache key."""
    return dataclasses.replace(
        experiment,
        recipe=Recipe(),
        optimizer=Optimizer(),
        finetune=Optimizer(),
        init_from=None,
        init_differs=(),
        seed=0,
        distillation=0.0,
        distilled_blocks="",
    )


NOT_IDENTITY: tuple[str, ...] = ("engine", "checkpoint_every")


def identity(experiment: Experiment) -> dict[str, Any]:
    """What changes a run's numbers, as JSON: the part that its id is a hash of."""
    value = to_json(experiment, added_defaults=False)
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
    temporary = path.with_name(f"{path.name}.partial")
    temporary.write_text(json.dumps(to_json(experiment), indent=1) + "\n")
    temporary.replace(path)


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
