"""Six commands and words that nobody thought of, in at most 64 KB that stand alone.

    aqtaudio sweep sweeps/commands_alone.py --data DIR --data SPEECH --data WORDS --data SHORT \\
        [--resume]

Runs are ranked as those of `commands.py` are; their network has no encoder before it. From the
float model of the first, other quantized phases start, in which unknown clips weigh more and states
are looked at more often. The longer one has one seed. "last state": the float phase is not ended at
the state that is best on the validation list, but trained to its end.
"""

from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.study.space import Study, chain, finetuned, param, product

CONFIGS = Path(__file__).parents[1] / "configs"
ALONE = product([{"name": "alone", "optimizer.patience": 100}], param("seed", 0, 1, 2))
HEAVIER = {
    "name": "unknown x 3",
    "optimizer.steps": 0,
    "finetune.steps": 800,
    "evaluate_every": 100,
    "task.unknown_weight": 3.0,
    "init_differs": ("task",),
}
LAST = product([{"name": "last state"}], param("seed", 0, 1, 2))
LONGER = HEAVIER | {"name": "unknown x 3, longer", "finetune.steps": 1600, "evaluate_every": 200}
STUDY = Study(
    "commands_alone",
    load_config(CONFIGS / "commands_alone.py"),
    chain(
        *(ALONE, finetuned(ALONE, [HEAVIER]), finetuned(ALONE[:1], [LONGER])),
        *(LAST, finetuned(LAST, [HEAVIER | {"finetune.steps": 1200}])),
    ),
)
