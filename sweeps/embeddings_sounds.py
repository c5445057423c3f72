"""What is kept of a published embedding of sounds in integers, and by students of a quarter?

    aqtaudio sweep sweeps/embeddings_sounds.py --data DIR --data DIR [--resume]

It reads the published weights, `sea64.h5.gz`, from the folder that it is started in
(`edgel3_sea_ust_audio_emb_64.h5.gz` of ksangeeta2429/edgel3, MIT).

* The published student of 64 values (Srivastava et al., ICASSP 2021): float; post-training W8A8 and
  W4A8; native W8A8, W4A8 and 16x8, its float network as teacher.
* A student of it that costs a quarter, depthwise-separable from the second block on: float, and
  from that W8A8 and W4A8.
"""

import dataclasses
from pathlib import Path

from aqtaudio.experiment import Optimizer, load_config
from aqtaudio.models.l3_net import L3Net
from aqtaudio.recipe import FLOAT, Recipe, Rule
from aqtaudio.study.space import Delta, Study, chain, finetuned

EXPERIMENT = dataclasses.replace(
    load_config(Path(__file__).parents[1] / "configs/embedding_sea.py"), init_from="sea64.h5.gz"
)
# 9 products make an output of the first layer: its 288 weights stay in 8 bits.
FIRST = Rule("conv_1_1")
W4A8 = Recipe(rules=(FIRST, Rule(weight_bits=4)))
# The first two blocks hold the largest maps: frame after frame, none of them is ever whole.
STRIPED = Recipe(rules=(FIRST, Rule()), stripes=6, striped_to="pool_2")
PUBLISHED: list[Delta] = [
    {"name": "published", "recipe": FLOAT},
    {"name": "post-training w8a8", "finetune.steps": 0},
    {"name": "post-training w8a8, in stripes", "finetune.steps": 0, "recipe": STRIPED},
    {"name": "post-training w4a8", "finetune.steps": 0, "recipe": W4A8},
    {"name": "w8a8"},
    {"name": "w4a8", "recipe": W4A8},
    {"name": "16x8", "recipe": Recipe(rules=(Rule(activation_bits=16, calibration="max"),))},
]
STUDENT: Delta = {
    "name": "student",
    "recipe": FLOAT,
    "model": L3Net((24, 64, 192, 64), separable_blocks=(2, 3, 4)),
    "init_from": None,
    "optimizer": Optimizer(
        steps=4000, batch_size=32, learning_rate=2e-3, warmup_steps=200, weight_decay=1e-4
    ),
}
INTEGERS: list[Delta] = [
    {"name": "w8a8", "recipe": Recipe(rules=(FIRST, Rule())), "optimizer.steps": 0},
    {"name": "w4a8", "recipe": W4A8, "optimizer.steps": 0},
]
STUDY = Study(
    "embeddings_sounds", EXPERIMENT, chain(PUBLISHED, [STUDENT], finetuned([STUDENT], INTEGERS))
)
