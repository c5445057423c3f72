"""Keywords from text: how wide an encoder of phones, how many bits, and does noise help?

    aqtaudio sweep sweeps/text_keywords.py --data DIR [--resume]

All runs are behind the frozen speech embedding (4-bit weights, a vector every 40 ms). Each has a
float run, and from it W8A8 and W4A8 runs that are trained in the integers of the device.
"""

from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.recipe import FLOAT, W4A8, W8A8
from aqtaudio.study.space import Study, finetuned, param, product, zipped

EXPERIMENT = load_config(Path(__file__).parents[1] / "configs/text_keywords.py")
NATIVE = [
    {"name": "w8a8", "recipe": W8A8, "optimizer.steps": 0},
    {"name": "w4a8", "recipe": W4A8, "optimizer.steps": 0},
]
WIDTHS = 64, 112, 160
MODELS = zipped(
    param("name", *(f"width {width}" for width in WIDTHS)),
    param("model", *(EXPERIMENT.model.clone(width=width) for width in WIDTHS)),
)
OTHERS = [
    {"name": "phones alone", "task.filter_weight": 0.0},
    {"name": "no noise", "task.mixing": None},
]
PARENTS = product(param("recipe", FLOAT), [*MODELS, *OTHERS])

STUDY = Study("text_keywords", EXPERIMENT, [*PARENTS, *finetuned(PARENTS, NATIVE)])
