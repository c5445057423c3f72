"""What makes filters find their phrase and nothing else: each phrase against a batch of clips."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

EARLY_FRAMES, LATE_FRAMES = 1, 8
"""Around the last phone of a phrase: where its filter is to answer."""
APART_FRAMES = 16
"""Around a phrase: nearer than this its filter may answer as it likes."""
_NEVER = -1e9


class Asked(NamedTuple):
    """Phrases of clips and others nearly like them.

    Attributes:
      phones: class numbers [B, q + n, L]; the first q are said in the clip.
      counts: [B, q + n].
      first, last: labels of the clip that begin and end each phrase that is said, [B, q].
      said: how often each phrase is said in each clip, [B, q + n, B].
    """

    phones: jax.Array
    counts: jax.Array
    first: jax.Array
    last: jax.Array
    said: jax.Array


def contrast(
    answers: jax.Array, asked: Asked, frames: jax.Array, trust: jax.Array
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The loss of filters' answers, and what a line of metrics tells.

    Of each phrase the largest answer where it ends is to be larger than that in all clips in which
    nobody says it, than that elsewhere in its own clip, and than those of nearly alike phrases at
    the same place: cross-entropy over all of them.

    Args:
      answers: of all phrases [B clips, B * (q + n), T].
      asked: the phrases, clip by clip.
      frames: where each label begins, [B, U].
      trust: weight of each clip's phrases, [B]: how well its labels are aligned.
    """
    clips, phrases = asked.counts.shape
    count, total = asked.last.shape[1], answers.shape[-1]
    by = jnp.moveaxis(answers, 0, 1).reshape(clips, phrases, clips, total)
    said = asked.said[:, :count]  # [B, q, B]
    when = jnp.arange(total)
    begin = jnp.take_along_axis(frames, asked.first, 1)[..., None]
    end = jnp.take_along_axis(frames, asked.last, 1)[..., None]

    own = jnp.stack([by[clip, :, clip] for clip in range(clips)])  # [B, q + n, T]
    at_end = (when >= end - EARLY_FRAMES) & (when <= end + LATE_FRAMES)
    found = jnp.max(jnp.where(at_end, own[:, :count], _NEVER), -1)

    itself = jnp.eye(clips, dtype=bool)[:, None]  # [B, 1, B]
    away = (when < begin - APART_FRAMES) | (when > end + APART_FRAMES)  # [B, q, T]
    free = jnp.where(
        itself[..., None], (said == 1)[..., None] & away[:, :, None], (said == 0)[..., None]
    )
    elsewhere = jax.nn.logsumexp(jnp.where(free, by[:, :count], _NEVER), (2, 3))

    around = (when >= begin) & (when <= end + LATE_FRAMES)
    rivals = jnp.full_like(found, _NEVER)
    if near := phrases - count:
        of = jnp.arange(near) % count
        there = jnp.where(around[:, of], own[:, count:], _NEVER)
        each = jax.nn.logsumexp(there, -1)
        other = jnp.stack([asked.said[clip, count:, clip] for clip in range(clips)]) == 0
        each = jnp.where(other, each, _NEVER).reshape(clips, near // count, count)
        rivals = jax.nn.logsumexp(each, 1)
    against = jnp.logaddexp(elsewhere, rivals)
    loss = jax.nn.softplus(against - found)
    weight = jnp.broadcast_to(trust[:, None], loss.shape)
    whole = jnp.maximum(jnp.sum(weight), 1.0)

    def mean(of: jax.Array) -> jax.Array:
        return jnp.sum(weight * of) / whole

    return mean(loss), {
        "filters": mean(loss),
        "found": mean(found > elsewhere),
        "rivals": mean(found > rivals),
        "trusted": jnp.mean(trust),
    }
