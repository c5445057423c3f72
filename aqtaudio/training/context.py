"""What a stream has heard before a clip: training that knows the states of streams.

A recurrent model that was trained from silence fails in a stream: the published CRNN falls from
97.2 % to 53.7 % (google-research issue 819). Here every clip of a batch comes after others of the
batch, whose states it inherits without gradient.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from aqtaudio.vocabulary.recording import clip
from aqtaudio.vocabulary.signal import Reading, start

Variables = dict[str, Any]


def after_clips(
    model: nn.Module,
    variables: Variables,
    features: jax.Array,
    reading: Reading,
    clips: int,
    mutable: tuple[str, ...] = (),
) -> Variables:
    """The collections that a stream's model needs beside `variables` to go on with `features`.

    Args:
      model: of vocabulary layers.
      variables: of the model.
      features: [B, T, F], one clip per row.
      reading: how to compute the clips before.
      clips: how many those are; none: the streams begin.
      mutable: collections that the reading updates; what it makes of them here is dropped.

    Returns:
      {"clip": ..., "state": ...}; no "state" before the first clip.
    """
    lengths = clip(model, variables, features.shape[1:])
    state: Variables = {}
    for number in range(clips, 0, -1):
        earlier = start(jnp.roll(features, number, 0), reading)
        _, updated = model.apply(variables | lengths | state, earlier, mutable=["state", *mutable])
        state = {"state": updated.get("state", {})}
    return lengths | jax.lax.stop_gradient(state)
