"""Sub-spectral norm against batch norm of each band on its own."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aqtaudio.compression.fold import fold
from aqtaudio.errors import BadInput
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.layers import EPSILON, Input, SubSpectralNorm
from aqtaudio.vocabulary.signal import Signal, start

pytestmark = pytest.mark.optimized("slow")


class Net(nn.Module):
    """The norm alone."""

    bands: int

    @nn.compact
    def __call__(self, x: Signal) -> Signal:
        return SubSpectralNorm(self.bands, name="norm")(Input(x.shape, name="input")(x))


def features(rows: int) -> jax.Array:
    """[8, T, rows, C], every row and channel with its own mean and size."""
    rng = np.random.default_rng(0)
    size, mean = rng.uniform(0.5, 3, (rows, 4)), rng.normal(size=(rows, 4))
    return jnp.float32(mean + size * rng.normal(size=(8, 6, rows, 4)))


def variables(model: Net, x: jax.Array) -> dict:
    """With gains and offsets that are neither ones nor zeros."""
    found = model.init(jax.random.key(0), start(x, Floating()))
    rng = np.random.default_rng(1)
    change = lambda p: p + 0.3 * rng.normal(size=p.shape).astype(np.float32)  # noqa: E731
    return found | {"params": jax.tree.map(change, found["params"])}


@pytest.mark.parametrize(("rows", "bands"), [(10, 5), (5, 5), (6, 1), (6, 2)])
def test_each_band_has_a_batch_norm(rows: int, bands: int):
    x, model = features(rows), Net(bands)
    state = variables(model, x)
    out, _ = model.apply(state, start(x, Floating()), mutable=["batch_stats"])
    layer = state["params"]["norm"]
    gamma, offset, kernel = (
        np.asarray(layer[name]).reshape(bands, 4) for name in ("gamma", "bias", "kernel")
    )
    for band, part in enumerate(np.split(np.asarray(x), bands, axis=2)):
        scaled = part * kernel[band]
        mean, variance = scaled.mean((0, 1, 2)), scaled.var((0, 1, 2))
        expected = (scaled - mean) / np.sqrt(variance + EPSILON) * gamma[band] + offset[band]
        found = np.split(np.asarray(out.real()), bands, axis=2)[band]
        np.testing.assert_allclose(found, expected, atol=2e-5)


def test_folded_is_the_same_function():
    x, model = features(10), Net(5)
    state = variables(model, x)
    _, updated = model.apply(state, start(x, Floating()), mutable=["batch_stats"])
    expected = model.apply(state | updated, start(x, Floating())).real()
    params = fold(state["params"], updated["batch_stats"])
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 2 * 5 * 4
    found = model.apply({"params": params}, start(x, Floating())).real()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_bands_divide_the_rows():
    with pytest.raises(BadInput, match="layer norm: 5 bands do not divide 12 features"):
        Net(5).init(jax.random.key(0), start(jnp.zeros((1, 2, 12, 3)), Floating()))
