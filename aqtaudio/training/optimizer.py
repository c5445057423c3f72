"""What changes parameters: AdamW with warm-up and cosine decay."""

from typing import Any

import jax
import optax

from aqtaudio.experiment import Optimizer

Tree = dict[str, Any]


def transformation(settings: Optimizer, traced: Tree) -> optax.GradientTransformation:
    """AdamW, warm-up, cosine decay; weight decay on kernels only.

    `traced`: its learning_rate, weight_decay and gradient_clip, numbers or traced.
    """
    shape = schedule(settings)

    def kernels_only(params: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf.ndim > 1, params)

    def rate(count: jax.Array) -> jax.Array:
        return traced["learning_rate"] * shape(count)

    return optax.chain(
        optax.clip_by_global_norm(traced["gradient_clip"]),
        optax.adamw(rate, weight_decay=traced["weight_decay"], mask=kernels_only),
    )


def schedule(settings: Optimizer) -> optax.Schedule:
    """Share of the learning rate by step."""
    warmup = min(settings.warmup_steps, max(settings.steps - 1, 0))
    return optax.warmup_cosine_decay_schedule(0.0, 1.0, warmup, max(settings.steps, 1), 0.0)
