"""Gradients by AQT's int8 backward dots: close to float32 ones, reproducible, the same forward."""

import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import SMALL
from corpus import EXPERIMENT
from initial import calibrated, initial
from jax.flatten_util import ravel_pytree
from trained import BATCH, by_edge, cross_entropy, quantized, random_features

from aqtaudio.errors import BadInput
from aqtaudio.program.compiler import compiled
from aqtaudio.program.execute import Executor
from aqtaudio.recipe import Recipe
from aqtaudio.settings import overlay
from aqtaudio.training.preflight import require_trainable
from aqtaudio.vocabulary.aqt_arithmetic import RoundedGradients, aqt_dot
from aqtaudio.vocabulary.layers import GRU, Attention, Input
from aqtaudio.vocabulary.quantized import Quantized
from aqtaudio.vocabulary.signal import start

pytestmark = [
    pytest.mark.optimized("slow"),
    pytest.mark.filterwarnings("ignore:Implicit conversion"),  # of aqtp 0.9.0
]

NEAREST, STOCHASTIC = Recipe(gradient_bits=8), Recipe(gradient_bits=8, stochastic_rounding=True)
KEY = jax.random.key(0)


def step(recipe: Recipe, integer: bool):
    """(params, ranges, features, key) -> (gradients, codes), every clip pulling the same way."""
    classes = np.zeros(BATCH, np.int32)

    def gradients(params, ranges, features, key):
        def loss(params):
            signal = start(features, Quantized(recipe, integer))
            variables, rngs = {"params": params, "ranges": ranges}, {"gradients": key}
            out, sown = SMALL.model.apply(variables, signal, mutable=["codes"], rngs=rngs)
            return cross_entropy(out.real(), classes), sown["codes"]

        return jax.grad(loss, has_aux=True)(params)

    return compiled(gradients)


@pytest.fixture(scope="module")
def arguments():
    model = quantized("w8a8")
    return model.params, model.ranges, random_features(SMALL, seed=1), KEY


@pytest.fixture(scope="module")
def plain(arguments):
    return step(Recipe(), False)(*arguments)


@pytest.fixture(scope="module")
def nearest(arguments):
    return step(NEAREST, False)(*arguments)


@pytest.fixture(scope="module")
def stochastic():
    return step(STOCHASTIC, False)


def cosine(a, b) -> float:
    return float(np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))


def assert_close(found, expected):
    for path, wanted in jax.tree_util.tree_leaves_with_path(expected):
        values = found[path[0].key][path[1].key]
        assert cosine(values, wanted) > 0.98, path
        assert 0.95 < np.linalg.norm(values) / np.linalg.norm(wanted) < 1.05, path


def assert_equal(ours, theirs):
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), ours, theirs))


def test_rounded_gradients_are_nearly_the_float32_ones(nearest, stochastic, plain, arguments):
    for found in (nearest, stochastic(*arguments)):
        assert_close(found[0], plain[0])
        assert any((found[0][name]["bias"] != plain[0][name]["bias"]).any() for name in found[0])


@pytest.mark.slow
def test_both_engines_round_the_same(nearest, arguments):
    assert_equal(nearest, step(NEAREST, True)(*arguments))


def test_the_forward_pass_stays_the_programs(nearest, stochastic, arguments):
    executor = Executor(quantized("w8a8").program)
    expected = executor.edges(executor.quantize(arguments[2]))
    for _, codes in (nearest, stochastic(*arguments)):
        for name, values in by_edge(codes).items():
            np.testing.assert_array_equal(values, expected[name], err_msg=name)


def test_backward_dots_are_int8(arguments):
    """Two for every dot of the model but the first, whose input needs no gradient."""

    def count(recipe: Recipe) -> int:
        text = step(recipe, False).lower(*arguments).as_text()
        return len(re.findall(r"dot_general .*xi8>, .*xi8>\) -> tensor<.*xi32>", text))

    assert count(NEAREST) == 2 * 4 - 1
    assert count(Recipe()) == 0


def test_one_key_gives_one_gradient(stochastic, arguments):
    first, again = (stochastic(*arguments)[0] for _ in range(2))
    assert_equal(first, again)
    other = stochastic(*arguments[:3], jax.random.key(1))[0]
    assert (other["conv"]["kernel"] != first["conv"]["kernel"]).any()


