"""Random programs: recorded, exported, run in TFLite Micro and LiteRT. No code may differ."""

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from initial import calibrated, initial
from operation_programs import RUNTIMES, codes
from random_models import FEATURES, models, recipes

from aqtaudio.program.execute import Executor
from aqtaudio.program.program import Program
from aqtaudio.program.tflite import to_tflite
from aqtaudio.vocabulary.recording import record

INPUTS = 64


def recorded(model, recipe, seed: int) -> Program:
    rng = np.random.default_rng(seed)
    features = rng.normal(0, rng.uniform(0.1, 5), (4, *FEATURES)).astype(np.float32)
    params = initial(model, features, seed).get("params", {})
    params = jax.tree.map(lambda p: p + 0.2 * rng.normal(size=p.shape).astype(np.float32), params)
    ranges = calibrated(model, params, [features], recipe)
    return record(model, {"params": params, "ranges": ranges}, FEATURES, recipe)


def assert_exact(model, recipe, seed: int) -> int:
    """Number of codes compared."""
    program = recorded(model, recipe, seed)
    blob, inputs = to_tflite(program), codes(program, INPUTS)
    compared = 0
    for target, runtime in RUNTIMES.items():
        ours = Executor(program, target=target)(inputs)
        with runtime(blob) as interpreter:
            np.testing.assert_array_equal(ours, interpreter.invoke(inputs)[0], err_msg=target)
        compared += ours.size
    return compared


slowly = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)


@settings(slowly, max_examples=3)
@given(models, recipes, st.integers(0, 2**31 - 1))
def test_random_programs(model, recipe, seed):
    assert assert_exact(model, recipe, seed)


@pytest.mark.slow
@settings(slowly, max_examples=150)
@given(models, recipes, st.integers(0, 2**31 - 1))
def test_many_random_programs(model, recipe, seed):
    assert assert_exact(model, recipe, seed)
