"""Six commands, words that nobody thought of, silence: heads on the speech embedding.

    aqtaudio sweep sweeps/commands.py --data DIR --data VOICES [--resume]

Runs are ranked by accuracy where the class of other words is of words that training never heard.
Each head has three seeds; `--batch 3` trains them as one program.
"""

from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.study.space import Study, param, product, zipped

CONFIGS = Path(__file__).parents[1] / "configs"
HEADS = zipped(
    param("name", "24-32", "16-16"), param("model.width", 24, 16), param("model.hidden", 32, 16)
)

STUDY = Study(
    "commands",
    load_config(CONFIGS / "commands_on_embedding.py"),
    product(HEADS, param("seed", 0, 1, 2)),
)
