"""The promise: training step, recorded program and TFLite Micro give the same integers."""

import dataclasses
import re
import zlib
from collections.abc import Container

import jax
import numpy as np
import pytest
from cases import (
    EACH_RECIPE,
    PUBLISHED,
    RECIPES,
    SMALL,
    SMALL_EMBEDDINGS,
    SMALL_ENHANCERS,
    SMALL_KEYWORDS,
    SMALL_MASKERS,
    Case,
    denoising_recipe,
)
from trained import BATCH, Quant, fine_tuned, quantized, random_features, training_step

from aqtaudio.data import audio, manifest
from aqtaudio.frontends.spectral import Mfcc
from aqtaudio.program.execute import Executor
from aqtaudio.program.micro import Micro
from aqtaudio.program.program import Operation, Program
from aqtaudio.program.tflite import to_tflite
from aqtaudio.recipe import W8A8, W8A16, Recipe
from aqtaudio.vocabulary.quantized import Quantized


def stress(shape: tuple[int, int], scale: float) -> np.ndarray:
    """Random features of several loudnesses, constants, checkerboards, ties of the input grid."""
    rng = np.random.default_rng(7)
    random = [gain * rng.normal(size=(5, *shape)) for gain in (0.1, 1, 3, 30)]
    sign = np.indices(shape).sum(0) % 2 * 2 - 1
    flat = np.ones(shape)
    extremes = [np.stack([0 * flat, 1e6 * flat, -1e6 * flat, 1e6 * sign, -1e6 * sign])]
    ties = scale * (rng.integers(-128, 128, (7, *shape)) + 0.5)
    features = np.concatenate([*random, *extremes, ties]).astype(np.float32)
    assert len(features) == BATCH  # no compilation for another batch size
    return features


def assert_exact(trained: Quant, *batches: np.ndarray):
    """0 mismatches: at every edge in JAX, at the output in TFLite Micro."""
    program = trained.program
    executor = Executor(program)
    with Micro(to_tflite(program)) as micro:
        for features in batches:
            inputs = executor.quantize(features)
            found = executor.edges(inputs)
            expected = framed(trained.codes(features), found)
            assert {edge for edge in trained.read.edges if not SCANNED.search(edge)} <= set(
                expected
            )
            for name, codes in expected.items():
                codes = np.broadcast_to(codes, found[name].shape)
                np.testing.assert_array_equal(found[name], codes, err_msg=name)
            np.testing.assert_array_equal(micro.invoke(inputs)[0], expected[program.outputs[0]])


SCANNED = re.compile(r"^(\w+/)?(gru(_\d)?|(for|back)ward_\d)(/frame/t\d+)?$")
"""Edges of a recurrent layer that a training step, which scans, does not have."""


def framed(codes: dict[str, np.ndarray], edges: Container[str]) -> dict[str, np.ndarray]:
    """Codes of a training step by a program's edges: the frames of a scan are on the first axis."""
    found = {}
    for name, values in codes.items():
        if name in edges:
            found[name] = values
        else:
            frames = {f"{name}/t{frame}": value for frame, value in enumerate(values)}
            found |= {edge: value for edge, value in frames.items() if edge in edges}
    return found


def input_scale(trained: Quant) -> float:
    return float(trained.ranges["input"]["output"]["scale"])


@EACH_RECIPE
def test_training_step_program_and_micro_agree(recipe: str):
    trained = quantized(recipe)
    assert_exact(trained, stress(SMALL.features, input_scale(trained)))


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["w8a8", "w4a8"])
@pytest.mark.parametrize("case", (*SMALL_KEYWORDS, *SMALL_EMBEDDINGS), ids=lambda case: case.name)
def test_clip_models(case: Case, recipe: str):
    trained = quantized(recipe, case)
    assert_exact(trained, stress(case.features, input_scale(trained)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "recipe"),
    [
        (SMALL_ENHANCERS[0], None),
        (SMALL_ENHANCERS[1], None),
        (SMALL_ENHANCERS[0], "w4a8"),
        (SMALL_ENHANCERS[1], "w8a8"),
    ],
    ids=lambda x: getattr(x, "name", x or "mixed_16"),
)
def test_enhancers(case: Case, recipe: str | None):
    """None: 16 bits where 8 hurt."""
    batches = [random_features(case, seed=seed) for seed in range(2)]
    trained = fine_tuned(case, denoising_recipe() if recipe is None else RECIPES[recipe], batches)
    bits = {edge.bits for edge in trained.program.edges.values()}
    assert bits == ({8, 16} if recipe is None else {8})
    assert_exact(trained, stress(case.features, input_scale(trained)))


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [W8A8, W8A16], ids=["w8a8", "w8a16"])
def test_a_masker(recipe: Recipe):
    """Rows of a frame that attend to each other, in both widths."""
    case = SMALL_MASKERS[-1]
    trained = fine_tuned(case, recipe, [random_features(case, seed=seed) for seed in range(2)])
    assert_exact(trained, stress(case.features, input_scale(trained)))


