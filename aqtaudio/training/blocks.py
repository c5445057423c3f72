"""What blocks of a model put out, for a student whose blocks are to be its teacher's."""

import re
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from aqtaudio.vocabulary.signal import Signal

Tree = dict[str, Any]
COLLECTION = "intermediates"


def capturing(pattern: str) -> Tree:
    """Arguments of `apply` that keep the outputs of modules whose path matches; none for ""."""
    if not pattern:
        return {}

    def matches(module: nn.Module, method: str) -> bool:
        return method == "__call__" and re.fullmatch(pattern, "/".join(module.path)) is not None

    return {"capture_intermediates": matches, "mutable": [COLLECTION]}


def apart(ours: Tree, theirs: Tree) -> jax.Array:
    """Mean over blocks of the relative squared error of their outputs; 0 without blocks."""
    pairs = zip(_outputs(ours), _outputs(theirs), strict=True)
    errors = [jnp.mean(jnp.square(a - b)) / (jnp.mean(jnp.square(b)) + 1e-9) for a, b in pairs]
    return jnp.mean(jnp.stack(errors)) if errors else jnp.zeros(())


def _outputs(updated: Tree) -> list[jax.Array]:
    kept = updated.get(COLLECTION, {})
    signals = jax.tree.leaves(kept, is_leaf=lambda x: isinstance(x, Signal))
    return [x.real() for x in signals if isinstance(x, Signal)]
