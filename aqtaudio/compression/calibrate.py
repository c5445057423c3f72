"""Calibration: static activation ranges from batches of features, before they are frozen."""

from collections.abc import Callable, Iterable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.recipe import Recipe
from aqtaudio.vocabulary.fake import Calibrating
from aqtaudio.vocabulary.signal import start


def calibrate(
    model: nn.Module,
    params: dict[str, Any],
    batches: Iterable[jax.Array],
    recipe: Recipe,
    heard: Callable[[dict[str, Any], jax.Array], dict[str, Any]] | None = None,
    input_scale: float | None = None,
) -> dict[str, Any]:
    """The "ranges" collection of a folded model, observed over batches of features [B, T, F].

    `heard` gives a stream's model the collections that it needs to go on with a batch.
    `input_scale` is the step of features that are codes already.
    """
    mutable = ["ranges", "state"] if heard else ["ranges"]

    @jax.jit
    def observe(params: dict[str, Any], ranges: dict[str, Any], features: jax.Array):
        variables = {"params": params, "ranges": ranges}
        if heard:
            variables |= heard({"params": params}, features)
        reading = Calibrating(recipe, input_scale=input_scale)
        _, updated = model.apply(variables, start(features, reading), mutable=mutable)
        return updated["ranges"]

    ranges: dict[str, Any] = {}
    for features in batches:
        # From the first batch on it is one program: every range begins unset.
        ranges = ranges or unset(jax.eval_shape(observe, params, {}, features))
        ranges = observe(params, ranges, features)
    if not ranges:
        raise ValueError("calibration needs at least one batch")
    return ranges


def unset(ranges: Any) -> Any:
    """Ranges, or shapes of them, before anything was observed."""
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), ranges)


def unobserved(
    model: nn.Module, params: dict[str, Any], feature_shape: tuple[int, ...], recipe: Recipe
) -> dict[str, Any]:
    """The "ranges" collection before calibration, for features [1, *feature_shape]."""

    def observe(features: jax.Array) -> Any:
        signal = start(features, Calibrating(recipe))
        return model.apply({"params": params}, signal, mutable=["ranges"])[1]["ranges"]

    return unset(jax.eval_shape(observe, jnp.zeros((1, *feature_shape))))
