"""One model on three front ends: what does a device's own front end cost, when trained for it?

    aqtaudio sweep sweeps/frontends.py --data DIR [--resume]

The front ends are log-mel, the micro front end, and a vendor's port of it with its documented
deviations. On each there is a float run, and from it a W8A8 run that is trained in the integers of
the device. `results/frontends/README.md` uses these runs for what follows: a model behind another
front end than its own, and recalibrated to it.
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
