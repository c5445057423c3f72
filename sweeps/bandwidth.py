"""How small can bandwidth extension be before it is heard?

    aqtaudio sweep sweeps/bandwidth.py --data DIR [--resume]

SEANets from scratch without discriminators, as processors train them in hours: widths, with and
without depthwise units; and the published strides, which run at the full rate. From each float run:
W8A8 with 16-bit samples, W8A8 altogether, 16x8, 4-bit weights in the units, lower ranks. The small
one goes on beside discriminators.
"""

from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.recipe import FLOAT, LowRank, Recipe, Rule
from aqtaudio.study.space import Delta, Study, chain, finetuned

EXPERIMENT = load_config(Path(__file__).parents[1] / "configs/bandwidth_seanet_small.py")
WIDE = EXPERIMENT.recipe.rules[0]
UNITS = r".*_unit_\d_(dilated|mixed)"


def floating(name: str, channels: tuple[int, ...], **changes: object) -> Delta:
    """A float run from scratch."""
    return {"name": name, "recipe": FLOAT, "model.channels": channels, **changes}


def quantized(name: str, *rules: Rule, **changes: object) -> Delta:
    """From the parent's float model, which also teaches; first match of `rules` wins."""
    recipe = Recipe(rules=rules)
    return {"name": name, "recipe": recipe, "optimizer.steps": 0, "distillation": 0.5, **changes}


SMALL = floating("small", (16, 24, 48, 64))
WIDTHS = [
    SMALL,
    floating("narrow", (8, 16, 32, 48), **{"model.bottleneck": 48}),
    floating("wide", (24, 40, 64, 96), **{"model.bottleneck": 96}),
    floating("wide, depthwise", (24, 48, 80, 112), **{"model.depthwise": True}),
]
FULL_RATE = floating(
    "published, streaming",
    (8, 16, 32, 64, 128),
    **{
        "model.strides": (2, 2, 8, 8),
        "model.patch": 1,
        "model.dilations": (1, 3, 9),
        "model.bottleneck": 128,
        "model.bottleneck_kernel": 7,
    },
)
PRECISIONS = [
    quantized("w8a8, samples of 16 bits", WIDE, Rule()),
    quantized("w8a8", Rule()),
    quantized("16x8", Rule(activation_bits=16, calibration="max")),
    quantized("w4 units, samples of 16 bits", WIDE, Rule(UNITS, weight_bits=4), Rule()),
]
RANKS: Delta = {
    "name": "low rank",
    "recipe": Recipe(
        rules=(WIDE, Rule(".*_unit_._mixed", svd_penalty=0.03), Rule()),
        low_rank=LowRank(energy=0.9),
    ),
    "optimizer.steps": 1000,
}
# With discriminators the learning rate is that of fine-tuning.
BESIDE: Delta = {
    "name": "beside discriminators",
    "task.adversary.weight": 0.1,
    "init_differs": ("task",),
    "optimizer.learning_rate": 3e-4,
    "optimizer.steps": 5000,
}
FLOATS = [*WIDTHS, FULL_RATE]
STUDY = Study(
    "bandwidth",
    EXPERIMENT,
    chain(
        FLOATS,
        finetuned(FLOATS, PRECISIONS),
        finetuned([SMALL], [RANKS, BESIDE]),
        finetuned(finetuned([SMALL], [BESIDE]), PRECISIONS[:1]),
    ),
)
