"""What the optimizer changes: parameters, and scales of edges where a phase learns them; both of
the layers that the phase trains.

To the optimizer a scale is its logarithm: scales stay positive, and a change means the same for
every edge. The state holds the scales themselves, where calibration left them: in "ranges".
"""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from aqtaudio.training.phases import Phase
from aqtaudio.vocabulary.layer_tree import flatten, unflatten

SMALLEST = np.float32(1e-8)
"""As in calibration."""
FASTER = 30.0
"""Logarithms of scales change so many times faster than parameters do.

Adam's changes are as large as its rate, which is made for weights: at their speed scales hardly
move in a fine-tuning of some hundred steps.
"""
Tree = dict[str, Any]


def trained(variables: Tree, phase: Phase) -> Tree:
    """The parameters that are trained; with learned ranges {"params": them, "scales": ...}."""
    layers = flatten(variables["params"]).items()
    params = unflatten({name: layer for name, layer in layers if _trains(phase, name)})
    if not phase.learns_ranges:
        return params
    return {"params": params, "scales": _scales(variables["ranges"], phase)}


def replaced(variables: Tree, values: Tree, phase: Phase) -> Tree:
    """The variables of a model with `values`, which are as `trained` gives them."""
    layers = flatten(values["params"] if phase.learns_ranges else values)
    params = unflatten(flatten(variables["params"]) | layers)
    if not phase.learns_ranges:
        return variables | {"params": params}
    ranges = unflatten_dict(flatten_dict(variables["ranges"]) | flatten_dict(values["scales"]))
    return variables | {"params": params, "ranges": ranges}


def logarithmic(gradients: Tree, values: Tree, phase: Phase) -> Tree:
    """Gradients of `values`, those of scales turned into gradients of their logarithms."""
    if not phase.learns_ranges:
        return gradients
    scales = jax.tree.map(jnp.multiply, gradients["scales"], values["scales"])
    return gradients | {"scales": scales}


def changed(values: Tree, changes: Tree, phase: Phase) -> Tree:
    """Values after an optimizer's changes."""
    if not phase.learns_ranges:
        return optax.apply_updates(values, changes)

    def multiplied(scale: jax.Array, change: jax.Array) -> jax.Array:
        return jnp.maximum(scale * jnp.exp(FASTER * change), SMALLEST)

    return {
        "params": optax.apply_updates(values["params"], changes["params"]),
        "scales": jax.tree.map(multiplied, values["scales"], changes["scales"]),
    }


def _scales(ranges: Tree, phase: Phase) -> Tree:
    """The scales in a "ranges" collection (layer, part, "scale"), in a tree of their own."""
    flat = flatten_dict(ranges)
    kept = (path for path in flat if path[-1] == "scale" and _trains(phase, "/".join(path[:-2])))
    return unflatten_dict({path: flat[path] for path in kept})


def _trains(phase: Phase, layer: str) -> bool:
    return re.fullmatch(phase.optimizer.trains, layer) is not None
