"""Published weights of L3-Net's audio subnetwork and its students as parameters of ours.

The files hold one Keras network: a batch norm of the input, seven convolutions with a batch norm
each, and `audio_embedding_layer`, which has one in the students and none in OpenL3. Keras numbers
layers of a kind in the order in which a process made them, so a file's first convolution need not
be the first by its name. The front end's arrays that some files have are not read.
"""

import re
from collections.abc import Mapping

import numpy as np

from aqtaudio.vocabulary.layers import EPSILON

PUBLISHED_EPSILON = 1e-3
"""Of Keras' batch norm, in all of these networks."""
LAYERS = tuple(f"conv_{block}_{number}" for block in (1, 2, 3, 4) for number in (1, 2))
LAST = "audio_embedding_layer"
NORM_PARTS = ("gamma", "beta", "moving_mean", "moving_variance")
Arrays = Mapping[str, np.ndarray]


def published(arrays: Arrays) -> dict[str, dict]:
    """Variables of an `L3Net` from arrays called "layer/part", e.g. "conv2d_1/kernel".

    Kernels [bands, frames, C, D] become [frames, bands, C, D]. Raises KeyError where an array is
    missing, ValueError where there are more or fewer layers than the network has.
    """
    convolutions, norms = [*_numbered(arrays, "conv2d"), LAST], _norms(arrays)[1:]
    layers, statistics = {}, {}
    for number, (ours, theirs) in enumerate(zip(LAYERS, convolutions, strict=True)):
        kernel = _array(arrays, f"{theirs}/kernel", 4).transpose(1, 0, 2, 3)
        bias = _array(arrays, f"{theirs}/bias", 1)
        if number == len(norms):
            layers[ours] = {"kernel": kernel, "bias": bias}
            continue
        gamma, beta, mean, variance = _norm(arrays, norms[number], len(bias))
        variance = variance + np.float32(PUBLISHED_EPSILON - EPSILON)
        layers[ours] = {"kernel": kernel, "gamma": gamma, "bias": beta}
        statistics[ours] = {"mean": mean - bias, "variance": variance}
    return {"params": layers, "batch_stats": statistics}


def normalisation(arrays: Arrays) -> tuple[float, float]:
    """(mean, scale): the batch norm of the input is (x - mean) / scale.

    Raises as `published` does, and ValueError where that norm turns the input over.
    """
    parts = _norm(arrays, _norms(arrays)[0], 1)
    gamma, beta, mean, variance = (float(part[0]) for part in parts)
    if not gamma > 0:
        raise ValueError(f"the batch norm of the input has a gain of {gamma:g}")
    scale = np.sqrt(variance + PUBLISHED_EPSILON) / gamma
    return mean - beta * scale, scale


def _norms(arrays: Arrays) -> list[str]:
    """Of the input, then of the convolutions."""
    convolutions, norms = _numbered(arrays, "conv2d"), _numbered(arrays, "batch_normalization")
    if len(convolutions) != len(LAYERS) - 1 or len(norms) not in (len(LAYERS), len(LAYERS) + 1):
        raise ValueError(
            f"{len(convolutions)} layers conv2d and {len(norms)} batch_normalization; the network "
            f"has {len(LAYERS) - 1}, and {len(LAYERS)} or {len(LAYERS) + 1}"
        )
    return norms


def _numbered(arrays: Arrays, kind: str) -> list[str]:
    """Layers called as their kind, in the order of their numbers: "conv2d", "conv2d_1", ..."""
    matches = (re.fullmatch(rf"({kind}(?:_(\d+))?)/\w+", name) for name in arrays)
    return sorted({m[1] for m in matches if m}, key=lambda name: int("0" + name[len(kind) + 1 :]))


def _norm(arrays: Arrays, name: str, channels: int) -> list[np.ndarray]:
    parts = [_array(arrays, f"{name}/{part}", 1) for part in NORM_PARTS]
    if any(len(part) != channels for part in parts):
        raise ValueError(f"{name} is not of {channels} channels")
    return parts


def _array(arrays: Arrays, name: str, axes: int) -> np.ndarray:
    array = np.asarray(arrays[name], np.float32)
    if array.ndim != axes:
        raise ValueError(f"{name} has {array.ndim} axes, not {axes}")
    return array
