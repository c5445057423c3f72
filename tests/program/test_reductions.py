"""Sums, means and pooling: kernel, rule, TFLite Micro and LiteRT agree in every code."""

import math

import calls
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from calls import Operation

from aqtaudio.program.kernels.call import TARGETS, Grid

AXES = [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)]
KINDS = [(kind, bits) for kind in ("mean", "sum") for bits in (8, 16)]


def reduction(kind: str, bits: int, rng: np.random.Generator, size: int) -> Operation:
    """Any axes of a random shape; a third each of free scales, of ties and of the input's grid."""
    axes = AXES[rng.integers(len(AXES))]
    shape = tuple(int(n) for n in rng.integers(1, size, 3))
    attributes = {"axes": axes, "keep": bool(rng.integers(2))}
    which = rng.integers(3)
    operation = calls.random_operation(
        kind, rng, (shape,), (bits, bits), attributes, ties=which == 1, spread=2
    )
    if which < 2:
        return operation
    scale = operation.inputs[0].scale
    zero_point = (operation.inputs[0].zero_point, operation.output.zero_point)[rng.integers(2)]
    output = Grid(scale, zero_point, bits)
    return Operation(kind, (shape,), operation.inputs, output, attributes)


def codes_of(operation: Operation, rng: np.random.Generator, batch: int) -> list[np.ndarray]:
    """Half of them near the zero point, where sums do not saturate."""
    (codes,) = operation.random_codes(rng, batch)
    near = codes[::2] // 16 + operation.inputs[0].zero_point
    codes[::2] = np.clip(near, operation.inputs[0].lowest, operation.inputs[0].highest)
    return [codes]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind, bits", KINDS)
def test_every_code_is_the_runtimes(kind: str, bits: int, target: str):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        operation = reduction(kind, bits, rng, 9)
        calls.check(operation, codes_of(operation, rng, 40), target)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind, bits", KINDS)
def test_every_code_is_the_runtimes_at_many_shapes(kind: str, bits: int, target: str):
    compared = 0
    for seed in range(100, 160):
        rng = np.random.default_rng(seed)
        operation = reduction(kind, bits, rng, 24)
        compared += calls.check(operation, codes_of(operation, rng, 60), target)
    assert compared > 100_000


@pytest.mark.sampled(3)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind, bits", KINDS)
def test_the_rule_holds_for_long_sums(kind: str, bits: int, target: str):
    """Beyond what float32 counts exactly in int16, and what a mantissa divides exactly."""
    rng = np.random.default_rng(1)
    for length in (1, 1000, 20011):
        attributes = {"axes": (0,), "keep": False}
        operation = calls.random_operation(
            kind, rng, ((length, 3),), (bits, bits), attributes, spread=1
        )
        codes = operation.random_codes(rng, 8)
        codes[0][0], codes[0][1] = operation.inputs[0].lowest, operation.inputs[0].highest
        calls.check(operation, codes, target)


def test_products_are_rounded_before_they_are_added():
    """A fused multiply-add would round once: XNNPACK does not, and halves show it."""
    rng = np.random.default_rng(38)
    grids = Grid(np.float32(0.011028333567082882), -65), Grid(np.float32(0.011028333567082882), -4)
    attributes = {"axes": (1,), "keep": False}
    operation = Operation("mean", ((22, 80),), grids[:1], grids[1], attributes)
    codes = [(rng.integers(-8, 9, (400, 22, 80)) - 65).astype(np.int8)]
    found = operation.ours(codes, "litert")
    np.testing.assert_array_equal(found, operation.ruled(codes, "litert"))
    plain = jax.jit(lambda codes: operation.kernel([codes], "litert"))(np.float32(codes[0]))
    np.testing.assert_array_equal(plain, found)


@pytest.mark.parametrize("kind", ["mean", "sum"])
def test_gradient_is_the_real_functions_where_the_clip_does_not_bite(kind: str):
    for bits in (8, 16):
        rng = np.random.default_rng(2)
        attributes = {"axes": (1,), "keep": False}
        grids = calls.random_grid(rng, bits), calls.random_grid(rng, bits)
        output = grids[1]._replace(scale=grids[0].scale * np.float32(3))
        operation = Operation(kind, ((4, 5),), grids[:1], output, attributes)
        codes = np.float32(operation.random_codes(rng, 3)[0])
        real = (codes - grids[0].zero_point).sum(2) / 3 / (5 if kind == "mean" else 1)
        real = real + output.zero_point
        inside = (real >= output.lowest - 0.5) & (real <= output.highest + 0.5)
        expected = np.repeat(inside[..., None] / (15 if kind == "mean" else 3), 5, 2)
        for target in TARGETS:

            def total(codes, operation=operation, target=target):
                return jnp.sum(operation.kernel([codes], target))

            np.testing.assert_allclose(jax.jit(jax.grad(total))(codes), expected, rtol=1e-5)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", ["average_pool", "max_pool"])
def test_pooling_is_the_runtimes(kind: str, bits: int, target: str):
    rng = np.random.default_rng(3)
    for window, strides in (((2, 2), (2, 2)), ((3, 1), (2, 1)), ((5, 4), (1, 1)), ((9, 7), (9, 7))):
        grid = calls.random_grid(rng, bits)
        attributes = {"window": window, "strides": strides}
        operation = Operation(kind, ((9, 7, 5),), (grid,), grid, attributes)
        codes = operation.random_codes(rng, 20)
        codes[0][:10] = codes[0][:10] // 64 + grid.zero_point // 2  # small sums: ties
        found = operation.ours(codes, target)
        np.testing.assert_array_equal(found, operation.runtime(codes, target))
        assert math.prod(found.shape) > 99