@EACH_RECIPE
def test_the_test_sees_something(recipe: str):
    """Edges use their grids, weights use theirs."""
    trained = quantized(recipe)
    codes = trained.codes(random_features(SMALL, seed=1))
    assert all(len(np.unique(values)) > 2 for values in codes.values())
    for op in weighted(trained.program):
        peak = 7 if op.attributes["weight_bits"] == 4 else 127
        assert np.abs(op.constants["weights"]).max() == peak
        assert np.any(op.constants["bias"]) or op.name.endswith("/down")


def test_dead_channels():
    """Weights of nearly nothing, multipliers below 2**-32, biases beyond int32."""
    trained = quantized("w8a8")
    params = jax.tree.map(np.array, trained.params)
    for layer in ("conv", "depthwise_1", "pointwise_2", "logits"):
        kernel, bias = params[layer]["kernel"], params[layer]["bias"]
        kernel[..., 0] *= 1e-9
        bias[0] = 1e-7
        kernel[..., 1] = 0
        bias[1] = 0.7
        kernel[..., 2] *= 1e-20
        bias[2] = -50.0
        kernel[..., 3] = bias[3] = 0
    dead = dataclasses.replace(trained, params=params)
    exponents = np.concatenate([op.constants["exponent"] for op in weighted(dead.program)])
    mantissas = np.concatenate([op.constants["mantissa"] for op in weighted(dead.program)])
    assert (mantissas == 0).any() and exponents.min() >= -31
    assert_exact(dead, stress(SMALL.features, input_scale(trained)))


def weighted(program: Program) -> list[Operation]:
    return [op for op in program.operations if "weights" in op.constants]


def test_integer_engine_gives_the_same_integers():
    trained = quantized("w8a8")
    step = training_step(SMALL, Quantized(trained.recipe, integer=True), trained.ranges)
    other = dataclasses.replace(trained, step=step)
    features = stress(SMALL.features, input_scale(trained))
    expected = trained.codes(features)
    for name, codes in other.codes(features).items():
        np.testing.assert_array_equal(codes, expected[name], err_msg=name)
    inputs = Executor(trained.program).quantize(features)
    for name, codes in Executor(trained.program, integer=False).edges(inputs).items():
        np.testing.assert_array_equal(codes, expected[name], err_msg=name)


KEYWORDS = ("yes", "up", "down", "on", "off", "stop")
CLIPS = 512


@pytest.fixture(scope="module")
def real_features(shared_folder) -> np.ndarray:
    """MFCCs of keyword recordings, validation and training speakers, float32 [CLIPS, 49, 10]."""
    folder = shared_folder / "data"
    rows = [row for row in manifest.read(folder) if row.label in KEYWORDS and row.split != "test"]
    rows = sorted(rows, key=lambda row: zlib.crc32(row.path.encode()))[:CLIPS]
    clips = np.zeros((CLIPS, 16000), np.float32)
    for clip, row in zip(clips, rows, strict=True):
        samples = audio.load(folder / row.path)[:16000]
        clip[: len(samples)] = samples
    return np.asarray(Mfcc(coefficients=10)(clips))


@pytest.mark.slow
def test_real_recordings(real_features: np.ndarray):
    """In the middle of each clip, in batches for which all is compiled already."""
    middle = real_features[:, 15 : 15 + SMALL.features[0]]
    batches = np.split(middle, CLIPS // BATCH)
    assert_exact(fine_tuned(SMALL, RECIPES["w4a8"], batches[:3]), *batches)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["w4a8", "w8a8", "low_rank"])
def test_whole_real_recordings_and_a_published_model(recipe: str, real_features: np.ndarray):
    trained = fine_tuned(PUBLISHED[0], RECIPES[recipe], np.split(real_features, 4)[:3])
    assert_exact(trained, *np.split(real_features, 4))
