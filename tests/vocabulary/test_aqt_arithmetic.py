"""What the project asks of its quantization library: whatever takes AQT's place has to pass this.

Expected codes, scales and gradients are written out or computed in numpy, nothing by AQT. A
quantizer of b bits has codes up to P = 2**(b - 1) - 1 and the scale max / (P + 1/2), so that a
largest value of P + 1/2 times a power of two makes everything here exact. Halves go to even.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aqtaudio.vocabulary.aqt_arithmetic import (
    SHARDS,
    RoundedGradients,
    aqt_dot,
    constant_codes,
    fake_quant_weights,
    selected_weight_codes,
    weight_codes,
    zeros_floor,
)

pytestmark = pytest.mark.optimized("slow")

KEY = jax.random.key(0)
NO_FLOOR = np.zeros(2, np.float32)
WEIGHTS = {
    4: np.float32([[7.5, 0.25], [2.5, -3.75], [3.5, 0.75], [-0.4, 1.25]]),
    8: np.float32([[127.5, 1.25], [2.5, -63.75], [3.5, 0.25], [-0.4, 31.9]]),
}
"""[4, 2] by bits, in which the scales of the two channels are 1 and 1/2."""

CODES = {4: [[7, 0], [2, -7], [4, 2], [0, 2]], 8: [[127, 2], [2, -127], [4, 0], [0, 64]]}
CODES_OF_ONE_SCALE = {
    4: [[7, 0], [2, -4], [4, 1], [0, 1]],
    8: [[127, 1], [2, -64], [4, 0], [0, 32]],
}

compiled_weight_codes = jax.jit(weight_codes, static_argnums=(2, 3))
compiled_selected_codes = jax.jit(selected_weight_codes, static_argnums=3)


# --- weight codes ------------------------------------------------------------------------------


@pytest.mark.sampled(2)
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("per_tensor", [False, True])
def test_weight_codes(bits: int, per_tensor: bool):
    codes, scale = compiled_weight_codes(WEIGHTS[bits], NO_FLOOR, bits, per_tensor)
    assert codes.dtype == scale.dtype == jnp.float32
    assert codes.tolist() == (CODES_OF_ONE_SCALE if per_tensor else CODES)[bits]
    assert scale.tolist() == ([1] if per_tensor else [1, 1 / 2])


def test_weight_codes_reduce_over_all_axes_but_the_last():
    kernel = WEIGHTS[4].reshape(1, 2, 2, 2)
    codes, scale = compiled_weight_codes(kernel, NO_FLOOR, 4, False)
    assert codes.reshape(4, 2).tolist() == CODES[4]
    assert scale.tolist() == [1, 1 / 2]


def test_the_floor_is_the_smallest_scale():
    floor = np.float32([0.25, 2])
    codes, scale = compiled_weight_codes(WEIGHTS[4], floor, 4, False)
    assert scale.tolist() == [1, 2]
    assert codes[:, 1].tolist() == [0, -2, 0, 1]
    _, scale = compiled_weight_codes(WEIGHTS[4], floor, 4, True)
    assert scale.tolist() == [2]


def test_a_channel_of_zeros_has_zero_codes_and_a_scale():
    codes, scale = compiled_weight_codes(
        np.zeros((3, 2), np.float32), np.float32([0.5, 3]), 8, False
    )
    assert not codes.any()
    assert (scale >= np.float32([0.5, 3])).all() and np.isfinite(scale).all()


@pytest.mark.parametrize(("bits", "per_tensor"), [(4, False), (4, True), (8, False)])
def test_gradient_of_weight_codes_is_straight_through(bits: int, per_tensor: bool):
    """Codes are weights / scale: rounding, the clip and the scale do not count, nor the floor."""
    g = np.float32([[1, 2], [-3, 4], [5, 0], [0.5, -0.25]])

    def loss(weights, floor):
        codes, scale = weight_codes(weights, floor, bits, per_tensor)
        return jnp.sum(g * codes) + 1000 * jnp.sum(scale)

    of_weights, of_floor = jax.jit(jax.grad(loss, (0, 1)))(WEIGHTS[bits], np.float32([0.25, 2]))
    scale = 2 if per_tensor else np.float32([1, 2])
    np.testing.assert_allclose(of_weights, g / scale)
    assert not of_floor.any()


# --- weight codes of traced bits ---------------------------------------------------------------


@pytest.mark.sampled(2)
@pytest.mark.parametrize("four_per_tensor", [False, True])
@pytest.mark.parametrize("bits", [4, 8])
def test_selected_weight_codes(bits: int, four_per_tensor: bool):
    """There is one scale per channel, equal ones where there is one for all."""
    one_scale = four_per_tensor and bits == 4
    arguments = NO_FLOOR, jnp.int32(bits), four_per_tensor
    codes, scale = compiled_selected_codes(WEIGHTS[bits], *arguments)
    assert codes.tolist() == (CODES_OF_ONE_SCALE if one_scale else CODES)[bits]
    assert scale.tolist() == ([1, 1] if one_scale else [1, 1 / 2])

    def loss(weights):
        return jnp.sum(selected_weight_codes(weights, *arguments)[0])

    gradient = jax.jit(jax.grad(loss))(WEIGHTS[bits])
    assert gradient.tolist() == [[1, 1 if one_scale else 2]] * 4


# --- constants and fake quantization -----------------------------------------------------------


@pytest.mark.parametrize(
    ("bits", "codes"),
    [(8, [[127, 2], [-127, 4], [0, -2]]), (16, [[32767, 642], [-32767, 900], [64, -514]])],
)
def test_constant_codes(bits: int, codes: list):
    step = 2.0**-6
    steps = {
        8: [[127.5, 2.5], [-127.5, 3.5], [0.25, -1.5]],
        16: [[32767.5, 642], [-32767.5, 900.25], [63.5, -514.5]],
    }[bits]
    found, scale = jax.jit(constant_codes, static_argnums=1)(np.float32(steps) * step, bits)
    assert found.dtype == scale.dtype == jnp.float32 and scale.shape == ()
    assert found.tolist() == codes and scale == step


def test_constants_of_zeros_have_a_normal_scale():
    codes, scale = jax.jit(constant_codes)(np.zeros((2, 3), np.float32))
    assert not codes.any() and np.isfinite(scale) and scale >= 1e-8


@pytest.mark.parametrize(
    ("per_tensor", "expected"),
    [
        (False, [[7, 0], [2, -3.5], [4, 1], [0, 1]]),
        (True, CODES_OF_ONE_SCALE[4]),
    ],
)
def test_fake_quant_weights(per_tensor: bool, expected: list):
    assert fake_quant_weights(WEIGHTS[4], NO_FLOOR, 4, per_tensor).tolist() == expected
    g = np.float32([[1, 2], [-3, 4], [5, 0], [0.5, -0.25]])

    def loss(weights):
        return jnp.sum(g * fake_quant_weights(weights, NO_FLOOR, 4, per_tensor))

    assert jax.grad(loss)(WEIGHTS[4]).tolist() == g.tolist()


def test_zeros_floor_is_no_floor():
    floor = zeros_floor(jnp.ones((3, 5, 2)))
    assert floor.dtype == np.float32 and floor.tolist() == [0, 0]


# --- dots of codes -----------------------------------------------------------------------------

X = np.float32([[-128, 127, 5], [3, -7, 127]])
W = np.float32([[1, -127], [2, 3], [-4, 127]])
G = np.float32([[1, -0.5], [0.25, 2]])

engines = pytest.mark.parametrize("integer", [False, True], ids=["carrier", "integer"])


@pytest.mark.sampled(2)
@engines
@pytest.mark.parametrize(
    ("zero_point", "expected"),
    [(0, [[106, 17272], [-519, 15727]]), (-128, [[-22, 17656], [-647, 16111]])],
)
def test_a_dot_is_of_centred_codes(integer: bool, zero_point: int, expected: list):
    parts = jax.jit(lambda x, w: aqt_dot(integer)(x, zero_point, w, 8))(X, W)
    assert np.sum([np.float64(part) for part in parts], 0).tolist() == expected


@engines
def test_a_dot_may_have_a_batch(integer: bool):
    """[N, M, K] and [N, K, C], as attention has it."""
    x, w = np.stack([X, 2 - X]), np.stack([W, W[::-1]])
    parts = jax.jit(lambda x, w: aqt_dot(integer)(x, -3, w, 8))(np.clip(x, -128, 127), w)
    expected = np.einsum("nmk,nkc->nmc", np.clip(x, -128, 127) + 3, w)
    np.testing.assert_array_equal(np.sum([np.float64(part) for part in parts], 0), expected)


def gradients(x, w, g, integer: bool, zero_point: int, rounded: RoundedGradients | None = None):
    """The loss's gradients of x and w in float32, compiled."""

    def loss(x, w):
        return jnp.sum(g * sum(aqt_dot(integer, rounded)(x, zero_point, w, 8)))

    return jax.jit(jax.grad(loss, (0, 1)))(x, w)


