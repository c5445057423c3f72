"""A dual path: bands of a frame, in both directions, then frames of a band.

Rong et al., "GTCRN: A Speech Enhancement Model Requiring Ultralow Computational Resources", ICASSP
2024; layers as in the authors' gtcrn.py (DPGRNN). Both paths are GRUs in two groups, a dense layer,
a layer norm over the whole frame, and the input added.
"""

import flax.linen as nn

from aqtaudio.vocabulary.layers import (
    Add,
    BandNorm,
    BlockDense,
    Concat,
    Flip,
    GroupedGRU,
    Slice,
)
from aqtaudio.vocabulary.signal import Signal

GROUPS = 2


class DualPath(nn.Module):
    """[T, F, C] to [T, F, C]; only the second path looks along time."""

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        channels = x.shape[-1]
        y = both_ways(x, channels, GROUPS, "bands")
        y = BlockDense(channels, 1, name="bands_dense")(y)
        y = BandNorm(name="bands_norm")(y)
        x = Add(name="bands_sum")(x, y)
        y = GroupedGRU(channels, GROUPS, name="frames")(x)
        y = BlockDense(channels, 1, name="frames_dense")(y)
        y = BandNorm(name="frames_norm")(y)
        return Add(name="frames_sum")(x, y)


def both_ways(x: Signal, units: int, groups: int, name: str) -> Signal:
    """GRUs over bands [T, F, C] from the first and from the last: [T, F, units].

    Units that read from the first band come first. Both directions are groups of one cell, which
    is shown the bands in both orders side by side.
    """
    y = Flip(1, name=f"{name}_backwards")(x)
    y = Concat(2, name=f"{name}_both")(x, y)
    y = GroupedGRU(units, 2 * groups, "bands", name=name)(y)
    there = Slice(2, 0, units // 2, name=f"{name}_there")(y)
    back = Slice(2, units // 2, units, name=f"{name}_back")(y)
    back = Flip(1, name=f"{name}_in_order")(back)
    return Concat(2, name=f"{name}_found")(there, back)
