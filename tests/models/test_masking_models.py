"""GTCRN and UL-UNAS against their published weights and reference streams, and as streams."""

import functools
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aqtaudio.errors import BadInput
from aqtaudio.frontends.band_spectrum import BandSpectrum
from aqtaudio.models import published
from aqtaudio.models.fast_enhancer import FastEnhancer
from aqtaudio.models.gtcrn import GTCRN
from aqtaudio.models.ul_unas import ULUNAS
from aqtaudio.tasks.enhancement.masking import Masking
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.signal import start

pytestmark = pytest.mark.optimized(False)

Arrays = Mapping[str, np.ndarray]
LIMIT = 1e-4
"""Of the enhanced spectrum, whose largest value is about 40."""


class Case:
    """A published network: model, front end, mask, files, and what it counts."""

    def __init__(
        self, model: nn.Module, kind: str, mask: str, folder: str, weights: str, learned: int
    ):
        self.model, self.learned = model, learned
        self.frontend, self.masking = BandSpectrum(kind=kind), Masking(mask)  # pyright: ignore
        self.folder, self.weights = folder, weights


CASES = {
    # The authors count 23.67 k and 171 k; the latter with the fixed matrices of bands.
    "gtcrn": Case(GTCRN(), "spectrum", "complex", "gtcrn", "weights_dns3_stream", 23_669),
    "ul_unas": Case(ULUNAS(), "log", "real", "ul_unas", "weights_dns3", 146_752),
}
EACH = pytest.mark.parametrize("name", CASES)


def golden(name: str) -> Path:
    shared = Path(os.environ.get("AQTAUDIO_SHARED", Path(__file__).parents[3] / "shared"))
    folder = shared / "golden" / CASES[name].folder
    if not folder.exists():
        pytest.skip("no golden data in the shared folder")
    return folder


@functools.cache
def weights(name: str) -> Arrays:
    with np.load(golden(name) / f"{CASES[name].weights}.npz", allow_pickle=False) as arrays:
        return {key: arrays[key] for key in arrays}


@functools.cache
def reference(name: str) -> Arrays:
    with np.load(golden(name) / "reference_stream_dns3.npz", allow_pickle=False) as arrays:
        return {key: arrays[key] for key in arrays}


def as_complex(pairs: np.ndarray) -> np.ndarray:
    return pairs[..., 0] + 1j * pairs[..., 1]


class Counted(Mapping):
    """Arrays that count how often each is taken."""

    def __init__(self, arrays: Arrays):
        self._arrays, self.taken = arrays, Counter()

    def __getitem__(self, name: str) -> np.ndarray:
        self.taken[name] += 1
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


@EACH
def test_every_array_is_used_and_the_count_is_the_authors(name: str):
    counted = Counted(weights(name))
    case = CASES[name]
    variables = case.model.with_published(counted)  # pyright: ignore
    fixed = {key for key in counted if key.startswith("erb.")}
    counters = {key for key in counted if key.endswith("num_batches_tracked")}
    assert set(counted.taken) == set(counted) - fixed - counters
    statistics = [key for key in counted if key.endswith(("running_mean", "running_var"))]
    learned = set(counted) - fixed - counters - set(statistics)
    assert sum(counted[key].size for key in learned) == case.learned
    # Folded, a norm is a factor and a bias of the convolution before it.
    norms = 2 * sum(counted[key].size for key in statistics if key.endswith("mean"))
    params = variables["params"]
    assert sum(x.size for x in jax.tree.leaves(params)) == case.learned - norms
    features = jnp.zeros((1, 1, case.frontend.features))
    fresh = jax.eval_shape(lambda: case.model.init(jax.random.key(0), start(features, Floating())))
    assert published.shapes(params) == published.shapes(fresh["params"])


@EACH
def test_the_bands_are_the_published_matrices(name: str):
    for key, matrix in (("erb_fc", lambda x: x.T), ("ierb_fc", lambda x: x)):
        expected = matrix(weights(name)[f"erb.{key}.weight"])
        np.testing.assert_allclose(CASES[name].frontend.triangles(), expected, atol=1e-7)


@EACH
def test_the_spectrum_is_the_reference(name: str):
    """But for its first and last frame, whose beginning and end the reference mirrors."""
    frontend, arrays = CASES[name].frontend, reference(name)
    state = frontend.initial_state(1)
    _, found, _ = jax.jit(frontend.push_with_spectrum)(arrays["mix"][None], state)
    expected = as_complex(arrays["spectrum"])[1:-1]
    np.testing.assert_allclose(found[0, 1:], expected, atol=1e-5)


@pytest.mark.parametrize("name", ["gtcrn", pytest.param("ul_unas", marks=pytest.mark.slow)])
def test_a_stream_is_the_reference(name: str):
    """Hop by hop, states zero at the start, from the first frame to the last."""
    case, arrays = CASES[name], reference(name)
    variables = case.model.with_published(weights(name))  # pyright: ignore
    noisy = as_complex(arrays["spectrum"])[None]
    features = jax.jit(case.frontend.seen)(noisy)
    outputs = streamed(case.model, jax.tree.map(jnp.asarray, variables), features)
    masks = case.masking.results(outputs, case.frontend)
    found = case.masking.apply(masks, noisy, case.frontend)
    expected = as_complex(arrays["enhanced"])
    assert np.abs(found[0] - expected).max() < LIMIT
    assert np.abs(expected).max() > 10


def streamed(model: nn.Module, variables: Any, features: jax.Array) -> jax.Array:
    """Outputs [B, T, values] of features [B, T, F], a frame at a time."""

    def hop(state, frame):
        inputs = start(frame[:, None], Floating())
        out, updated = model.apply(variables | {"state": state}, inputs, mutable=["state"])
        return updated["state"], out.values[:, 0]

    @jax.jit
    def run(features):
        begin = jax.tree.map(jnp.zeros_like, first_state(model, variables, features))
        return jax.lax.scan(hop, begin, jnp.swapaxes(features, 0, 1))[1]

    return jnp.swapaxes(run(features), 0, 1)


def first_state(model: nn.Module, variables: Any, features: jax.Array) -> Any:
    """The shapes of a stream's state."""
    inputs = start(features[:, :1], Floating())
    found = jax.eval_shape(lambda: model.apply(variables, inputs, mutable=["state"])[1])
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), found["state"])


@EACH
def test_arrays_of_other_models(name: str, tmp_path: Path):
    case = CASES[name]
    arrays = dict(weights(name))
    missing = next(key for key in arrays if key.endswith("_fc.weight") and "erb" not in key)
    del arrays[missing]
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(BadInput, match=f"not weights of {type(case.model).__name__}") as error:
        published.read(case.model, str(tmp_path / "other.npz"))
    assert missing in str(error.value)


@pytest.mark.parametrize(
    ("model", "features"),
    [(GTCRN(bands=9), 26), (GTCRN(bands=11), 33), (GTCRN(bands=9, channels=6), 27),
     (ULUNAS(bands=9), 10), (ULUNAS(bands=12), 12),
     (FastEnhancer(bins=8), 8), (FastEnhancer(bins=10), 20)],
    ids=str,
)  # fmt: skip
def test_shapes_that_do_not_fit(model: nn.Module, features: int):
    with pytest.raises(ValueError, match="allowed"):
        model.init(jax.random.key(0), start(jnp.zeros((1, 2, features)), Floating()))
