"""DNSMOS P.835 with a gradient: how listeners would rate speech, background and both, in JAX.

Reddy, Gopal and Cutler, "DNSMOS P.835: A Non-Intrusive Perceptual Objective Speech Quality Metric
to Evaluate Noise Suppressors", ICASSP 2022. The weights are those that the package speechmos
brings; scores are on its calibrated scale. It hears the level, and no clean speech: a network that
learns from it has to learn from something that knows the speech too.
"""

import functools
import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.models import onnx_file
from aqtaudio.tasks import sound_quality

RATE_HZ = 16_000
HOP_SAMPLES = 160
LEAST_POWER = 1e-12
POOLED = (3, 4, 5)
"""Convolutions that are followed by a maximum of 2x2."""
CONVOLUTIONS = tuple("conv2d" + (f"_{i}" if i else "") for i in range(7))
DENSE = ("dense", "dense_1", "dense_3")
CALIBRATION = (
    (-0.08397278, 1.22083953, 0.0052439),
    (-0.13166888, 1.60915514, -0.39604546),
    (-0.06766283, 1.11546468, 0.04602535),
)
"""Polynomials from the network's answers to scores: of speech, background, both."""
BEST = 5.0

Weights = Mapping[str, np.ndarray]


@functools.cache
def published() -> Weights:
    """The package's weights.

    Raises BadInput where a package is missing.
    """
    return onnx_file.read(str(sound_quality.dnsmos_file()), sound_quality.INSTALL)


def scores(clips: jax.Array, weights: Weights) -> jax.Array:
    """Of clips [B, N] at 16 kHz: [B, 3], SIG, BAK and OVRL, about 1 to 5.

    The package judges 9.01 s. The network ends in a maximum over time, so that it has an answer to
    any length.
    """
    x = _log_power(clips, weights)[..., None]
    for index, name in enumerate(CONVOLUTIONS):
        kernel = weights[f"{name}/kernel:0"].transpose(2, 3, 1, 0)
        x = jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = jax.nn.relu(x + weights[f"{name}/bias:0"])
        if index in POOLED:
            x = _largest_of_2x2(x)
    x = jnp.max(x, (1, 2))
    for name in DENSE:
        kernel, bias = (
            weights[f"mos_estimator_logpow/{name}/{part}/ReadVariableOp/resource:0"]
            for part in ("MatMul", "BiasAdd")
        )
        x = x @ kernel + bias
        x = x if name == DENSE[-1] else jax.nn.relu(x)
    square, slope, offset = np.asarray(CALIBRATION, np.float32).T
    return (square * x + slope) * x + offset


def unconvincing(clips: jax.Array, weights: Weights) -> jax.Array:
    """By how much clips [B, N] miss the best score: [B], the mean over the three scores."""
    return jnp.mean(BEST - scores(clips, weights), -1)


def _log_power(clips: jax.Array, weights: Weights) -> jax.Array:
    """Of frames [B, T, bins]; the transform is among the weights."""
    kernels = (weights[f"time2freq/stft-{part}/kernel:0"] for part in ("real", "imag"))
    real, imaginary = (kernel[..., 0] for kernel in kernels)
    size = real.shape[1]
    starts = np.arange(0, clips.shape[-1] - size + 1, HOP_SAMPLES)
    frames = clips[..., starts[:, None] + np.arange(size)]
    power = jnp.square(frames @ real.T) + jnp.square(frames @ imaginary.T)
    return jnp.log(jnp.maximum(power, LEAST_POWER)) / np.float32(math.log(10))


def _largest_of_2x2(x: jax.Array) -> jax.Array:
    """Of [B, T, F, C]; an odd last row or column is left out."""
    shape = (1, 2, 2, 1)
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, shape, shape, "VALID")
