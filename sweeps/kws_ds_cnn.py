"""DS-CNN on eight classes: which width, precision and rank is worth its bytes?

    aqtaudio sweep sweeps/kws_ds_cnn.py --data DIR

Float parents of three widths, two seeds each. From each, folded and calibrated: post-training
quantization (no further step) and native quantized training at W8A8, W4A8 and W4A4. At width 64
also fake-quantized training and, for one seed, pointwise layers trained with a singular-value
penalty, cut, and trained on in integers. About an hour and a half on two cores, resumable.
"""

from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.recipe import FAKE_W8A8, FLOAT, W4A4, W4A8, W8A8, low_rank
from aqtaudio.study.space import Study, chain, finetuned, param, product

EXPERIMENT = load_config(Path(__file__).parents[1] / "configs/kws_ds_cnn.py")

INHERIT = {"optimizer.steps": 0}
PTQ = {"name": "ptq w8a8", "recipe": W8A8, "finetune.steps": 0, **INHERIT}
NATIVE = [
    {"name": "w8a8", "recipe": W8A8, **INHERIT},
    {"name": "w4a8", "recipe": W4A8, **INHERIT},
    {"name": "w4a4", "recipe": W4A4, **INHERIT},
]
FAKE = {"name": "fake w8a8", "recipe": FAKE_W8A8, **INHERIT}
LOW_RANK = [
    {
        "name": f"low rank {penalty} {bits}",
        "recipe": low_rank("pointwise_.*", penalty, 0.95, bits),
        "optimizer.steps": 600,
        "optimizer.learning_rate": 1e-3,
    }
    for penalty, bits in ((0.0, 8), (0.01, 8), (0.03, 8), (0.03, 4), (0.1, 8), (0.3, 8))
]


def parents(*widths: int) -> list[dict]:
    """Float runs: every width with two seeds."""
    runs = product(param("recipe", FLOAT), param("model.width", *widths), param("seed", 0, 1))
    return [{**run, "name": f"w{run['model.width']} s{run['seed']}"} for run in runs]


STUDY = Study(
    "kws_ds_cnn",
    EXPERIMENT,
    chain(
        parents(64),
        finetuned(parents(64), [PTQ, *NATIVE, FAKE]),
        parents(16, 32),
        finetuned(parents(16, 32), [PTQ, *NATIVE]),
        finetuned(parents(64)[:1], LOW_RANK),
    ),
)
