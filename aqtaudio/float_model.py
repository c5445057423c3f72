"""The float model that a quantized one is compared with: its structure, weights and costs."""

from typing import Any

import jax
import numpy as np

from aqtaudio.compression import low_rank
from aqtaudio.compression.calibrate import calibrate
from aqtaudio.compression.fold import fold
from aqtaudio.compression.layer_tree import flatten
from aqtaudio.compression.recipe import W8A8
from aqtaudio.experiment import Experiment
from aqtaudio.program.program import Program
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.recording import record
from aqtaudio.vocabulary.signal import start

FLOAT32_BITS = 32


def structure(experiment: Experiment) -> Program:
    """The operations of the folded model; codes and scales are those of no training."""
    model, shape = experiment.built_model(), experiment.feature_shape
    features = np.zeros((1, *shape), np.float32)
    fresh = model.init(jax.random.key(0), start(features, Floating()))
    params = fold(fresh["params"], fresh["batch_stats"])
    ranges = calibrate(model, params, [features], W8A8)
    return record(model, {"params": params, "ranges": ranges}, shape, W8A8)


def weights(floating: dict[str, Any]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Folded (kernel, bias) of every layer of a trained float model."""
    merged = low_rank.merge(floating["params"])
    layers = flatten(fold(merged, floating["batch_stats"]))
    return {
        path: (np.asarray(layer["kernel"]), np.asarray(layer["bias"]))
        for path, layer in layers.items()
    }


def in_float32(totals: dict[str, Any]) -> dict[str, Any]:
    """Costs that differ when everything is float32 instead of int8."""
    return {
        "bitops": totals["macs"] * FLOAT32_BITS * FLOAT32_BITS,
        "weight_bytes": 4 * totals["params"],
        "activation_bytes": 4 * totals["activation_bytes"],
    }
