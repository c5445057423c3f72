"""What do networks of a tenth of the size keep, as published, in integers?

    aqtaudio sweep sweeps/denoise_small.py --data DIR [--resume]

GTCRN and UL-UNAS from their published weights, which lie below `golden` in the folder that
`$AQTAUDIO_SHARED` names (default: `shared` beside the checkout): in float, and in 16x8 without
training. The rows go to the study `denoise`. As published a network hears the level that is there; at a running level it
hears all levels alike.
"""

import os
from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.recipe import FLOAT
from aqtaudio.study.space import Delta, Study

CONFIGS = Path(__file__).parents[1] / "configs"
SHARED = Path(os.environ.get("AQTAUDIO_SHARED", "../shared"))
GTCRN, UL_UNAS = (load_config(CONFIGS / f"denoise_{name}.py") for name in ("gtcrn", "ul_unas"))


def published(name: str, weights: str, **changes: object) -> list[Delta]:
    """The float network, and its integers, at the level that is heard and at a running one."""
    given: Delta = {"init_from": str(SHARED / "golden" / weights), **changes}
    heard = {"frontend.level": "as_is", "task.mixing.level_dbfs": (-60.0, -15.0)}
    return [
        {**given, **heard, "name": name, "recipe": FLOAT},
        {**given, **heard, "name": f"{name}, 16x8"},
        {**given, "name": f"{name}, running level", "recipe": FLOAT},
        {**given, "name": f"{name}, running level, 16x8"},
    ]


STUDY = Study(
    "denoise",
    GTCRN,
    [
        *published("GTCRN", "gtcrn/weights_dns3_stream.npz"),
        *published(
            "UL-UNAS",
            "ul_unas/weights_dns3.npz",
            model=UL_UNAS.model,
            frontend=UL_UNAS.frontend,
            **{"task.filtering": UL_UNAS.task.filtering},
        ),
    ],
)
