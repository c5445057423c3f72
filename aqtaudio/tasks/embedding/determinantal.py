"""Exact samples of determinantal point processes: k items of n, unlike each other.

A k-DPP with the kernel L draws a subset S of k items with probability proportional to det(L_S),
the squared volume that its items span. Here L = B B^T + ridge I with B [n, D], so everything is
found in the D x D matrix B^T B (the dual representation); no n x n matrix is made.

Kulesza and Taskar, "Determinantal point processes for machine learning" (2012), sections 3.3
(duals) and 5.2 (k-DPPs).
"""

import dataclasses

import numpy as np
from scipy.special import betaln, expit, xlog1py, xlogy

from aqtaudio.errors import BadInput

NO_DIRECTION = 1e-10
"""Of the largest eigenvalue: what is below is counted as zero, so only the ridge is left there."""


class LowRankDPP:
    """The kernel L = B B^T + ridge I, decomposed once, to draw from.

    L has the r eigenvectors of B B^T, whose eigenvalues the ridge is added to, and n - r more whose
    eigenvalue is the ridge itself. A k-DPP is a mixture over sets of k eigenvectors, and of equal
    eigenvalues any orthonormal basis will do. So the second kind needs no decomposition: how many
    of them are in the set is drawn exactly, and then a random subspace of as many dimensions,
    orthogonal to B.

    Args:
      factors: B, [n, D].
      ridge: not negative. With 0, k is at most the rank of B.
    """

    def __init__(self, factors: np.ndarray, ridge: float):
        self._factors = np.asarray(factors, np.float64)
        self._ridge = ridge
        values, vectors = np.linalg.eigh(self._factors.T @ self._factors)
        kept = values > NO_DIRECTION * max(values.max(initial=0.0), np.finfo(np.float64).tiny)
        self._values = values[kept] + ridge
        # B times this are the eigenvectors of B B^T, [n, r].
        self._to_vectors = vectors[:, kept] / np.sqrt(values[kept])
        self._mixtures: dict[int, _Mixture] = {}

    def draw(self, k: int, rng: np.random.Generator) -> np.ndarray:
        """k distinct items, int64 [k], ascending.

        Raises:
          BadInput: k is not in 1..n, or above the rank where there is no ridge.
        """
        n, rank = len(self._factors), len(self._values)
        most = n if self._ridge > 0 else rank
        if not 1 <= k <= most:
            why = f"of {n} items" if most == n else f"of rank {rank} without a ridge"
            raise BadInput(f"a sample of {k} items {why}; allowed: 1 to {most}")
        if k not in self._mixtures:
            self._mixtures[k] = _mixture(self._values, n - rank, self._ridge, k)
        chosen, others = self._mixtures[k].draw(rng)
        basis = self._factors @ self._to_vectors[:, chosen]
        if others:
            basis = np.hstack([basis, self._orthogonal(others, rng)])
        # They are orthonormal already, but for the rounding of small eigenvalues.
        basis, _ = np.linalg.qr(basis)
        return np.sort(_projection_sample(basis, rng))

    def _orthogonal(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """So many random directions orthogonal to all columns of B, [n, count]."""
        found = rng.standard_normal((len(self._factors), count))
        for _ in range(2):  # once leaves the rounding errors of small eigenvalues
            inside = self._to_vectors.T @ (self._factors.T @ found)
            found -= self._factors @ (self._to_vectors @ inside)
        return found


@dataclasses.dataclass(frozen=True)
class _Mixture:
    """The sets of k eigenvectors and their probabilities; see `_mixture`.

    Attributes:
      chances: of each eigenvector, in independent trials, [r].
      successes: of `_successes`.
      weights: probability of so many others in the set, [up to k + 1].
    """

    chances: np.ndarray
    successes: np.ndarray
    weights: np.ndarray

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        """A set: bool [r], and how many of the others."""
        chances, successes = self.chances, self.successes
        count = int(rng.choice(np.arange(len(self.weights)), p=self.weights))
        left, uniform = successes.shape[1] - 1 - count, rng.random(len(chances))
        chosen = np.zeros(len(chances), bool)
        for index in range(len(chances) - 1, -1, -1):
            if not left:
                break
            taken = chances[index] * successes[index, left - 1]
            if uniform[index] * successes[index + 1, left] < taken:
                chosen[index] = True
                left -= 1
        return chosen, count


def _mixture(values: np.ndarray, others: int, other_value: float, k: int) -> _Mixture:
    """k eigenvectors, each set with probability proportional to the product of its eigenvalues.

    The elementary symmetric polynomials that this takes overflow. Multiplying all eigenvalues by
    one number t changes no probability, so t is chosen such that k is the mean size of a sample of
    the DPP without a fixed size: then polynomials become probabilities of a number of successes
    in independent trials, t v / (1 + t v) each, and that of k successes is not small.

    Args:
      values: eigenvalues [r], positive.
      others: how many further eigenvectors there are, all of `other_value`.
    """
    logs = np.log(values)
    other_log = np.log(other_value) if others and other_value > 0 else -np.inf
    log_t = _tilt(logs, others, other_log, k)
    chances, other_chance = expit(logs + log_t), float(expit(other_log + log_t))
    successes = _successes(chances, k)
    counts = np.arange(min(k, others if other_chance > 0 else 0) + 1)
    weights = _binomial(counts, others, other_chance) * successes[-1, k - counts]
    return _Mixture(chances, successes, weights / weights.sum())


def _tilt(logs: np.ndarray, others: int, other_log: float, k: int) -> float:
    """log t with which about k of all eigenvectors are chosen. Any t is right; see above."""
    known = np.append(logs, other_log if np.isfinite(other_log) else [])
    low, high = -known.max() - 50.0, -known.min() + 50.0
    for _ in range(60):
        middle = (low + high) / 2
        if expit(logs + middle).sum() + others * expit(other_log + middle) < k:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _successes(chances: np.ndarray, k: int) -> np.ndarray:
    """[r + 1, k + 1]: the probability of j successes in the first i trials."""
    table = np.zeros((len(chances) + 1, k + 1))
    table[0, 0] = 1.0
    for index, chance in enumerate(chances):
        table[index + 1] = (1 - chance) * table[index]
        table[index + 1, 1:] += chance * table[index, :-1]
    return table


def _binomial(counts: np.ndarray, trials: int, chance: float) -> np.ndarray:
    log_choices = -betaln(1 + trials - counts, 1 + counts) - np.log1p(trials)
    return np.exp(log_choices + xlogy(counts, chance) + xlog1py(trials - counts, -chance))


def _projection_sample(basis: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """k items of the DPP whose kernel projects on k orthonormal columns [n, k].

    Item after item, by the squared distance of its row from the span of the rows chosen.
    """
    n, k = basis.shape
    weights = np.sum(basis**2, axis=1)
    spanned = np.empty((k, n))
    items = np.empty(k, np.int64)
    for step in range(k):
        item = items[step] = rng.choice(n, p=weights / weights.sum())
        column = basis @ basis[item] - spanned[:step, item] @ spanned[:step]
        spanned[step] = column / np.sqrt(column[item])
        weights = np.maximum(weights - spanned[step] ** 2, 0)
        weights[items[: step + 1]] = 0
    return items
