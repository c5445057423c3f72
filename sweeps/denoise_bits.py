"""Which matrices of a noise suppressor can have weights of four bits?

    aqtaudio sweep sweeps/denoise_bits.py --data DIR --resume

A search over the six matrices of the large GRUs in "clean targets", a model of `sweeps/denoise.py`.
Each has 4-bit weights and int8 inputs, or 8-bit weights and int16 inputs; everything else has 8-bit
weights and int16 activations. Trials are calibrated only, not trained: what calibration loses is
what training has to win back. The rows go to the study `denoise`.
"""

import dataclasses
import runpy
from pathlib import Path

from aqtaudio.recipe import Recipe
from aqtaudio.study.space import Delta, Search, finetuned

DENOISE = runpy.run_path(str(Path(__file__).with_name("denoise.py")))
GRUS = ("encoder/gru_1", "filter_decoder/gru_1", "filter_decoder/gru_2")
KERNELS = [f"{gru}/{part}" for gru in GRUS for part in ("kernel", "cell/recurrent_kernel")]


def runs(bits: dict[str, object]) -> list[Delta]:
    """One run."""
    four = "|".join(kernel for kernel, weight_bits in bits.items() if weight_bits == 4)
    rules = [dataclasses.replace(DENOISE["W4"], pattern=four)] if four else []
    recipe = Recipe(rules=(*DENOISE["WIDE"], *rules, DENOISE["A16"]))
    name = "w" + ".".join(str(weight_bits) for weight_bits in bits.values())
    delta = {**DENOISE["quantized"](), "recipe": recipe, "finetune.steps": 0, "name": name}
    return finetuned(DENOISE["CLEANED"], [delta])


STUDY = Search(
    "denoise",
    DENOISE["EXPERIMENT"],
    dict.fromkeys(KERNELS, (4, 8)),
    runs,
    metric="dnsmos_ovrl",
    costs=("file_bytes",),
    trials=16,
    generation=4,
    first=[
        dict.fromkeys(KERNELS, 8),
        *({kernel: 4 if kernel == one else 8 for kernel in KERNELS} for one in KERNELS),
        dict.fromkeys(KERNELS, 4),
    ],
    label="bits",
)
