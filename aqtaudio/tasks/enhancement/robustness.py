"""How a run stands quiet recordings, level steps and kinds of noise, measured on the mixtures that
it is scored on.

Published noise suppressors fall silent at low levels and after abrupt steps; a score at one level
does not show it.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.tasks import sound_quality
from aqtaudio.tasks.enhancement import noise_kinds
from aqtaudio.tasks.enhancement.levels import level_curve, step_recovery

LEVELS_DBFS = (-60.0, -50.0, -40.0, -25.0, -10.0)
STEPS_DB = (-30.0, 30.0)
SOON_MS = 100


def robustness(
    enhance: Callable[[np.ndarray], np.ndarray],
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    speakers: Sequence[str],
    noises: Mapping[str, Sequence[np.ndarray]],
    rate_hz: int,
) -> dict[str, Any]:
    """What `robustness` tells.

    Mixtures are brought to their levels as floats: the figures say what the model does, not what a
    converter does. Steps are in the middle of a mixture; a step up starts that much below the usual
    level.

    Args:
      enhance: sound of sound, float32 [N], full scale 1.
      pairs: clean and noisy clips, float32 [N].
      speakers: of the clips; intervals are over them.
      noises: recordings of each kind, [N] each.
      rate_hz: of all sound.

    Returns:
      {"n", "levels": [summary of `level_curve`, one per level], "steps":
      [{"step_db", ... summary of `step_recovery`, "recovery_ms_median", "recovery_ms_worst",
      "recovered_within_100_ms" (share)}], "kinds": [rows of
      `noise_kinds.by_kind`]}; a recovery that never came is null.
    """
    curves = [level_curve(c, n, LEVELS_DBFS, enhance, rate_hz) for c, n in pairs]
    levels = [
        {"level_dbfs": level}
        | sound_quality.summary([_figures(curve[i]) for curve in curves], speakers)
        for i, level in enumerate(LEVELS_DBFS)
    ]
    seconds = len(pairs[0][1]) / rate_hz / 2
    steps = []
    for step_db in STEPS_DB:
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
    with_models = sound_quality.models_are_installed()
    speech = [clean for clean, _ in pairs]
    kinds = noise_kinds.by_kind(enhance, noises, speech, rate_hz, with_models)
    return {"n": len(pairs), "levels": levels, "steps": steps, "kinds": kinds}


def lines(told: Mapping[str, Any]) -> list[str]:
    """What `robustness` returned, for people."""
    found = [
        f"{row['level_dbfs']:6.0f} dBFS  SI-SDR {_signed(row, 'si_sdr_improvement_db')} dB better, "
        f"output {_signed(row, 'output_ratio_db')} dB"
        for row in told["levels"]
    ]
    for row in told["steps"]:
        times = (row["recovery_ms_median"], row["recovery_ms_worst"])
        median, worst = ("never" if t is None else f"{t:.0f} ms" for t in times)
        lost = _signed(row, "loss_0_500_ms_db").removeprefix("+")
        found.append(
            f"{row['step_db']:+6.0f} dB    {lost} dB lost in 500 ms; "
            f"recovered after {median} (median), {worst} (worst), "
            f"{100 * row[f'recovered_within_{SOON_MS}_ms']:.0f} % within {SOON_MS} ms"
        )
    return found + noise_kinds.lines(told["kinds"])


def _signed(row: Mapping[str, Any], name: str) -> str:
    return f"{row[name]:+.1f}" if name in row else "?"


def _figures(row: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in row.items() if name != "level_dbfs"}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
