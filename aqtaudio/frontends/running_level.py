"""The loudest of what was heard lately, in integers: it falls slowly and rises at once."""

import jax
import jax.numpy as jnp


def running_maximum(now: jax.Array, before: jax.Array, fall: int) -> jax.Array:
    """Returns max(now, the one before - fall) of every frame, integers [B, T].

    It is a running maximum of now + t fall, less t fall: so a clip is computed at once in the
    integers of a stream.

    Args:
        now: integers [B, T], at least one frame.
        before: after the frames before, [B].
        fall: per frame.
    """
    fallen = fall * jnp.arange(1, now.shape[1] + 1, dtype=now.dtype)
    known = jnp.concatenate([before[:, None].astype(now.dtype), now + fallen], 1)
    return jax.lax.cummax(known, axis=1)[:, 1:] - fallen
