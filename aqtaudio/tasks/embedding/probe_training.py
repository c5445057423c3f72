"""Trains probes on frozen embeddings: what an embedding knows of a task.

Probes are trained on the very vectors that a device computes, not on those of the float network:
their statistics differ. All training clips are taken at once, by L-BFGS in float64, so a probe is
determined by its data and settings; it takes seconds on a CPU. How strongly weights are held back
(L2) is chosen on a validation part, never on what is scored.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from aqtaudio.errors import BadInput
from aqtaudio.tasks.embedding.probes import (
    LEAST_PROBABILITY,
    POOLINGS,
    Dense,
    Labelled,
    Probe,
    pooled,
)
from aqtaudio.tasks.embedding.reduction import Moments

SHARPNESS = 1.0
"""That auto-pool starts from."""
NO_SLOPE = 1e-7
"""Where L-BFGS ends: the steepest slope along any weight."""


@dataclasses.dataclass(frozen=True)
class ProbeSettings:
    """How a probe is made.

    Attributes:
      hidden: sizes of hidden layers, with ReLU; none is the linear probe, logistic regression.
      multi_label: a clip may have several tags (a sigmoid each), else it has one class (softmax).
      pooling: what is made of sequences: "mean_max", "mean", "max", "flatten", or "auto" where
        clips have tags; see `probes.pooled` and `probes.Probe`.
      strengths: of L2, to choose from: the loss has half the strength times the sum of squares of
        all kernels, of standardised inputs.
      iterations: of L-BFGS at most.
      seed: of the weights that hidden layers start from.
    """

    hidden: tuple[int, ...] = ()
    multi_label: bool = False
    pooling: str = "mean_max"
    strengths: tuple[float, ...] = (1.0, 0.1, 1e-2, 1e-3, 1e-4, 1e-5)
    iterations: int = 200
    seed: int = 0

    def __post_init__(self):
        if self.pooling not in POOLINGS:
            raise BadInput(f"pooling {self.pooling!r} of a probe; allowed: {', '.join(POOLINGS)}")
        if self.pooling == "auto" and not self.multi_label:
            raise BadInput("auto-pool of a probe is of tags; one class per clip is not")
        if any(size < 1 for size in self.hidden):
            raise BadInput(f"hidden layers of a probe {list(self.hidden)}; allowed: 1 or more each")
        if not self.strengths or not all(0 <= s < np.inf for s in self.strengths):
            raise BadInput(f"strengths of a probe {list(self.strengths)}; allowed: some, 0 or more")
        if self.iterations < 1:
            raise BadInput(f"{self.iterations} iterations of a probe; allowed: 1 or more")


def fit(
    train: Labelled, validation: Labelled | None, classes: Sequence[str], settings: ProbeSettings
) -> Probe:
    """Trains a probe per strength and keeps that of the least validation loss.

    Where several have it, the strongest. Dimensions that do not vary in `train` are ignored.

    Args:
      train: what is fitted.
      validation: what the strength is chosen on; None where there is only one.
      classes: names, in the order of the labels.

    Raises:
      BadInput: labels that are no classes, embeddings that are not alike, or several strengths and
        nothing to choose by.
    """
    if validation is None and len(settings.strengths) > 1:
        raise BadInput(f"{len(settings.strengths)} strengths of a probe and no validation part")
    for data in filter(None, (train, validation)):
        data.require_of(len(classes), settings.multi_label)
    x = pooled(train.embeddings, settings.pooling)
    moments = Moments.of(x)
    scale = moments.scale
    standardised = (x - moments.mean) * scale
    found, least = None, np.inf
    weights = fresh = _start(x.shape[-1], len(classes), settings)
    for strength in sorted(settings.strengths, reverse=True):
        # A linear probe has one optimum, which the last one is close to. Others start afresh: a
        # strong L2 may have led all hidden weights to 0, from where no gradient leads away.
        start = fresh if settings.hidden else weights
        weights = _trained(start, standardised, train.labels, strength, settings)
        probe = _folded(weights, moments.mean, scale, classes, strength, settings)
        loss = 0.0 if validation is None else probe.loss(validation)
        if loss < least:
            found, least = probe, loss
    if found is None:
        raise BadInput("no probe has a finite validation loss")
    return found


Weights = tuple[list[tuple[Any, Any]], Any]
"""Kernel and bias of each layer, of standardised inputs; the root of auto-pool's sharpness, which
cannot be negative in this way, or None."""


def _start(inputs: int, outputs: int, settings: ProbeSettings) -> Weights:
    """Zeros for a linear probe; else He's normal distribution, and zeros in the last layer."""
    draw = np.random.default_rng(settings.seed)
    sizes = [inputs, *settings.hidden]
    hidden = [
        (draw.normal(0, np.sqrt(2 / rows), (rows, columns)), np.zeros(columns))
        for rows, columns in zip(sizes, sizes[1:], strict=False)
    ]
    root = np.full(outputs, SHARPNESS**0.5) if settings.pooling == "auto" else None
    return [*hidden, (np.zeros((sizes[-1], outputs)), np.zeros(outputs))], root


