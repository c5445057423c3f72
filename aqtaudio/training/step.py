"""One training step: clips to features to logits to new parameters, in one compiled program.

For one run, or for several side by side that differ in traced values only (`training.traced`).
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from aqtaudio.compression import low_rank
from aqtaudio.experiment import Experiment, Optimizer, heard_alike
from aqtaudio.program.compiler import compiled
from aqtaudio.training import blocks
from aqtaudio.training.context import heard
from aqtaudio.training.learned_ranges import changed, logarithmic, replaced, trained
from aqtaudio.training.phases import Phase
from aqtaudio.training.tasks import Batch, task_of
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.signal import start

State = dict[str, Any]
Tree = dict[str, Any]


def transformation(settings: Optimizer, traced: Tree) -> optax.GradientTransformation:
    """AdamW, warm-up, cosine decay; weight decay on kernels only.

    `traced`: its learning_rate, weight_decay and gradient_clip, numbers or traced.
    """
    shape = schedule(settings)

    def kernels_only(params: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf.ndim > 1, params)

    def rate(count: jax.Array) -> jax.Array:
        return traced["learning_rate"] * shape(count)

    return optax.chain(
        optax.clip_by_global_norm(traced["gradient_clip"]),
        optax.adamw(rate, weight_decay=traced["weight_decay"], mask=kernels_only),
    )


def schedule(settings: Optimizer) -> optax.Schedule:
    """Share of the learning rate by step."""
    warmup = min(settings.warmup_steps, max(settings.steps - 1, 0))
    return optax.warmup_cosine_decay_schedule(0.0, 1.0, warmup, max(settings.steps, 1), 0.0)


def initial_state(variables: dict[str, Any], phase: Phase) -> State:
    """State of a phase that starts from a copy of `variables` (steps donate their state)."""
    variables = jax.tree.map(jnp.copy, variables)
    of_any = {"learning_rate": 0.0, "weight_decay": 0.0, "gradient_clip": 1.0}
    optimizer = transformation(phase.optimizer, of_any)
    return {
        "params": variables["params"],
        "collections": {name: variables[name] for name in phase.collections},
        "optimizer": optimizer.init(trained(variables, phase)),
    }


def make_features(experiment: Experiment) -> Callable:
    """A compiled (key, batch, noise) -> features [B, T, F] as in training."""
    return _compiled_features(heard_alike(experiment))


@functools.cache
def _compiled_features(experiment: Experiment) -> Callable:
    task = task_of(experiment)
    return compiled(lambda key, batch, noise: task.examples(key, batch, noise)[0])


def make_step(experiment: Experiment, model: nn.Module, phase: Phase, noise: jax.Array) -> Callable:
    """A compiled (state, traced, number, *batch) -> (state, measures).

    A batch is what `training_batch` of the task's data gives: clips and classes, say.
    """
    see, learn = _halves(experiment, model, phase, noise)

    def step(state: State, traced: Tree, number: jax.Array, *batch: jax.Array):
        return learn(state, traced, *see(traced["seed"], number, batch))

    return compiled(step, donate_argnums=0)


def make_joint_step(
    experiment: Experiment, model: nn.Module, phase: Phase, noise: jax.Array
) -> Callable:
    """The step of several runs: a compiled (states, traced, number, seeds [S], places [R],
    *batch) -> (states, measures).

    States, traced values and measures have a leading axis R of runs, arrays of the batch one of
    seeds: batches and features are made once per seed; `places` says which seed a run has.
    """
    see, learn = _halves(experiment, model, phase, noise)

    def step(states, traced, number, seeds, places, *batch):
        seen = jax.vmap(see, (0, None, 0))(seeds, number, batch)
        if len(seeds) == 1:
            shared = jax.tree.map(lambda x: x[0], seen)
            return jax.vmap(learn, (0, 0, None, None, None))(states, traced, *shared)
        return jax.vmap(learn)(states, traced, *jax.tree.map(lambda x: x[places], seen))

    return compiled(step, donate_argnums=0)


def _halves(experiment: Experiment, model: nn.Module, phase: Phase, noise: jax.Array):
    """What depends on the seed and the step alone, and what depends on the run."""
    offset = 0 if phase.name == "float" else 1_000_000
    clips_before = experiment.stream_context_clips
    task = task_of(experiment)

    def see(seed: jax.Array, number: jax.Array, batch: Batch):
        key = jax.random.fold_in(jax.random.key(seed), number + offset)
        return key, *task.examples(key, batch, noise)

    def answers(variables: Tree, features: jax.Array, reading: Any, mutable: list, keys: Any):
        if experiment.streams and clips_before:
            variables |= heard(model, variables, features, reading, clips_before, tuple(mutable))
            mutable = [*mutable, "state"]
        seen = blocks.capturing(experiment.distilled_blocks) if phase.distills else {}
        signal = start(features, reading)
        mutable = [*mutable, *seen.pop("mutable", ())]
        out, updated = model.apply(variables, signal, mutable=mutable, rngs=keys, **seen)
        return out.real(), updated

    def learn(state: State, traced: Tree, key: jax.Array, features: jax.Array, targets: Any):
        # Examples draw from the keys 0 and 1 below this one.
        keys = {"gradients": jax.random.fold_in(key, 2)} if phase.draws else None
        before = {"params": state["params"], **state["collections"]}
        bits = {"bits": traced["bits"]} if "bits" in traced else {}
        values = trained(before, phase)
        if phase.distills:
            teacher = dict(traced["teacher"])
            taught, inside = answers(teacher, features, Floating(), [], None)

        def objective(values: Any):
            variables = replaced(before, values, phase) | bits
            out, updated = answers(variables, features, phase.reading, list(phase.mutable), keys)
            fit, measures = task.loss(out, targets, traced["label_smoothing"])
            extra = low_rank.penalty(variables["params"], traced["low_rank"])
            if phase.distills:
                apart = task.divergence(out, taught, targets) + blocks.apart(updated, inside)
                extra += traced["distillation"] * apart
            updated = {name: updated[name] for name in phase.mutable if name in updated}
            return fit + extra, ({"loss": fit} | measures | {"penalty": extra}, updated)

        gradients, (measures, updated) = jax.grad(objective, has_aux=True)(values)
        gradients = logarithmic(gradients, values, phase)
        update = transformation(phase.optimizer, traced)
        changes, optimizer = update.update(gradients, state["optimizer"], values)
        after = replaced(before, changed(values, changes, phase), phase)
        new = {
            "params": after.pop("params"),
            "collections": after | updated,
            "optimizer": optimizer,
        }
        return new, measures

    return see, learn
