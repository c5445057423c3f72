"""Modules that train beside the model (`tasks.task.Companion`), in the state of training."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.tasks.task import Beside, Companion
from aqtaudio.training.optimizer import transformation

COMPANIONS = "companions"
"""Their key among variables (parameters by name) and in a state (these and their optimizers')."""
Tree = dict[str, Any]


class Companions:
    """The companions of a task in one phase. Where there are none, states hold nothing of them."""

    def __init__(self, named: Mapping[str, Companion], settings: Optimizer):
        self._named, self._settings = dict(named), settings

    def fresh(self, seed: int) -> Tree:
        """{"companions": freshly initialized parameters}; {} without companions."""
        keys = jax.random.split(jax.random.key(seed), len(self._named) + 1)[1:]
        found = {}
        for key, (name, one) in zip(keys, self._named.items(), strict=True):
            variables = one.module.init(key, *one.inputs)
            if set(variables) != {"params"}:
                raise TypeError(f"companion {name!r} has {set(variables)}; allowed: params alone")
            found[name] = variables["params"]
        return {COMPANIONS: found} if found else {}

    def initial_state(self, variables: Tree) -> Tree:
        """Their part of a state that starts from `variables`."""
        if not self._named:
            return {}
        params = variables[COMPANIONS]
        optimizer = {name: self._optimizer(name).init(params[name]) for name in self._named}
        return {COMPANIONS: {"params": params, "optimizer": optimizer}}

    def params(self, state: Tree) -> Tree:
        """Parameters by name."""
        return state[COMPANIONS]["params"] if self._named else {}

    def functions(self, params: Tree) -> Beside:
        """Them as functions of their inputs."""

        def bound(name: str):
            module = self._named[name].module
            return lambda *inputs, **options: module.apply(
                {"params": params[name]}, *inputs, **options
            )

        return {name: bound(name) for name in self._named}

    def sides(self, params: Tree) -> tuple[Tree, Tree]:
        """Parameters of those that minimise what the model does, and of those that oppose it."""
        helping = {name: x for name, x in params.items() if not self._named[name].opposes}
        return helping, {name: x for name, x in params.items() if name not in helping}

    def after(self, state: Tree, gradients: Tree, traced: Tree) -> Tree:
        """Their part of the state after a step."""
        if not self._named:
            return {}
        old = state[COMPANIONS]
        params, optimizer = {}, {}
        for name in self._named:
            update = self._optimizer(name, traced)
            changes, optimizer[name] = update.update(
                gradients[name], old["optimizer"][name], old["params"][name]
            )
            params[name] = optax.apply_updates(old["params"][name], changes)
        return {COMPANIONS: {"params": params, "optimizer": optimizer}}

    def _optimizer(self, name: str, traced: Tree | None = None) -> optax.GradientTransformation:
        """Its own AdamW; schedule and clipping of gradients are the phase's."""
        one = self._named[name]
        clip = traced["gradient_clip"] if traced else jnp.float32(self._settings.gradient_clip)
        own = {"learning_rate": one.learning_rate, "weight_decay": one.weight_decay}
        return transformation(self._settings, own | {"gradient_clip": clip})


def companions_of(experiment: Experiment, settings: Optimizer) -> Companions:
    """Of a run, in the phase of `settings`."""
    return Companions(experiment.task.companions(experiment.setup), settings)
