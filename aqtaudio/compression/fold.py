"""Batch norm folded into kernel and bias: one of the two functions that change the parameters."""

from typing import Any

import jax.numpy as jnp

from aqtaudio.vocabulary.layers import EPSILON


def fold(params: dict[str, Any], batch_stats: dict[str, Any]) -> dict[str, Any]:
    """Parameters of the same model without batch norm.

    y = (kernel * x - mean) * gamma / sqrt(variance + eps) + bias becomes
    (kernel * factor) * x + (bias - mean * factor). A layer kept as U diag(s) V or as two thin
    factors has its last factor scaled.
    """
    folded = {}
    for name, layer in params.items():
        if "gamma" not in layer:
            folded[name] = fold(layer, batch_stats.get(name, {})) if _is_nested(layer) else layer
            continue
        stats = batch_stats[name]
        factor = layer["gamma"] / jnp.sqrt(stats["variance"] + EPSILON)
        last = next(key for key in ("kernel", "up", "v") if key in layer)
        folded[name] = {key: value for key, value in layer.items() if key != "gamma"} | {
            last: layer[last] * factor,
            "bias": layer["bias"] - stats["mean"] * factor,
        }
    return folded


def _is_nested(layer: dict[str, Any]) -> bool:
    return any(isinstance(value, dict) for value in layer.values())
