"""How small can bandwidth extension be before it is heard?

    aqtaudio sweep sweeps/bandwidth.py --data DIR [--resume]

A small SEANet from scratch without discriminators, as two cores train it in an hour or two: float
and W8A8 with 16-bit samples in one run. From its float model: 16x8, the same with W4A8 where most
weights are, and W8A8 altogether. What is trained for the ear starts from scratch too: float and
16x8 in one run, other precisions from its float model.
"""

from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.recipe import Recipe, Rule
from aqtaudio.study.space import Delta, Study, chain, finetuned

EXPERIMENT = load_config(Path(__file__).parents[1] / "configs/bandwidth_seanet_small.py")
SMALL: Delta = {"name": "small", "optimizer.steps": 1500, "finetune.steps": 150}
DEEP = r"(encoder|decoder)_3_.*|bottleneck_.*"
"""Layers with 102,000 of the 142,000 weights. No kernel has 4-bit weights beside int16."""
WIDE = Rule(activation_bits=16, calibration="max")


def quantized(name: str, *rules: Rule) -> Delta:
    """From the parent's float model; the first of `rules` that matches wins."""
    return {
        "name": name,
        "recipe": Recipe(rules=rules),
        "optimizer.steps": 0,
        "finetune.steps": 60,
    }


MIXED = quantized("16x8, w4a8 where deep", Rule(DEEP, weight_bits=4), WIDE)
WIDE_SAMPLES = {**quantized("w8a8, 16-bit samples"), "recipe": EXPERIMENT.recipe}
PRECISIONS = [quantized("16x8", WIDE), MIXED, quantized("w8a8", Rule())]
# The loss after what an ear notices: logarithms alone fill pauses, which costs PESQ.
EAR: Delta = {
    "name": "for the ear",
    "recipe": Recipe(rules=(WIDE,)),
    "optimizer.steps": 16_000,
    "finetune.steps": 60,
    "task.loss.log_weight": 0.15,
    "task.loss.upper_weight": 0.15,
    "task.loss.relative_weight": 0.5,
    "task.loss.wave_weight": 0.5,
    "task.loss.disturbance_weight": 3.0,
}
# Trained on until the upper band is as near in decibels, too, as it is to be.
NEARER: Delta = {
    "name": "nearer",
    "init_differs": ("task",),
    "optimizer.steps": 2500,
    "task.loss.log_weight": 0.4,
    "task.loss.upper_weight": 0.4,
}
HEARD = finetuned([EAR], [NEARER])
STUDY = Study(
    "bandwidth",
    EXPERIMENT,
    chain(
        *([SMALL], finetuned([SMALL], PRECISIONS)),
        *([EAR], HEARD, finetuned(HEARD, [MIXED, WIDE_SAMPLES])),
    ),
)
