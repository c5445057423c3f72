"""Which keyword model is worth its bytes, its work per second and its memory?

    aqtaudio sweep sweeps/kws_models.py --data DIR

Every model that trains in minutes, as its config has it: streams where it is causal, whole clips
where it is not. Float, then native W8A8 and W4A8 from the folded, calibrated float model. The GRU
also trained from silence only, to show what a stream then makes of it. Resumable.
"""

from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.models.ds_cnn import DSCNN
from aqtaudio.models.matchbox_net import MatchboxNet
from aqtaudio.recipe import FLOAT, W4A8, W8A8
from aqtaudio.study.space import Delta, Study, chain, finetuned

CONFIGS = Path(__file__).parents[1] / "configs"
EXPERIMENT = load_config(CONFIGS / "kws_matchbox_net.py")
FIELDS = ("model", "frontend", "augmentation", "optimizer", "finetune")
STREAM = ("stream_block_frames", "stream_context_clips")
NATIVE = [
    {"name": "w8a8", "recipe": W8A8, "optimizer.steps": 0},
    {"name": "w4a8", "recipe": W4A8, "optimizer.steps": 0},
]
SILENCE = {"stream_context_clips": 0}


def parent(name: str, **changes: object) -> Delta:
    """The float run of `configs/kws_<name>.py`."""
    config = load_config(CONFIGS / f"kws_{name}.py")
    fields = {field: getattr(config, field) for field in (*FIELDS, *STREAM)} | changes
    changed = {k: value for k, value in fields.items() if value != getattr(EXPERIMENT, k)}
    return {"name": name.replace("_", " "), "recipe": FLOAT, **changed}


def runs(name: str, label: str = "", **changes: object) -> list[Delta]:
    """A model in float and in integers."""
    parents = [parent(name, **changes)]
    if label:
        parents[0]["name"] = f"{parents[0]['name']} {label}"
    return chain(parents, finetuned(parents, NATIVE))


STUDY = Study(
    "kws_models",
    EXPERIMENT,
    chain(
        runs("matchbox_net"),
        runs("gru"),
        runs("gru", "from silence", **SILENCE)[:2],
        runs("tc_resnet"),
        runs("svdf"),
        runs("bc_resnet"),
        runs("streaming_attention"),
        runs("ds_cnn"),
        runs("conformer"),
        runs("crnn"),
        runs("ds_cnn", "stream", model=DSCNN(causal=True), stream_block_frames=2),
        runs("matchbox_net", "clips", model=MatchboxNet(width=56), stream_block_frames=0),
        runs("mhatt_rnn"),
    ),
)
