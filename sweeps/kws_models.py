"""Which keyword model is worth its bytes, its work per second and its memory?

    aqtaudio sweep sweeps/kws_models.py --data DIR [--resume]

Every model that trains in minutes, as its config in `configs/` has it: causal models run as
streams, others take whole clips. Each has a float run, and from it W8A8 and W4A8 runs, trained
in the integers of the device. The GRU is also trained on single clips, without the audio before
them, to show that it then fails when it listens continuously.
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
