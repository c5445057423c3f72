"""Random programs: recorded, exported, run in TFLite Micro and LiteRT. No code may differ."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest
from board_kernels import CmsisNN, needed
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from initial import calibrated, initial
from operation_programs import RUNTIMES, codes
from random_models import FEATURES, models, recipes

from aqtaudio.errors import BadInput
from aqtaudio.files import write_json
from aqtaudio.firmware import table
from aqtaudio.program.execute import Executor
from aqtaudio.program.program import Program
from aqtaudio.program.tflite import to_tflite
from aqtaudio.vocabulary.recording import record

FOUND = Path(__file__).parents[2] / "docs" / table.RANDOM
INPUTS = 64
MANY_INPUTS = 4096


def recorded(model, recipe, seed: int) -> Program:
    rng = np.random.default_rng(seed)
    features = rng.normal(0, rng.uniform(0.1, 5), (4, *FEATURES)).astype(np.float32)
    params = initial(model, features, seed).get("params", {})
    params = jax.tree.map(lambda p: p + 0.2 * rng.normal(size=p.shape).astype(np.float32), params)
    ranges = calibrated(model, params, [features], recipe)
    try:
        return record(model, {"params": params, "ranges": ranges}, FEATURES, recipe)
    except BadInput as refusal:
        # Of a softmax whose input is always 0 the least scale is too small for TFLite Micro.
        assume(not re.search("softmax of an input with scale .* needs more", str(refusal)))
        raise


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


@settings(slowly, max_examples=2)
@given(models, recipes, st.integers(0, 2**31 - 1))
def test_random_programs(model, recipe, seed):
    assert assert_exact(model, recipe, seed)


@pytest.mark.slow
@settings(slowly, max_examples=150)
@given(models, recipes, st.integers(0, 2**31 - 1))
def test_many_random_programs(model, recipe, seed):
    assert assert_exact(model, recipe, seed)


@needed
@pytest.mark.slow
def test_random_programs_on_cmsis_nn():
    """A million codes; what is found is kept, and docs/boards.md tells it."""
    compared = programs = 0

    @settings(slowly, max_examples=60)
    @given(models, recipes, st.integers(0, 2**31 - 1))
    def run(model, recipe, seed):
        nonlocal compared, programs
        program = recorded(model, recipe, seed)
        inputs = codes(program, MANY_INPUTS)
        with CmsisNN(to_tflite(program)) as board:
            found = board.invoke(inputs)[0]
        np.testing.assert_array_equal(Executor(program)(inputs), found)
        compared, programs = compared + found.size, programs + 1

    run()
    assert compared > 10**6
    write_json(FOUND, {"kernels": "cmsis-nn", "programs": programs, "codes": compared, "differ": 0})
