"""Elementwise operations: kernel, rule, TFLite Micro and LiteRT agree in every code."""

import dataclasses

import calls
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from calls import Operation
from hypothesis import given, settings
from hypothesis import strategies as st

from aqtaudio.program import kernels
from aqtaudio.program.compiler import compiled
from aqtaudio.program.kernels.call import TARGETS, Engine, Grid
from aqtaudio.program.kernels.weighted import carrier_dot

BINARY = ("add", "sub", "mul", "prelu")
ATTRIBUTES = {"leaky_relu": {"alpha": float(np.float32(0.3))}}
WIDTHS = {"int8": (8, 8), "int16": (16, 16)}
CASES = [
    (kind, width) for kind in (*BINARY, "requantize", "relu", "leaky_relu") for width in WIDTHS
]
CASES += [("requantize", "widen"), ("requantize", "narrow")]
WIDTHS |= {"widen": (8, 16), "narrow": (16, 8)}


LANES = 1024


def at_scales(kind: str, width: str, target: str):
    """(kernel that takes the scales as arguments, grids of scales): compiled once."""
    first, last = WIDTHS[width]
    bits = (first, 8 if kind == "prelu" else first, last)
    zero_points = [0 if 16 in (first, b) else z for b, z in zip(bits, (-128, 17, -3), strict=True)]

    def grids_of(scales):
        grids = map(Grid, scales, zero_points, bits)
        *inputs, output = grids
        return tuple(inputs) if kind in BINARY else (inputs[0],), output

    @compiled
    def compute(scales, *codes):
        inputs, output = grids_of(scales)
        attributes, engine = ATTRIBUTES.get(kind, {}), Engine(carrier_dot, target)
        return kernels.run(kernels.call_of(kind, codes, inputs, output, attributes, {}, engine))

    return compute, grids_of


KERNELS = {
    (kind, width, target): at_scales(kind, width, target)
    for kind, width in CASES
    for target in TARGETS
}


def random_scales(kind: str, width: str, exponents, offset: float, ties: bool):
    """Of inputs and output, from powers of two."""
    bits, wider = WIDTHS[width]
    a, b = (exponent - (bits - 8) for exponent in exponents)
    natural = {"add": max(a, b), "sub": max(a, b), "mul": a + b + bits - 1}.get(kind, a)
    exponents = a, b, natural + bits - wider + offset
    return [np.float32(2.0 ** (round(e) if ties else e)) for e in exponents]


def three_ways(kind: str, width: str, target: str, scales, rng: np.random.Generator):
    """An operation, random codes, and what the compiled kernel and the rule make of them."""
    compute, grids_of = KERNELS[kind, width, target]
    inputs, output = grids_of(scales)
    attributes = ATTRIBUTES.get(kind, {})
    operation = Operation(kind, ((LANES,),) * len(inputs), inputs, output, attributes)
    codes = operation.random_codes(rng, 1)
    found = np.asarray(compute(scales, *(x.astype(np.float32) for x in codes)))
    np.testing.assert_array_equal(found, operation.ruled(codes, target))
    return operation, codes, found


