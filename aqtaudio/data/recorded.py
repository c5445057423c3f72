"""Speech as people record it: some silence around it, a level, a floor of noise.

The ranges are those between which nine tenths of recordings of single words lie (6,500 clips of
Speech Commands and Arabic Speech Commands): 0.1 to 0.6 s of silence on either side, peaks of -26 to
-1 dB, quietest frames 75 to 40 dB below the peak.
"""

import numpy as np
import soxr

from aqtaudio.data import noises

SILENCE_S = (0.1, 0.6)
PEAK_DB = (-26.0, -1.0)
FLOOR_DB = (-75.0, -40.0)  # RMS, below the peak
_AUDIBLE = 0.01  # of the peak
_MARGIN_S = 0.02
_FADE_S = 0.005


def trimmed(samples: np.ndarray, rate_hz: float, to_hz: int) -> np.ndarray:
    """Speech at another rate without the silence around it, its edges faded.

    Args:
      samples: float [N], at any level.
      rate_hz: of the samples.
      to_hz: of the result.

    Returns:
      float32 [M], its peak 1; M = 0: there is nothing to hear, or it is not finite.
    """
    peak = np.abs(samples).max(initial=0.0)
    if not np.isfinite(samples).all() or peak < 1e-4:
        return np.zeros(0, np.float32)
    audible = np.flatnonzero(np.abs(samples) > _AUDIBLE * peak)
    margin = int(_MARGIN_S * rate_hz)
    voice = samples[max(0, audible[0] - margin) : audible[-1] + 1 + margin]
    voice = soxr.resample(voice.astype(np.float32), rate_hz, to_hz)
    edge = min(int(_FADE_S * to_hz), len(voice) // 2)
    if edge:
        ramp = np.linspace(0, 1, edge, endpoint=False, dtype=np.float32)
        voice[:edge] *= ramp
        voice[-edge:] *= ramp[::-1]
    return voice / max(float(np.abs(voice).max(initial=0.0)), 1e-9)


def recorded(
    voice: np.ndarray, clip_samples: int, rate_hz: int, rng: np.random.Generator
) -> np.ndarray:
    """Speech somewhere in a clip, over a quiet floor of noise, at a random level.

    Args:
      voice: float [N], its peak 1.
      clip_samples: length of the clip, at least N; 0: N and some silence on both sides.
      rate_hz: of both.
      rng: draws place, level and floor.

    Returns:
      float32 [clip_samples], or [N + silence], in (-1, 1).
    """
    before, after = (int(rng.uniform(*SILENCE_S) * rate_hz) for _ in range(2))
    if clip_samples:
        before = int(rng.integers(0, clip_samples - len(voice) + 1))
        after = clip_samples - len(voice) - before
    clip = np.pad(voice.astype(np.float32), (before, after))
    floor = noises.coloured(float(rng.uniform(0, 1.5)))(len(clip), rate_hz, rng)
    floor = floor / max(float(np.sqrt(np.mean(floor**2))), 1e-9)
    clip = clip + floor * 10 ** (rng.uniform(*FLOOR_DB) / 20)
    clip = clip / np.abs(clip).max() * 10 ** (rng.uniform(*PEAK_DB) / 20)
    return clip.astype(np.float32)
