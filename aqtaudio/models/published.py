"""Weights that the authors of a model published, from a file of arrays."""

import zipfile
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.layer_tree import flatten
from aqtaudio.vocabulary.signal import start

SUFFIX = ".npz"
UNREADABLE = (OSError, EOFError, ValueError, TypeError, LookupError, zipfile.BadZipFile)
"""What numpy raises of a file that holds no arrays, or others than asked for."""


def is_published(file: str | None) -> bool:
    """Whether a path names a file of published weights instead of a run."""
    return file is not None and Path(file).suffix == SUFFIX


def read(model: nn.Module, file: str) -> dict[str, Any]:
    """Variables of the float model from a file of published weights.

    Raises BadInput where the file cannot be read, or is of another model.
    """
    if not hasattr(model, "with_published"):
        raise BadInput(f"{file}: {type(model).__name__} reads no published weights")
    try:
        with np.load(file, allow_pickle=False) as arrays:
            variables = model.with_published(arrays)  # type: ignore[attr-defined]
    except UNREADABLE as error:
        raise BadInput(f"{file}: not weights of {type(model).__name__}: {error}") from None
    return jax.tree.map(jnp.asarray, variables)


def require_layers(
    variables: dict[str, Any], model: nn.Module, feature_shape: tuple[int, int], file: str
) -> None:
    """Raises BadInput, naming the first layer that is another in `variables` than in the model."""
    features = jnp.zeros((1, *feature_shape))
    fresh = jax.eval_shape(lambda: model.init(jax.random.key(0), start(features, Floating())))
    ours, theirs = (shapes(x["params"]) for x in (fresh, variables))
    if ours != theirs:
        wrong = next(name for name in ours | theirs if ours.get(name) != theirs.get(name))
        raise BadInput(
            f"{file}: layer {wrong!r} is {ours.get(wrong, 'not')} in the model, "
            f"{theirs.get(wrong, 'not')} in the file; init_differs model lets it start fresh"
        )


def shapes(params: dict[str, Any]) -> dict[str, Any]:
    """Of every layer's parameters, by its path."""
    return {name: jax.tree.map(jnp.shape, layer) for name, layer in flatten(params).items()}
