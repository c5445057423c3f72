"""DS-CNN on eight classes: which width, precision and rank is worth its bytes?

    aqtaudio sweep sweeps/kws_ds_cnn.py --data DIR [--resume]

There are float runs of three widths with two seeds each. The others start from one of these, with
batch norm folded into the weights and the ranges of activations calibrated:

* post-training quantization, without a further step;
* native training, in the integers of the device, at W8A8, W4A8 and W4A4;
* at width 64, fake-quantized training: float arithmetic on rounded values;
* at width 64, for one seed, low rank: pointwise layers are trained in float with a penalty on
  their singular values, cut, and trained on in integers.

It takes about an hour and a half on two cores.
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
