"""Samples have the probabilities that they promise, and kernels see repetitions."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from aqtaudio.errors import BadInput
from aqtaudio.tasks.embedding.determinantal import LowRankDPP
from aqtaudio.tasks.embedding.sampling import (
    KINDS,
    NORMS,
    Sampler,
    loudness_percentiles,
    quotas,
    sample,
)

PUBLISHED = Sampler("diversity", ridge=0.1, norm="l1")


def embeddings(n: int, dimensions: int, seed: int = 0) -> np.ndarray:
    """Log-normal, as embeddings after a ReLU are: not negative, few large values."""
    return np.random.default_rng(seed).lognormal(size=(n, dimensions))


def half_sparse(n: int, dimensions: int) -> np.ndarray:
    draw = np.random.default_rng(1).standard_normal((n, dimensions))
    return np.maximum(draw, 0)


def kernel(rows: np.ndarray, ridge: float) -> np.ndarray:
    return rows @ rows.T + ridge * np.eye(len(rows))


def subset_probabilities(matrix: np.ndarray, k: int) -> dict[tuple[int, ...], float]:
    """Of every subset of k items, by its determinant."""
    subsets = list(itertools.combinations(range(len(matrix)), k))
    volumes = [max(np.linalg.det(matrix[np.ix_(s, s)]), 0.0) for s in subsets]
    return {s: v / sum(volumes) for s, v in zip(subsets, volumes, strict=True)}


def counted(draws) -> dict[tuple[int, ...], int]:
    found: dict[tuple[int, ...], int] = {}
    for items in draws:
        found[tuple(items.tolist())] = found.get(tuple(items.tolist()), 0) + 1
    return found


def require_same_distribution(expected: dict, draws: list[np.ndarray]):
    """Chi-square over subsets that are expected five times or more, the others together."""
    found, n = counted(draws), len(draws)
    assert all(expected[items] > 0 for items in found)
    frequent = [s for s, p in expected.items() if n * p >= 5]
    observed = [found.get(s, 0) for s in frequent]
    hoped = [n * expected[s] for s in frequent]
    if n - sum(hoped) > 1e-6 * n:
        observed.append(n - sum(observed))
        hoped.append(n - sum(hoped))
    assert len(observed) > 5 and chisquare(observed, np.array(hoped) * n / sum(hoped)).pvalue > 1e-3


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("n", "dimensions", "k", "ridge"),
    [
        (7, 4, 3, 0.0),  # k below the rank
        (7, 4, 4, 0.0),  # k is the rank
        (7, 4, 3, 0.5),  # many eigenvectors of the ridge
        (6, 3, 4, 0.05),  # k above the rank
        (5, 9, 3, 1e-3),  # more dimensions than items
    ],
)
def test_every_subset_has_its_probability(n: int, dimensions: int, k: int, ridge: float):
    rows = np.random.default_rng(3).standard_normal((n, dimensions))
    rows *= np.linspace(0.3, 1.5, n)[:, None]
    process, rng = LowRankDPP(rows, ridge), np.random.default_rng(0)
    draws = [process.draw(k, rng) for _ in range(3000)]
    require_same_distribution(subset_probabilities(kernel(rows, ridge), k), draws)


def test_another_kernel_is_told_apart():
    """The test above can fail: draws of a slightly other ridge do not pass it."""
    rows = np.random.default_rng(3).standard_normal((7, 4))
    process, rng = LowRankDPP(rows, 0.5), np.random.default_rng(0)
    draws = [process.draw(3, rng) for _ in range(3000)]
    with pytest.raises(AssertionError):
        require_same_distribution(subset_probabilities(kernel(rows, 0.2), 3), draws)


def test_both_is_the_kernel_with_relevance():
    x, q = embeddings(6, 3), np.array([1, 2, 3, 4, 5, 6]) / 6
    sampler, rng = Sampler("both", relevance_power=1.5, ridge=0.01), np.random.default_rng(1)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    expected = subset_probabilities(kernel(unit * q[:, None] ** 1.5, 0.01), 2)
    require_same_distribution(expected, [sampler.draw(x, 2, rng, q) for _ in range(3000)])


def test_relevance_is_drawn_one_after_the_other():
    q = np.array([0.1, 0.2, 0.3, 0.4, 0.9])
    p = q / q.sum()
    pairs = itertools.combinations(range(5), 2)
    expected = {(a, b): p[a] * p[b] / (1 - p[a]) + p[b] * p[a] / (1 - p[b]) for a, b in pairs}
    rng = np.random.default_rng(0)
    draws = [Sampler("relevance").draw(np.ones((5, 1)), 2, rng, q) for _ in range(8000)]
    require_same_distribution(expected, draws)


@pytest.mark.parametrize("k", [92, pytest.param(128, marks=pytest.mark.slow), 200])
def test_many_of_many(k: int):
    """Nothing over- or underflows, and a sample that is diverse spans more than a random one."""
    x = embeddings(1500, 128) ** 2
    x[750:] = x[:750] * (1 + 1e-3 * np.random.default_rng(2).standard_normal((750, 128)))
    rng = np.random.default_rng(0)
    items = Sampler("diversity").draw(x, k, rng)  # also more than there are dimensions
    assert len(np.unique(items)) == k
    repeated = k - len(np.unique(items % 750))
    if k == 92:
        random = rng.choice(1500, k, replace=False)
        assert repeated == 0 < k - len(np.unique(random % 750))


@pytest.mark.slow
def test_512_of_7000():
    x = embeddings(7000, 512)
    items = Sampler("diversity", ridge=1e-6).draw(x, 512, np.random.default_rng(0))
    assert len(np.unique(items)) == 512


def test_eigenvalues_of_all_sizes():
    """Of 40 orders of magnitude; k items of the k large ones are certain."""
    scales = np.repeat([1e10, 1e-10], 5)
    process = LowRankDPP(np.diag(scales), 1e-22)
    assert process.draw(5, np.random.default_rng(0)).tolist() == [0, 1, 2, 3, 4]
    assert process.draw(10, np.random.default_rng(0)).tolist() == list(range(10))


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    norm=st.sampled_from(list(NORMS)),
    n=st.integers(1, 12),
    dimensions=st.integers(1, 6),
    share=st.floats(0, 1),
    ridge=st.sampled_from((1e-6, 1e-3, 0.1)),
    seed=st.integers(0, 2**32),
)
def test_k_distinct_items_by_the_seed(kind, norm, n, dimensions, share, ridge, seed):
    """Also of rows that are equal, or zero."""
    draw = np.random.default_rng(seed)
    x = draw.integers(-1, 2, (n, dimensions)).astype(np.int8)
    q, k = draw.uniform(0.01, 1, n), max(1, round(share * n))
    sampler = Sampler(kind, ridge=ridge, norm=norm)
    items = sampler.draw(x, k, np.random.default_rng(seed), q)
    assert items.dtype == np.int64 and len(items) == k
    assert np.all(np.diff(items) > 0) and 0 <= items[0] and items[-1] < n
    assert sampler.draw(x, k, np.random.default_rng(seed), q).tolist() == items.tolist()


@pytest.mark.parametrize("x", [embeddings(400, 512), half_sparse(400, 512)], ids=["log", "half"])
def test_the_published_kernel_does_not_see_repetitions(x: np.ndarray):
    ratios = {
        "published: rows by L1, ridge 0.1": PUBLISHED.near_duplicate_ratio(x),
        "rows by L2, ridge 0.1": Sampler(ridge=0.1).near_duplicate_ratio(x),
        "rows by L2, ridge 1e-4": Sampler().near_duplicate_ratio(x),
    }
    for name, ratio in ratios.items():
        print(f"near-duplicate ratio, {name}: {ratio:.4f}")
    published, ridged, working = ratios.values()
    assert published == pytest.approx(1.00, abs=0.005)
    assert ridged == pytest.approx(0.195, abs=0.006)  # 0.19 to 0.20
    assert working < 0.001


def test_the_ratio_is_that_of_determinants():
    x, q = embeddings(5, 3), np.linspace(0.2, 1, 5)
    sampler = Sampler("both", ridge=0.03)
    rows = x / np.linalg.norm(x, axis=1, keepdims=True) * q[:, None]
    matrix, ratios = kernel(rows, 0.03), []
    for i in range(5):
        near = np.array([[matrix[i, i], 0.9 * (matrix[i, i] - 0.03)], [0, matrix[i, i]]])
        near[1, 0] = near[0, 1]
        others = [np.linalg.det(matrix[np.ix_((i, j), (i, j))]) for j in range(5) if j != i]
        ratios.append(np.linalg.det(near) / np.mean(others))
    assert sampler.near_duplicate_ratio(x, q, cosine=0.9) == pytest.approx(np.mean(ratios))
    assert Sampler("random").near_duplicate_ratio(x) == 1.0


def test_repetitions_are_drawn_as_the_ratio_says():
    """Of twenty items and a copy of each, how many pairs are an item and its copy."""
    x = np.tile(embeddings(20, 64), (2, 1))
    rng, pairs = np.random.default_rng(0), 500

    def repeated(sampler: Sampler) -> float:
        process = LowRankDPP(sampler._factors(x, None), sampler.ridge)
        return np.mean([np.ptp(process.draw(2, rng) % 20) == 0 for _ in range(pairs)])

    uniform = 20 / math.comb(40, 2)
    assert repeated(PUBLISHED) == pytest.approx(uniform, abs=4 * math.sqrt(uniform / pairs))
    assert repeated(Sampler()) == 0


def test_quotas_are_those_of_the_recipe():
    groups = [(sensor, day) for sensor in range(15) for day in range(365)]
    assert set(quotas(500_000, groups).values()) == {92}
    uneven = [("a", 0), ("a", 1), ("b", 0)]
    assert quotas(9, uneven) == {("a", 0): 3, ("a", 1): 3, ("b", 0): 5}


def corpus():
    sources = ["a"] * 30 + ["b"] * 30
    periods = ["mon"] * 15 + ["tue"] * 15 + ["mon"] * 27 + ["tue"] * 3
    return embeddings(60, 4), sources, periods


@pytest.mark.parametrize("kind", KINDS)
def test_small_groups_are_taken_whole(kind: str):
    x, sources, periods = corpus()
    q = loudness_percentiles(np.arange(60.0), sources)
    found = sample(x, sources, periods, 20, Sampler(kind), 0, q)
    assert np.count_nonzero(found < 15) == np.count_nonzero((found >= 15) & (found < 30)) == 5
    assert np.count_nonzero((found >= 30) & (found < 57)) == 5
    assert found[-3:].tolist() == [57, 58, 59] and len(found) == 18


def test_a_group_does_not_depend_on_the_others():
    x, sources, periods = corpus()
    whole = sample(x, sources, periods, 20, Sampler(), 7)
    alone = sample(x[:30], sources[:30], periods[:30], 10, Sampler(), 7)
    assert whole[whole < 30].tolist() == alone.tolist()
    assert whole.tolist() != sample(x, sources, periods, 20, Sampler(), 8).tolist()
    # Both days of a sensor hold the same vectors: their seeds differ, so their samples do.
    same = sample(np.tile(x[:15], (2, 1)), sources[:30], periods[:30], 10, Sampler(), 7)
    assert same[:5].tolist() != (same[5:] - 15).tolist()


def test_percentiles_are_within_groups_and_ties_have_the_least():
    levels = [-60.0, -30.001, -30.004, -10.0, -np.inf, -5.0]
    q = loudness_percentiles(np.array(levels), ["x", "x", "x", "x", "y", "y"])
    assert q.tolist() == [0.25, 0.5, 0.5, 1.0, 0.5, 1.0]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(-90, 0), st.integers(0, 3)), min_size=1, max_size=30))
def test_percentiles_keep_the_order(items: list[tuple[int, int]]):
    levels, groups = np.transpose(items)
    q = loudness_percentiles(levels, groups.tolist())
    for group in set(groups.tolist()):
        own = groups == group
        assert np.all((q[own] > 0) & (q[own] <= 1))
        order = np.argsort(levels[own], kind="stable")
        assert np.all(np.diff(q[own][order]) >= 0)
        assert np.all((np.diff(q[own][order]) > 0) == (np.diff(levels[own][order]) > 0))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Sampler("dpp"), "allowed: random, relevance, diversity, both"),
        (lambda: Sampler(norm="max"), "allowed: l1, l2"),
        (lambda: Sampler(ridge=-1.0), "ridge of a sampler is -1; allowed: 0 or more"),
        (lambda: Sampler(relevance_power=math.nan), "relevance_power of a sampler is nan"),
        (lambda: Sampler("both").draw(np.ones((3, 2)), 2, np.random.default_rng(0)), "relevance"),
        (lambda: Sampler().draw(np.ones((3, 2)), 4, np.random.default_rng(0)), "allowed: 1 to 3"),
        (lambda: Sampler().draw(np.ones((3, 2)), 0, np.random.default_rng(0)), "allowed: 1 to 3"),
        (lambda: Sampler().draw(np.full((3, 2), np.nan), 1, np.random.default_rng(0)), "finite"),
        (
            lambda: Sampler(ridge=0.0).draw(np.eye(3)[:, :2], 3, np.random.default_rng(0)),
            "of rank 2 without a ridge; allowed: 1 to 2",
        ),
        (
            lambda: Sampler("relevance").draw(
                np.ones((2, 1)), 1, np.random.default_rng(0), np.array([0.0, 1.0])
            ),
            "above 0, at most 1",
        ),
        (lambda: sample(np.ones((2, 1)), "a", "bc", 1, Sampler(), 0), "2 items have 1 sources"),
        (lambda: quotas(0, [("a", "b")]), "at least 1"),
        (lambda: loudness_percentiles(np.array([np.nan]), ["a"]), "none of them NaN"),
    ],
)
def test_bad_input(call, said: str):
    with pytest.raises(BadInput, match=said):
        call()
