"""Impulse responses of rooms that nobody measured, in JAX.

The direct sound, a few reflections in the first 50 ms, and noise that decays exponentially
(Polack's model of late reverberation: Polack, "La transmission de l'énergie sonore dans les
salles", 1988).
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

# Reflections within 50 ms of the direct sound belong to it for the ear: they help to understand.
EARLY_MS = 50.0
REFLECTIONS = 10
FIRST_REFLECTION_MS = 2.0
DIRECT_TO_REVERBERANT_DB = (-3.0, 12.0)


class Response(NamedTuple):
    """Two parts of an impulse response, float32 [L] each; the direct sound is 1 at sample 0.

    Attributes:
      early: the direct sound and what follows it within EARLY_MS.
      late: the rest; zero where `early` is not.
    """

    early: jax.Array
    late: jax.Array


def response(
    key: jax.Array, rt60_ms: tuple[float, float], samples: int, sample_rate_hz: int
) -> Response:
    """Draws a room.

    Args:
      key: a random key.
      rt60_ms: range of the time in which sound decays by 60 dB.
      samples: L; longer responses are cut.
      sample_rate_hz: of the response.
    """
    decay_key, tail_key, when_key, how_key, ratio_key = jax.random.split(key, 5)
    time_ms = jnp.arange(samples) * (1000.0 / sample_rate_hz)
    rt60 = jax.random.uniform(decay_key, (), jnp.float32, *rt60_ms)
    decay = jnp.exp(-3.0 * math.log(10.0) * time_ms / rt60)

    first, last = (round(ms * sample_rate_hz / 1000) for ms in (FIRST_REFLECTION_MS, EARLY_MS))
    when = jax.random.randint(when_key, (REFLECTIONS,), first, last)
    how = jax.random.uniform(how_key, (REFLECTIONS,), jnp.float32, -1.0, 1.0)
    reflections = jnp.zeros(samples).at[when].add(how, mode="drop") * decay
    tail = jnp.where(time_ms < FIRST_REFLECTION_MS, 0.0, jax.random.normal(tail_key, (samples,)))
    room = _unit_energy(reflections) + _unit_energy(tail * decay)

    ratio_db = jax.random.uniform(ratio_key, (), jnp.float32, *DIRECT_TO_REVERBERANT_DB)
    room = (_unit_energy(room) * 10.0 ** (-ratio_db / 20.0)).at[0].set(1.0)
    early = time_ms < EARLY_MS
    return Response(jnp.where(early, room, 0.0), jnp.where(early, 0.0, room))


def _unit_energy(values: jax.Array) -> jax.Array:
    return values * jax.lax.rsqrt(jnp.maximum(jnp.sum(values**2), 1e-12))
