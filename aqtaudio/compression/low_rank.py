"""Low rank: kernels trained as U diag(s) V, then cut.

Yang et al., "Learning Low-rank Deep Neural Networks via Singular Vector Orthogonality
Regularization and Singular Value Sparsification", arXiv:2004.09031: no SVD per step; a penalty
keeps U and V orthogonal, another makes the singular values sparse, and small ones are dropped.
"""

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.compression.fold import with_length
from aqtaudio.errors import BadInput
from aqtaudio.recipe import LowRank, Recipe
from aqtaudio.vocabulary.layer_tree import flatten, unflatten


def decompose(params: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """Replaces each kernel whose rule has an `svd_penalty` by its exact singular value form.

    Only layers that are one matrix qualify: dense layers and 1x1 convolutions.
    """
    result = flatten(params)
    for name, layer in result.items():
        if recipe.rule(name).svd_penalty is None or "kernel" not in layer:
            continue
        layer = with_length(layer)
        kernel = np.asarray(layer["kernel"])
        if math.prod(kernel.shape[:-2]) != 1:
            raise BadInput(
                f"recipe: layer {name!r} has a kernel of shape {kernel.shape}; a singular-value "
                "penalty applies to dense layers and 1x1 convolutions"
            )
        u, s, v = np.linalg.svd(kernel.reshape(kernel.shape[-2:]), full_matrices=False)
        u = u.reshape(*kernel.shape[:-2], *u.shape)
        rest = {key: value for key, value in layer.items() if key != "kernel"}
        result[name] = rest | {"u": jnp.asarray(u), "s": jnp.asarray(s), "v": jnp.asarray(v)}
    return unflatten(result)


def merge(params: dict[str, Any]) -> dict[str, Any]:
    """The kernels of decomposed layers: what `decompose` came from, after training."""
    result = flatten(params)
    for name, layer in _decomposed(params):
        rest = {key: value for key, value in layer.items() if key not in ("u", "s", "v")}
        result[name] = rest | {"kernel": (layer["u"] * layer["s"]) @ layer["v"]}
    return unflatten(result)


def strengths(params: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """How strong the penalties on decomposed layers are: what may differ between runs."""
    layers = {
        name: np.float32(recipe.rule(name).svd_penalty or 0) for name, _ in _decomposed(params)
    }
    return {"orthogonality": np.float32(recipe.low_rank.orthogonality), "sparsity": layers}


def penalty(params: dict[str, Any], strengths: dict[str, Any]) -> jax.Array:
    """Orthogonality of U and V, and sparsity of s, summed over decomposed layers.

    Sparsity is Hoyer's |s|_1 / |s|_2, which does not change with the scale of s: batch norm could
    undo a penalty that does.
    """
    total = jnp.zeros(())
    for name, layer in _decomposed(params):
        s, v = layer["s"], layer["v"]
        u = layer["u"].reshape(-1, s.shape[0])
        eye = jnp.eye(s.shape[0])
        off = jnp.sum(jnp.square(u.T @ u - eye)) + jnp.sum(jnp.square(v @ v.T - eye))
        sparsity = jnp.sum(jnp.abs(s)) / jnp.sqrt(jnp.sum(jnp.square(s)) + 1e-12)
        held = strengths["orthogonality"] * off / s.shape[0]
        total = total + held + strengths["sparsity"][name] * sparsity
    return total


def truncate(params: dict[str, Any], shapes: LowRank) -> dict[str, Any]:
    """Cuts decomposed layers to the ranks that `shapes` allows.

    A layer becomes two thin factors ("down", "up") when that has fewer weights than one kernel,
    and an ordinary kernel (of the cut rank) when it does not.
    """
    result = flatten(params)
    for name, layer in _decomposed(params):
        u, s, v = _principal(layer)
        rank = kept(s, shapes)
        u, s, v = u[:, :rank], s[:rank], v[:rank]
        rest = {key: value for key, value in layer.items() if key not in ("u", "s", "v")}
        inputs, outputs = u.shape[0], v.shape[1]
        lead = layer["u"].shape[:-2]
        if rank * (inputs + outputs) < inputs * outputs:
            root = np.sqrt(s)
            factors = {"down": u * root, "up": root[:, None] * v}
        else:
            factors = {"kernel": (u * s) @ v}
        result[name] = rest | {
            k: jnp.asarray(w.reshape(*lead, *w.shape)) for k, w in factors.items()
        }
    return unflatten(result)


def kept(s: np.ndarray, shapes: LowRank) -> int:
    """How many singular values (descending) stay."""
    energy = np.cumsum(np.square(s))
    by_energy = int(np.searchsorted(energy, shapes.energy * energy[-1] * (1 - 1e-7))) + 1
    by_threshold = int(np.sum(s >= shapes.threshold * s[0]))
    return max(1, min(by_energy, by_threshold, len(s)))


def ranks(params: dict[str, Any]) -> dict[str, int]:
    """Rank of every layer that is kept as two thin factors."""
    layers = flatten(params).items()
    return {name: layer["up"].shape[-2] for name, layer in layers if "up" in layer}


def _decomposed(params: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((name, layer) for name, layer in flatten(params).items() if "s" in layer)


def _principal(layer: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The true singular value form: training leaves u and v only nearly orthogonal."""
    s = np.asarray(layer["s"])
    matrix = (np.asarray(layer["u"]).reshape(-1, len(s)) * s) @ np.asarray(layer["v"])
    return np.linalg.svd(matrix, full_matrices=False)
