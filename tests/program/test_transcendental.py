"""Logistic, tanh, hard-swish and ELU: TFLite Micro's and LiteRT's integers."""

import jax
import jax.numpy as jnp
import many_scales
import numpy as np
import pytest
import transcendental_rules as rules
from many_scales import ALL_INT8, ALL_INT16, Case
from one_operator import Tensor, one_operator

from aqtaudio.program import kernels
from aqtaudio.program.child import MicroError
from aqtaudio.program.kernels import transcendental
from aqtaudio.program.kernels.call import TARGETS, Grid
from aqtaudio.program.micro import Micro

KINDS = ("logistic", "tanh", "hard_swish")
SIGMOIDAL = ("logistic", "tanh")
ALMOST_POWERS = np.float32(
    [
        float.fromhex(x)
        for x in ("0x1.ffa538p-13", "0x1.002d6ap-12", "0x1.ffa530p-12", "0x1.002d6ep-11")
    ]
)
"""Least and greatest scale that is 2**-12, and 2**-11, to an int16 kernel."""


def every_code(kind: str, count: int, seed: int, high: float = 4) -> Case:
    """All 256 codes at `count` scales up to 2**high (beyond the limit: TFLM's wrong values too)."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(ALL_INT8[None], count, 0)
    zeros = many_scales.zero_points(rng, count)
    scales = many_scales.log_uniform(rng, -12, high, count)
    outputs = None
    if kind in ("hard_swish", "elu"):
        scales = np.maximum(scales, np.float32(2**-9))
        ratio = many_scales.log_uniform(rng, -4, 4, count)
        outputs = scales * ratio, many_scales.zero_points(rng, count)
    return Case(kind, codes, scales, zeros, outputs)


def every_wide_code(kind: str, count: int, seed: int) -> Case:
    """All 65 536 codes at `count` scales."""
    rng = np.random.default_rng(seed)
    scales = many_scales.log_uniform(rng, -18, -9, count)
    return Case(kind, np.repeat(ALL_INT16[None], count, 0), scales, np.zeros(count, int))


def wide_at(kind: str, scales: np.ndarray) -> Case:
    """Every 17th of the 65 536 codes at these scales."""
    codes = np.repeat(ALL_INT16[None, ::17], len(scales), 0)
    return Case(kind, codes, np.float32(scales), np.zeros(len(scales), int))


def ruled(case: Case) -> np.ndarray:
    """What the oracle says."""
    if case.bits == 16:
        rule = {"logistic": rules.logistic_16, "tanh": rules.tanh_16}[case.kind]
        return np.stack([rule(x, s) for x, s in zip(case.codes, case.scales, strict=True)])
    rule = getattr(rules, case.kind)
    columns = [case.codes, case.scales, case.zero_points]
    columns += case.outputs or ()
    return np.stack([rule(*values) for values in zip(*columns, strict=True)])


@pytest.mark.parametrize("kind", KINDS)
def test_int8_follows_the_rules(kind: str):
    case = every_code(kind, 400, seed=1)
    np.testing.assert_array_equal(many_scales.ours(case), ruled(case))


@pytest.mark.parametrize("kind", SIGMOIDAL)
def test_int16_follows_the_rules(kind: str):
    case = every_wide_code(kind, 8, seed=2)
    np.testing.assert_array_equal(many_scales.ours(case), ruled(case))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", KINDS)
def test_int8_is_the_runtimes(kind: str, target):
    case = every_code(kind, 64, seed=3, high=1)
    np.testing.assert_array_equal(many_scales.ours(case, target), many_scales.runtime(case, target))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", SIGMOIDAL)
def test_int16_is_the_runtimes(kind: str, target):
    """At any scale, at powers of two, and at the borders of what counts as one."""
    borders = [np.nextafter(ALMOST_POWERS, np.float32(side)) for side in (0, 1)]
    scales = np.concatenate(
        [[2.0**-13, 2.0**-12, 2.0**-11, 2.0**-10, 3e-6, 1e-4, 1.9e-3], ALMOST_POWERS, *borders]
    )
    case = wide_at(kind, scales)
    np.testing.assert_array_equal(many_scales.ours(case, target), many_scales.runtime(case, target))


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", KINDS)
def test_int8_is_the_runtimes_over_a_million_codes(kind: str, target):
    case = every_code(kind, 4096, seed=4, high=1 if target == "litert" else 4)
    np.testing.assert_array_equal(many_scales.ours(case, target), many_scales.runtime(case, target))


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", SIGMOIDAL)
def test_int16_is_the_runtimes_over_two_million_codes(kind: str, target):
    case = every_wide_code(kind, 32, seed=5)
    np.testing.assert_array_equal(many_scales.ours(case, target), many_scales.runtime(case, target))


@pytest.mark.parametrize(
    ("kind", "scale", "zero_point", "code", "expected"),
    [
        ("logistic", 0.0174849220, 120, -33, -111),
        ("logistic", 0.000732453424, -83, -115, -2),
        ("tanh", 0.0393239856, 47, 38, -43),
    ],
)
def test_where_fixed_point_is_not_the_nearest_code(kind, scale, zero_point, code, expected):
    codes = np.int8([[code]])
    case = Case(kind, codes, np.float32([scale]), np.array([zero_point]))
    assert many_scales.ours(case).item() == expected
    assert ruled(case).item() == expected
    assert many_scales.runtime(case).item() == expected


@pytest.mark.parametrize("kind", SIGMOIDAL)
def test_litert_is_followed_where_the_real_value_is_almost_a_half(kind: str):
    """Scales made such that one code lies within a float32 rounding of a tie."""
    rng = np.random.default_rng(6)
    count = 200
    distance = rng.integers(1, 128, count) * np.where(np.arange(count) % 2, 1, -1)
    if kind == "logistic":
        half = (rng.integers(128, 255, count) + 0.5) / 256
        argument = np.log(half / (1 - half))
    else:
        argument = np.arctanh((rng.integers(1, 127, count) + 0.5) / 128)
    case = Case(
        kind,
        distance.astype(np.int8)[:, None],
        np.float32(argument / np.abs(distance)),
        np.zeros(count, int),
    )
    np.testing.assert_array_equal(
        many_scales.ours(case, "litert"), many_scales.runtime(case, "litert")
    )


@pytest.mark.parametrize("target", TARGETS)
def test_elu(target):
    """Scales that are powers of two have halves, which the targets round in different ways."""
    case = every_code("elu", 60, 8)
    np.testing.assert_array_equal(many_scales.ours(case, target), many_scales.runtime(case, target))


def test_hard_swish_where_float32_and_float64_ratios_of_scales_differ():
    """TFLite Micro divides in float64, LiteRT in float32; 15 bits of the quotient are kept."""
    rng = np.random.default_rng(7)
    scales = np.exp2(rng.uniform(-9, 1, 400_000)).astype(np.float32)
    outputs = scales * np.exp2(rng.uniform(-4, 4, len(scales))).astype(np.float32)
    kept = [
        np.floor(np.frexp(ratio)[0] * 2**15 + 0.5)
        for ratio in (scales / outputs, scales / outputs.astype(np.float64))
    ]
    chosen = np.flatnonzero(kept[0] != kept[1])[:100]
    assert len(chosen) == 100
    zeros = many_scales.zero_points(rng, 100)
    codes = np.repeat(ALL_INT8[None], 100, 0)
    case = Case("hard_swish", codes, scales[chosen], zeros, (outputs[chosen], zeros[::-1]))
    ours = {target: many_scales.ours(case, target) for target in TARGETS}
    assert (ours["micro"] != ours["litert"]).any()
    for target in TARGETS:
        np.testing.assert_array_equal(ours[target], many_scales.runtime(case, target))


@pytest.mark.parametrize("kind", SIGMOIDAL)
def test_tflite_micro_goes_wrong_beyond_the_input_scale_limit(kind: str):
    scales = np.float32([0.999, 4]) * np.float32(transcendental.INPUT_SCALE_LIMIT)
    case = Case(kind, np.int8([[0], [0]]), scales, np.zeros(2, int))
    assert many_scales.ours(case).ravel().tolist() == [0, -128]
    assert many_scales.runtime(case).ravel().tolist() == [0, -128]


def test_least_scale_of_hard_swish_is_what_tflite_micro_takes():
    scale = np.float32(0.3)
    grid = Grid(scale, 0)
    least = float(kernels.safe_scale("hard_swish", (grid,), jnp.float32(1e-9)))

    def load(output: float) -> None:
        source, result = (Tensor((1, 4), "int8", s, 0) for s in (float(scale), output))
        with Micro(one_operator("HARD_SWISH", [source], result, {}, "HardSwishOptions")):
            pass

    load(least)
    with pytest.raises(MicroError):
        load(0.99 * float(scale) / 128)
    assert kernels.safe_scale("hard_swish", (grid,), jnp.float32(0.1)) == np.float32(0.1)


def in_scan(function, codes):
    return jax.lax.scan(lambda carry, x: (carry, function(x[None])[0]), 0, codes)[1]


@pytest.mark.parametrize(
    ("kind", "bits", "target"),
    [
        ("logistic", 8, "micro"),
        ("tanh", 8, "litert"),
        ("logistic", 16, "micro"),
        ("tanh", 16, "litert"),
        ("hard_swish", 8, "micro"),
    ],
)
def test_every_transformation_computes_the_same(kind: str, bits: int, target):
    codes = np.float32([[-128, 127, 5], [3, 0, -77]])
    scale = np.float32(0.037 if bits == 8 else 2**-12)
    case = Case(kind, codes.astype(f"int{bits}"), np.full(2, scale), np.zeros(2, int))
    if kind == "hard_swish":
        case = case._replace(outputs=(np.full(2, scale), np.zeros(2, int)))
    expected = many_scales.ours(case, target)
    out_scale, out_zero = (values[0] for values in case.output_grids)

    def function(codes, scale=scale):
        return many_scales.call(case, codes, scale, 0, out_scale, int(out_zero), target)

    constant, traced = jax.jit(function)(codes), jax.jit(function)(codes, jnp.float32(scale))
    for found in (constant, traced, in_scan(function, codes)):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", SIGMOIDAL)
def test_gradient_is_the_real_functions(kind: str, bits: int):
    codes = np.float32([[-128, -60, -3, 0, 1, 40, 127]])
    scale = np.float32(0.02)
    case = Case(kind, codes.astype(f"int{bits}"), scale[None], np.zeros(1, int))
    (out_scale,), (out_zero,) = case.output_grids

    def total(codes):
        return many_scales.call(case, codes, scale, 4, out_scale, int(out_zero)).sum()

    def real(codes):
        function = jax.nn.sigmoid if kind == "logistic" else jnp.tanh
        return function((codes - 4) * scale).sum() / out_scale

    np.testing.assert_allclose(
        jax.jit(jax.grad(total))(codes), jax.jit(jax.grad(real))(codes), rtol=1e-5
    )


def test_gradient_of_hard_swish_is_the_real_functions():
    codes = np.float32([[-100, -60, -3, 0, 1, 30, 40]])
    scales = np.float32([0.09, 0.05])
    case = Case("hard_swish", codes.astype(np.int8), scales[:1], np.zeros(1, int))

    def total(codes):
        return many_scales.call(case, codes, scales[0], 4, scales[1], -20).sum()

    def real(codes):
        return jax.nn.hard_swish((codes - 4) * scales[0]).sum() / scales[1]

    np.testing.assert_allclose(
        jax.jit(jax.grad(total))(codes), jax.jit(jax.grad(real))(codes), rtol=1e-5
    )
