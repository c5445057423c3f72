"""Low rank: an exact form, an honest cut, and a penalty that finds the rank of the task."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import RECIPES, SMALL, Case
from initial import calibrated, initial
from trained import Quant, floating, quantized, random_features, training_step

from aqtaudio.compression import low_rank
from aqtaudio.compression.fold import fold
from aqtaudio.errors import BadInput
from aqtaudio.models.ds_cnn import DSCNN
from aqtaudio.program.execute import Executor
from aqtaudio.program.micro import Micro
from aqtaudio.program.tflite import to_tflite
from aqtaudio.recipe import LowRank, Recipe, Rule
from aqtaudio.vocabulary.quantized import Quantized

pytestmark = pytest.mark.optimized(False)

EVERYWHERE = Recipe(rules=(Rule("pointwise_.*|logits", svd_penalty=0.1), Rule()))


def decomposed() -> dict:
    return low_rank.decompose(floating(SMALL)["params"], EVERYWHERE)


def penalty(params: dict, recipe: Recipe) -> jax.Array:
    return low_rank.penalty(params, low_rank.strengths(params, recipe))


def matrix(layer: dict) -> np.ndarray:
    """The kernel [K, C] that a layer stands for, in any of its forms."""
    if "kernel" in layer:
        kernel = np.asarray(layer["kernel"])
        return kernel.reshape(-1, kernel.shape[-1])
    if "down" in layer:
        down, up = np.asarray(layer["down"]), np.asarray(layer["up"])
        return down.reshape(-1, down.shape[-1]) @ up.reshape(-1, up.shape[-1])
    u = np.asarray(layer["u"]).reshape(-1, len(layer["s"]))
    return (u * np.asarray(layer["s"])) @ np.asarray(layer["v"])


def layer_of(kernel: np.ndarray) -> dict:
    return {"kernel": jnp.float32(kernel), "bias": jnp.zeros(kernel.shape[-1])}


def with_values(values: list[float], inputs: int = 12, outputs: int = 10) -> np.ndarray:
    """A kernel [inputs, outputs] of given singular values."""
    rng = np.random.default_rng(0)
    u = np.linalg.qr(rng.normal(size=(inputs, len(values))))[0]
    v = np.linalg.qr(rng.normal(size=(outputs, len(values))))[0]
    return (u * values) @ v.T


def test_decomposition_is_exact():
    original, params = floating(SMALL)["params"], decomposed()
    for name, layer in params.items():
        if name.startswith("pointwise") or name == "logits":
            assert set(original[name]) - {"kernel"} == set(layer) - {"u", "s", "v"}
            np.testing.assert_allclose(matrix(layer), matrix(original[name]), atol=1e-6)
            assert (np.diff(layer["s"]) <= 0).all() and (np.asarray(layer["s"]) >= 0).all()
            u, v = np.asarray(layer["u"]).reshape(-1, len(layer["s"])), np.asarray(layer["v"])
            np.testing.assert_allclose(u.T @ u, np.eye(u.shape[1]), atol=1e-5)
            np.testing.assert_allclose(v @ v.T, np.eye(v.shape[0]), atol=1e-5)
        else:
            assert layer is original[name]


@pytest.mark.parametrize("name", ["conv", "depthwise_1"])
def test_only_matrices_decompose(name: str):
    recipe = Recipe(rules=(Rule(name, svd_penalty=0.1), Rule()))
    with pytest.raises(BadInput, match=f"layer '{name}' has a kernel of shape .*1x1"):
        low_rank.decompose(floating(SMALL)["params"], recipe)


def test_decomposing_twice_is_decomposing_once():
    params = decomposed()
    again = low_rank.decompose(params, EVERYWHERE)
    assert again == params


@pytest.mark.parametrize(
    ("shapes", "rank"),
    [
        (LowRank(), 5),
        (LowRank(energy=0.99), 3),
        (LowRank(energy=0.79), 1),
        (LowRank(energy=0.81), 2),
        (LowRank(threshold=0.35), 2),
        (LowRank(threshold=0.05), 4),
        (LowRank(threshold=0.9), 1),
        (LowRank(energy=0.99, threshold=0.35), 2),
        (LowRank(energy=0.79, threshold=0.05), 1),
    ],
)
def test_how_many_singular_values_stay(shapes: LowRank, rank: int):
    # Squares: 100, 16, 9, 0.36, 0.04 of 125.4; shares 0.797, 0.925, 0.9968, 0.9997, 1.
    assert low_rank.kept(np.float32([10, 4, 3, 0.6, 0.2]), shapes) == rank


def test_truncation_keeps_the_best_approximation():
    values = [5.0, 3.0, 0.2, 0.1]
    kernel = with_values(values)
    params = low_rank.decompose({"logits": layer_of(kernel)}, EVERYWHERE)
    cut = low_rank.truncate(params, LowRank(threshold=0.1))
    assert low_rank.ranks(cut) == {"logits": 2}
    assert cut["logits"]["down"].shape == (12, 2) and cut["logits"]["up"].shape == (2, 10)
    error = np.linalg.norm(matrix(cut["logits"]) - kernel)
    assert error == pytest.approx(np.hypot(0.2, 0.1), rel=1e-4)


def test_truncation_takes_the_principal_values_of_what_training_left():
    """U and V are only nearly orthogonal after training: s alone would mislead."""
    params = low_rank.decompose({"logits": layer_of(with_values([4.0, 2.0, 1.0]))}, EVERYWHERE)
    layer = params["logits"]
    skew = layer | {"u": layer["u"] * jnp.linspace(0.01, 1, layer["s"].size)}
    kernel = matrix(skew)
    cut = low_rank.truncate({"logits": skew}, LowRank(threshold=0.5))
    s = np.linalg.svd(kernel, compute_uv=False)
    rank = int(np.sum(s >= 0.5 * s[0]))
    error = np.linalg.norm(matrix(cut["logits"]) - kernel)
    assert low_rank.ranks(cut) == {"logits": rank}
    assert error == pytest.approx(np.linalg.norm(s[rank:]), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize(("rank", "factors"), [(1, True), (4, True), (5, True), (6, False)])
def test_two_factors_only_where_they_are_smaller(rank: int, factors: bool):
    # 12 x 10 weights; two factors of rank r have 22 r.
    kernel = with_values([1.0] * rank)
    params = low_rank.decompose({"logits": layer_of(kernel)}, EVERYWHERE)
    cut = low_rank.truncate(params, LowRank(threshold=0.01))["logits"]
    assert ("down" in cut) == factors and ("kernel" in cut) != factors
    np.testing.assert_allclose(matrix(cut), kernel, atol=1e-6)
    weights = sum(w.size for name, w in cut.items() if name != "bias")
    assert weights == min(120, 22 * rank)


def test_convolutions_stay_convolutions():
    params = quantized("low_rank").params
    ranks = low_rank.ranks(params)
    assert ranks and all(name.startswith("pointwise") for name in ranks)
    for name, rank in ranks.items():
        assert params[name]["down"].shape == (1, 1, SMALL.model.width, rank)
        assert params[name]["up"].shape == (1, 1, rank, SMALL.model.width)


def test_ordinary_layers_pass_through():
    params = floating(SMALL)["params"]
    assert low_rank.truncate(params, LowRank(energy=0.1)) == params
    assert low_rank.ranks(params) == {}


def test_penalty_is_zero_without_decomposed_layers():
    assert penalty(floating(SMALL)["params"], EVERYWHERE) == 0


def test_penalty_of_an_exact_form_is_hoyers():
    """Orthogonal factors cost nothing; |s|_1 / |s|_2 does not see the scale of s."""
    recipe = Recipe(rules=(Rule(svd_penalty=0.5),))
    values = np.array([4.0, 2.0, 1.0])
    expected = 0.5 * values.sum() / np.linalg.norm(values)
    for scale in (1.0, 0.01):
        layer = layer_of(with_values(list(scale * values), inputs=3, outputs=3))
        params = low_rank.decompose({"logits": layer}, recipe)
        assert penalty(params, recipe) == pytest.approx(expected, rel=1e-4)


def test_penalty_pulls_the_factors_back():
    recipe = Recipe(rules=(Rule(svd_penalty=0.0),))
    params = low_rank.decompose({"logits": layer_of(with_values([3.0, 2.0, 1.0]))}, recipe)
    crooked = {"logits": params["logits"] | {"u": 1.2 * params["logits"]["u"]}}
    of = lambda p: penalty(p, recipe)  # noqa: E731
    assert of(params) < 1e-6 < 0.01 < of(crooked)
    gradient = jax.grad(of)(crooked)
    moved = jax.tree.map(lambda p, g: p - 0.05 * g, crooked, gradient)
    assert of(moved) < of(crooked)
    off = dataclasses.replace(recipe, low_rank=LowRank(orthogonality=0.0))
    assert penalty(crooked, off) == 0


def rank_after_training(svd_penalty: float) -> tuple[int, float]:
    """Effective rank (energy 0.99) of a 16 x 16 layer fitted to a map of rank 2, and its error.

    The inputs span 6 dimensions only, so most of the kernel is free: the data do not mind its rank.
    """
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(256, 6)) @ rng.normal(size=(6, 16)) / np.sqrt(6)
    targets = inputs @ with_values([2.0, 1.5], 16, 16)
    x, y = jnp.float32(inputs), jnp.float32(targets)
    recipe = Recipe(
        rules=(Rule(svd_penalty=svd_penalty),), low_rank=LowRank(orthogonality=1.0, energy=0.99)
    )
    kernel = rng.normal(size=(16, 16)) / 4
    params = low_rank.decompose({"logits": layer_of(kernel)}, recipe)
    optimizer = optax.adam(optax.cosine_decay_schedule(0.02, 1500))

    def fit(params):
        layer = params["logits"]
        return jnp.mean(jnp.square(x @ ((layer["u"] * layer["s"]) @ layer["v"]) - y))

    def step(state, _):
        params, moments = state
        gradient = jax.grad(lambda p: fit(p) + penalty(p, recipe))(params)
        changes, moments = optimizer.update(gradient, moments)
        return (optax.apply_updates(params, changes), moments), None

    state = (params, optimizer.init(params))
    (params, _), _ = jax.jit(lambda s: jax.lax.scan(step, s, length=1500))(state)
    s = np.linalg.svd(matrix(params["logits"]), compute_uv=False)
    return low_rank.kept(s, recipe.low_rank), float(fit(params))


def test_the_penalty_lowers_rank_where_the_task_allows_it():
    plain, plain_error = rank_after_training(0.0)
    sparse, sparse_error = rank_after_training(0.02)
    assert plain >= 6 and plain_error < 1e-3
    assert sparse <= 3 and sparse_error < 0.01


SHORT = Case("ds_cnn_short", DSCNN(classes=4, width=8, blocks=1), (6, 10), 508, 5760)


def test_thin_layers_are_exact():
    """Training step, program and TFLite Micro, at every edge."""
    recipe, features = RECIPES["low_rank"], random_features(SHORT)
    fresh = initial(SHORT.model, features)
    params = low_rank.truncate(low_rank.decompose(fresh["params"], recipe), recipe.low_rank)
    params = fold(params, fresh["batch_stats"])
    ranges = calibrated(SHORT.model, params, [features], recipe)
    thin = Quant(SHORT, recipe, training_step(SHORT, Quantized(recipe), ranges), params, ranges)
    assert {"pointwise_1/down", "pointwise_1/up"} <= {op.name for op in thin.program.operations}
    inputs = Executor(thin.program).quantize(features)
    found, expected = Executor(thin.program).edges(inputs), thin.codes(features)
    assert set(found) <= set(expected)
    for name, codes in found.items():
        np.testing.assert_array_equal(expected[name], codes, err_msg=name)
    with Micro(to_tflite(thin.program)) as micro:
        np.testing.assert_array_equal(micro.invoke(inputs)[0], found[thin.program.outputs[0]])
