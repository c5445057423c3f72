"""The float model that a quantized one is compared with: its structure, weights and costs."""

from typing import Any

import jax

from aqtaudio.compression import low_rank
from aqtaudio.compression.calibrate import calibrate
from aqtaudio.compression.fold import fold
from aqtaudio.experiment import Experiment
from aqtaudio.program.program import Program
from aqtaudio.recipe import W8A8
from aqtaudio.training.restore import fresh
from aqtaudio.vocabulary.recording import Real, clip, record_real

FLOAT32_BITS = 32


def recorded(experiment: Experiment, floating: dict[str, Any]) -> tuple[Program, Real]:
    """The operations of the folded model and their real weights.

    Codes and scales of the program mean nothing.
    """
    model, setup = experiment.built_model(), experiment.setup
    # Not zeros: a softmax of nothing but zeros has a scale that TFLite Micro refuses.
    features = jax.random.normal(jax.random.key(0), (1, *setup.feature_shape))
    params = fold(low_rank.merge(floating["params"]), floating["batch_stats"])
    ranges = calibrate(model, params, [features], W8A8)
    variables = {"params": params, "ranges": ranges}
    if setup.streams:
        variables |= clip(model, variables, setup.feature_shape)
    return record_real(model, variables, setup.input_shape, W8A8, setup.streams, is_served=False)


def structure(experiment: Experiment) -> Program:
    """The operations of the folded model, without training."""
    return recorded(experiment, fresh(experiment))[0]


def in_float32(totals: dict[str, Any]) -> dict[str, Any]:
    """Costs that differ when everything is float32 instead of int8."""
    return {
        "bitops": totals["macs"] * FLOAT32_BITS * FLOAT32_BITS,
        "linear_cost": totals["macs"] * FLOAT32_BITS,
        "weight_bytes": 4 * totals["params"],
        "activation_bytes": 4 * totals["activation_bytes"],
        "state_bytes": 4 * totals["state_bytes"],
    }
