"""Layers in the floating reading, and what the vocabulary refuses."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import SMALL
from trained import floating, random_features

from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.layers import (
    AveragePool,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Input,
    Reshape,
)
from aqtaudio.vocabulary.signal import Signal, start

pytestmark = pytest.mark.optimized("slow")


class Wrapped(nn.Module):
    """One layer, left without a name."""

    kind: type
    settings: tuple = ()

    @nn.compact
    def __call__(self, x: Signal) -> Signal:
        return self.kind(*self.settings)(x)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (Conv2D, (4,)),
        (DepthwiseConv2D, ()),
        (Dense, (4,)),
        (AveragePool, ()),
        (Reshape, ((-1,),)),
        (Input, ((6, 5, 3),)),
    ],
)
def test_generated_names_are_refused(kind: type, settings: tuple):
    features = jnp.zeros((1, 6, 5, 3))
    with pytest.raises(ValueError, match=rf"layer {kind.__name__}_0: .*explicit names"):
        Wrapped(kind, settings).init(jax.random.key(0), start(features, Floating()))


class Shapes(nn.Module):
    """Every layer once."""

    @nn.compact
    def __call__(self, x: Signal) -> tuple[tuple[int, ...], ...]:
        shapes = []
        for layer in (
            Input((12, 9, 1), name="input"),
            Conv2D(4, (3, 2), (2, 1), name="conv"),
            DepthwiseConv2D((3, 3), (1, 1), (2, 2), "VALID", name="depthwise"),
            AveragePool((2, 2), (1, 1), name="pool"),
            Reshape((-1,), name="flat"),
            Dense(7, name="dense"),
        ):
            x = layer(x)
            shapes.append(x.shape)
        return tuple(shapes)


def test_shapes_exclude_the_batch():
    shapes, _ = Shapes().init_with_output(
        jax.random.key(0), start(jnp.ones((2, 12, 9)), Floating())
    )
    assert shapes == ((12, 9, 1), (6, 9, 4), (2, 5, 4), (1, 4, 4), (16,), (7,))


def test_average_pool_is_the_mean():
    x = jnp.asarray(random_features(SMALL, 3))[..., None]
    signal = start(x, Floating())
    everything = AveragePool(name="pool").apply({}, signal).real()
    np.testing.assert_allclose(everything, x.mean((1, 2), keepdims=True), atol=1e-6)
    blocks = AveragePool((5, 2), name="pool").apply({}, signal).real()
    expected = np.asarray(x).reshape(3, 4, 5, 5, 2).mean((2, 4))[..., None]
    np.testing.assert_allclose(blocks, expected, atol=1e-6)


def test_batch_norm_uses_the_batch_in_training_and_running_statistics_after():
    layer = Conv2D(3, name="conv")
    x = 2 + 3 * jnp.asarray(random_features(SMALL, 8))[..., None]
    variables = layer.init(jax.random.key(0), start(x, Floating()))
    y = jnp.einsum("bhwc,cd->bhwd", x, variables["params"]["kernel"][0, 0])
    out, updated = layer.apply(variables, start(x, Floating()), mutable=["batch_stats"])
    mean, variance = y.mean((0, 1, 2)), y.var((0, 1, 2))
    expected = jax.nn.relu((y - mean) / jnp.sqrt(variance + 1e-3))
    np.testing.assert_allclose(out.real(), expected, atol=1e-4)
    stats = updated["batch_stats"]
    np.testing.assert_allclose(stats["mean"], 0.03 * mean, rtol=1e-4)
    np.testing.assert_allclose(stats["variance"], 0.97 + 0.03 * variance, rtol=1e-4)
    frozen = layer.apply({**variables, **updated}, start(x, Floating())).real()
    expected = jax.nn.relu((y - stats["mean"]) / jnp.sqrt(stats["variance"] + 1e-3))
    np.testing.assert_allclose(frozen, expected, atol=1e-4)


def test_nothing_is_mutable_unless_asked():
    variables = floating(SMALL)
    signal = start(jnp.asarray(random_features(SMALL)), Floating())
    out = jax.eval_shape(lambda v: SMALL.model.apply(v, signal), variables)
    assert isinstance(out, Signal)  # no collections come back
    assert out.scale is None and out.shape == (SMALL.model.classes,)


def test_a_recorded_edge_has_one_owner():
    """Two layers of one name cannot be: Flax says so before a program could be ambiguous."""

    class Twice(nn.Module):
        @nn.compact
        def __call__(self, x):
            return Dense(3, name="dense")(Dense(3, name="dense")(x))

    with pytest.raises(nn.module.errors.NameInUseError):
        Twice().init(jax.random.key(0), start(jnp.ones((1, 3)), Floating()))
