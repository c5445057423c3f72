"""One training step: clips to features to logits to new parameters, in one compiled program.

For one run, or for several side by side that differ in traced values only (`training.traced`).
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from aqtaudio.compression import low_rank
from aqtaudio.experiment import Experiment
from aqtaudio.program.compiler import compiled
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.task import Batch, Task
from aqtaudio.training import blocks
from aqtaudio.training.companions import COMPANIONS, Companions, companions_of
from aqtaudio.training.context import after_clips
from aqtaudio.training.learned_ranges import changed, logarithmic, replaced, trained
from aqtaudio.training.optimizer import transformation
from aqtaudio.training.phases import Phase
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.signal import start

State = dict[str, Any]
Tree = dict[str, Any]


def initial_state(variables: Tree, phase: Phase, companions: Companions) -> State:
    """State of a phase that starts from a copy of `variables` (steps donate their state).

    Where a task has companions, `variables` hold their parameters too.
    """
    variables = jax.tree.map(jnp.copy, variables)
    of_any = {"learning_rate": 0.0, "weight_decay": 0.0, "gradient_clip": 1.0}
    optimizer = transformation(phase.optimizer, of_any)
    return {
        "params": variables["params"],
        "collections": {name: variables[name] for name in phase.collections},
        "optimizer": optimizer.init(trained(variables, phase)),
        **companions.initial_state(variables),
    }


def variables_of(state: State) -> Tree:
    """What `initial_state` started from, as a state has it."""
    kept = {"params": state["params"], **state["collections"]}
    return kept | ({COMPANIONS: state[COMPANIONS]["params"]} if COMPANIONS in state else {})


def make_features(task: Task, setup: Setup) -> Callable:
    """A compiled (key, batch, given) -> features [B, T, F] as in training."""
    return _compiled_features(task, setup)


@functools.cache
def _compiled_features(task: Task, setup: Setup) -> Callable:
    return compiled(lambda key, batch, given: task.examples(key, batch, given, setup)[0])


def make_step(experiment: Experiment, model: nn.Module, phase: Phase) -> Callable:
    """A compiled (state, traced, given, number, *batch) -> (state, measures).

    A batch is what `training_batch` of the task's data gives: clips and classes, say; `given` is
    what the task gives every step. Runs that differ in their seed and in where they start alone
    have the same one: draws of few recordings, and a run that goes on.
    """
    start_from = experiment.init_from and ""
    return _step(dataclasses.replace(experiment, seed=0, init_from=start_from), model, phase)


@functools.lru_cache(maxsize=4)
def _step(experiment: Experiment, model: nn.Module, phase: Phase) -> Callable:
    see, learn = halves(experiment, model, phase)

    def step(state: State, traced: Tree, given: Any, number: jax.Array, *batch: jax.Array):
        return learn(state, traced, *see(traced["seed"], number, batch, given))

    return compiled(step, donate_argnums=0)


def make_joint_step(experiment: Experiment, model: nn.Module, phase: Phase) -> Callable:
    """The step of several runs: a compiled (states, traced, given, number, seeds [S], places [R],
    *batch) -> (states, measures).

    States, traced values and measures have a leading axis R of runs, arrays of the batch one of
    seeds: batches and features are made once per seed; `places` says which seed a run has.
    """
    see, learn = halves(experiment, model, phase)

    def step(states, traced, given, number, seeds, places, *batch):
        seen = jax.vmap(see, (0, None, 0, None))(seeds, number, batch, given)
        if len(seeds) == 1:
            shared = jax.tree.map(lambda x: x[0], seen)
            return jax.vmap(learn, (0, 0, None, None, None))(states, traced, *shared)
        return jax.vmap(learn)(states, traced, *jax.tree.map(lambda x: x[places], seen))

    return compiled(step, donate_argnums=0)


def halves(experiment: Experiment, model: nn.Module, phase: Phase):
    """What depends on the seed and the step alone, and what depends on the run.

    (seed, number, batch, given) -> (key, features, targets), and (state, traced, key, features,
    targets) -> (state, measures).
    """
    offset = 0 if phase.name == "float" else 1_000_000
    task, setup = experiment.task, experiment.setup
    companions = companions_of(experiment, phase.optimizer)

    def see(seed: jax.Array, number: jax.Array, batch: Batch, given: Any):
        key = jax.random.fold_in(jax.random.key(seed), number + offset)
        return key, *task.examples(key, batch, given, setup)

    def answers(variables: Tree, features: jax.Array, reading: Any, mutable: list, keys: Any):
        if setup.clips_before:
            before = setup.clips_before
            variables |= after_clips(model, variables, features, reading, before, tuple(mutable))
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
        beside = companions.params(state)
        if phase.distills:
            teacher = dict(traced["teacher"])
            taught, inside = answers(teacher, features, Floating(), [], None)

        def objective(values: Any, helping: Tree):
            variables = replaced(before, values, phase) | bits
            out, updated = answers(variables, features, phase.reading, list(phase.mutable), keys)
            functions = companions.functions(beside | helping)
            smoothing = traced["label_smoothing"]
            fit, measures = task.objective(out, targets, setup, functions, smoothing)
            extra = low_rank.penalty(variables["params"], traced["low_rank"])
            if phase.distills:
                apart = task.divergence(out, taught, targets, setup) + blocks.apart(updated, inside)
                extra += traced["distillation"] * apart
            updated = {name: updated[name] for name in phase.mutable if name in updated}
            return fit + extra, ({"loss": fit} | measures | {"penalty": extra}, updated, out)

        def opposition(opposing: Tree, out: jax.Array):
            functions = companions.functions(beside | opposing)
            return task.opposing_objective(jax.lax.stop_gradient(out), targets, setup, functions)

        helping, opposing = companions.sides(beside)
        differentiated = jax.grad(objective, (0, 1), has_aux=True)
        (gradients, helps), (measures, updated, out) = differentiated(values, helping)
        gradients = logarithmic(gradients, values, phase)
        update = transformation(phase.optimizer, traced)
        changes, optimizer = update.update(gradients, state["optimizer"], values)
        after = replaced(before, changed(values, changes, phase), phase)
        if opposing:
            opposes, more = jax.grad(opposition, has_aux=True)(opposing, out)
            helps, measures = helps | opposes, measures | more
        new = {
            "params": after.pop("params"),
            "collections": after | updated,
            "optimizer": optimizer,
            **companions.after(state, helps, traced),
        }
        return new, measures

    return see, learn
