"""What of Google's speech embedding is kept in integers, and by students that cost a third?

    pip install "aqtaudio[teachers]"
    aqtaudio sweep sweeps/embeddings_speech.py --data DIR --data DIR [--resume]

* The published network: float; post-training W8A8; native W8A8, W4A8 and lower ranks, each with the
  float network as teacher on speech in noise, rooms and at levels from -60 to 0 dBFS.
* Students with relus, narrower, regressing the published network: float, and from that W8A8 and
  W4A8. The smaller one is for 100 KB.
"""

import dataclasses
from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.models.speech_embedding import SpeechEmbedding
from aqtaudio.recipe import FLOAT, LowRank, Recipe, Rule
from aqtaudio.study.space import Delta, Study, chain, finetuned

CONFIGS = Path(__file__).parents[1] / "configs"
EXPERIMENT = load_config(CONFIGS / "embedding_speech_published.py")
STUDENT = load_config(CONFIGS / "embedding_speech_student.py")
# The first layer sees one channel and the last one is what others read; both are small.
ENDS = Rule("input|conv_0|embedding")
W4A8 = Recipe(rules=(ENDS, Rule(weight_bits=4)))
# The last layer holds 27,648 weights: in 4 bits, too, the file is below 200 KB.
SMALLEST = Recipe(rules=(Rule("input|conv_0"), Rule(weight_bits=4)))
RANKS = Recipe(
    rules=(ENDS, Rule(r"conv_(7|8|9|1\d)", svd_penalty=0.0), Rule()), low_rank=LowRank(energy=0.97)
)
PUBLISHED: list[Delta] = [
    {"name": "published", "recipe": FLOAT},
    {"name": "published, post-training", "finetune.steps": 0},
    {"name": "published w8a8"},
    {"name": "published w4a8", "recipe": W4A8},
    {"name": "published w4a8, the last layer too", "recipe": SMALLEST},
    {"name": "published, lower ranks", "recipe": RANKS},
]


def student(name: str, model: SpeechEmbedding, steps: int) -> list[Delta]:
    """A float student, and what is quantized from it."""
    trained: Delta = {
        "name": name,
        "recipe": FLOAT,
        "model": model,
        "init_from": None,
        "optimizer": dataclasses.replace(STUDENT.optimizer, steps=steps),
        "finetune": STUDENT.finetune,
    }
    integers: list[Delta] = [
        {"name": "w8a8", "recipe": Recipe(), "optimizer.steps": 0},
        {"name": "w4a8", "recipe": W4A8, "optimizer.steps": 0},
    ]
    return [trained, *finetuned([trained], integers)]


STUDY = Study(
    "embeddings",
    EXPERIMENT,
    chain(
        PUBLISHED,
        student("student", STUDENT.model, steps=6000),  # type: ignore[arg-type]
        student("small student", SpeechEmbedding((12, 20, 34, 54, 68), relu=True), steps=3000),
    ),
)
