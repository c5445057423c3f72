"""Matrix products of two inputs: kernel, rule, TFLite Micro and LiteRT agree in every code."""

import calls
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from calls import Operation

from aqtaudio.program.kernels import matmul, weighted
from aqtaudio.program.kernels.call import TARGETS, Grid
from aqtaudio.vocabulary.aqt_arithmetic import aqt_dot

DOTS = {
    "carrier": weighted.carrier_dot,
    "integer": weighted.integer_dot,
    "aqt carrier": aqt_dot(False),
    "aqt integer": aqt_dot(True),
}


def product(
    rng: np.random.Generator,
    bits: int,
    sizes: tuple[int, int, int],
    transposed: tuple[bool, bool] = (False, False),
    leading: tuple[tuple[int, ...], tuple[int, ...]] = ((2,), (2,)),
    symmetric: bool = False,
    ties: bool = False,
) -> Operation:
    """Of M x K and K x N matrices; `symmetric`: the second zero point is 0."""
    m, k, n = sizes
    first, second = ((k, m) if transposed[0] else (m, k)), ((n, k) if transposed[1] else (k, n))
    attributes = {"transpose_a": transposed[0], "transpose_b": transposed[1]}
    shapes = ((*leading[0], *first), (*leading[1], *second))
    operation = calls.random_operation(
        "batch_matmul", rng, shapes, (bits, bits), attributes, ties, spread=1.5
    )
    a, b = operation.inputs
    inputs = a, b._replace(zero_point=0) if symmetric else b
    scale = operation.output.scale * np.float32(2.0 ** np.round(np.log2(max(k, 4)) / 2 - 1))
    return Operation(
        "batch_matmul", shapes, inputs, operation.output._replace(scale=scale), attributes
    )


@pytest.mark.sampled(3)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("transposed", [(a, b) for a in (False, True) for b in (False, True)])
def test_every_code_is_the_runtimes(transposed: tuple[bool, bool], bits: int, target: str):
    for seed in range(1 if target == "micro" else 2):
        rng = np.random.default_rng(seed)
        operation = product(rng, bits, (5, 40, 7), transposed, symmetric=seed == 0, ties=seed == 1)
        calls.check(operation, operation.random_codes(rng, 12), target)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("bits", [8, 16])
def test_every_code_is_the_runtimes_at_many_shapes(bits: int, target: str):
    compared = 0
    for seed in range(100, 150):
        rng = np.random.default_rng(seed)
        sizes = tuple(int(n) for n in rng.integers(1, (24, 200, 24)))
        transposed = bool(rng.integers(2)), bool(rng.integers(2))
        operation = product(rng, bits, sizes, transposed, symmetric=seed % 2, ties=seed % 5 == 0)
        compared += calls.check(operation, operation.random_codes(rng, 30), target)
    assert compared > 200_000


@pytest.mark.sampled(2)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("leading", [((2, 3), (1, 3)), ((1,), (4,)), ((), ())])
def test_leading_axes_broadcast(leading, target: str):
    rng = np.random.default_rng(3)
    for bits in (8, 16):
        operation = product(rng, bits, (3, 9, 4), leading=leading)
        calls.check(operation, operation.random_codes(rng, 5), target)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("constant", [0, 1])
def test_a_constant_has_batch_one(constant: int):
    rng = np.random.default_rng(4)
    for bits in (8, 16):
        operation = product(rng, bits, (3, 9, 4))
        codes = operation.random_codes(rng, 6)
        codes[constant] = codes[constant][:1]
        for target in TARGETS:
            expected = operation.ruled(codes, target)
            np.testing.assert_array_equal(operation.ours(codes, target), expected)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", DOTS)
