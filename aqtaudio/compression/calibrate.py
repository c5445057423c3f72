"""Calibration: static activation ranges from batches of features, before they are frozen."""

from collections.abc import Callable, Iterable
from typing import Any

import flax.linen as nn
import jax

from aqtaudio.recipe import Recipe
from aqtaudio.vocabulary.fake import Calibrating
from aqtaudio.vocabulary.signal import start


def calibrate(
    model: nn.Module,
    params: dict[str, Any],
    batches: Iterable[jax.Array],
    recipe: Recipe,
    heard: Callable[[dict[str, Any], jax.Array], dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """The "ranges" collection of a folded model, observed over batches of features [B, T, F].

    `heard` gives a stream's model the collections that it needs to go on with a batch.
    """
    mutable = ["ranges", "state"] if heard else ["ranges"]

    @jax.jit
    def observe(params: dict[str, Any], ranges: dict[str, Any], features: jax.Array):
        variables = {"params": params, "ranges": ranges}
        if heard:
            variables |= heard({"params": params}, features)
        _, updated = model.apply(variables, start(features, Calibrating(recipe)), mutable=mutable)
        return updated["ranges"]

    ranges: dict[str, Any] = {}
    for features in batches:
        ranges = observe(params, ranges, features)
    if not ranges:
        raise ValueError("calibration needs at least one batch")
    return ranges
