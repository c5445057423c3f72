"""What do networks of a tenth of the size keep, as published, in integers?

    aqtaudio sweep sweeps/denoise_small.py --data DIR [--resume]

GTCRN and UL-UNAS from their published weights, which lie below `golden` in the folder that
`$AQTAUDIO_SHARED` names (default: `shared` beside the checkout): in float, and in 16x8 without
training. The rows go to the study `denoise`. As published a network hears the level that is there;
at a running level it hears all levels alike.

"tuned" is UL-UNAS fine-tuned in float, in four turns: what an ear notices is in the loss (after
PESQ), then what DNSMOS misses too. Its targets are full-band recordings that DeepFilterNet3 has
cleaned: those of both folders, `--data ../shared/data --data ../shared/speech`.
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


UL_UNAS_ROWS = published(
    "UL-UNAS",
    UL_UNAS,
    BandSpectrum(kind="log"),
    Masking("real"),
    "ul_unas/weights_dns3.npz",
)


def after(parent: Delta, name: str, changes: Delta) -> Delta:
    """Started from its result."""
    return {**parent, **changes, "name": name, "init_from": parent}


def heard(steps: int, ear: float, dnsmos: float = 0.0, spectra: float = 500.0) -> Delta:
    """Fine-tuned in float, with weights of the loss's parts."""
    return {
        "init_differs": ("task",),
        "task.full_band": True,
        "task.cleaned_by": str(SHARED / "golden/deepfilternet3/weights_folded.npz"),
        "task.loss.disturbance_weight": ear,
        "task.loss.dnsmos_weight": dnsmos,
        "task.loss.complex_weight": spectra,
        "optimizer.steps": steps,
    }


# Gradients of the parts at the first one's end: of the spectra 65 (the norm of a mean over six
# batches), of 1 of the ear 8, of 1 of DNSMOS 9. The last pulls against the spectra (a cosine of
# -0.53), so that the weights were sought in turns.
TUNED: list[Delta] = []
for number, change in enumerate(
    (
        heard(500, ear=8.0),
        heard(600, ear=5.0, dnsmos=6.0, spectra=1000.0),
        heard(900, ear=9.0, dnsmos=8.0, spectra=700.0),
        heard(700, ear=9.0, dnsmos=5.5, spectra=1000.0),
    )
):
    parent = TUNED[-1] if TUNED else UL_UNAS_ROWS[2]
    TUNED.append(after(parent, f"UL-UNAS, tuned, turn {number + 1}", change))


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
        *UL_UNAS_ROWS,
        *TUNED,
        after(TUNED[-1], "UL-UNAS, tuned, 16x8", {"recipe": UL_UNAS.recipe, "optimizer.steps": 0}),
    ],
)
