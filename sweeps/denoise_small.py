"""What do networks of a tenth of the size keep, as published, in integers?

    aqtaudio sweep sweeps/denoise_small.py --data DIR [--resume]

GTCRN and UL-UNAS from their published weights, which lie below `golden` in the folder that
`$AQTAUDIO_SHARED` names (default: `shared` beside the checkout): in float, and in 16x8 without
training. The rows go to the study `denoise`. As published a network hears the level that is there;
at a running level it hears all levels alike.
"""

import os
from pathlib import Path

from aqtaudio.experiment import Experiment, load_config
from aqtaudio.frontends.band_spectrum import BandSpectrum
from aqtaudio.recipe import FLOAT
from aqtaudio.study.space import Delta, Study
from aqtaudio.tasks.enhancement.masking import Masking

CONFIGS = Path(__file__).parents[1] / "configs"
SHARED = Path(os.environ.get("AQTAUDIO_SHARED", "../shared"))
GTCRN, UL_UNAS = (load_config(CONFIGS / f"denoise_{name}.py") for name in ("gtcrn", "ul_unas"))


def published(
    name: str, config: Experiment, as_published: BandSpectrum, masking: Masking, weights: str
) -> list[Delta]:
    """The float network, and its integers, at the level that is heard and at a running one."""
    given: Delta = {
        "model": config.model,
        "frontend": config.frontend,
        "task.filtering": masking,
        "init_from": str(SHARED / "golden" / weights),
    }
    heard: Delta = {
        **given,
        "frontend": as_published,
        "task.mixing.level_dbfs": (-60.0, -15.0),
    }
    return [
        {**heard, "name": name, "recipe": FLOAT},
        {**heard, "name": f"{name}, 16x8"},
        {**given, "name": f"{name}, running level", "recipe": FLOAT},
        {**given, "name": f"{name}, running level, 16x8"},
    ]


STUDY = Study(
    "denoise",
    GTCRN,
    [
        *published(
            "GTCRN",
            GTCRN,
            BandSpectrum(kind="spectrum"),
            Masking("complex"),
            "gtcrn/weights_dns3_stream.npz",
        ),
        *published(
            "UL-UNAS",
            UL_UNAS,
            BandSpectrum(kind="log"),
            Masking("real"),
            "ul_unas/weights_dns3.npz",
        ),
    ],
)
