"""Which of a large corpus's embeddings a reduction is fitted on: a small sample of all of them.

Hours of one place sound alike, so a uniform sample is mostly repetitions. Samplers prefer loud
clips ("relevance"), clips unlike each other ("diversity"), or both. The corpus is cut into groups,
a source (a sensor, a speaker, a folder) in a period (a day) each, so that none is forgotten.

Srivastava et al., "Specialized embedding approximation for edge intelligence" (ICASSP 2021). The
published recipe is nearly uniform: it adds a ridge of 0.1 to rows normalised by L1, whose products
are about 0.005, and moves a chain of swaps by two at most. Here rows have unit length, the ridge is
small and samples are exact. `Sampler.near_duplicate_ratio` tells a kernel that works from one that
does not.
"""

import dataclasses
import hashlib
import math
from collections.abc import Hashable, Sequence

import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.tasks.embedding.determinantal import LowRankDPP

KINDS = ("random", "relevance", "diversity", "both")
NORMS = {"l1": 1, "l2": 2}

Group = tuple[Hashable, Hashable]
"""A source and a period."""


@dataclasses.dataclass(frozen=True)
class Sampler:
    """How k of n items are drawn.

    Attributes:
      kind: "random", uniformly; "relevance", one after the other with probability proportional to
        q^a; "diversity", a k-DPP with L = S + ridge I, where S holds the products of the
        normalised embeddings; "both", a k-DPP with L = diag(q^a) S diag(q^a) + ridge I.
      relevance_power: a. 0 forgets relevance, 1 is the published weight.
      ridge: on the diagonal of L, whatever q is. It decides how likely repetitions are, and lets
        more items be drawn than embeddings have dimensions.
      norm: "l2", rows of unit length; "l1", as published, to compare with. Rows of zeros stay.
    """

    kind: str = "diversity"
    relevance_power: float = 1.0
    ridge: float = 1e-4
    norm: str = "l2"

    def __post_init__(self):
        if self.kind not in KINDS:
            raise BadInput(f"sampler {self.kind!r}; allowed: {', '.join(KINDS)}")
        if self.norm not in NORMS:
            raise BadInput(f"norm {self.norm!r} of a sampler; allowed: {', '.join(NORMS)}")
        for name in ("relevance_power", "ridge"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise BadInput(f"{name} of a sampler is {value:g}; allowed: 0 or more")

    def draw(
        self,
        embeddings: np.ndarray,
        k: int,
        rng: np.random.Generator,
        relevance: np.ndarray | None = None,
    ) -> np.ndarray:
        """k of n items.

        Args:
          embeddings: [n, D].
          relevance: q, [n], in (0, 1]; only "relevance" and "both" ask for it.

        Returns:
          int64 [k], ascending, distinct.

        Raises:
          BadInput: k is not in 1..n, or more than the rank for a DPP without a ridge; values that
            are not finite; no relevance where it is needed.
        """
        embeddings = _checked(embeddings)
        n = len(embeddings)
        if not 1 <= k <= n:
            raise BadInput(f"a sample of {k} of {n} items; allowed: 1 to {n}")
        if self.kind == "random":
            return np.sort(rng.choice(n, k, replace=False))
        if self.kind == "relevance":
            return _one_by_one(self._weights(n, relevance), k, rng)
        return LowRankDPP(self._factors(embeddings, relevance), self.ridge).draw(k, rng)

    def near_duplicate_ratio(
        self, embeddings: np.ndarray, relevance: np.ndarray | None = None, cosine: float = 1.0
    ) -> float:
        """How likely a repetition is, relative to another item, once one item is chosen.

        For an item i, a second item j joins with a probability proportional to
        det L_{ij} = L_ii L_jj - L_ij^2. The ratio is that of a copy of i turned to `cosine` of it,
        over the mean of all j, averaged over i. 1 is a kernel that does not see repetitions, 0 one
        that never takes them; 1 for kinds without a kernel.

        Args:
          embeddings: [n, D], at least two.
          relevance: as in `draw`.
          cosine: of the angle between item and near-duplicate; 1 is an exact copy.
        """
        if self.kind in ("random", "relevance"):
            return 1.0
        embeddings = _checked(embeddings)
        n = len(embeddings)
        if n < 2:
            raise BadInput("a near-duplicate ratio of fewer than two items")
        rows = self._factors(embeddings, relevance)
        squares = np.sum(rows**2, axis=1)
        diagonal = squares + self.ridge
        duplicate = diagonal**2 - (cosine * squares) ** 2
        # Sums over j of L_ij^2 without L: each is a quadratic form in B^T B.
        products = np.sum((rows @ (rows.T @ rows)) * rows, axis=1) - squares**2
        others = diagonal * (diagonal.sum() - diagonal) - products
        return float(np.mean(duplicate * (n - 1) / others))

    def _factors(self, embeddings: np.ndarray, relevance: np.ndarray | None) -> np.ndarray:
        lengths = np.linalg.norm(embeddings, NORMS[self.norm], axis=1, keepdims=True)
        rows = embeddings / np.where(lengths > 0, lengths, 1)
        if self.kind == "diversity":
            return rows
        return rows * self._weights(len(rows), relevance)[:, None]

    def _weights(self, n: int, relevance: np.ndarray | None) -> np.ndarray:
        """q^a [n]."""
        if relevance is None:
            raise BadInput(f"sampler {self.kind!r} needs the relevance of every item")
        q = np.asarray(relevance, np.float64)
        if q.shape != (n,) or not np.all((q > 0) & (q <= 1)):
            raise BadInput(f"relevance of {n} items; allowed: as many numbers above 0, at most 1")
        return q**self.relevance_power


def sample(
    embeddings: np.ndarray,
    sources: Sequence[Hashable],
    periods: Sequence[Hashable],
    total: int,
    sampler: Sampler,
    seed: int,
    relevance: np.ndarray | None = None,
) -> np.ndarray:
    """About `total` of n items, drawn group by group.

    Every group has a seed of its own, of `seed` and the group's name, so what is drawn of it
    depends on no other group. A group that has no more items than its quota is taken whole; the
    published recipe leaves it out, which would empty small corpora.

    Args:
      embeddings: [n, D].
      sources: of every item; names, compared and seeded as text.
      periods: likewise; one and the same where time does not matter.
      total: how many are asked for. There are more where quotas are rounded up, fewer where groups
        are small.
      relevance: q, [n]; see `loudness_percentiles`.

    Returns:
      int64, ascending.
    """
    groups = _groups(sources, periods, len(embeddings))
    quota = quotas(total, list(groups))
    found = []
    for group, rows in groups.items():
        k = quota[group]
        if len(rows) > k:
            own = None if relevance is None else relevance[rows]
            rows = rows[sampler.draw(embeddings[rows], k, _generator(seed, group), own)]
        found.append(rows)
    return np.sort(np.concatenate(found))


def quotas(total: int, groups: Sequence[Group]) -> dict[Group, int]:
    """How many items of every group: per source ceil(total / sources), of it an equal part,
    rounded up, for each of its periods.

    Raises:
      BadInput: no groups, or `total` is not positive.
    """
    if not groups or total < 1:
        raise BadInput(
            f"a sample of {total} from {len(groups)} groups; at least 1 from 1 is needed"
        )
    periods: dict[Hashable, int] = {}
    for source, _ in dict.fromkeys(groups):
        periods[source] = periods.get(source, 0) + 1
    of_source = math.ceil(total / len(periods))
    return {group: math.ceil(of_source / periods[group[0]]) for group in groups}


def loudness_percentiles(levels_db: np.ndarray, groups: Sequence[Hashable]) -> np.ndarray:
    """Relevance: how loud each item is among those of its group.

    q = rank / n, ties have the least rank; levels are rounded to 0.01 dB before.

    Args:
      levels_db: [n]; -inf is digital silence.
      groups: [n], what is compared with each other: the same place at the same hour, say.

    Returns:
      float64 [n], in (0, 1].
    """
    levels = np.asarray(levels_db, np.float64)
    if levels.shape != (len(groups),) or np.isnan(levels).any():
        raise BadInput(f"levels of {len(groups)} items; allowed: as many numbers, none of them NaN")
    from scipy.stats import rankdata  # half a second, and most do without

    levels = np.round(levels, 2)
    found = np.empty(len(levels))
    for rows in _rows_of(groups).values():
        found[rows] = rankdata(levels[rows], method="min") / len(rows)
    return found


def _groups(
    sources: Sequence[Hashable], periods: Sequence[Hashable], n: int
) -> dict[Group, np.ndarray]:
    if not n == len(sources) == len(periods):
        raise BadInput(
            f"{n} items have {len(sources)} sources and {len(periods)} periods; one each is needed"
        )
    return _rows_of(list(zip(sources, periods, strict=True)))


def _rows_of(names: Sequence[Hashable]) -> dict:
    """name -> where it is, int64, in order of sight."""
    rows: dict[Hashable, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    return {name: np.array(own, np.int64) for name, own in rows.items()}


def _generator(seed: int, group: Group) -> np.random.Generator:
    name = "\t".join(map(str, group))
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "little")])


def _one_by_one(weights: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """k items without replacement, each by its weight among those left.

    The k first of a race of exponential times has this distribution: Efraimidis and Spirakis,
    "Weighted random sampling with a reservoir" (2006).
    """
    times = rng.standard_exponential(len(weights)) / weights
    return np.sort(np.argsort(times, kind="stable")[:k])


def _checked(embeddings: np.ndarray) -> np.ndarray:
    embeddings = np.asarray(embeddings, np.float64)
    if embeddings.ndim != 2 or not np.isfinite(embeddings).all():
        raise BadInput(
            f"embeddings {list(embeddings.shape)} to sample; allowed: [items, dimensions], all "
            "values finite"
        )
    return embeddings
