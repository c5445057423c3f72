"""What recordings go through before a device hears them: levels, steps, DC, clipping, noise.

Functions of int16 clips [n, N] that give int16 clips [n, N], as a converter of 16 bits would.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

FULL_SCALE = 32768.0
NOMINAL_DBFS = -25.0
"""RMS of a clip in conditions that are not about its level."""
LEVELS_DBFS = (-60.0, -50.0, -40.0, -30.0, -25.0, -20.0, -10.0, -5.0, 0.0)
STEPS_DB = (-30.0, -15.0, 15.0, 30.0)
OFFSETS = (0.01, 0.05, 0.2)
"""DC, over full scale."""
CLIPPING_SHARES = (0.5, 0.25, 0.1)
"""Where clips are cut off, over their peaks."""
SNRS_DB = (20.0, 10.0, 5.0, 0.0, -5.0)

Change = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Condition:
    """One of them.

    Attributes:
      kind: "level", "step", "dc", "clipping" or "snr".
      value: in `unit`.
      unit: of it.
      change: what it does to clips.
    """

    kind: str
    value: float
    unit: str
    change: Change

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.kind} {self.value:+g} {self.unit}".replace("+", "+" * (self.kind == "step"))


def conditions(noises: Sequence[np.ndarray]) -> list[Condition]:
    """All of them. `noises`: recordings int16 [M]; without any there is no condition of noise."""
    found = [Condition("level", x, "dBFS", _change(at_level, x)) for x in LEVELS_DBFS]
    found += [Condition("step", x, "dB", _change(stepped, x)) for x in STEPS_DB]
    found += [Condition("dc", x, "of full scale", _change(with_offset, x)) for x in OFFSETS]
    found += [Condition("clipping", x, "of the peak", _change(clipped, x)) for x in CLIPPING_SHARES]
    if len(noises):
        found += [
            Condition("snr", x, "dB", lambda clips, x=x: in_noise(clips, noises, x))
            for x in SNRS_DB
        ]
    return found


def _change(function: Callable[[np.ndarray, float], np.ndarray], value: float) -> Change:
    return lambda clips: function(clips, value)


def at_level(clips: np.ndarray, level_dbfs: float) -> np.ndarray:
    """Clips brought to an RMS; what passes full scale is cut off. Silent ones stay silent."""
    return _codes(_levelled(clips, level_dbfs))


def stepped(clips: np.ndarray, step_db: float) -> np.ndarray:
    """Clips whose gain jumps in their middle, to the nominal level or down from it."""
    sound = _levelled(clips, NOMINAL_DBFS - max(step_db, 0.0))
    sound[:, sound.shape[1] // 2 :] *= 10 ** (step_db / 20)
    return _codes(sound)


def with_offset(clips: np.ndarray, share: float) -> np.ndarray:
    """Clips at the nominal level with a constant added, a share of full scale."""
    return _codes(_levelled(clips, NOMINAL_DBFS) + share * FULL_SCALE)


def clipped(clips: np.ndarray, share: float) -> np.ndarray:
    """Clips at the nominal level, cut off at a share of the peak of each."""
    sound = _levelled(clips, NOMINAL_DBFS)
    limit = share * np.max(np.abs(sound), axis=1, keepdims=True)
    return _codes(np.clip(sound, -limit, limit))


def in_noise(clips: np.ndarray, noises: Sequence[np.ndarray], snr_db: float) -> np.ndarray:
    """Clips with noise, at the nominal level together; the ratio is of energies over the clip.

    Which noise, and which part of it, follows from the clip's place alone.
    """
    count, length = clips.shape
    parts = np.stack([_part(noises, place, length) for place in range(count)])
    speech, noise = _levelled(clips, 0.0), _levelled(parts, -snr_db)
    return _codes(_to_level(speech + noise, NOMINAL_DBFS))


def _part(noises: Sequence[np.ndarray], place: int, length: int) -> np.ndarray:
    rng = np.random.default_rng([place, 1])
    noise = noises[int(rng.integers(len(noises)))]
    start = int(rng.integers(max(1, len(noise) - length + 1)))
    return np.resize(noise[start:], length)


def _levelled(clips: np.ndarray, level_dbfs: float) -> np.ndarray:
    return _to_level(clips.astype(np.float64), level_dbfs)


def _to_level(sound: np.ndarray, level_dbfs: float) -> np.ndarray:
    """Sound [n, N] in codes, each clip brought to an RMS; silent ones stay silent."""
    rms = np.sqrt(np.mean(np.square(sound), axis=1, keepdims=True))
    return sound * (FULL_SCALE * 10 ** (level_dbfs / 20) / np.where(rms > 0, rms, np.inf))


def _codes(sound: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(sound), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
