"""How an enhancer stands quiet speech and abrupt level steps.

An enhancer is a function of one signal, float32 [samples], from the zero state: what comes out is
as long and aligned with what went in. Results are rows of `metrics.summary`: what cannot be
measured (no speech, silence) is NaN.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.tasks.sound_quality import si_sdr

Enhancer = Callable[[np.ndarray], np.ndarray]

NOMINAL_DBFS = -25.0
FRAME_MS = 20
# A frame is active that is at most so much weaker than the loudest one.
ACTIVE_RANGE_DB = 30.0
SMOOTHED_FRAMES = 5
RECOVERED_DB = 3.0
# Ratios below are given as this one: what is muted entirely still has a number.
FLOOR_DB = -120.0
WINDOWS_MS = ((0, 500), (500, 1500), (1500, 3000), (3000, None))


def level_curve(
    clean: np.ndarray,
    noisy: np.ndarray,
    levels_dbfs: Sequence[float],
    enhance: Enhancer,
    sample_rate_hz: int = 16000,
    nominal_dbfs: float = NOMINAL_DBFS,
) -> list[dict[str, float]]:
    """One mixture at several levels, each enhanced from the zero state.

    Args:
      clean: speech [samples] float, as it is inside of `noisy` [samples].
      levels_dbfs: RMS of the whole mixture against full scale 1, which it may exceed in peaks:
        nothing is clipped.

    Returns:
      One row per level: `level_dbfs`; `si_sdr_db`; `si_sdr_improvement_db` against the mixture;
      `output_ratio_db`: energy of what came out, divided by the gain of the level, over that at
      `nominal_dbfs`, in the frames of active speech (20 ms frames of `clean` at most 30 dB below
      its loudest one). 0 at all levels where the level does not matter.
    """
    rms = math.sqrt(np.mean(np.square(noisy, dtype=np.float64)))
    if not rms:
        names = ("si_sdr_db", "si_sdr_improvement_db", "output_ratio_db")
        return [
            {"level_dbfs": float(level)} | dict.fromkeys(names, math.nan) for level in levels_dbfs
        ]

    def enhanced(level_dbfs: float) -> np.ndarray:
        gain = 10 ** (level_dbfs / 20) / rms
        return np.asarray(enhance((noisy * gain).astype(np.float32)), np.float64) / gain

    before_db = si_sdr(clean, noisy)
    active = _active(_energies(clean, sample_rate_hz))
    nominal = enhanced(nominal_dbfs)
    rows = []
    for level in levels_dbfs:
        output = nominal if level == nominal_dbfs else enhanced(level)
        energies = [_energies(x, sample_rate_hz)[active].sum() for x in (output, nominal)]
        after_db = si_sdr(clean, output)
        rows.append(
            {
                "level_dbfs": float(level),
                "si_sdr_db": after_db,
                "si_sdr_improvement_db": after_db - before_db,
                "output_ratio_db": _ratio_db(*energies),
            }
        )
    return rows


def step_recovery(
    clean: np.ndarray,
    noisy: np.ndarray,
    step_db: float,
    at_seconds: float,
    enhance: Enhancer,
    sample_rate_hz: int = 16000,
) -> dict[str, float]:
    """What an abrupt change of level costs, and for how long.

    The mixture is enhanced twice: as it is, and scaled by `step_db` from `at_seconds` on; what
    comes out after the step is divided by it again. Frames of 20 ms start with the step; of each,
    only the energy that both runs have counts as kept (so what is louder after the step makes up
    for nothing). Frames count that are at most 30 dB below the loudest one after the step both in
    `clean` and in what comes out without a step: active speech. A loss is that of the energy kept
    against the energy without a step, in dB, 0 at best and 120 at most.

    Returns:
      `loss_0_500_ms_db`, `loss_500_1500_ms_db`, `loss_1500_3000_ms_db`, `loss_3000_ms_on_db`: over
      the active frames that start so long after the step; NaN without any.
      `recovery_ms`: end of the last active frame whose loss, over the active ones of the five
      frames around it (100 ms), is 3 dB or more. 0 without such a frame, infinite where no active
      frame follows it, NaN without active frames.
      `recovered`: 1 where `recovery_ms` is finite, 0 where it is infinite (a mean leaves infinite
      times out: read it with this share).

    Raises:
      BadInput: less than one frame lies before or after the step.
    """
    at = round(at_seconds * sample_rate_hz)
    frame = _frame_samples(sample_rate_hz)
    if not frame <= at <= len(noisy) - frame:
        seconds = len(noisy) / sample_rate_hz
        raise BadInput(f"a step at {at_seconds:g} s of {seconds:g} s; it has to lie inside")
    gain = 10 ** (step_db / 20)
    stepped = np.concatenate([noisy[:at], noisy[at:] * gain])
    plain, changed = (
        _energies(
            np.asarray(enhance(x.astype(np.float32)), np.float64)[at:] / scale, sample_rate_hz
        )
        for x, scale in ((noisy, 1.0), (stepped, gain))
    )
    active = _active(_energies(clean[at:], sample_rate_hz)) & _active(plain)
    whole = np.where(active, plain, 0.0)
    kept = np.minimum(whole, changed)
    losses = {}
    for start_ms, stop_ms in WINDOWS_MS:
        name = f"{start_ms}_ms_on" if stop_ms is None else f"{start_ms}_{stop_ms}_ms"
        window = slice(start_ms // FRAME_MS, stop_ms and stop_ms // FRAME_MS)
        losses[f"loss_{name}_db"] = 0.0 - _ratio_db(kept[window].sum(), whole[window].sum())
    recovery_ms = _recovery_ms(kept, whole, active)
    recovered = math.nan if math.isnan(recovery_ms) else float(math.isfinite(recovery_ms))
    return losses | {"recovery_ms": recovery_ms, "recovered": recovered}


def _recovery_ms(kept: np.ndarray, whole: np.ndarray, active: np.ndarray) -> float:
    if not active.any():
        return math.nan
    lost = active & (_smoothed(kept) <= 10 ** (-RECOVERED_DB / 10) * _smoothed(whole))
    if not lost.any():
        return 0.0
    end = int(np.flatnonzero(lost)[-1]) + 1
    return float(end * FRAME_MS) if active[end:].any() else math.inf


def _smoothed(energies: np.ndarray) -> np.ndarray:
    """Sums over the frames around each."""
    around = SMOOTHED_FRAMES // 2
    return np.convolve(energies, np.ones(SMOOTHED_FRAMES))[around : around + len(energies)]


def _frame_samples(sample_rate_hz: int) -> int:
    return sample_rate_hz * FRAME_MS // 1000


def _energies(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """[frames], whole frames only."""
    frame = _frame_samples(sample_rate_hz)
    whole = samples[: len(samples) // frame * frame].astype(np.float64)
    return np.square(whole.reshape(-1, frame)).sum(axis=1)


def _active(energies: np.ndarray) -> np.ndarray:
    loudest = energies.max(initial=0.0)
    return (energies > 0) & (energies >= loudest * 10 ** (-ACTIVE_RANGE_DB / 10))


def _ratio_db(energy: float, reference: float) -> float:
    if not reference:
        return math.nan
    return float(10 * np.log10(max(energy / reference, 10 ** (FLOOR_DB / 10))))
