"""How a run stands quiet recordings and level steps, measured on the mixtures that it is scored on.

Published noise suppressors fall silent at low levels and after abrupt steps; a score at one level
does not show it.
"""

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from aqtaudio.data.audio import to_float
from aqtaudio.errors import BadInput
from aqtaudio.tasks import sound_quality
from aqtaudio.tasks.enhancement import whole
from aqtaudio.tasks.enhancement.data import EnhancementData, MixtureItem
from aqtaudio.tasks.enhancement.levels import level_curve, step_recovery
from aqtaudio.tasks.enhancement.task import Enhancement, frontend_of
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.task import Network

LEVELS_DBFS = (-60.0, -50.0, -40.0, -25.0, -10.0)
STEPS_DB = (-30.0, 30.0)
SOON_MS = 100


def robustness(
    network: Network,
    task: Enhancement,
    data: EnhancementData,
    items: Sequence[MixtureItem],
    setup: Setup,
    levels_dbfs: Sequence[float] = LEVELS_DBFS,
    steps_db: Sequence[float] = STEPS_DB,
) -> dict[str, Any]:
    """What `robustness` tells.

    Mixtures are brought to their levels as floats: the figures say what the model does, not what a
    converter does. Steps are in the middle of a mixture; a step up starts that much below the usual
    level.

    Returns:
      {"n", "levels": [summary of `level_curve`, one per level], "steps":
      [{"step_db", ... summary of `step_recovery`, "recovery_ms_median", "recovery_ms_worst",
      "recovered_within_100_ms" (share)}]}; a recovery that never came is null.
    """
    noisy, clean = (to_float(x) for x in data.evaluation_arrays(items))
    speakers = [data.speaker_of(item) for item in items]
    rate_hz, frontend = data.sample_rate_hz, frontend_of(setup)

    def enhance(clip: np.ndarray) -> np.ndarray:
        return whole.of_audio(network, clip[None], task.filtering, frontend)[0]

    pairs = list(zip(clean, noisy, strict=True))
    curves = [level_curve(c, n, levels_dbfs, enhance, rate_hz) for c, n in pairs]
    levels = [
        {"level_dbfs": level}
        | sound_quality.summary([_figures(curve[i]) for curve in curves], speakers)
        for i, level in enumerate(levels_dbfs)
    ]
    seconds = noisy.shape[1] / rate_hz / 2
    steps = []
    for step_db in steps_db:
        before = 10 ** (-max(step_db, 0) / 20)
        found = [
            step_recovery(c * before, n * before, step_db, seconds, enhance, rate_hz)
            for c, n in pairs
        ]
        times = sorted(x["recovery_ms"] for x in found if not math.isnan(x["recovery_ms"]))
        if not times:
            raise BadInput(
                f"after a step of {step_db:+g} dB no mixture has speech that the run lets through"
            )
        recovery = {
            "recovery_ms_median": _finite(statistics.median_low(times)),
            "recovery_ms_worst": _finite(times[-1]),
            f"recovered_within_{SOON_MS}_ms": sum(t <= SOON_MS for t in times) / len(times),
        }
        steps.append({"step_db": step_db} | sound_quality.summary(found, speakers) | recovery)
    return {"n": len(items), "levels": levels, "steps": steps}


def _figures(row: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in row.items() if name != "level_dbfs"}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
