"""How small can a noise suppressor be before it is heard?

    aqtaudio sweep sweeps/denoise.py --data DIR [--resume]

DeepFilterNet3 at 16 kHz, from the published weights. They lie below `golden/deepfilternet3` in the
folder that `$AQTAUDIO_SHARED` names (default: `shared` beside the checkout). The float runs:

* the published model as it is, at 16 and at 48 kHz;
* fine-tuned with features that do not depend on the level;
* from that, "small": the gain decoder, which at 16 kHz only makes the bands above 4.75 kHz, has one
  GRU of 64 units instead of two of 256;
* from that, "clean targets": trained on speech without the noise of its own recording;
* "compact", with fewer parameters: it starts from those published weights that fit, and takes 1,000
  steps on clean targets. It is a beginning.

Quantized from these: W8A8 with int16 where int8 hurts; 16x8 (int16 activations, int8 weights);
4-bit weights in the GRUs; lower ranks. Runs that "hear falls" have features that also notice where
the level drops abruptly. `denoise_bits.py` searches the bits of the GRUs.
`results/denoise/README.md` has a table of all runs, and what they show.
"""

import dataclasses
import os
from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.recipe import FLOAT, W8A16, LowRank, Recipe, Rule
from aqtaudio.settings import overlay
from aqtaudio.study.space import Delta, Study, chain, finetuned

CONFIG = Path(__file__).parents[1] / "configs/denoise_deep_filter_net.py"
# The first points were made before falls of the level were heard.
EXPERIMENT = overlay(load_config(CONFIG), {"frontend.fall_db": 0.0})
WIDE = EXPERIMENT.recipe.rules[:-1]
SHARED = Path(os.environ.get("AQTAUDIO_SHARED", "../shared"))
PUBLISHED = str(SHARED / "golden/deepfilternet3/weights_folded.npz")
GRUS = r".*gru_\d/(kernel|cell/recurrent_kernel)"


# Training does not see the post-filter, so a run that differs in it takes its parent's weights as
# they are. It gives back some of the quiet between words that quantized training lost.
FILTERED: Delta = {"init_differs": ("task",), "task.filtering.post_filter": 0.01}


def quantized(*rules: Rule, **changes: object) -> Delta:
    """From the parent's float model; first match of `rules` wins."""
    recipe = Recipe(rules=(*WIDE, *rules, Rule()))
    return {"recipe": recipe, "optimizer.steps": 0, "finetune.steps": 100, **FILTERED, **changes}


AS_PUBLISHED: Delta = {
    "name": "published",
    "init_from": PUBLISHED,
    "recipe": FLOAT,
    "optimizer.steps": 0,
    "model.pathway": True,
    "frontend.level_invariant": False,
}
# On recordings sampled up, which it was made for; and heard as the quantized runs are.
AT_48_KHZ: Delta = {
    **AS_PUBLISHED,
    "name": "published 48 kHz",
    "frontend.sample_rate_hz": 48_000,
}
WITH_FILTER: Delta = {
    **AS_PUBLISHED,
    "name": "published, post-filter",
    "task.filtering.post_filter": 0.01,
}
BASE: Delta = {"name": "level-invariant", "init_from": PUBLISHED, "recipe": FLOAT}
SMALL = finetuned(
    [BASE],
    [
        {
            "name": "small",
            "model.gain_units": 64,
            "model.gain_layers": 1,
            "init_differs": ("model",),
            "optimizer.learning_rate": 3e-4,
            "optimizer.steps": 200,
        }
    ],
)
# The recordings have a floor of noise, which as a target teaches a model to leave as much.
CLEANED = finetuned(
    SMALL,
    [
        {
            "name": "clean targets",
            "task.cleaned_by": PUBLISHED,
            "init_differs": ("task",),
            "optimizer.learning_rate": 2e-4,
            "optimizer.steps": 500,
        }
    ],
)
A16 = Rule(activation_bits=16, calibration="max")
W4 = Rule(GRUS, weight_bits=4, int4_dense="conv")
W4_A16: Delta = {
    **quantized(),
    "name": "w4 grus, else 16x8",
    "recipe": Recipe(rules=(*WIDE, W4, A16)),
    "task.filtering.post_filter": 0.015,
}
# Four bits in one matrix alone, calibrated only, cost OVRL most in the input of the encoder's GRU
# (0.09) and the recurrent one of the second filter GRU (0.12), in others 0.01 to 0.04. One of the
# two fits below 1.05 MB in 8 bits; in 4 bits the first takes more of the speech.
ENCODER = r"encoder/gru_1/kernel|gain_decoder/gru_1/.*"
MOST_W4: Delta = {
    **quantized(),
    "name": "w4 but the encoder, 16x8",
    "recipe": Recipe(rules=(*WIDE, dataclasses.replace(A16, pattern=ENCODER), W4, A16)),
    "distillation": 0.5,
    "finetune.steps": 500,
    "finetune.learning_rate": 1.5e-4,
}
# The same training, which does not see the filter.
QUIETER: Delta = {
    **MOST_W4,
    "name": "w4 but the encoder, 16x8, post-filter 0.015",
    "task.filtering.post_filter": 0.015,
}
HEARS_FALLS: Delta = {"frontend.fall_db": 15.0, "init_differs": ("task", "frontend")}
FRONT: Delta = {**QUIETER, **HEARS_FALLS, "name": f"{QUIETER['name']}, hears falls"}
# The same training once more.
QUIETEST: Delta = {
    **FRONT,
    "name": "w4 but the encoder, 16x8, post-filter 0.018, hears falls",
    "task.filtering.post_filter": 0.018,
}
LOW_RANK = Recipe(rules=(*WIDE, Rule(GRUS, svd_penalty=0.03), Rule()), low_rank=LowRank(energy=0.9))
CUT: Delta = {
    "name": "low rank",
    "recipe": LOW_RANK,
    "optimizer.steps": 80,
    "finetune.steps": 100,
    **FILTERED,
}
COMPACT: Delta = {
    "name": "compact",
    "init_from": PUBLISHED,
    "init_differs": ("model",),
    "recipe": FLOAT,
    "model.concat": True,
    "model.channels": 96,
    "model.gain_units": 128,
    "model.tied_upsampling": False,
    "task.filtering.gains": "all",
    "task.cleaned_by": PUBLISHED,
    "optimizer.learning_rate": 1e-3,
    "optimizer.steps": 1000,
}

STUDY = Study(
    "denoise",
    EXPERIMENT,
    chain(
        [AS_PUBLISHED, BASE],
        SMALL,
        CLEANED,
        finetuned(
            SMALL,
            [
                quantized(W4, name="w4 grus", distillation=0.5, **{"finetune.steps": 200}),
                {**quantized(name="w8a16"), "recipe": W8A16, "finetune.steps": 0},
                W4_A16,
            ],
        ),
        finetuned(
            CLEANED,
            [
                MOST_W4,
                QUIETER,
                FRONT,
                QUIETEST,
                quantized(name="w8a8"),
                CUT,
                {**quantized(name="w8a16"), "recipe": W8A16, "finetune.steps": 0},
            ],
        ),
        finetuned([BASE], [quantized(name="w8a8")]),
        [AT_48_KHZ, WITH_FILTER, COMPACT],
        finetuned(
            [COMPACT],
            [
                {
                    **quantized(name="w8a16, hears falls"),
                    **HEARS_FALLS,
                    "recipe": W8A16,
                    "finetune.steps": 0,
                }
            ],
        ),
    ),
)
