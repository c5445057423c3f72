"""What is known to be wrong before anything is trained or written."""

import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from aqtaudio.compression import low_rank
from aqtaudio.compression.calibrate import unobserved
from aqtaudio.compression.fold import fold
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment, load_json
from aqtaudio.models.published import is_published
from aqtaudio.settings import differences, from_json, to_json
from aqtaudio.settings import settings as settings_of
from aqtaudio.training import blocks
from aqtaudio.training.checkpoint import Checkpoints, exists
from aqtaudio.training.phases import phase_directory
from aqtaudio.training.restore import fresh, published
from aqtaudio.training.traced import layers_of
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.layer_tree import flatten
from aqtaudio.vocabulary.recording import clip, require_recordable
from aqtaudio.vocabulary.signal import start


def require_trainable(experiment: Experiment) -> list[str]:
    """What is to be said of a run before it is trained: rules of its recipe that match nothing.

    Raises BadInput when settings do not fit each other, the model cannot be built or recorded, or
    `init_from` names nothing that this run can start from.
    """
    require_settings(experiment)
    variables = _built(experiment)
    params = low_rank.decompose(variables["params"], experiment.recipe)
    _require_trained_layers(experiment, list(flatten(params)))
    _require_answers(experiment, variables)
    if experiment.setup.streams:
        _require_streaming(experiment, variables)
    if experiment.recipe.mode == "float":
        return []
    return _require_quantizable(experiment, params, variables["batch_stats"])


def require_settings(experiment: Experiment) -> None:
    """The part of it that builds no model: quick. Raises BadInput."""
    experiment.recipe.require_consistent()
    for holds, message in _rules(experiment):
        if not holds:
            raise BadInput(message)
    _require_used(experiment)
    _require_start(experiment)
    _require_importable(experiment)


def _rules(experiment: Experiment) -> tuple[tuple[bool, str], ...]:
    """What has to hold of settings, and what to say where it does not."""
    hears_audio, distills = experiment.frontend.takes_audio, experiment.distillation > 0
    return (
        (
            hears_audio or not experiment.augmentation.changes_audio,
            "augmentation changes audio, and a device's features are none; allowed: spec masks "
            "(time_shift_ms, speed_change, gain_db, noise_ and babble_probability 0)",
        ),
        (
            not distills or experiment.recipe.mode != "float",
            "distillation is for the quantized phase; recipe.mode float has none",
        ),
        (
            distills or not experiment.distilled_blocks,
            "distilled_blocks is given without distillation, their weight",
        ),
        (
            bool(experiment.init_from) or not experiment.init_differs,
            "init_differs is given without init_from, the run that it speaks of",
        ),
    )


def _require_start(experiment: Experiment) -> None:
    if is_published(experiment.init_from):
        published(experiment)
    elif experiment.init_from:
        parent_settings(experiment)


def _require_quantizable(experiment: Experiment, params: Any, batch_stats: Any) -> list[str]:
    """Raises BadInput when the quantized model cannot be recorded. Returns what is to be said."""
    model, recipe, setup = experiment.built_model(), experiment.recipe, experiment.setup
    params = fold(low_rank.truncate(params, recipe.low_rank), batch_stats)
    try:
        ranges = unobserved(model, params, setup.feature_shape, recipe)
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise _unbuildable(experiment, error) from error
    variables = {"params": params, "ranges": ranges}
    if setup.streams:
        variables |= clip(model, variables, setup.feature_shape)
    replaced = require_recordable(model, variables, setup.input_shape, recipe, setup.streams)
    idle = recipe.idle(layers_of(params, ranges))
    return [*(f"recipe: rule {pattern!r} matches no layer" for pattern in idle), *replaced]


def _require_trained_layers(experiment: Experiment, layers: list[str]) -> None:
    for name in ("optimizer", "finetune"):
        pattern = getattr(experiment, name).trains
        if not any(re.fullmatch(pattern, layer) for layer in layers):
            raise BadInput(
                f"{name}.trains {pattern!r} matches no layer; the model has {', '.join(layers)}"
            )


