"""What the optimizer changes: the parameters, and scales of edges where a phase learns them.

To the optimizer a scale is its logarithm: scales stay positive, and a change means the same for
every edge. The state holds the scales themselves, where calibration left them: in "ranges".
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from aqtaudio.training.phases import Phase

SMALLEST = np.float32(1e-8)
"""As in calibration."""
FASTER = 30.0
"""Logarithms of scales change so many times faster than parameters do.

Adam's changes are as large as its rate, which is made for weights: at their speed scales hardly
move in a fine-tuning of some hundred steps.
"""
Tree = dict[str, Any]


def trained(variables: Tree, phase: Phase) -> Tree:
    """The parameters of a model; with learned ranges {"params": them, "scales": ...}."""
    if not phase.learns_ranges:
        return variables["params"]
    return {"params": variables["params"], "scales": _scales(variables["ranges"])}


def replaced(variables: Tree, values: Tree, phase: Phase) -> Tree:
    """The variables of a model with `values`, which are as `trained` gives them."""
    if not phase.learns_ranges:
        return variables | {"params": values}
    ranges = unflatten_dict(flatten_dict(variables["ranges"]) | flatten_dict(values["scales"]))
    return variables | {"params": values["params"], "ranges": ranges}


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


def _scales(ranges: Tree) -> Tree:
    """The scales in a "ranges" collection, in a tree of their own."""
    flat = flatten_dict(ranges)
    return unflatten_dict({path: leaf for path, leaf in flat.items() if path[-1] == "scale"})
