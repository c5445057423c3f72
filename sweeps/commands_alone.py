"""Six commands and words that nobody thought of, in at most 64 KB that stand alone.

    aqtaudio sweep sweeps/commands_alone.py --data DIR --data SPEECH --data WORDS --data SHORT \\
        [--resume]

Runs are ranked as those of `commands.py` are; their network has no encoder before it.
"""

from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.study.space import Study, param, product

CONFIGS = Path(__file__).parents[1] / "configs"
POINTS = [{"name": "whole clips"}]
STUDY = Study(
    "commands_alone",
    load_config(CONFIGS / "commands_alone.py"),
    product(POINTS, param("seed", 0)),
)
