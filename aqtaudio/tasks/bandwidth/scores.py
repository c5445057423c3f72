"""Scores of extended speech beside its wide-band original, and beside the narrow band."""

import hashlib
import math

import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.tasks import sound_quality

WINDOW_MS, HOP_MS = 32, 8
STEP = 1 / 32768
MOST_KNOWN = 1000
_KNOWN: dict[tuple[bytes, int, bool], dict[str, float]] = {}
"""Scores of narrow bands by what they were computed from."""
COMPARED = ("pesq", "visqol")
"""Whose difference to the narrow band's is told, clip by clip: speakers differ more."""
TITLES = {
    "lsd_high_db": "log-spectral distance, 4 to 8 kHz, dB",
    "lsd_db": "log-spectral distance, dB",
    "pesq": "PESQ (wide band)",
    "pesq_gain": "PESQ over that of the narrow band",
    "visqol": "ViSQOL (speech)",
    "visqol_gain": "ViSQOL over that of the narrow band",
    "dnsmos_ovrl": "DNSMOS, overall",
    "stoi": "STOI",
    "si_sdr_db": "SI-SDR, dB",
    "lsd_high_gain": "less distance in 4 to 8 kHz than the narrow band, share",
}


def scores(
    wide: np.ndarray,
    narrow: np.ndarray,
    made: np.ndarray,
    sample_rate_hz: int,
    with_models: bool = True,
    with_dnsmos: bool = False,
) -> dict[str, float]:
    """All scores of one clip, of what was made and, as "narrow_...", of what it was made from.

    Args:
      wide: the original [samples], float of full scale 1; the others likewise and as long.
      narrow: what was extended.
      made: what came out.
      sample_rate_hz: of all.
      with_models: with PESQ and STOI, and ViSQOL where it is installed.
      with_dnsmos: with DNSMOS too, which takes twice the time of all others.
    """
    found = _of(wide, made, sample_rate_hz, with_models)
    before = dict(_of_narrow(wide, narrow, sample_rate_hz, with_models))
    gain = 1 - found["lsd_high_db"] / before["lsd_high_db"]
    found["lsd_high_gain"] = gain
    if with_dnsmos:
        for signal, heard in ((found, made), (before, narrow)):
            signal["dnsmos_ovrl"] = sound_quality.dnsmos(heard, sample_rate_hz)["ovrl"]
    for name in COMPARED:
        if name in found:
            found[f"{name}_gain"] = found[name] - before[name]
    return found | {f"narrow_{name}": value for name, value in before.items()}


def _of_narrow(
    wide: np.ndarray, narrow: np.ndarray, sample_rate_hz: int, with_models: bool
) -> dict[str, float]:
    """As `_of`, once for all runtimes that are scored on one list."""
    signals = hashlib.sha1(wide.tobytes() + narrow.tobytes()).digest()
    key = signals, sample_rate_hz, with_models
    if key not in _KNOWN:
        if len(_KNOWN) >= MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[key] = _of(wide, narrow, sample_rate_hz, with_models)
    return _KNOWN[key]


def _of(
    wide: np.ndarray, made: np.ndarray, sample_rate_hz: int, with_models: bool
) -> dict[str, float]:
    found = log_spectral_distances_db(wide, made, sample_rate_hz)
    found["si_sdr_db"] = sound_quality.si_sdr(wide, made)
    if with_models:
        found["pesq"] = sound_quality.pesq_wb(wide, made, sample_rate_hz)
        found["stoi"] = sound_quality.stoi(wide, made, sample_rate_hz)
        if sound_quality.visqol_is_installed():
            found["visqol"] = sound_quality.visqol(wide, made, sample_rate_hz)
    return found


def log_spectral_distances_db(
    reference: np.ndarray, estimate: np.ndarray, sample_rate_hz: int
) -> dict[str, float]:
    """Log-spectral distance in dB over all frequencies, and over the upper half of the band.

    Per frame (Hann, 32 ms every 8 ms) the root of the mean square, over frequencies, of the
    difference of power spectra in dB; the mean over frames. Powers below what rounding to 16 bits
    leaves count as that. NaN where the reference is silent.

    Raises:
      BadInput: the signals are not of one length, or shorter than a window.
    """
    size, hop = WINDOW_MS * sample_rate_hz // 1000, HOP_MS * sample_rate_hz // 1000
    if len(reference) != len(estimate) or len(reference) < size:
        raise BadInput(
            f"signals to compare have {len(reference)} and {len(estimate)} samples; allowed: as "
            f"many of both, {size} or more"
        )
    if not np.any(reference):
        return {"lsd_db": math.nan, "lsd_high_db": math.nan}
    ours, theirs = (_decibels(x, size, hop) for x in (estimate, reference))
    apart = np.square(ours - theirs)
    half = apart.shape[-1] // 2
    return {
        "lsd_db": float(np.sqrt(apart.mean(-1)).mean()),
        "lsd_high_db": float(np.sqrt(apart[:, half:].mean(-1)).mean()),
    }


def _decibels(signal: np.ndarray, size: int, hop: int) -> np.ndarray:
    window = np.hanning(size + 1)[:-1]
    frames = np.lib.stride_tricks.sliding_window_view(np.asarray(signal, np.float64), size)[::hop]
    power = np.square(np.abs(np.fft.rfft(frames * window)))
    floor = np.square(window).sum() * STEP**2 / 12
    return 10 * np.log10(np.maximum(power, floor))
