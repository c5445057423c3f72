"""What may differ between runs of one compiled program: values that a step takes as arguments.

Runs that differ in nothing else (`signature`) train side by side, with a leading axis of runs.
"""

import dataclasses
import json
from collections.abc import Hashable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from aqtaudio.compression import low_rank
from aqtaudio.experiment import Experiment, Optimizer, identity
from aqtaudio.recipe import Recipe, Rule
from aqtaudio.training.phases import Phase
from aqtaudio.vocabulary.layer_tree import flatten

Tree = dict[str, Any]


def traced_values(
    experiment: Experiment, phase: Phase, variables: Tree, teacher: Tree | None = None
) -> Tree:
    """Of one run in one phase.

    Args:
      experiment: the run's settings.
      phase: of the run.
      variables: of the model as the phase begins.
      teacher: the float model's variables, where the phase distills.
    """
    settings = phase.optimizer
    values = {
        "seed": np.int32(experiment.seed),
        "learning_rate": np.float32(settings.learning_rate),
        "weight_decay": np.float32(settings.weight_decay),
        "gradient_clip": np.float32(settings.gradient_clip),
        "label_smoothing": np.float32(settings.label_smoothing),
        "low_rank": low_rank.strengths(variables["params"], experiment.recipe),
    }
    if phase.distills:
        values |= {"distillation": np.float32(experiment.distillation), "teacher": teacher}
    return values


def traced_bits(variables: Tree, recipe: Recipe) -> Tree:
    """The "bits" collection of a model: {layer: {"weights", "activations"}}, int32 [].

    Of layers of up to 8 bits: 16 are another program, and the recipe's.
    """
    found = {}
    for layer in layers_of(variables["params"], variables["ranges"]):
        rule, path = recipe.rule(layer), tuple(layer.split("/"))
        if rule.activation_bits == 16:
            continue
        found[*path, "weights"] = np.int32(rule.weight_bits)
        found[*path, "activations"] = np.int32(rule.activation_bits)
    return unflatten_dict(found)


def layers_of(params: Tree, ranges: Tree) -> set[str]:
    """Paths of the layers that have weights or an edge of their own."""
    return {*flatten(params), *("/".join(path[:-2]) for path in flatten_dict(ranges))}


def bits_are_traced(recipe: Recipe) -> bool:
    """Whether runs of other bits (up to 8) are the same program.

    Not where bits decide what is computed: LiteRT's rescaling, dense layers that become
    convolutions, relu6 ranges that are learned.
    """
    plain = recipe.mode == "native" and recipe.target == "micro" and not recipe.learn_ranges
    return plain and all(rule.int4_dense == "tensor" for rule in recipe.rules)


def signature(experiment: Experiment) -> Hashable:
    """Equal for runs that can be one program; whether one starts from a run counts, not which."""
    alike = dataclasses.replace(
        experiment,
        seed=0,
        init_from=experiment.init_from and "",
        optimizer=_without_values(experiment.optimizer),
        finetune=_without_values(experiment.finetune),
        distillation=float(experiment.distillation > 0),
        recipe=_without_values_of_recipe(experiment.recipe),
    )
    engine = experiment.engine
    return json.dumps([identity(alike), engine], sort_keys=True)


def _without_values(settings: Optimizer) -> Optimizer:
    return dataclasses.replace(
        settings, learning_rate=1.0, weight_decay=0.0, gradient_clip=1.0, label_smoothing=0.0
    )


def _without_values_of_recipe(recipe: Recipe) -> Recipe:
    """Energy and threshold decide ranks, that is shapes: known only once the float phase ends."""
    rules = tuple(_without_values_of_rule(rule, bits_are_traced(recipe)) for rule in recipe.rules)
    if all(rule == dataclasses.replace(rules[0], pattern=rule.pattern) for rule in rules):
        rules = (dataclasses.replace(rules[0], pattern=".*"),)
    return dataclasses.replace(recipe, rules=rules, low_rank=type(recipe.low_rank)())


def _without_values_of_rule(rule: Rule, traced: bool) -> Rule:
    """Calibration is each run's own, before the steps."""
    penalty = None if rule.svd_penalty is None else 0.0
    rule = dataclasses.replace(rule, svd_penalty=penalty, calibration="max")
    if not traced or rule.activation_bits == 16:
        return rule
    return dataclasses.replace(rule, weight_bits=8, activation_bits=8)


def shapes(tree: Any) -> Hashable:
    """Structure, shapes and types of a tree of arrays: what has to be equal to be stacked."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple((np.shape(leaf), jnp.asarray(leaf).dtype.name) for leaf in leaves)
