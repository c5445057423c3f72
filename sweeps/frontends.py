"""One model on three front ends: what a device's own front end costs, matched.

    aqtaudio sweep sweeps/frontends.py --data DIR

Log-mel, the micro front end, and a vendor's port with its documented deviations; float, then native
W8A8. `results/frontends/README.md` goes on from these runs: mismatched and recalibrated.
"""

from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.recipe import FLOAT, W8A8
from aqtaudio.runs.frontend_named import NAMED
from aqtaudio.study.space import Study, finetuned

EXPERIMENT = load_config(Path(__file__).parents[1] / "configs" / "kws_four_words.py")
FRONTENDS = {"log mel": "log-mel", "micro": "micro-c", "vendor": "vendor"}
PARENTS = [
    {"name": name, "recipe": FLOAT, "frontend": NAMED[choice]} for name, choice in FRONTENDS.items()
]
NATIVE = [{"name": "w8a8", "recipe": W8A8, "optimizer.steps": 0}]

STUDY = Study("frontends", EXPERIMENT, [*PARENTS, *finetuned(PARENTS, NATIVE)])
