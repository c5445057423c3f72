"""The trained variables of a finished run."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from aqtaudio.compression import low_rank
from aqtaudio.compression.calibrate import unobserved
from aqtaudio.compression.fold import fold
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment
from aqtaudio.models import published as weights
from aqtaudio.training.checkpoint import Checkpoints, exists
from aqtaudio.training.companions import COMPANIONS, companions_of
from aqtaudio.training.phases import float_phase, phase_directory, quantized_phase
from aqtaudio.training.step import initial_state, variables_of
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.layer_tree import flatten, unflatten
from aqtaudio.vocabulary.signal import start


def fresh(experiment: Experiment) -> dict[str, Any]:
    """Freshly initialized parameters and batch statistics."""
    init = _initializer(experiment.built_model(), experiment.setup.feature_shape)
    variables = init(jax.random.key(experiment.seed))
    # A model may have no batch norm.
    return {"params": variables["params"], "batch_stats": variables.get("batch_stats", {})}


@functools.cache
def _initializer(model: nn.Module, feature_shape: tuple[int, int]) -> Callable:
    """A compiled key -> variables: of the forward pass only the initializers are left.

    Layers are in the model's order.
    """
    order: dict[str, Any] = {}

    def init(key: jax.Array) -> Any:
        variables = model.init(key, start(jnp.zeros((1, *feature_shape)), Floating()))
        order.update(_names(variables))
        return variables

    sorted_by_name = jax.jit(init)
    return lambda key: _in_order(sorted_by_name(key), order)


def _names(tree: Any) -> Any:
    """Names in their order, None for an array."""
    return {name: _names(x) for name, x in tree.items()} if isinstance(tree, dict) else None


def _in_order(tree: Any, names: Any) -> Any:
    return tree if names is None else {name: _in_order(tree[name], x) for name, x in names.items()}


def published(experiment: Experiment) -> dict[str, Any]:
    """The float model from the file of published weights that `init_from` names.

    BadInput where it cannot be read, or is of another model.
    """
    file, model = str(experiment.init_from), experiment.built_model()
    try:
        variables = weights.read(model, file)
        if "frontend" not in experiment.init_differs:
            weights.require_normalised(model, file, experiment.frontend)
        if "model" in experiment.init_differs:
            return fitting(variables, experiment)
        weights.require_layers(variables, model, experiment.setup.feature_shape, file)
    except BadInput as error:
        raise BadInput(f"init_from {error}") from None
    return variables


def fitting(variables: dict[str, Any], experiment: Experiment) -> dict[str, Any]:
    """`variables` of another model where its layers fit; the others fresh."""
    found = {}
    for collection, new in fresh(experiment).items():
        old, layers = flatten(variables.get(collection, {})), flatten(new)
        shapes = weights.shapes(new)
        known = {name: old[name] for name in layers if name in old}
        fits = {name for name, x in known.items() if jax.tree.map(jnp.shape, x) == shapes[name]}
        found[collection] = unflatten({n: known[n] if n in fits else layers[n] for n in layers})
    return found


def inherited(experiment: Experiment, parent: Experiment) -> dict[str, Any]:
    """The float model of the run that `init_from` names, of the settings `parent`.

    Where the answers are others, the layers that give them start fresh; where the model is another,
    the layers that do not fit; where the task is another, its companions.
    """
    variables = restore(Path(str(experiment.init_from)), parent, "float")
    if "model" in experiment.init_differs:
        merged = {"params": low_rank.merge(variables["params"])}
        return fitting(variables | merged, experiment)
    if experiment.task != parent.task:
        variables.pop(COMPANIONS, None)  # they start fresh
    if experiment.task.answers_like(parent.task):
        return variables
    return answering_anew(variables, experiment)


def answering_anew(variables: dict[str, Any], experiment: Experiment) -> dict[str, Any]:
    """`variables` with fresh layers where the number of outputs decides shapes: the logits.

    Decomposed layers become whole: the singular values of the old outputs say nothing of new ones.
    """
    now, more = (_shapes(experiment, outputs) for outputs in (0, 1))
    layers, new = flatten(low_rank.merge(variables["params"])), flatten(fresh(experiment)["params"])
    params = {name: (layers if now[name] == more[name] else new)[name] for name in new}
    return variables | {"params": unflatten(params)}


def _shapes(experiment: Experiment, more: int) -> dict[str, Any]:
    """Shapes of every layer's parameters, with so many outputs more than the task needs."""
    model = experiment.task.fitted(experiment.model, more)
    features = jnp.zeros((1, *experiment.setup.feature_shape))

    def init() -> Any:
        return model.init(jax.random.key(0), start(features, Floating()))["params"]

    return weights.shapes(jax.eval_shape(init))


def restore(run: Path, experiment: Experiment, phase: str) -> dict[str, Any]:
    """Variables of the run's "float" or "quantized" phase, and companions' parameters.

    BadInput when they are not there.
    """
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
    companions = companions_of(experiment, experiment.optimizer)
    variables = companions.fresh(experiment.seed) | variables | {"params": params}
    template = initial_state(variables, float_phase(experiment), companions)
    with Checkpoints(phase_directory(run, "float")) as checkpoints:
        state = checkpoints.restore(template)
    if phase == "quantized":
        # Ranks are known only from the float phase: they decide the shapes of the quantized one.
        params = low_rank.truncate(state["params"], experiment.recipe.low_rank)
        params = fold(params, state["collections"]["batch_stats"])
        model, recipe = experiment.built_model(), experiment.recipe
        ranges = unobserved(model, params, experiment.setup.feature_shape, recipe)
        companions = companions_of(experiment, experiment.finetune)
        variables |= {"params": params, "ranges": ranges}
        template = initial_state(variables, quantized_phase(experiment), companions)
        with Checkpoints(directory) as checkpoints:
            state = checkpoints.restore(template)
    return variables_of(state)
