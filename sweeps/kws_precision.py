"""At equal bit operations, which precision is on the front, and what buys flash cheapest?

    aqtaudio sweep sweeps/kws_precision.py --data DIR --batch 8 [--resume]
    aqtaudio sweep sweeps/kws_precision_matchbox_net.py --data DIR --batch 8 --resume

Bit operations are MACs times bits of weights times bits of activations. A precision is on the front
where no other is more accurate with as many bit operations or fewer.

* DS-CNN in five widths and MatchboxNet in three, two seeds each: float runs, and from each W8A8,
  W4A8 and W4A4. Runs of DS-CNN at widths 16, 32 and 64 are those of `kws_ds_cnn.py`.
* DS-CNN of width 64, cut to lower ranks.
* A search for the bits of every layer by short trainings: of DS-CNN of width 24 here, of
  MatchboxNet of width 16 in the other file.
* Two points that the search found for DS-CNN (`MIXED`), trained as long as the other runs, with
  both seeds.
"""

from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.frontends.spectral import LogMel
from aqtaudio.models.matchbox_net import MatchboxNet
from aqtaudio.recipe import FLOAT, W4A4, W4A8, W8A8, Recipe, low_rank
from aqtaudio.settings import overlay
from aqtaudio.study.space import Delta, Search, chain, finetuned, param, product
from aqtaudio.sweep.bit_allocation import Bits, bit_choices, bits_label, rules

EXPERIMENT = load_config(Path(__file__).parents[1] / "configs/kws_ds_cnn.py")
SEEDS = param("seed", 0, 1)
FLOATS = param("recipe", FLOAT)
MATCHBOX = {
    "model": MatchboxNet(),
    "frontend": LogMel(mel_bands=40, hop_ms=20, window_ms=40),
    "optimizer.steps": 1500,
}
INHERIT = {"optimizer.steps": 0}
NATIVE = [
    {"name": "w8a8", "recipe": W8A8, **INHERIT},
    {"name": "w4a8", "recipe": W4A8, **INHERIT},
    {"name": "w4a4", "recipe": W4A4, **INHERIT},
]
PENALTIES = (0.0, 0.01, 0.03, 0.1, 0.3)
DEEP_CUT = {"optimizer.steps": 300, "finetune.steps": 300}
SEARCH_STEPS = 100


# Found by the search, two points of its front: bits of weights and of the output, layer by layer.
MIXED = {
    "14M": {
        "conv": (4, 4),
        "depthwise_1": (4, 4),
        "pointwise_1": (8, 4),
        "depthwise_2": (4, 4),
        "pointwise_2": (8, 4),
        "depthwise_3": (8, 4),
        "pointwise_3": (4, 4),
        "depthwise_4": (4, 4),
        "pointwise_4": (8, 8),
        "logits": (8, 8),
    },
    "22M": {
        "conv": (8, 8),
        "depthwise_1": (4, 8),
        "pointwise_1": (4, 4),
        "depthwise_2": (8, 8),
        "pointwise_2": (8, 4),
        "depthwise_3": (4, 8),
        "pointwise_3": (4, 8),
        "depthwise_4": (4, 8),
        "pointwise_4": (4, 8),
        "logits": (4, 8),
    },
}


def named(label: str, runs: list[Delta]) -> list[Delta]:
    """Runs called by model, width and seed."""
    return [{**run, "name": f"{label} w{run['model.width']} s{run['seed']}"} for run in runs]


def cut(penalty: float, energy: float) -> Delta:
    """Pointwise layers trained on as U diag(s) V, cut to `energy`, and trained in integers."""
    return {
        "name": f"rank {penalty} {energy}",
        "recipe": low_rank("pointwise_.*", penalty, energy, 8),
        "optimizer.steps": 600,
        "optimizer.learning_rate": 1e-3,
    }


def mixed(name: str, bits: dict[str, Bits]) -> Delta:
    """Bits per layer."""
    return {"name": name, "recipe": Recipe(rules=rules(bits)), **INHERIT}


def searched(parent: Delta):
    """Makes the run of a trial: the parent's float model, quantized and shortly trained."""

    def run(bits: dict) -> Delta:
        trial = mixed(f"trial {bits_label(bits)}", bits) | {"finetune.steps": SEARCH_STEPS}
        return finetuned([parent], [trial])[0]

    return run


def end_of(space: dict, place: int) -> dict:
    """The first choice of every layer, or the last."""
    return {layer: choices[place] for layer, choices in space.items()}


def settings_of(parent: Delta):
    """The experiment of a float run, from its delta without the name."""
    return overlay(EXPERIMENT, {k: v for k, v in parent.items() if k != "name"})


DS_CNN = named("ds-cnn", product(FLOATS, param("model.width", 16, 24, 32, 48, 64), SEEDS))
WIDTHS = param("model.width", 12, 16, 24)
MATCHBOX_NET = named("matchboxnet", product([MATCHBOX], FLOATS, WIDTHS, SEEDS))
SHORTER = [{**change, "finetune.steps": 300} for change in NATIVE]
GRID = chain(
    DS_CNN,
    finetuned(DS_CNN, NATIVE),
    finetuned(DS_CNN[-2:-1], [cut(penalty, 0.95) for penalty in PENALTIES]),
    finetuned(DS_CNN[-2:], [cut(0.03, 0.7) | DEEP_CUT]),
    finetuned(DS_CNN[2:4], [mixed(f"mixed {name}", bits) for name, bits in MIXED.items()]),
    MATCHBOX_NET,
    finetuned(MATCHBOX_NET, SHORTER),
)
SPACE = bit_choices(settings_of(DS_CNN[2]))
STUDY = Search(
    "kws_precision",
    EXPERIMENT,
    SPACE,
    searched(DS_CNN[2]),
    costs=("bitops",),
    trials=16,
    generation=8,
    first=[end_of(SPACE, place) for place in (0, -1)],
    grid=GRID,
    label="bits_ds_cnn",
)