@pytest.mark.sampled(3)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind, width", CASES)
@settings(deadline=None, max_examples=12)
@given(
    st.tuples(st.floats(-9, 1), st.floats(-9, 1)),
    st.floats(-6, 6),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_kernel_is_the_rule_at_any_scale(kind, width, target, exponents, offset, ties, seed):
    scales = random_scales(kind, width, exponents, offset, ties)
    three_ways(kind, width, target, scales, np.random.default_rng(seed))


@pytest.mark.sampled(3)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind, width", CASES)
def test_kernel_is_the_runtimes(kind: str, width: str, target: str):
    rng = np.random.default_rng(1)
    for ties in (False, True) if width == "int8" else (False,):
        scales = random_scales(kind, width, rng.uniform(-9, 1, 2), rng.uniform(-2, 3), ties)
        operation, codes, found = three_ways(kind, width, target, scales, rng)
        np.testing.assert_array_equal(operation.runtime(codes, target), found)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind, width", CASES)
def test_every_code_is_the_runtimes(kind: str, width: str, target: str):
    """All codes, or all pairs, any zero points, fused activations."""
    bits = WIDTHS[width]
    size = 256 if kind not in BINARY and bits[0] == 8 else 65536
    shapes = ((size,),) * (2 if kind in BINARY else 1)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        slope = {"alpha": float(np.float32(rng.uniform(-0.5, 1.5)))}
        attributes = slope if kind == "leaky_relu" else {}
        operation = calls.random_operation(kind, rng, shapes, bits, attributes, seed % 4 == 0)
        calls.check(operation, calls.all_codes(operation, rng), target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("activation", ["RELU", "RELU6"])
def test_fused_activations_clip(activation: str, target: str):
    grids = Grid(np.float32(0.05), 3), Grid(np.float32(0.07), -20)
    output = Grid(np.float32(0.06), -17)
    operation = Operation("add", ((65536,),) * 2, grids, output, activation=activation)
    calls.check(operation, calls.all_codes(operation, np.random.default_rng(0)), target)


SHAPES = {
    "a channel vector": ((3, 5, 8), (8,)),
    "a constant": ((3, 5, 8), (1, 1, 1)),
    "the first": ((1, 8), (5, 8)),
    "both": ((3, 1, 8), (1, 5, 1)),
    "one element": ((1,), (1,)),
}


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
def test_inputs_broadcast(shapes):
    for index, target in enumerate(TARGETS):
        kind, bits = (("add", 16), ("mul", 8))[index]
        rng = np.random.default_rng(2)
        operation = calls.random_operation(kind, rng, shapes, (bits, bits))
        calls.check(operation, operation.random_codes(rng, 1), target)


def test_a_slope_of_each_channel():
    for target in TARGETS:
        rng = np.random.default_rng(2)
        operation = calls.random_operation("prelu", rng, ((3, 5, 8), (1, 1, 8)))
        calls.check(operation, operation.random_codes(rng, 1), target)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("constant", [0, 1])
@pytest.mark.parametrize("kind", ["add", "sub", "mul"])
def test_a_constant_has_batch_one(kind: str, constant: int):
    rng = np.random.default_rng(3)
    operation = calls.random_operation(kind, rng, ((5, 4), (5, 4)))
    codes = operation.random_codes(rng, 6)
    codes[constant] = codes[constant][:1]
    np.testing.assert_array_equal(operation.ours(codes), operation.ruled(codes))


@pytest.mark.parametrize(
    "kind, exponent", [("add", -14), ("sub", -10.5), ("add", -9.9), ("mul", 7)]
)
def test_scales_far_apart(kind: str, exponent: float):
    """XNNPACK leaves additions of tiny inputs to TFLite's own kernels."""
    rng = np.random.default_rng(4)
    near = Grid(np.float32(1.03 if kind == "mul" else 0.0206), 12)
    far = Grid(np.float32(0.02 * 2.0**exponent), -77)
    operation = Operation(kind, ((65536,),) * 2, (near, far), Grid(np.float32(0.02), 5))
    for target in TARGETS:
        calls.check(operation, calls.all_codes(operation, rng), target)


@pytest.mark.parametrize("exponent", [-12, -8.6, -8.2, -7.7, 6.6, 9])
def test_ratios_far_from_one(exponent: float):
    rng = np.random.default_rng(5)
    scales = [np.float32(0.013 * 2.0**exponent), np.float32(1), np.float32(0.013)]
    for kind in ("requantize", "leaky_relu"):
        operation, codes, found = three_ways(kind, "int8", "litert", scales, rng)
        np.testing.assert_array_equal(operation.runtime(codes, "litert"), found)


@pytest.mark.parametrize("alpha", [-200.0, -0.001, 0.0, 0.0039, 0.005, 100.0, 200.0])
def test_slopes_of_any_size(alpha: float):
    grids = Grid(np.float32(0.013), 40), Grid(np.float32(0.015), -7)
    attributes = {"alpha": float(np.float32(alpha))}
    operation = Operation("leaky_relu", ((256,),), grids[:1], grids[1], attributes)
    codes = calls.all_codes(operation, np.random.default_rng(0))
    calls.check(operation, codes, "litert" if abs(alpha) < 1 else "micro")


def test_int16_additions_in_vectors_of_16():
    """LiteRT's rounds once in whole vectors, twice in what is left over and when repeating.

    A constant without an axis of one element in front is not repeated.
    """
    a, b, y = (np.float32(s) for s in (0.0011470363, 0.00037193528, 0.00013235664))
    grids = Grid(a, 0, 16), Grid(b, 0, 16)
    rng = np.random.default_rng(2)
    codes = [rng.integers(-32768, 32768, 2_000_000).astype(np.int16) for _ in grids]
    one = Operation("add", ((1,), (1,)), grids, Grid(y, 0, 16))
    found = {how: one.ruled([x[None] for x in codes], how) for how in TARGETS}
    telling = (found["micro"] != found["litert"])[0]
    assert telling.sum() >= 8
    few = [np.resize(x[telling], (1, 37)) for x in codes]
    operation = Operation("add", ((37,), (37,)), grids, Grid(y, 0, 16))
    calls.check(operation, few, "litert")
    assert (operation.ruled(few, "micro") != operation.ruled(few, "litert"))[0, :32].all()
    in_front = [few[0][None], few[1]]
    calls.check(Operation("add", ((1, 37), (37,)), grids, Grid(y, 0, 16)), in_front, "litert")
    column = [few[0], few[1][:, :1]]
    calls.check(Operation("add", ((37,), (1,)), grids, Grid(y, 0, 16)), column, "litert")


# --- safe scales, gradients, transformations -----------------------------------------------------


@pytest.mark.sampled(2)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", ["add", "sub", "mul"])
def test_the_least_scale_is_one_that_the_runtimes_compute_with(kind: str, bits: int):
    rng = np.random.default_rng(6)
    for target in TARGETS:
        inputs = tuple(calls.random_grid(rng, bits) for _ in range(2))
        scale = np.asarray(kernels.safe_scale(kind, inputs, jnp.float32(1e-30)))
        output = Grid(np.float32(scale), 0, bits)
        operation = Operation(kind, ((65536,),) * 2, inputs, output)
        codes = calls.all_codes(operation, rng)
        calls.check(operation, codes, target)
        values = [
            (x.astype(np.float64) - g.zero_point) * g.scale
            for x, g in zip(codes, inputs, strict=True)
        ]
        real = np.clip(operation.real(values) / scale, output.lowest, output.highest)
        assert np.abs(operation.ruled(codes, target) - real).max() < 2, "nothing wraps"


def test_int16_products_wrap_below_the_least_scale():
    grid, codes = Grid(np.float32(0.01), 0, 16), [np.int16([[20000]])] * 2
    operation = Operation("mul", ((1,), (1,)), (grid, grid), Grid(np.float32(2e-5), 0, 16))
    calls.check(operation, codes, "micro")
    assert operation.ours(codes)[0, 0] < 0


@pytest.mark.sampled(2)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", [*BINARY, "requantize", "relu", "leaky_relu"])
def test_gradient_is_the_real_functions_where_the_clip_does_not_bite(kind: str, bits: int):
    rng = np.random.default_rng(7)
    shapes = ((4, 6), (6,)) if kind in BINARY else ((4, 6),)
    attributes = ATTRIBUTES.get(kind, {})
    operation = calls.random_operation(kind, rng, shapes, (bits, bits), attributes, spread=0)
    scale = operation.output.scale * np.float32(8)
    grid = Grid(scale, -5 if bits == 8 else 0, bits)
    operation = dataclasses.replace(operation, output=grid, activation="NONE")
    codes = [x.astype(np.float32) for x in operation.random_codes(rng, 1)]
    output = operation.output
    low, high = output.lowest, output.highest
    weights = rng.normal(size=(1, 4, 6)).astype(np.float32)

    def real(*codes):
        grids = operation.inputs
        values = [(x - g.zero_point) * g.scale for x, g in zip(codes, grids, strict=True)]
        y = operation.real(values) / output.scale + output.zero_point
        return jnp.sum(jnp.where((y >= low - 0.5) & (y <= high + 0.5), y, 0) * weights)

    def exact(*codes):
        return jnp.sum(operation.kernel(list(codes)) * weights)

    every = tuple(range(len(codes)))
    found = jax.jit(jax.grad(exact, every))(*codes)
    truth = jax.jit(jax.grad(real, every))(*codes)
    for gradient, expected in zip(found, truth, strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)
        assert np.any(expected)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", ["add", "leaky_relu"])
def test_kernels_under_transformations(kind: str, target: str, bits: int):
    rng = np.random.default_rng(8)
    shapes = ((19,),) * (2 if kind in BINARY else 1)
    operation = calls.random_operation(kind, rng, shapes, (bits, bits), ATTRIBUTES.get(kind, {}))
    codes = operation.random_codes(rng, 12)
    expected = operation.ruled(codes, target)
    values = [jnp.float32(x).reshape(4, 3, 19) for x in codes]

    def compute(*codes):
        return operation.kernel(list(codes), target)

    under_scan = jax.lax.scan(lambda carry, c: (carry, compute(*c)), 0, tuple(values))[1]
    for found in (jax.jit(jax.vmap(compute))(*values), under_scan):
        np.testing.assert_array_equal(np.asarray(found).reshape(12, 19), expected)