@engines
def test_gradients_of_a_dot(integer: bool):
    of_x, of_w = gradients(X, W, G, integer, -2)
    np.testing.assert_allclose(of_x, [[64.5, 0.5, -67.5], [-253.75, 6.5, 253]])
    np.testing.assert_allclose(of_w, [[-124.75, 73], [127.75, -74.5], [39.25, 254.5]])


# --- rounded gradients -------------------------------------------------------------------------


def rounded(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The values that 8-bit codes with a scale over those axes stand for, float64."""
    values = values.astype(np.float64)
    scale = np.abs(values).max(axes, keepdims=True) / 127.5
    return np.clip(np.rint(values / scale), -127, 127) * scale


def rounded_of_weights(centred: np.ndarray, g: np.ndarray, groups: int) -> np.ndarray:
    """The gradient of weights: a sum over groups of consecutive examples, each with its scales."""
    pairs = zip(np.split(centred, groups), np.split(g, groups), strict=True)
    return sum(rounded(x, (0,)).T @ rounded(g, (0,)) for x, g in pairs)


@pytest.mark.sampled(2)
@engines
@pytest.mark.parametrize(("count", "groups"), [(3, 1), (6, 2), (2 * SHARDS, SHARDS)])
def test_rounded_gradients(integer: bool, count: int, groups: int):
    """Of x: each row of g has a scale, weight codes are what they are."""
    rng = np.random.default_rng(1)
    x, w = (np.float32(rng.integers(-127, 128, shape)) for shape in ((count, 5), (5, 4)))
    g = rng.normal(size=(count, 4)).astype(np.float32)
    of_x, of_w = gradients(x, w, g, integer, -128, RoundedGradients(8))
    np.testing.assert_allclose(of_x, rounded(g, (1,)) @ w.T, rtol=1e-5, atol=1e-4)
    expected = rounded_of_weights(x + 128, g, groups)
    np.testing.assert_allclose(of_w, expected, rtol=1e-5, atol=1e-3)
    assert np.abs(of_w - (x + 128).T @ g).max() > 0.1, "nothing was rounded"


@engines
def test_rounded_gradients_leave_the_forward_pass_alone(integer: bool):
    parts = jax.jit(lambda x, w: aqt_dot(integer, RoundedGradients(8))(x, 0, w, 8))(X, W)
    assert np.sum([np.float64(part) for part in parts], 0).tolist() == [[106, 17272], [-519, 15727]]


def test_no_group_is_larger_than_int32_holds():
    """150 000 products of 127 by 127 would wrap; three examples are three groups."""
    x, w = np.full((3, 50_000, 1), 127, np.float32), np.ones((1, 1), np.float32)
    _, of_w = gradients(x, w, np.ones_like(x), False, 0, RoundedGradients(8))
    np.testing.assert_allclose(of_w, 127 * 150_000 * (127 / 127.5) ** 2, rtol=1e-5)


INTEGER_GRADIENT = np.float32([[127, -3], [-127, 50], [1, 127]]) / 64
"""Its rows and columns have codes without a rest where the largest value is on the last code."""


@engines
def test_stochastic_rounding_leaves_codes_without_a_rest_alone(integer: bool):
    x = np.float32([[127.5, 1], [-3, 2], [4, -127.5]]) * 2
    stochastic = RoundedGradients(8, True, KEY)
    of_x, of_w = gradients(x - 128, W[:2], INTEGER_GRADIENT, integer, -128, stochastic)
    np.testing.assert_allclose(of_x[0], INTEGER_GRADIENT[0] @ W[:2].T, rtol=1e-6)
    expected = rounded(x, (0,)).T @ INTEGER_GRADIENT
    np.testing.assert_allclose(of_w, expected, rtol=1e-5)


def test_stochastic_rounding_goes_to_a_neighbour_and_is_right_in_the_mean():
    """One row whose scale is 1: each draw of 0.25 is 0 or 1, and a quarter of them are 1."""
    g, w = np.float32([[127, 0.25]]), jnp.eye(2)

    def gradient(key):
        dot = aqt_dot(False, RoundedGradients(8, True, key))
        return jax.grad(lambda x: jnp.sum(g * sum(dot(x, 0, w, 8))))(jnp.ones((1, 2)))[0]

    drawn = np.asarray(jax.jit(jax.vmap(gradient))(jax.random.split(KEY, 4000)))
    np.testing.assert_allclose(drawn[:, 0], 127, rtol=1e-6)
    assert np.abs(drawn[:, 1] - np.rint(drawn[:, 1])).max() < 1e-6
    assert set(np.rint(drawn[:, 1])) == {0, 1}
    assert abs(drawn[:, 1].mean() - 0.25) < 4 * (0.25 * 0.75 / 4000) ** 0.5


def test_keys_say_what_is_drawn():
    rng = np.random.default_rng(2)
    x, g = np.tile(X, (4, 1))[:5], rng.normal(size=(5, 2)).astype(np.float32)
    keys = KEY, KEY, jax.random.key(1)
    first, again, other = (gradients(x, W, g, False, 0, RoundedGradients(8, True, k)) for k in keys)
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()


def test_every_dot_of_an_operation_draws_for_itself():
    """The depth of 700 is two dots, with equal weights and the same gradient."""
    g = np.float32([[127, 0.3, 0.4, 0.6]] * 8)
    x, w = np.full((8, 700), 255, np.float32) - 128, np.full((700, 4), 127, np.float32)
    of_x, _ = gradients(x, w, g, False, -128, RoundedGradients(8, True, KEY))
    columns = np.asarray(of_x).T
    distinct = [key for key, _ in itertools.groupby(columns.tolist())]
    assert len(distinct) == 2


def test_stochastic_rounding_needs_a_key_and_the_forward_pass_does_not():
    dot = aqt_dot(False, RoundedGradients(8, True))
    assert sum(dot(jnp.asarray(X), 0, jnp.asarray(W), 8)).tolist() == [[106, 17272], [-519, 15727]]
    with pytest.raises(AssertionError):
        gradients(X, W, G, False, 0, RoundedGradients(8, True))
