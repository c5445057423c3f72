"""Blocks of a student compared with its teacher's."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import SMALL
from initial import initial
from trained import random_features

from aqtaudio.training.blocks import apart, capturing
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.signal import start

pytestmark = pytest.mark.optimized(False)

BATCH = 4


@functools.cache
def parameters(seed: int) -> dict[str, Any]:
    return initial(SMALL.model, random_features(SMALL, BATCH), seed)


def inside(variables: dict[str, Any], pattern: str) -> dict[str, Any]:
    """What the modules of that pattern put out."""
    seen = capturing(pattern)
    x = jnp.asarray(random_features(SMALL, BATCH))
    made = SMALL.model.apply(variables, start(x, Floating()), **seen)
    return made[1] if seen else {}


@functools.cache
def compared(pattern: str):
    return jax.jit(lambda a, b: apart(inside(a, pattern), inside(b, pattern)))


def test_equal_models_are_not_apart():
    assert compared(".*")(parameters(0), parameters(0)) < 1e-9
    assert compared(".*")(parameters(0), parameters(1)) > 0.1


def test_without_a_pattern_nothing_is_kept():
    assert capturing("") == {}
    assert compared("")(parameters(0), parameters(1)) == 0


def test_a_pattern_is_of_whole_paths():
    found = jax.eval_shape(lambda v: inside(v, "pointwise_1|conv"), parameters(0))
    assert set(found["intermediates"]) == {"pointwise_1", "conv"}
    assert not jax.eval_shape(lambda v: inside(v, "pointwise"), parameters(0)).get("intermediates")


def test_only_the_blocks_of_the_pattern_count():
    """A change behind a block does not move it; one in it does."""
    ours = parameters(0)
    other = {**ours["params"], "logits": parameters(1)["params"]["logits"]}
    changed = ours | {"params": other}
    assert compared("conv|pointwise_1")(ours, changed) == 0
    assert compared("logits")(ours, changed) > 0.1


def test_apart_is_relative_to_the_teacher():
    """Twice its outputs: as far apart as nothing at all."""
    ours = parameters(0)
    layer = jax.tree.map(lambda x: 2 * x, ours["params"]["logits"])
    twice = ours | {"params": {**ours["params"], "logits": layer}}
    none = jax.tree.map(lambda x: 0 * x, ours["params"]["logits"])
    nothing = ours | {"params": {**ours["params"], "logits": none}}
    assert compared("logits")(twice, ours) == pytest.approx(1, rel=1e-4)
    assert compared("logits")(nothing, ours) == pytest.approx(1, rel=1e-4)


def test_a_student_moves_closer():
    teacher, student = parameters(0), parameters(1)

    @jax.jit
    def step(params):
        def distance(params):
            variables = student | {"params": params}
            return apart(inside(variables, "pointwise_.*"), inside(teacher, "pointwise_.*"))

        value, gradient = jax.value_and_grad(distance)(params)
        return value, jax.tree.map(lambda p, g: p - 0.05 * g, params, gradient)

    params, values = student["params"], []
    for _ in range(10):
        value, params = step(params)
        values.append(float(value))
    assert np.isfinite(values).all() and values[-1] < 0.8 * values[0]
