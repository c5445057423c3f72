"""The trained variables of a finished run."""

import functools
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.compression import low_rank
from aqtaudio.compression.calibrate import unobserved
from aqtaudio.compression.fold import fold
from aqtaudio.compression.layer_tree import flatten, unflatten
from aqtaudio.enhancement.task import Enhancement
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment
from aqtaudio.training.checkpoint import Checkpoints, exists
from aqtaudio.training.phases import float_phase, phase_directory, quantized_phase
from aqtaudio.training.step import initial_state
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.signal import start

UNREADABLE = (OSError, EOFError, ValueError, TypeError, LookupError, zipfile.BadZipFile)
"""What numpy raises of a file that holds no arrays, or others than asked for."""


def fresh(experiment: Experiment) -> dict[str, Any]:
    """Freshly initialized parameters and batch statistics."""
    init = _initializer(experiment.built_model(), experiment.feature_shape)
    # A model may have no batch norm.
    return {"batch_stats": {}} | init(jax.random.key(experiment.seed))


@functools.cache
def _initializer(model: nn.Module, feature_shape: tuple[int, int]) -> Callable:
    """A compiled key -> variables: of the forward pass only the initializers are left."""

    def init(key: jax.Array) -> Any:
        return model.init(key, start(jnp.zeros((1, *feature_shape)), Floating()))

    return jax.jit(init)


def is_published(init_from: str | None) -> bool:
    """Whether `init_from` names a file of published weights instead of a run."""
    return init_from is not None and Path(init_from).suffix == ".npz"


def published(experiment: Experiment) -> dict[str, Any]:
    """The float model from the file of published weights (.npz) that `init_from` names.

    BadInput where it cannot be read, or is of another model.
    """
    file, model = str(experiment.init_from), experiment.built_model()
    if not hasattr(model, "with_published"):
        raise BadInput(f"init_from {file}: {type(model).__name__} reads no published weights")
    try:
        with np.load(file, allow_pickle=False) as arrays:
            variables = model.with_published(arrays)
    except UNREADABLE as error:
        raise BadInput(
            f"init_from {file}: not weights of {type(model).__name__}: {error}"
        ) from None
    variables = jax.tree.map(jnp.asarray, variables)
    if "model" in experiment.init_differs:
        return fitting(variables, experiment)
    expected = jax.eval_shape(lambda: fresh(experiment))
    ours, theirs = (_shapes_of(x["params"]) for x in (expected, variables))
    if ours != theirs:
        wrong = next(name for name in ours | theirs if ours.get(name) != theirs.get(name))
        raise BadInput(
            f"init_from {file}: layer {wrong!r} is {ours.get(wrong, 'not')} in the model, "
            f"{theirs.get(wrong, 'not')} in the file; init_differs model lets it start fresh"
        )
    return variables


def _shapes_of(params: dict[str, Any]) -> dict[str, Any]:
    return {name: jax.tree.map(jnp.shape, layer) for name, layer in flatten(params).items()}


def fitting(variables: dict[str, Any], experiment: Experiment) -> dict[str, Any]:
    """`variables` of another model where its layers fit; the others fresh."""
    found = {}
    for collection, new in fresh(experiment).items():
        old, layers = flatten(variables.get(collection, {})), flatten(new)
        shapes = _shapes_of(new)
        known = {name: old[name] for name in layers if name in old}
        fits = {name for name, x in known.items() if jax.tree.map(jnp.shape, x) == shapes[name]}
        found[collection] = unflatten({n: known[n] if n in fits else layers[n] for n in layers})
    return found


def inherited(experiment: Experiment, parent: Experiment) -> dict[str, Any]:
    """The float model of the run that `init_from` names, of the settings `parent`.

    Where the classes are others, the layers that answer for them start fresh; where the model is
    another, the layers that do not fit.
    """
    variables = restore(Path(str(experiment.init_from)), parent, "float")
    if "model" in experiment.init_differs:
        merged = {"params": low_rank.merge(variables["params"])}
        return fitting(variables | merged, experiment)
    if isinstance(experiment.task, Enhancement):
        return variables
    if parent.words.classes == experiment.words.classes:
        return variables
    return answering_anew(variables, experiment)


def answering_anew(variables: dict[str, Any], experiment: Experiment) -> dict[str, Any]:
    """`variables` with fresh layers where the number of classes decides shapes: the logits.

    Decomposed layers become whole: the singular values of the old outputs say nothing of new ones.
    """
    count = len(experiment.words.classes)
    now, more = (_shapes(experiment, classes) for classes in (count, count + 1))
    layers, new = flatten(low_rank.merge(variables["params"])), flatten(fresh(experiment)["params"])
    params = {name: (layers if now[name] == more[name] else new)[name] for name in new}
    return variables | {"params": unflatten(params)}


def _shapes(experiment: Experiment, classes: int) -> dict[str, Any]:
    """Shapes of every layer's parameters, for so many classes."""
    model = experiment.model.clone(classes=classes)
    features = jnp.zeros((1, *experiment.feature_shape))

    def init() -> Any:
        return model.init(jax.random.key(0), start(features, Floating()))["params"]

    return {name: jax.tree.map(jnp.shape, x) for name, x in flatten(jax.eval_shape(init)).items()}


def restore(run: Path, experiment: Experiment, phase: str) -> dict[str, Any]:
    """Variables of the run's "float" or "quantized" phase. BadInput when they are not there."""
    if phase == "quantized" and experiment.recipe.mode == "float":
        raise BadInput(f"{run}: a float run has no quantized phase")
    directory = phase_directory(run, phase)
    if not exists(directory):
        raise BadInput(
            f"{run}: no {phase} checkpoint (artifact folders have none); "
            "allowed runtimes there: integer, litert, micro"
        )
    variables = fresh(experiment)
    params = low_rank.decompose(variables["params"], experiment.recipe)
    variables = {"params": params, "batch_stats": variables["batch_stats"]}
    template = initial_state(variables, float_phase(experiment))
    with Checkpoints(phase_directory(run, "float")) as checkpoints:
        state = checkpoints.restore(template)
    if phase == "quantized":
        # Ranks are known only from the float phase: they decide the shapes of the quantized one.
        params = low_rank.truncate(state["params"], experiment.recipe.low_rank)
        params = fold(params, state["collections"]["batch_stats"])
        model, recipe = experiment.built_model(), experiment.recipe
        ranges = unobserved(model, params, experiment.feature_shape, recipe)
        template = initial_state({"params": params, "ranges": ranges}, quantized_phase(experiment))
        with Checkpoints(directory) as checkpoints:
            state = checkpoints.restore(template)
    return {"params": state["params"], **state["collections"]}
