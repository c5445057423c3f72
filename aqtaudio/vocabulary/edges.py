"""Output edges of operations: where their grid comes from."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.program.kernels.call import Grid


@dataclasses.dataclass(frozen=True)
class Same:
    """An output edge on the grid of the (first) input: pooling, reshaping.

    Attributes:
      margin: what its range has beyond the input's, in real values.
    """

    margin: float = 0.0


@dataclasses.dataclass(frozen=True)
class Own:
    """An output edge with a calibrated range.

    Attributes:
      relu: whether it starts at zero: a fused activation.
      most: where a relu ends; 6 is relu6. The range never exceeds it, so saturation is the clip.
    """

    relu: bool = False
    most: float = math.inf

    def activate(self, y: jax.Array) -> jax.Array:
        """The fused activation of real values."""
        if not self.relu:
            return y
        y = jax.nn.relu(y)
        return y if math.isinf(self.most) else jnp.minimum(y, self.most)


@dataclasses.dataclass(frozen=True)
class Fixed:
    """An output edge whose grid the target prescribes: sigmoid, tanh, softmax."""

    scale: float
    zero_point: int
    wide_scale: float

    def grid(self, wide: bool) -> Grid:
        """In int8, or int16 (`wide`)."""
        if wide:
            return Grid(np.float32(self.wide_scale), 0, 16)
        return Grid(np.float32(self.scale), self.zero_point)


Edge = Same | Own | Fixed
UNSIGNED_UNIT = Fixed(1 / 256, -128, 1 / 32768)
"""0 to 1: what sigmoid and softmax put out."""
SIGNED_UNIT = Fixed(1 / 128, 0, 1 / 32768)
"""-1 to 1: what tanh and L2 normalisation put out."""