def test_stochastic_gradients_are_right_in_the_mean():
    """Rounding to nearest is off by as much however often it is done."""
    rng = np.random.default_rng(0)
    x = jnp.float32(rng.integers(-127, 128, (16, 12)))
    w = jnp.float32(rng.integers(-127, 128, (12, 8)))
    g = jnp.float32(rng.normal(size=(16, 8)))

    def gradient(rounded: RoundedGradients | None):
        return jax.vjp(lambda x: sum(aqt_dot(False, rounded)(x, 0, w, 8)), x)[1](g)[0]

    exact, nearest = jax.jit(lambda: (gradient(None), gradient(RoundedGradients(8))))()

    def error(found) -> float:
        return float(jnp.linalg.norm(found - exact) / jnp.linalg.norm(exact))

    keys = jax.random.split(KEY, 400)
    draws = jax.jit(jax.vmap(lambda key: gradient(RoundedGradients(8, True, key))))(keys)
    single = np.mean([error(draw) for draw in draws[:20]])
    assert error(draws.mean(0)) < 2 * single / len(keys) ** 0.5
    assert 0.001 < error(nearest) < single


def test_products_of_a_batch_draw_for_every_example():
    rng = np.random.default_rng(0)
    shapes = (32, 5), (5, 3), (32, 3)
    x, w, g = (jnp.float32(rng.integers(-127, 128, shape)) for shape in shapes)
    x, w, g = (jnp.stack([a, a]) for a in (x, w, g))

    def gradients(rounded: RoundedGradients | None):
        return jax.vjp(lambda x, w: sum(aqt_dot(False, rounded)(x, 3, w, 9)), x, w)[1](g)

    rounded = RoundedGradients(8), RoundedGradients(8, True, KEY)
    exact, nearest, drawn = jax.jit(lambda: [gradients(how) for how in (None, *rounded)])()
    for i in range(2):
        assert (nearest[i][0] == nearest[i][1]).all()
        assert (drawn[i][0] != drawn[i][1]).any()
        assert min(cosine(found[i], exact[i]) for found in (nearest, drawn)) > 0.999


def test_stochastic_gradients_need_keys_and_the_forward_pass_does_not(arguments):
    params, ranges, features, _ = arguments

    def loss(params):
        signal = start(features, Quantized(STOCHASTIC))
        return SMALL.model.apply({"params": params, "ranges": ranges}, signal).real().sum()

    jax.eval_shape(loss, params)
    with pytest.raises(AssertionError, match="RNG was not passed"):
        jax.eval_shape(jax.grad(loss), params)


class Sequence(nn.Module):
    """A product of activations, and dots in a scan."""

    @nn.compact
    def __call__(self, x):
        x = Attention(name="attention")(Input((3, 4), name="input")(x))
        return GRU(3, name="gru")(x)


@pytest.mark.slow
def test_products_and_scans_round_their_gradients():
    features = jnp.float32(np.random.default_rng(0).normal(size=(8, 3, 4)))
    params = initial(Sequence(), features)["params"]
    ranges = calibrated(Sequence(), params, [features], Recipe())

    def gradients(recipe: Recipe):
        def loss(params, key):
            signal, rngs = start(features, Quantized(recipe)), {"gradients": key}
            variables = {"params": params, "ranges": ranges}
            return jnp.sum(Sequence().apply(variables, signal, rngs=rngs).real() ** 2)

        return compiled(lambda key: ravel_pytree(jax.grad(loss)(params, key))[0])

    expected, rounded = gradients(Recipe())(KEY), gradients(STOCHASTIC)
    found = rounded(KEY)
    assert cosine(found, expected) > 0.98
    assert (rounded(KEY) == found).all()
    assert (rounded(jax.random.key(1)) != found).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe.stochastic_rounding": "true"}, "needs gradient_bits 8"),
        ({"recipe.gradient_bits": "8", "recipe.mode": "fake"}, "gradient_bits is for mode native"),
        ({"recipe.learn_ranges": "true", "recipe.mode": "fake"}, "learn_ranges is for mode nativ"),
        ({"recipe.gradient_bits": "4"}, "gradient_bits is 4; allowed: 8, or None"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(changes: dict[str, str], message: str):
    with pytest.raises(BadInput, match=message):
        require_trainable(overlay(EXPERIMENT, changes))


def test_settings_may_be_given_in_any_order():
    changes = {"recipe.stochastic_rounding": "true", "recipe.gradient_bits": "8"}
    assert overlay(EXPERIMENT, changes).recipe == STOCHASTIC
    assert overlay(EXPERIMENT, {"recipe.gradient_bits": "none"}) == EXPERIMENT
