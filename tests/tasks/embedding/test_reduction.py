"""Reductions do not depend on batches, whiten what they promise and are read back as they were."""

import functools
import operator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqtaudio.errors import BadInput
from aqtaudio.tasks.embedding.reduction import KINDS, Moments, fit, read


def embeddings(n: int = 300, dimensions: int = 8) -> np.ndarray:
    """Correlated, with means and scales far apart, and one dimension that never fires."""
    draw = np.random.default_rng(0)
    x = draw.standard_normal((n, dimensions)) @ draw.standard_normal((dimensions, dimensions))
    x = x * np.logspace(-2, 2, dimensions) + np.logspace(3, -1, dimensions)
    x[:, 3] = 0
    return x


def summed(batches) -> Moments:
    return functools.reduce(operator.add, map(Moments.of, batches))


@settings(max_examples=40, deadline=None)
@given(cuts=st.sets(st.integers(1, 299), max_size=12), seed=st.integers(0, 2**32))
def test_batches_do_not_matter(cuts: set[int], seed: int):
    x = embeddings()
    batches = np.split(x, sorted(cuts))
    np.random.default_rng(seed).shuffle(batches)
    whole, parts = Moments.of(x), summed(batches)
    assert parts.count == whole.count
    for kind in ("pca", "whiten"):
        a, b = (fit(moments, kind, 5)(x) for moments in (whole, parts))
        np.testing.assert_allclose(a, b, atol=1e-9)


def test_sums_apart_are_the_sum():
    x = embeddings()
    left, right = summed([x[:100], x[100:150]]), summed([x[150:170], x[170:]])
    for moments in (left + right, right + left):
        np.testing.assert_allclose(moments.mean, x.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(moments.scatter / len(x), np.cov(x.T, bias=True), rtol=1e-9)


def test_frames_are_samples():
    x = embeddings()
    np.testing.assert_array_equal(Moments.of(x.reshape(100, 3, 8)).scatter, Moments.of(x).scatter)


def test_whitened_is_white():
    x = embeddings()
    y = fit(Moments.of(x), "whiten", 7)(x)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(np.cov(y.T, bias=True), np.eye(7), atol=1e-9)


def test_components_are_those_of_the_singular_values():
    x = embeddings()
    found = fit(Moments.of(x), "pca", 5)
    z = np.delete((x - x.mean(axis=0)) / np.where(x.std(axis=0) > 0, x.std(axis=0), 1), 3, axis=1)
    _, singular, right = np.linalg.svd(z, full_matrices=False)
    np.testing.assert_allclose(found.variances, singular[:5] ** 2 / len(x))
    np.testing.assert_allclose(found.variances, found(x).var(axis=0))
    np.testing.assert_allclose(found.total_variance, 7)
    np.testing.assert_allclose(found.explained, singular[:5] ** 2 / np.sum(singular**2))
    np.testing.assert_allclose(np.abs(found(x)), np.abs(z @ right[:5].T), atol=1e-9)


def test_all_components_explain_all():
    assert fit(Moments.of(embeddings()), "pca").explained.sum() == pytest.approx(1)


def test_signs_are_the_convention():
    """The largest loading is positive, also of data seen in a mirror."""
    x = embeddings()
    for data in (x, -x):
        components = fit(Moments.of(data), "pca", 7).components
        largest = np.argmax(np.abs(components), axis=0)
        assert np.all(components[largest, np.arange(7)] > 0)
    a, b = (fit(Moments.of(data), "pca", 7).components for data in (x, -x))
    np.testing.assert_allclose(a, b, atol=1e-9)


def test_of_equal_loadings_the_first_is_positive():
    """Two dimensions have loadings 0.7 and 0.7: rounding must not choose between them."""
    draw = np.random.default_rng(0)
    for _ in range(20):
        x = draw.standard_normal((50, 1)) * [1, -1] + 0.3 * draw.standard_normal((50, 2))
        components = fit(Moments.of(x), "pca").components
        np.testing.assert_allclose(components, np.sqrt(0.5) * np.array([[1, 1], [-1, 1]]))


def test_what_does_not_vary_is_ignored():
    x = embeddings()
    heard = x.copy()
    heard[:, 3] = 1e6
    for kind in ("standardise", "pca"):
        reduction = fit(Moments.of(x), kind)
        np.testing.assert_array_equal(reduction(x), reduction(heard))


def test_a_large_constant_is_constant():
    x = np.random.default_rng(0).standard_normal((1000, 2)) + [0, 1e5]
    x[:, 1] = 1e5 + 0.1
    moments = summed(np.split(x, 7 * np.arange(1, 140)))
    assert moments.deviation[1] == 0 and moments.deviation[0] > 0.9


def test_none_leaves_embeddings_alone():
    x = embeddings()
    np.testing.assert_array_equal(fit(Moments.of(x), "none")(x), x)


def test_standardise():
    y = fit(Moments.of(embeddings()), "standardise")(embeddings())
    np.testing.assert_allclose(y.std(axis=0), [1, 1, 1, 0, 1, 1, 1, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_as_a_layer(kind: str):
    x = embeddings()
    reduction = fit(Moments.of(x), kind, 5 if kind in ("pca", "whiten") else None)
    kernel, bias = reduction.layer
    np.testing.assert_allclose(x @ kernel + bias, reduction(x), atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_read_back_to_the_same_numbers(kind: str, tmp_path: Path):
    x = embeddings()
    reduction = fit(Moments.of(x), kind) if kind != "whiten" else fit(Moments.of(x), kind, 4)
    reduction.save(tmp_path / "reduction.npz")
    again = read(tmp_path / "reduction.npz")
    assert again.kind == kind and again.total_variance == reduction.total_variance
    np.testing.assert_array_equal(again(x), reduction(x))
    np.testing.assert_array_equal(again.explained, reduction.explained)


def test_another_file_is_refused(tmp_path: Path):
    (tmp_path / "text.npz").write_text("no arrays")
    np.savez(tmp_path / "other.npz", mean=np.zeros(3))
    for name in ("text.npz", "other.npz", "absent.npz"):
        with pytest.raises(BadInput, match="not a reduction of embeddings"):
            read(tmp_path / name)


def of(n: int) -> Moments:
    return Moments.of(embeddings()[:n])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: fit(of(300), "umap"), "allowed: none, standardise, pca, whiten"),
        (lambda: fit(of(300), "pca", 9), "9 dimensions of 8; allowed: 1 to 8"),
        (lambda: fit(of(300), "pca", 0), "allowed: 1 to 8"),
        (lambda: fit(of(300), "standardise", 5), "keeps all 8 dimensions, not 5"),
        (lambda: fit(of(8), "pca", 2), "8 samples of 8 dimensions; more samples"),
        (lambda: fit(of(300), "whiten", 8), "only 7 directions vary"),
        (lambda: fit(Moments.of(np.ones((5, 3))), "pca"), "all the same"),
        (lambda: Moments.of(np.array([[1.0, np.nan]])), "NaN or infinite"),
        (lambda: Moments.of(np.ones(4)), r"\[4\]; allowed: \[samples, dimensions\]"),
        (lambda: Moments.of(np.ones((0, 4))), "allowed"),
        (lambda: of(9) + Moments.of(np.ones((2, 3))), "8 and of 3 dimensions"),
        (lambda: fit(of(300), "pca")(np.ones((2, 3))), "for a reduction of 8 dimensions"),
    ],
)
def test_bad_input(call, said: str):
    with pytest.raises(BadInput, match=said):
        call()
