"""Output edges of operations: where their grid comes from."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.errors import BadInput
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
    """An output edge whose grid the target prescribes (sigmoid, tanh, softmax), or the model.

    Attributes:
      scale, zero_point: of int8 codes.
      wide_scale: of int16 codes; None: the edge has int8 codes only.
      least: what smaller values become; the least code stands for it.
    """

    scale: float
    zero_point: int
    wide_scale: float | None
    least: float = -math.inf

    def activate(self, y: jax.Array) -> jax.Array:
        """Real values as they leave the edge, but for its rounding and its end."""
        return y if math.isinf(self.least) else jnp.maximum(y, self.least)

    def grid(self, wide: bool) -> Grid:
        """In int8, or int16 (`wide`). Raises BadInput where there is none."""
        if not wide:
            return Grid(np.float32(self.scale), self.zero_point)
        if self.wide_scale is None:
            raise BadInput(
                f"an edge that ends at {self.least:g} has 8-bit activations; the recipe says 16"
            )
        return Grid(np.float32(self.wide_scale), 0, 16)


def floored(least: float, levels: int) -> Fixed:
    """An edge from `least`, below zero, up, with so many steps between it and zero.

    So the floor costs nothing: it is where codes saturate.
    """
    return Fixed(-least / levels, levels - 128, None, least)


Edge = Same | Own | Fixed
UNSIGNED_UNIT = Fixed(1 / 256, -128, 1 / 32768)
"""0 to 1: what sigmoid and softmax put out."""
SIGNED_UNIT = Fixed(1 / 128, 0, 1 / 32768)
"""-1 to 1: what tanh and L2 normalisation put out."""
SIGNED_TWO = Fixed(1 / 64, 0, 1 / 16384)
"""-2 to 2: sums and differences of two of these."""
