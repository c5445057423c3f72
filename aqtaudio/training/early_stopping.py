"""Early stopping: the best state of a phase, kept in its checkpoints beside the newest one."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.training.companions import COMPANIONS
from aqtaudio.training.step import State

Best = dict[str, Any]
"""Of a state its "params" and "collections", and companions' parameters; its "loss", a float32; and
how many evaluations it has "waited" for a better one, an int32. Arrays, so that a checkpoint holds
them."""


def unjudged(state: State) -> Best:
    """What comes before the first evaluation: any loss is better."""
    return _kept(state) | {
        "loss": np.asarray(np.inf, np.float32),
        "waited": np.asarray(0, np.int32),
    }


def judged(best: Best, state: State, loss: float) -> Best:
    """The better of two: what was known, one evaluation later, or a state with its loss."""
    if np.float32(loss) < best["loss"]:
        return _kept(state) | {
            "loss": np.asarray(loss, np.float32),
            "waited": np.asarray(0, np.int32),
        }
    return best | {"waited": np.asarray(best["waited"] + 1, np.int32)}


def chosen(best: Best, state: State) -> State:
    """The state that a phase ends with; only its optimizer's is the newest."""
    kept = state | {"params": best["params"], "collections": best["collections"]}
    if COMPANIONS in state:
        kept[COMPANIONS] = state[COMPANIONS] | {"params": best[COMPANIONS]}
    return kept


def _kept(state: State) -> Best:
    """A copy: steps donate their state."""
    kept = {"params": state["params"], "collections": state["collections"]}
    if COMPANIONS in state:
        kept[COMPANIONS] = state[COMPANIONS]["params"]
    return jax.tree.map(jnp.copy, kept)
