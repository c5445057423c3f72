"""A teacher's embedding in fewer dimensions: the target that a small student regresses.

Each dimension is standardised, then the vectors are turned to their principal components, of which
the first D' are kept: "pca" with their variances, so that a squared error is mostly about the first
ones, "whiten" with variance 1 each. Both are fitted on moments that are summed batch by batch, so a
corpus need not fit into memory, and parts of it may be summed apart.

Srivastava et al., "Specialized embedding approximation for edge intelligence" (ICASSP 2021).
"""

import dataclasses
import zipfile
import zlib
from pathlib import Path

import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.files import write_arrays

KINDS = ("none", "standardise", "pca", "whiten")
SAME_MAGNITUDE = 1e-6
CONSTANT = 1e-9
"""Of a dimension's mean: a standard deviation below is rounding."""
NO_VARIANCE = 1e-9
"""Of the largest variance: components below are rounding."""

UNREADABLE = (
    *(OSError, ValueError, LookupError, EOFError, TypeError),
    *(zipfile.BadZipFile, zlib.error),
)


@dataclasses.dataclass(frozen=True)
class Moments:
    """Number, mean and scatter of vectors, in float64. `a + b` are those of both sets together.

    Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances" (1979).

    Attributes:
      count: of vectors.
      mean: [D].
      scatter: [D, D], the sum over vectors of products of differences from the mean.
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray

    @staticmethod
    def of(embeddings: np.ndarray) -> "Moments":
        """Of a batch [..., D], at least one vector.

        Raises BadInput where there is none, or values are not finite.
        """
        embeddings = np.asarray(embeddings, np.float64)
        if embeddings.ndim < 2 or not embeddings.size:
            raise BadInput(f"embeddings {list(embeddings.shape)}; allowed: [samples, dimensions]")
        rows = embeddings.reshape(-1, embeddings.shape[-1])
        if not np.isfinite(rows).all():
            raise BadInput("embeddings hold values that are NaN or infinite")
        mean = rows.mean(axis=0)
        return Moments(len(rows), mean, (rows - mean).T @ (rows - mean))

    def __add__(self, other: "Moments") -> "Moments":
        if self.mean.shape != other.mean.shape:
            raise BadInput(
                f"embeddings of {len(self.mean)} and of {len(other.mean)} dimensions; allowed: of "
                "equally many"
            )
        count = self.count + other.count
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        between = np.outer(apart, apart) * (self.count * other.count / count)
        return Moments(count, mean, self.scatter + other.scatter + between)

    @property
    def deviation(self) -> np.ndarray:
        """Standard deviation of each dimension [D]; 0 where it does not vary."""
        found = np.sqrt(np.diag(self.scatter) / self.count)
        return np.where(found > CONSTANT * np.abs(self.mean), found, 0.0)

    @property
    def scale(self) -> np.ndarray:
        """What standardises each dimension [D]: 1 / deviation; 0, ignoring it, without any."""
        deviation = self.deviation
        return np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0)


@dataclasses.dataclass(frozen=True)
class Reduction:
    """y = ((e - mean) * scale) @ components.

    Attributes:
      kind: "none" leaves embeddings as they are, "standardise" keeps all dimensions.
      mean: [D].
      scale: [D], 1 / standard deviation; 0 for a dimension that did not vary where this was fitted:
        it is ignored.
      components: [D, D'], columns orthonormal; those of "whiten" are divided by the standard
        deviation of their component.
      variances: [D'], of the standardised embeddings along each component (before whitening).
      total_variance: the sum over all components; that of the dimensions that vary is 1 each.
    """

    kind: str
    mean: np.ndarray
    scale: np.ndarray
    components: np.ndarray
    variances: np.ndarray
    total_variance: float

    @property
    def explained(self) -> np.ndarray:
        """[D'], each component's share of the variance of the standardised embeddings."""
        return self.variances / self.total_variance

    @property
    def layer(self) -> tuple[np.ndarray, np.ndarray]:
        """The same as one dense layer: kernel [D, D'] and bias [D']."""
        kernel = self.scale[:, None] * self.components
        return kernel, -self.mean @ kernel

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        """[..., D] to float64 [..., D']."""
        embeddings = np.asarray(embeddings, np.float64)
        if embeddings.shape[-1:] != self.mean.shape:
            raise BadInput(
                f"embeddings {list(embeddings.shape)} for a reduction of {len(self.mean)} "
                "dimensions"
            )
        return ((embeddings - self.mean) * self.scale) @ self.components

    def save(self, path: Path) -> None:
        """Writes an .npz; `read` gives the same numbers."""
        write_arrays(path, {k: np.asarray(v) for k, v in dataclasses.asdict(self).items()})


def read(path: Path) -> Reduction:
    """Reads what `Reduction.save` wrote. Raises BadInput where it is something else."""
    names = [field.name for field in dataclasses.fields(Reduction)]
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in names}
        kind, total_variance = str(arrays.pop("kind")), float(arrays.pop("total_variance"))
        found = Reduction(kind=kind, total_variance=total_variance, **arrays)
        _require_sound(found)
    except UNREADABLE as error:
        raise BadInput(f"{path}: not a reduction of embeddings: {error}") from None
    return found


def _require_sound(found: Reduction) -> None:
    """Raises ValueError where arrays do not fit each other."""
    dimensions, kept = found.components.shape
    shapes = [x.shape for x in (found.mean, found.scale, found.variances)]
    if found.kind not in KINDS or shapes != [(dimensions,), (dimensions,), (kept,)]:
        raise ValueError(f"kind {found.kind!r} with arrays {shapes}")
    if not all(np.isfinite(x).all() for x in (found.mean, found.scale, found.components)):
        raise ValueError("values that are NaN or infinite")


def fit(moments: Moments, kind: str, dimensions: int | None = None) -> Reduction:
    """Fits a reduction.

    Variances are those of the vectors themselves (divided by their number): whitened, they have the
    unit matrix as covariance. Of every component the largest loading is positive; where several
    are equally large (to a millionth), the first of them. Components of equal variance are not
    determined by this.

    Args:
      moments: of the embeddings to fit on.
      kind: "none", "standardise", "pca" or "whiten".
      dimensions: D', the first components; None: all. Only "pca" and "whiten" know fewer than D.

    Raises:
      BadInput: an unknown kind, more dimensions than there are (than vary, for "whiten"), fewer
        dimensions of a kind that keeps all, no more samples than dimensions for components, or
        nothing that varies.
    """
    total = len(moments.mean)
    kept = total if dimensions is None else dimensions
    _require_possible(moments, kind, kept)
    if kind == "none":
        variances, identity = np.diag(moments.scatter) / moments.count, np.eye(total)
        return Reduction(
            kind, np.zeros(total), np.ones(total), identity, variances, float(variances.sum())
        )
    scale = moments.scale
    if not scale.any():
        raise BadInput("the embeddings are all the same; there is nothing to standardise by")
    correlation = moments.scatter / moments.count * np.outer(scale, scale)
    if kind == "standardise":
        variances, components = np.diag(correlation), np.eye(total)
    else:
        variances, components = _principal(correlation, kept)
    if kind == "whiten":
        varying = int(np.count_nonzero(variances > NO_VARIANCE * variances[0]))
        if varying < kept:
            raise BadInput(f"whitening to {kept} dimensions; only {varying} directions vary")
        components = components / np.sqrt(variances)
    whole = float(np.trace(correlation))
    return Reduction(kind, moments.mean, scale, components, variances, whole)


def _require_possible(moments: Moments, kind: str, kept: int) -> None:
    total = len(moments.mean)
    if kind not in KINDS:
        raise BadInput(f"reduction {kind!r}; allowed: {', '.join(KINDS)}")
    if not 1 <= kept <= total:
        raise BadInput(f"a reduction to {kept} dimensions of {total}; allowed: 1 to {total}")
    if kind in ("none", "standardise"):
        if kept != total:
            raise BadInput(f"reduction {kind!r} keeps all {total} dimensions, not {kept}")
    elif moments.count <= total:
        raise BadInput(
            f"{moments.count} samples of {total} dimensions; more samples than dimensions are "
            "needed for principal components"
        )


def _principal(correlation: np.ndarray, kept: int) -> tuple[np.ndarray, np.ndarray]:
    """Variances [D'] and components [D, D'] of a symmetric matrix, the largest first."""
    values, vectors = np.linalg.eigh(correlation)
    values, vectors = np.maximum(values[::-1][:kept], 0), vectors[:, ::-1][:, :kept]
    sizes = np.abs(vectors)
    first = np.argmax(sizes >= (1 - SAME_MAGNITUDE) * sizes.max(axis=0), axis=0)
    return values, vectors * np.sign(vectors[first, np.arange(kept)])
