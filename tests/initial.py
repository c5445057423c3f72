"""Parameters and ranges to start from. What is verified begins after them: they compile quickly."""

from collections.abc import Iterable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from optimization import LESS

from aqtaudio.compression.calibrate import calibrate
from aqtaudio.recipe import Recipe
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.signal import start

# A quarter of the time: most of it goes into random numbers, 20 rounds of a cipher for each layer.
# Only for what makes numbers to start from: laws hold for programs compiled as users run them.
QUICKLY = LESS | {"xla_backend_optimization_level": 0}


def initial(model: nn.Module, features: np.ndarray | jax.Array, seed: int = 0) -> dict[str, Any]:
    """The variables of model.init."""
    init = jax.jit(model.init, compiler_options=QUICKLY)
    return init(jax.random.key(seed), start(jnp.asarray(features), Floating()))


def calibrated(
    model: nn.Module, params: dict[str, Any], batches: Iterable[Any], recipe: Recipe
) -> dict[str, Any]:
    """The ranges of `calibrate`, which makes a program of its own each time."""
    setting = "jax_disable_most_optimizations"
    before = jax.config.read(setting)
    jax.config.update(setting, True)
    try:
        return calibrate(model, params, batches, recipe)
    finally:
        jax.config.update(setting, before)
