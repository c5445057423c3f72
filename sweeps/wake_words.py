"""Three wake words in a stream: which model, how many bits?

    aqtaudio sweep sweeps/wake_words.py --data DIR [--resume]
    aqtaudio detect results/wake_words/work/RUN --data DIR

MatchboxNet of two widths and a GRU, as streams of 20 ms blocks. Each has a float run, and from it
W8A8 and W4A8 runs that are trained in the integers of the device.
"""

from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.recipe import FLOAT, W4A8, W8A8
from aqtaudio.study.space import Study, finetuned, param, product, zipped

CONFIGS = Path(__file__).parents[1] / "configs"
EXPERIMENT = load_config(CONFIGS / "wake_words.py")
GRU = load_config(CONFIGS / "kws_gru.py")
NATIVE = [
    {"name": "w8a8", "recipe": W8A8, "optimizer.steps": 0},
    {"name": "w4a8", "recipe": W4A8, "optimizer.steps": 0},
]
MODELS = [
    *zipped(
        param("name", "matchbox 32", "matchbox 16"),
        param("model", *(EXPERIMENT.model.clone(width=width) for width in (32, 16))),
    ),
    {
        "name": "gru 64",
        "model": GRU.model.clone(units=64),
        "frontend": GRU.frontend,
        "stream_context_clips": GRU.stream_context_clips,
    },
]
PARENTS = product(param("recipe", FLOAT), MODELS)

STUDY = Study(
    "wake_words",
    EXPERIMENT,
    [*PARENTS, *finetuned(PARENTS, NATIVE)],
)
