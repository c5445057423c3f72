"""Every model, listed once: the laws run over these. And every recipe that they run with."""

import dataclasses

import flax.linen as nn

from aqtaudio.compression.recipe import LowRank, Recipe, Rule
from aqtaudio.models.ds_cnn import DSCNN


@dataclasses.dataclass(frozen=True)
class Case:
    """A model.

    Attributes:
      name: of the case.
      model: as a config holds it.
      features: (frames, features) of one input.
      params: once batch norm is folded; from the literature for published models.
      macs: of one input.
    """

    name: str
    model: nn.Module
    features: tuple[int, int]
    params: int
    macs: int


# Small enough that every law is cheap.
SMALL = Case("ds_cnn_small", DSCNN(classes=4, width=8, blocks=2), (20, 10), 668, 29_632)

# Hello Edge (arXiv:1711.07128), layers as in ML-KWS-for-MCU; MACs follow from the shapes.
PUBLISHED = (
    Case("ds_cnn_s", DSCNN(width=64), (49, 10), 22_604, 2_656_768),
    Case(
        "ds_cnn_m",
        DSCNN(width=172, strides=(2, 1), block_strides=(2, 2)),
        (49, 10),
        135_032,
        9_816_384,
    ),
    Case(
        "ds_cnn_l",
        DSCNN(width=276, blocks=5, strides=(2, 1), block_strides=(2, 2)),
        (49, 10),
        410_700,
        28_327_812,
    ),
)

MODELS = (SMALL, *PUBLISHED)

RECIPES = {
    "w8a8": Recipe(),
    "w4a8": Recipe(rules=(Rule(weight_bits=4),)),
    "w4a4": Recipe(rules=(Rule(weight_bits=4, activation_bits=4),)),
    "mixed": Recipe(
        rules=(
            Rule("input|conv|logits"),
            Rule("pointwise_1", weight_bits=4, activation_bits=4, calibration="q0.999"),
            Rule(".*wise_.*", weight_bits=4, calibration="max"),
        )
    ),
    # Every layer that qualifies, in int8 and int4; energy cuts the ranks, no penalty needed.
    "low_rank": Recipe(
        rules=(
            Rule("pointwise_[13]", svd_penalty=0.0),
            Rule("pointwise_.*", weight_bits=4, svd_penalty=0.0),
            Rule(),
        ),
        low_rank=LowRank(energy=0.8),
    ),
}
