"""Probes: small networks on top of a frozen embedding, as they are used and kept.

A probe is a list of dense layers on the embedding as it comes: the standardisation that training
needs is in the first one. So a probe can be put behind its embedding as one program. How probes are
trained: `probe_training`; how they are judged: `protocols`.
"""

import dataclasses
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from aqtaudio.errors import BadInput
from aqtaudio.files import write_arrays
from aqtaudio.tasks.embedding.metrics import accuracy, tagging_scores

POOLINGS = ("mean_max", "mean", "max", "flatten", "auto")
LEAST_PROBABILITY = 1e-15
"""In a cross-entropy."""


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Embeddings of clips, with what the clips are.

    Attributes:
      embeddings: [n, D], or [n, T, D] of sequences; of an integer network the real values of its
        codes, or the codes.
      labels: int [n], places in a list of classes; or [n, tags], 0 or 1.
    """

    embeddings: np.ndarray
    labels: np.ndarray

    def __post_init__(self):
        x, y = np.shape(self.embeddings), np.shape(self.labels)
        if len(x) not in (2, 3) or not all(x) or len(y) not in (1, 2) or x[0] != y[0]:
            raise BadInput(
                f"embeddings {list(x)} with labels {list(y)}; allowed: [clips, D] or [clips, T, D] "
                "with [clips] or [clips, tags]"
            )
        if not np.isfinite(self.embeddings).all():
            raise BadInput("embeddings hold values that are NaN or infinite")

    def __len__(self):
        return len(self.embeddings)

    def at(self, rows: np.ndarray) -> "Labelled":
        """Some of the clips."""
        return Labelled(self.embeddings[rows], self.labels[rows])

    def require_of(self, classes: int, multi_label: bool) -> None:
        """Raises BadInput unless the labels are of so many classes, or tags."""
        labels = np.asarray(self.labels)
        if multi_label:
            if labels.shape[1:] != (classes,) or not np.isin(labels, (0, 1)).all():
                raise BadInput(
                    f"labels {list(labels.shape)} of {classes} tags; allowed: [clips, {classes}], "
                    "0 or 1"
                )
        elif labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
            raise BadInput(f"labels {list(labels.shape)}; allowed: whole numbers [clips]")
        elif labels.min() < 0 or labels.max() >= classes:
            raise BadInput(
                f"labels from {labels.min()} to {labels.max()}; allowed: 0 to {classes - 1}, of "
                f"{classes} classes"
            )


@dataclasses.dataclass(frozen=True)
class Dense:
    """y = relu(x @ kernel + bias), or without the ReLU.

    Attributes:
      kernel: float64 [in, out].
      bias: float64 [out].
      relu: whether negative values become 0.
    """

    kernel: np.ndarray
    bias: np.ndarray
    relu: bool

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """[..., in] to [..., out]."""
        y = x @ self.kernel + self.bias
        return np.maximum(y, 0) if self.relu else y


@dataclasses.dataclass(frozen=True)
class Probe:
    """A trained probe.

    Attributes:
      layers: of the pooled embedding as it comes, not standardised; the last has no ReLU.
      classes: names of the outputs.
      multi_label: whether a clip may have several (a sigmoid each), else it has one (softmax).
      pooling: one of POOLINGS; see `pooled`. With "auto" every frame has logits, and the clip the
        weighted mean of their probabilities; the weights are the softmax over frames of `sharpness`
        times the probability (McFee, Salamon and Bello, "Adaptive pooling operators for weakly
        labeled sound event detection", 2018).
      strength: the L2 that was chosen in training.
      sharpness: [classes], not negative, for "auto" alone: 0 is the mean, infinite the maximum.
    """

    layers: tuple[Dense, ...]
    classes: tuple[str, ...]
    multi_label: bool
    pooling: str
    strength: float
    sharpness: np.ndarray | None = None

    @property
    def parameters(self) -> int:
        """Weights and biases of the layers."""
        return sum(layer.kernel.size + layer.bias.size for layer in self.layers)

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """[n, D] or [n, T, D] to float64 [n, classes]; with "auto" [n, T, classes].

        Raises BadInput where the probe was made for others.
        """
        x = pooled(embeddings, self.pooling)
        inputs = len(self.layers[0].kernel)
        if x.shape[-1] != inputs:
            raise BadInput(f"embeddings with {x.shape[-1]} values for a probe of {inputs}")
        for layer in self.layers:
            x = layer(x)
        return x

    def probabilities(self, embeddings: np.ndarray) -> np.ndarray:
        """[n, classes]; they sum to 1 unless clips have tags."""
        logits = self.logits(embeddings)
        if not self.multi_label:
            return softmax(logits, axis=-1)
        found = expit(logits)
        if self.sharpness is None:
            return found
        return np.sum(softmax(self.sharpness * found, axis=1) * found, axis=1)

    def scores(self, data: Labelled) -> dict[str, Any]:
        """Of classes what `metrics.accuracy` finds, of tags what `metrics.tagging_scores` does."""
        data.require_of(len(self.classes), self.multi_label)
        if self.multi_label:
            return tagging_scores(data.labels, self.probabilities(data.embeddings))
        return accuracy(data.labels, self.logits(data.embeddings).argmax(axis=1))

    def loss(self, data: Labelled) -> float:
        """Cross-entropy, the mean over clips; of tags also over tags."""
        data.require_of(len(self.classes), self.multi_label)
        found = self.probabilities(data.embeddings)
        if self.multi_label:
            right = np.where(data.labels, found, 1 - found)
        else:
            right = found[np.arange(len(data)), data.labels]
        return float(-np.mean(np.log(np.maximum(right, LEAST_PROBABILITY))))

    def save(self, path: Path) -> None:
        """Writes an .npz; `read` gives the same numbers."""
        arrays = {
            "classes": np.array(self.classes),
            "multi_label": np.array(self.multi_label),
            "pooling": np.array(self.pooling),
            "strength": np.array(self.strength),
        }
        for place, layer in enumerate(self.layers):
            arrays |= {f"kernel_{place}": layer.kernel, f"bias_{place}": layer.bias}
        if self.sharpness is not None:
            arrays["sharpness"] = self.sharpness
        write_arrays(path, arrays)


def read(path: Path) -> Probe:
    """Reads what `Probe.save` wrote. Raises BadInput where it is something else."""
    try:
        with np.load(path, allow_pickle=False) as file:
            count = sum(name.startswith("kernel_") for name in file)
            layers = [
                Dense(file[f"kernel_{place}"], file[f"bias_{place}"], place < count - 1)
                for place in range(count)
            ]
            return Probe(
                layers=tuple(layers),
                classes=tuple(map(str, file["classes"])),
                multi_label=bool(file["multi_label"]),
                pooling=str(file["pooling"]),
                strength=float(file["strength"]),
                sharpness=file["sharpness"] if "sharpness" in file else None,
            )
    except (OSError, ValueError, LookupError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path}: not a probe: {error}") from None


def pooled(embeddings: np.ndarray, pooling: str) -> np.ndarray:
    """What the layers of a probe see, float64.

    Vectors [n, D] stay as they are, but for "auto", which needs sequences. Of sequences [n, T, D]
    are made: by "mean_max" means beside maxima over time [n, 2 D]; by "mean" or "max" one of both
    [n, D]; by "flatten" frame after frame [n, T D]; "auto" leaves them.
    """
    x = np.asarray(embeddings, np.float64)
    if pooling == "auto":
        if x.ndim != 3:
            raise BadInput(f"embeddings {list(x.shape)} for auto-pool; allowed: [clips, T, D]")
        return x
    if x.ndim == 2:
        return x
    if pooling == "flatten":
        return x.reshape(len(x), -1)
    means, maxima = x.mean(axis=1), x.max(axis=1)
    return {"mean": means, "max": maxima, "mean_max": np.hstack([means, maxima])}[pooling]