def _require_answers(experiment: Experiment, variables: dict[str, Any]) -> None:
    """Raises BadInput when the model's answers are not what its task reads, or the model has none
    of the blocks to be distilled.
    """
    model, pattern = experiment.built_model(), experiment.distilled_blocks

    def answer(features: jax.Array) -> Any:
        seen = {"mutable": [], **blocks.capturing(pattern)}
        out, updated = model.apply(variables, start(features, Floating()), **seen)
        return out.real(), updated

    try:
        out, inside = jax.eval_shape(answer, jnp.zeros((1, *experiment.setup.feature_shape)))
    except re.error as error:
        raise BadInput(f"distilled_blocks {pattern!r}: {error}") from error
    if pattern and not jax.tree.leaves(inside):
        raise BadInput(f"distilled_blocks {pattern!r} matches no module of the model")
    experiment.task.require_answers(out.shape, experiment.setup)


def _require_streaming(experiment: Experiment, variables: dict[str, Any]) -> None:
    """Raises BadInput when the model looks ahead or does not take blocks of that length."""
    model = experiment.built_model()
    lengths = clip(model, variables, experiment.setup.feature_shape)

    def push(block: jax.Array) -> Any:
        return model.apply(variables | lengths, start(block, Floating()), mutable=["state"])[1]

    try:
        state = jax.eval_shape(push, jnp.zeros((1, *experiment.setup.input_shape)))
    except ValueError as error:
        raise BadInput(f"stream_block_frames {experiment.stream_block_frames}: {error}") from error
    if not state:
        raise BadInput("stream_block_frames: the model remembers nothing; it needs no stream")


def _require_importable(experiment: Experiment) -> None:
    """A run is read back by its classes' names."""
    try:
        same = from_json(to_json(experiment)) == experiment
    except BadInput as error:
        needed = "models and settings must be classes of modules that can be imported"
        raise BadInput(f"{error}; {needed}") from error
    if not same:
        raise BadInput("the experiment holds settings that config.json cannot keep")


def parent_settings(experiment: Experiment) -> Experiment:
    """Settings of the run that `init_from` names. BadInput when nothing can start from it."""
    parent = Path(str(experiment.init_from))
    settings = load_json(parent / "config.json")
    for field in ("model", "task", "frontend"):
        if field in experiment.init_differs:
            continue
        if found := differences(getattr(settings, field), getattr(experiment, field)):
            raise BadInput(f"init_from {parent}: another {field} ({found})")
    theirs, ours = (
        run.frontend.feature_shape(run.setup.clip_samples) for run in (settings, experiment)
    )
    if theirs != ours:
        raise BadInput(
            f"init_from {parent}: features of another shape (frames, features): {theirs} there, "
            f"{ours} here; a model takes one shape"
        )
    steps, done = settings.optimizer.steps, None
    directory = phase_directory(parent, "float")
    if exists(directory):
        with Checkpoints(directory) as checkpoints:
            done = checkpoints.latest
    if done != steps:
        found = f"a checkpoint of step {done}"
        if done is None:
            found = "no checkpoint, so no float model to go on from (an artifact has none)"
        raise BadInput(
            f"init_from {parent}: {found}; allowed: a folder that `train` made, whose float phase "
            f"has ended, at {steps}"
        )
    return settings


def _built(experiment: Experiment) -> dict[str, Any]:
    try:
        return fresh(experiment)
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise _unbuildable(experiment, error) from error


def _unbuildable(experiment: Experiment, error: Exception) -> BadInput:
    frames, block = experiment.setup.feature_shape[0], experiment.stream_block_frames
    clips = f"; blocks of {block} leave {frames} frames of a clip" if block else ""
    return BadInput(
        f"a model of these settings cannot be built: {error}{clips} ({experiment.model})"
    )


def _require_used(experiment: Experiment) -> None:
    """Raises BadInput where something is set that the task has no use for."""
    values, plain = settings_of(experiment), settings_of(Experiment())
    for path in experiment.task.unused:
        changed = [name for name in values if name == path or name.startswith(f"{path}.")]
        if any(values[name] != plain[name] for name in changed):
            raise BadInput(
                f"{path} is set, and a run of {type(experiment.task).__name__} does not use it: "
                "leave it as it is by default"
            )
