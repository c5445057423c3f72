"""Models with the weights of a few training steps, made once per test process.

Weights straight from initialization hide mistakes: biases are zero and batch norm does nothing.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from cases import RECIPES, SMALL, Case
from initial import QUICKLY, calibrated, initial

from aqtaudio.compression import low_rank
from aqtaudio.compression.fold import fold
from aqtaudio.program.compiler import compiled
from aqtaudio.program.program import Program
from aqtaudio.recipe import Recipe
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.quantized import Quantized
from aqtaudio.vocabulary.recording import record, record_real
from aqtaudio.vocabulary.signal import start

BATCH = 32
OPTIMIZER = optax.adam(5e-3)


def random_features(case: Case, count: int = BATCH, seed: int = 0) -> np.ndarray:
    """Features of unit scale around a fixed clip, float32 [count, T, F]."""
    typical = 1.5 * np.random.default_rng(99).normal(size=case.features)
    noise = np.random.default_rng(seed).normal(size=(count, *case.features))
    return (typical + noise).astype(np.float32)


def random_classes(case: Case, count: int = BATCH, seed: int = 0) -> np.ndarray:
    """Class numbers."""
    return np.random.default_rng(seed).integers(0, case.classes, count).astype(np.int32)


def cross_entropy(logits: jax.Array, classes: jax.Array) -> jax.Array:
    """Of the mean over frames where a model answers per frame."""
    logits = logits.reshape(len(logits), -1, logits.shape[-1]).mean(1)
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, classes))


@functools.cache
def floating(case: Case = SMALL, steps: int = 12) -> dict[str, Any]:
    """{"params", "batch_stats"} after float training with batch norm."""

    @functools.partial(jax.jit, compiler_options=QUICKLY)
    def step(variables, optimizer, features, classes):
        def loss(params):
            state = variables | {"params": params}
            signal = start(features, Floating())
            out, updated = case.model.apply(state, signal, mutable=["batch_stats"])
            return cross_entropy(out.real(), classes), updated

        gradients, updated = jax.grad(loss, has_aux=True)(variables["params"])
        changes, optimizer = OPTIMIZER.update(gradients, optimizer)
        params = optax.apply_updates(variables["params"], changes)
        return {"params": params, "batch_stats": {}} | updated, optimizer

    variables = initial(case.model, random_features(case))
    optimizer = OPTIMIZER.init(variables["params"])
    for number in range(steps):
        data = random_features(case, seed=number % 3), random_classes(case, seed=number % 3)
        variables, optimizer = step(variables, optimizer, *data)
    return variables


def folded(case: Case, recipe: Recipe) -> dict[str, Any]:
    """The float model's parameters, cut and folded as the recipe says."""
    variables = floating(case)
    params = low_rank.decompose(variables["params"], recipe)
    return fold(low_rank.truncate(params, recipe.low_rank), variables["batch_stats"])


@functools.cache
def untrained(case: Case = SMALL, recipe_name: str = "w8a8") -> Program:
    """The program of initial weights, for what does not ask how good they are."""
    recipe, features = RECIPES[recipe_name], random_features(case)
    fresh = initial(case.model, features)
    params = fold(fresh["params"], fresh.get("batch_stats", {}))
    ranges = calibrated(case.model, params, [features], recipe)
    return record(case.model, {"params": params, "ranges": ranges}, case.features, recipe)


@dataclasses.dataclass(frozen=True)
class Quant:
    """A quantized model and its jitted training step.

    Attributes:
      step: (params, optimizer, features, classes) -> (codes, gradients, params, optimizer).
      params: after a few such steps.
      ranges: frozen.
    """

    case: Case
    recipe: Recipe
    step: Any
    params: dict[str, Any]
    ranges: dict[str, Any]

    @functools.cached_property
    def program(self) -> Program:
        """What is recorded from the model."""
        return record(*self._recorded)

    @functools.cached_property
    def read(self) -> Program:
        """The same before it takes the forms that all kernels compute, which have edges more."""
        return record_real(*self._recorded)[0]

    @property
    def _recorded(self) -> tuple[Any, ...]:
        variables = {"params": self.params, "ranges": self.ranges}
        return self.case.model, variables, self.case.features, self.recipe

    def codes(self, features: np.ndarray) -> dict[str, np.ndarray]:
        """Codes of every edge inside the forward pass of one more training step."""
        classes = random_classes(self.case, len(features))
        return by_edge(self.step(self.params, OPTIMIZER.init(self.params), features, classes)[0])


@functools.cache
def quantized(recipe_name: str = "w8a8", case: Case = SMALL) -> Quant:
    """A model trained as the device computes."""
    batches = [random_features(case, seed=seed) for seed in range(3)]
    return fine_tuned(case, RECIPES[recipe_name], batches)


def fine_tuned(case: Case, recipe: Recipe, batches: list[np.ndarray]) -> Quant:
    """The float model folded, calibrated on `batches`, and trained on them."""
    params = folded(case, recipe)
    ranges = calibrated(case.model, params, batches, recipe)
    step = training_step(case, Quantized(recipe), ranges)
    optimizer = OPTIMIZER.init(params)
    for number, features in enumerate(batches):
        classes = random_classes(case, len(features), seed=number)
        _, _, params, optimizer = step(params, optimizer, features, classes)
    return Quant(case, recipe, step, params, ranges)


def training_step(case: Case, reading: Any, ranges: dict[str, Any]):
    """A compiled step that also hands out the codes of its forward pass."""

    def step(params, optimizer, features, classes):
        def loss(params):
            variables = {"params": params, "ranges": ranges}
            out, sown = case.model.apply(variables, start(features, reading), mutable=["codes"])
            return cross_entropy(out.real(), classes), sown.get("codes", {})

        (_, codes), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        changes, optimizer = OPTIMIZER.update(gradients, optimizer)
        return codes, gradients, optax.apply_updates(params, changes), optimizer

    return compiled(step)


def by_edge(codes: dict[str, Any], path: str = "") -> dict[str, np.ndarray]:
    """The "codes" collection by the names that edges have in a program, without frames' numbers."""
    found = {}
    for name, value in codes.items():
        if isinstance(value, tuple):
            found[path if name == "output" else f"{path}/{name}"] = np.asarray(value[0])
        else:
            found |= by_edge(value, f"{path}/{name}" if path else name)
    return found