@pytest.mark.parametrize("bits", [8, 16])
def test_long_sums_of_extreme_codes_are_exact(bits: int, name: str):
    """Beyond what one float32 sum can hold, with every engine."""
    rng = np.random.default_rng(5)
    operation = product(rng, bits, (4, 1500, 3))
    inputs = [Grid(g.scale, 0 if bits == 16 else -128, bits) for g in operation.inputs]
    if bits == 8:
        inputs[1] = inputs[1]._replace(zero_point=127)
    unit = float(inputs[0].scale) * float(inputs[1].scale)
    output = Grid(np.float32(unit * 2.0 ** (20 if bits == 8 else 26)), 0, bits)
    operation = Operation(
        "batch_matmul", operation.shapes, tuple(inputs), output, operation.attributes
    )
    a, b = operation.random_codes(rng, 2)
    a[:, :, 0], a[:, :, 1] = inputs[0].lowest, inputs[0].highest
    b[:, :, :, 0], b[:, :, :, 1] = inputs[1].lowest, inputs[1].highest
    found = operation.ours([a, b], dot=DOTS[name])
    np.testing.assert_array_equal(found, operation.ruled([a, b]))
    assert len(np.unique(found)) > 4


def test_every_part_is_an_exact_float():
    codes = np.full((1, 2, 1500), -128.0), np.full((1, 1500, 2), 127.0)
    call = product(np.random.default_rng(0), 8, (2, 1500, 2))
    for dot in (DOTS["carrier"], DOTS["aqt integer"]):
        seen = []

        def watched(x, zero_point, w, bits, dot=dot, seen=seen):
            parts = dot(x, zero_point, w, bits)
            seen.append((len(parts), bits))
            return parts

        engine = calls.Engine(watched)
        parts = matmul.product(
            calls.kernels.call_of(
                "batch_matmul", (), call.inputs, call.output, call.attributes, {}, engine
            ),
            *(jnp.float32(codes[0]), 127, jnp.float32(codes[1]), -128),
        )
        assert all(np.abs(part).max() < weighted.EXACT for part in parts)
        np.testing.assert_array_equal(sum(np.int64(part) for part in parts), -255 * 255 * 1500)
        assert seen and seen[0][0] > 1


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", ["carrier", "aqt carrier", "aqt integer"])
@pytest.mark.parametrize("bits", [8, 16])
def test_gradients_are_the_real_functions_where_the_clip_does_not_bite(bits: int, name: str):
    rng = np.random.default_rng(6)
    operation = product(rng, bits, (4, 30, 5), (True, False), ((2,), (1,)))
    codes = [np.float32(x) for x in operation.random_codes(rng, 3)]
    output = operation.output
    weights = np.float32(rng.normal(size=(3, 2, 4, 5)))

    def real(*codes):
        grids = operation.inputs
        values = [(x - g.zero_point) * g.scale for x, g in zip(codes, grids, strict=True)]
        y = operation.real(values) / output.scale + output.zero_point
        inside = (y >= output.lowest - 0.5) & (y <= output.highest + 0.5)
        return jnp.sum(jnp.where(inside, y, 0) * weights), jnp.mean(inside)

    expected, inside = jax.jit(jax.grad(real, (0, 1), has_aux=True))(*codes)
    assert 0.1 < inside < 1
    for target in TARGETS:

        def exact(*codes, target=target):
            return jnp.sum(operation.kernel(list(codes), target, DOTS[name]) * weights)

        found = jax.jit(jax.grad(exact, (0, 1)))(*codes)
        for gradient, truth in zip(found, expected, strict=True):
            np.testing.assert_allclose(gradient, truth, rtol=1e-3, atol=1e-4 * np.abs(truth).max())


@pytest.mark.sampled(2)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("target", TARGETS)
def test_kernels_under_transformations(target: str, bits: int):
    rng = np.random.default_rng(7)
    operation = product(rng, bits, (3, 20, 4))
    codes = operation.random_codes(rng, 12)
    expected = operation.ruled(codes, target)
    values = tuple(jnp.float32(x).reshape(4, 3, *x.shape[1:]) for x in codes)

    def compute(*codes):
        return operation.kernel(list(codes), target)

    under_scan = jax.lax.scan(lambda carry, c: (carry, compute(*c)), 0, values)[1]
    for found in (jax.jit(jax.vmap(compute))(*values), under_scan):
        np.testing.assert_array_equal(np.asarray(found).reshape(expected.shape), expected)
