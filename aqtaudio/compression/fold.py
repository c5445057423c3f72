"""Batch norm folded into kernel and bias, and lengths of kernels into them."""

from typing import Any

import jax.numpy as jnp

from aqtaudio.vocabulary.layer_tree import flatten, unflatten
from aqtaudio.vocabulary.layers import EPSILON
from aqtaudio.vocabulary.weighted import lengths_of


def fold(params: dict[str, Any], batch_stats: dict[str, Any]) -> dict[str, Any]:
    """Parameters of the same model without batch norm and without weight norm.

    y = (kernel * x - mean) * gamma / sqrt(variance + eps) + bias becomes
    (kernel * factor) * x + (bias - mean * factor). A layer kept as U diag(s) V or as two thin
    factors has its last factor scaled.
    """
    folded = {path: with_length(layer) for path, layer in flatten(params).items()}
    statistics = flatten(batch_stats)
    for path, layer in folded.items():
        if "gamma" not in layer:
            continue
        stats = statistics[path]
        factor = layer["gamma"] / jnp.sqrt(stats["variance"] + EPSILON)
        last = next(key for key in ("kernel", "up", "v") if key in layer)
        folded[path] = {key: value for key, value in layer.items() if key != "gamma"} | {
            last: layer[last] * factor,
            "bias": layer["bias"] - stats["mean"] * factor,
        }
    return unflatten(folded)


def with_length(layer: dict[str, Any]) -> dict[str, Any]:
    """Parameters of a layer whose kernel has its own length."""
    if "length" not in layer:
        return layer
    kernel = layer["kernel"] * (layer["length"] / lengths_of(layer["kernel"]))
    return {key: value for key, value in layer.items() if key != "length"} | {"kernel": kernel}
