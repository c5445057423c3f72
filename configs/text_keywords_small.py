"""Keywords from text in at most 250 KB: phones on a student of the speech embedding, 4-bit weights.

    aqtaudio train configs/text_keywords_small.py --data DIR --out RUN

What is not set here is as in `text_keywords.py`.
"""

import dataclasses
from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.frontends.embedded import Embedded
from aqtaudio.recipe import Recipe, Rule

BASE = load_config(Path(__file__).with_name("text_keywords.py"))
ENCODER = Path(__file__).parents[1] / "results/text_keywords/encoder_small"
EXPERIMENT = dataclasses.replace(
    BASE,
    frontend=Embedded(run=str(ENCODER)),
    # Five layers hold two thirds of the weights; those before and after them keep 8 bits.
    recipe=Recipe(rules=(Rule("channels_.*", weight_bits=4), Rule())),
    optimizer=dataclasses.replace(BASE.optimizer, steps=3200, batch_size=12),
    finetune=dataclasses.replace(BASE.finetune, steps=300, batch_size=12),
)
