"""Programs and TFLite files of the operation cases, made once per test process."""

import functools

import jax
import numpy as np
import shared_child
from board_kernels import CmsisNN
from initial import calibrated, initial
from operation_cases import CASES, RECIPES

from aqtaudio.program.execute import Executor
from aqtaudio.program.litert import LiteRT
from aqtaudio.program.micro import Micro
from aqtaudio.program.program import Program
from aqtaudio.program.tflite import to_tflite
from aqtaudio.vocabulary.recording import record

BATCH = 8
RUNTIMES = {"micro": Micro, "litert": LiteRT}
"""By the target whose arithmetic they have."""
TABLED = {"micro": ("micro", Micro), "cmsis-nn": ("micro", CmsisNN), "litert": ("litert", LiteRT)}
"""What docs/operations.md has a column of: its target, and the interpreter."""


def features(name: str, seed: int = 0) -> np.ndarray:
    """Normal, float32 [BATCH, ...]."""
    shape = (BATCH, *CASES[name].features)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@functools.cache
def program(name: str, precision: str) -> Program:
    """A case's program after calibration, with parameters that are neither zeros nor ones."""
    model, recipe = CASES[name].model, RECIPES[precision]
    params = initial(model, features(name))["params"]
    rng = np.random.default_rng(5)
    params = jax.tree.map(lambda p: p + 0.1 * rng.normal(size=p.shape).astype(np.float32), params)
    ranges = calibrated(model, params, [features(name)], recipe)
    return record(model, {"params": params, "ranges": ranges}, CASES[name].features, recipe)


@functools.cache
def tflite(name: str, precision: str) -> bytes:
    """Its TFLite file."""
    return to_tflite(program(name, precision))


def codes(program: Program, count: int) -> np.ndarray:
    """Input codes: uniform ones, ramps of all codes, constants."""
    edge = program.edges[program.inputs[0]]
    limits = np.iinfo(edge.dtype)
    rng = np.random.default_rng(1)
    found = rng.integers(limits.min, limits.max + 1, (count, *edge.shape), edge.dtype)
    ramp = np.linspace(limits.min, limits.max, found[: count // 4].size)
    found[: count // 4] = np.rint(ramp).astype(edge.dtype).reshape(-1, *edge.shape)
    found[-1], found[-2], found[-3] = limits.min, limits.max, 0
    return found


@functools.cache
def ours(name: str, precision: str, target: str, count: int) -> np.ndarray:
    """Output codes of the program in a target's arithmetic, which several runtimes have."""
    made = program(name, precision)
    return Executor(made, target=target)(codes(made, count))


def differences(name: str, precision: str, runtime: str, count: int) -> np.ndarray:
    """Codes of the program minus those of a runtime of `TABLED`, [count, ...]."""
    made, (target, interpreter) = program(name, precision), TABLED[runtime]
    inputs = codes(made, count)
    if runtime in RUNTIMES:
        theirs = shared_child.invoke(target, tflite(name, precision), inputs)
    else:
        with interpreter(tflite(name, precision)) as running:
            theirs = running.invoke(inputs)[0]
    return ours(name, precision, target, count).astype(int) - theirs.astype(int)
