"""Parameters to start from. What is verified begins after them, so they are compiled quickly."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.signal import start

# A quarter of the time: most of it goes into random numbers, 20 rounds of a cipher for each layer.
# Only for what makes numbers to start from: laws hold for programs compiled as users run them.
QUICKLY = {"xla_backend_optimization_level": 0}


def initial(model: nn.Module, features: np.ndarray | jax.Array, seed: int = 0) -> dict[str, Any]:
    """The variables of model.init."""
    init = jax.jit(model.init, compiler_options=QUICKLY)
    return init(jax.random.key(seed), start(jnp.asarray(features), Floating()))