def _trained(
    start: Weights, x: np.ndarray, labels: np.ndarray, strength: float, settings: ProbeSettings
) -> Weights:
    """By L-BFGS, until no slope is left or `iterations` are done.

    Clips of no weight are added, so that sets of similar size are compiled once.
    """
    more = _rounded_up(len(x)) - len(x)
    shares = np.append(np.full(len(x), 1 / len(x)), np.zeros(more))
    x, labels = (np.concatenate([a, np.repeat(a[:1], more, axis=0)]) for a in (x, labels))
    with jax.enable_x64(True):
        first, data, targets, weight = jax.tree.map(jnp.asarray, (start, x, labels, shares))
        found = _minimised(
            first, data, targets, weight, strength, settings.iterations, settings.multi_label
        )
        return jax.tree.map(np.asarray, found)


def _rounded_up(clips: int) -> int:
    """At most a quarter more, from 64 on."""
    step = max(16, 2 ** (clips.bit_length() - 3))
    return max(64, -(-clips // step) * step)


@functools.partial(jax.jit, static_argnames="multi_label")
def _minimised(
    start: Weights,
    x: jax.Array,
    labels: jax.Array,
    shares: jax.Array,
    strength: float,
    iterations: int,
    multi_label: bool,
) -> Weights:
    """Where the loss of clips that have such shares in it is least."""
    vector, weights_of = ravel_pytree(start)  # one array is compiled faster than many

    def objective(vector: jax.Array) -> jax.Array:
        weights = weights_of(vector)
        squares = sum(jnp.sum(jnp.square(kernel)) for kernel, _ in weights[0])
        return shares @ _losses(weights, x, labels, multi_label) + strength / 2 * squares

    search = optax.scale_by_backtracking_linesearch(
        max_backtracking_steps=30, decrease_factor=0.5, store_grad=True
    )
    optimizer = optax.lbfgs(linesearch=search)
    with_gradient = optax.value_and_grad_from_state(objective)

    def goes_on(carry: tuple) -> jax.Array:
        *_, slope, number = carry
        return (slope > NO_SLOPE) & (number < iterations)

    def step(carry: tuple) -> tuple:
        vector, state, _, number = carry
        value, gradient = with_gradient(vector, state=state)
        change, state = optimizer.update(
            gradient, state, vector, value=value, grad=gradient, value_fn=objective
        )
        return vector + change, state, jnp.max(jnp.abs(gradient)), number + 1

    first = (vector, optimizer.init(vector), jnp.inf, 0)
    return weights_of(jax.lax.while_loop(goes_on, step, first)[0])


def _losses(weights: Weights, x: jax.Array, labels: jax.Array, multi_label: bool) -> jax.Array:
    """Cross-entropy of every clip; of tags its mean over tags."""
    layers, root = weights
    for kernel, bias in layers[:-1]:
        x = jax.nn.relu(x @ kernel + bias)
    kernel, bias = layers[-1]
    logits = x @ kernel + bias
    if not multi_label:
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    if root is None:
        return jnp.mean(optax.sigmoid_binary_cross_entropy(logits, labels), axis=1)
    there = jax.nn.sigmoid(logits)
    frames = jax.nn.softmax(jnp.square(root) * there, axis=1)
    yes, no = (
        jnp.log(jnp.maximum(jnp.sum(frames * p, axis=1), LEAST_PROBABILITY))
        for p in (there, jax.nn.sigmoid(-logits))
    )
    return -jnp.mean(labels * yes + (1 - labels) * no, axis=1)


def _folded(
    weights: Weights,
    mean: np.ndarray,
    scale: np.ndarray,
    classes: Sequence[str],
    strength: float,
    settings: ProbeSettings,
) -> Probe:
    """With the standardisation in the first layer: ((x - mean) * scale) @ K + b."""
    ((kernel, bias), *others), root = weights
    kernel = kernel * scale[:, None]
    arrays = [(kernel, bias - mean @ kernel), *others]
    dense = tuple(Dense(*pair, place < len(others)) for place, pair in enumerate(arrays))
    sharpness = None if root is None else np.square(root)
    return Probe(dense, tuple(classes), settings.multi_label, settings.pooling, strength, sharpness)
