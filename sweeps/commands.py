"""Six commands, words that nobody thought of, silence: heads on the speech embedding.

    aqtaudio sweep sweeps/commands.py --data DIR --data VOICES [--resume]

Runs are ranked by accuracy where the class of other words is of words that training never heard.
Three seeds, which `--batch 3` trains as one program.
"""

from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.study.space import Study, param, product

CONFIGS = Path(__file__).parents[1] / "configs"

STUDY = Study(
    "commands",
    load_config(CONFIGS / "commands_on_embedding.py"),
    product([{"name": "24-32", "model.width": 24, "model.hidden": 32}], param("seed", 0, 1, 2)),
)
