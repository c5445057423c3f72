"""The keyword task: loss and metrics on logits."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np


def loss(
    logits: jax.Array,
    classes: jax.Array,
    label_smoothing: float,
    weights: Sequence[float] | None = None,
) -> jax.Array:
    """Mean softmax cross-entropy of logits [B, C] and class numbers [B].

    `weights`: of each class in the mean [C]; by default all count alike.
    """
    import optax  # heavy, and only training asks

    targets = optax.smooth_labels(jax.nn.one_hot(classes, logits.shape[-1]), label_smoothing)
    each = optax.softmax_cross_entropy(logits, targets)
    if weights is None:
        return jnp.mean(each)
    counted = jnp.asarray(weights, jnp.float32)[classes]
    return jnp.sum(counted * each) / jnp.sum(counted)


def divergence(logits: jax.Array, taught: jax.Array, temperature: float) -> jax.Array:
    """Mean Kullback-Leibler divergence of logits [B, C] from a teacher's, softened, times T^2."""
    ours, theirs = (jax.nn.log_softmax(x / temperature) for x in (logits, taught))
    each = jnp.sum(jnp.exp(theirs) * (theirs - ours), -1)
    return temperature**2 * jnp.mean(each)


def accuracy(logits: jax.Array, classes: jax.Array) -> jax.Array:
    """Share of rows whose largest logit is the class."""
    return jnp.mean(jnp.argmax(logits, -1) == classes)


def metrics(logits: np.ndarray, classes: np.ndarray, names: tuple[str, ...]) -> dict:
    """Accuracy, overall, per class and without silence, and the confusion matrix (rows: truth).

    Ties between codes go to the first class, as on the device.
    """
    predicted = np.argmax(logits, -1)
    right = predicted == classes
    confusion = np.zeros((len(names), len(names)), int)
    np.add.at(confusion, (classes, predicted), 1)
    present = [(name, right[classes == i]) for i, name in enumerate(names) if np.any(classes == i)]
    spoken = right[classes != names.index("silence")]
    return {
        "accuracy": float(np.mean(right)),
        "accuracy_without_silence": float(np.mean(spoken)) if len(spoken) else None,
        "per_class": {name: float(np.mean(hits)) for name, hits in present},
        "confusion": {"classes": list(names), "counts": confusion.tolist()},
    }
