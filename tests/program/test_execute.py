"""Execution in JAX gives the integers of a plain numpy reading of the program."""

import functools

import numpy as np
import programs
import pytest
import reference

from aqtaudio.program.execute import Executor
from aqtaudio.program.program import Program

TINY = {"shape": (13, 6, 1), "width": 8, "blocks": 2, "classes": 4}
VARIANTS = {
    "int8": {},
    "int4": {"weight_bits": 4},
    "mixed": {"weight_bits": {"block0/pointwise": 4, "logits": 4}},
    "activations4": {"activation_bits": 4, "weight_bits": 4},
    "low_rank": {"rank": 3},
}


@functools.cache
def program_of(variant: str) -> Program:
    return programs.ds_cnn(**TINY, **VARIANTS[variant])


@functools.cache
def executor_of(variant: str, integer: bool = False) -> Executor:
    return Executor(program_of(variant), integer)


def codes_for(program: Program, count: int, seed: int = 0) -> np.ndarray:
    shape = program.edges[program.inputs[0]].shape
    codes = programs.random_codes((count, *shape), seed)
    codes[0], codes[1] = -128, 127
    return codes


def geometries() -> Program:
    """Strides, dilations, VALID padding, windows, and a dense layer longer than one chunk."""
    build = programs.Builder((24, 20, 3), seed=5)
    build.weighted(
        "conv2d", "valid", (3, 4, 3, 6), strides=(1, 2), dilation=(1, 1), padding="VALID"
    )
    build.weighted(
        "depthwise_conv2d", "dilated", (3, 2, 6), strides=(1, 1), dilation=(2, 3), padding="SAME"
    )
    build.weighted(
        "depthwise_conv2d", "strided", (3, 3, 6), strides=(2, 1), dilation=(1, 1), padding="SAME"
    )
    build.average_pool("pool", (2, 2))
    build.reshape("flat", (int(np.prod(build.last.shape)),))
    build.weighted("dense", "hidden", (build.last.shape[0], 700))
    build.weighted("dense", "logits", (700, 5), relu=False)
    return build.program()


@pytest.mark.sampled(2)
@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_edge_is_the_oracles(variant: str, integer: bool):
    program = program_of(variant)
    codes = codes_for(program, 12)
    expected = reference.edges(program, codes)
    found = executor_of(variant, integer).edges(codes)
    assert set(found) == set(program.edges)
    for name, values in expected.items():
        assert found[name].dtype == np.int8
        np.testing.assert_array_equal(found[name], values, err_msg=name)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("integer", [False, True])
def test_geometries(integer: bool):
    program = geometries()
    codes = codes_for(program, 6)
    expected = reference.edges(program, codes)
    for name, values in Executor(program, integer).edges(codes).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


@pytest.mark.parametrize("count", [5, 8, 9, 23])
def test_batches_do_not_matter(count: int):
    program = program_of("int8")
    executor = executor_of("int8")
    codes = codes_for(program, 24, seed=3)
    everything = reference.run(program, codes)
    np.testing.assert_array_equal(executor(codes[:count], batch_size=8), everything[:count])


def test_execute_is_the_executor():
    program = program_of("int8")
    codes = codes_for(program, 12)
    by_carriers = executor_of("int8")(codes, batch_size=8)
    np.testing.assert_array_equal(Executor(program)(codes), by_carriers)


def test_no_clips_no_outputs():
    assert executor_of("int8")(np.zeros((0, 13, 6, 1), np.int8)).shape == (0, 4)


def test_wrong_input_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(13, 5, 1\).*\(13, 6, 1\)"):
        executor_of("int8")(np.zeros((1, 13, 5, 1), np.int8))


def test_features_to_codes_and_logits_to_reals():
    program = program_of("int8")
    executor = executor_of("int8")
    source, target = program.edges["input"], program.edges["logits"]
    codes = codes_for(program, 5)
    features = (codes[..., 0].astype(np.float32) - source.zero_point) * np.float32(source.scale)
    np.testing.assert_array_equal(executor.quantize(features), codes)
    outputs = executor(codes, batch_size=8)
    expected = (outputs - np.float32(target.zero_point)) * np.float32(target.scale)
    np.testing.assert_array_equal(executor.dequantize(outputs), expected)
    assert executor.dequantize(outputs).dtype == np.float32
