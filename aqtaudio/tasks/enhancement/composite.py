"""Composite measures of enhanced speech: CSIG, CBAK and COVL, and what they are made of.

Y. Hu and P. C. Loizou, "Evaluation of Objective Quality Measures for Speech Enhancement", IEEE
TASLP 16(1), 2008: linear in PESQ, the log-likelihood ratio, the weighted spectral slope and the
segmental SNR, fitted to what listeners said of speech distortion, of the background and of both.
All are of speech at 16 kHz, in frames of 30 ms every 7.5 ms under a Hann window, as the authors'
program has them: that is what papers tell of VoiceBank-DEMAND.

Signals are float [samples], full scale 1, of one length.
"""

import functools
import math

import numpy as np

from aqtaudio.errors import BadInput

RATE_HZ = 16000
FRAME_SAMPLES = 480
HOP_SAMPLES = 120
KEPT = 0.95
"""Of the frames, those that differ least: outliers are left out of LLR and WSS."""
PREDICTOR_ORDER = 16
SILENCE = 1e-20
"""Added to a frame's energy: without it digital silence has no predictor."""
SNR_LIMITS_DB = (-10.0, 35.0)
FFT_SAMPLES = 1024
LEAST_ENERGY = 1e-10
GLOBAL_DB, LOCAL_DB = 20.0, 1.0
"""How far below the spectrum's, and the nearest, maximum a band counts half."""
CENTRES_HZ = (
    *(50.0, 120.0, 190.0, 260.0, 330.0, 400.0, 470.0, 540.0, 617.372, 703.378, 798.717, 904.128),
    *(1020.38, 1148.3, 1288.72, 1442.54, 1610.7, 1794.16, 1993.93, 2211.08, 2446.71, 2701.97),
    *(2978.04, 3276.17, 3597.63),
)
WIDTHS_HZ = (
    *(70.0, 70.0, 70.0, 70.0, 70.0, 70.0, 70.0, 77.3724, 86.0056, 95.3398, 105.411, 116.256),
    *(127.914, 140.423, 153.823, 168.154, 183.457, 199.776, 217.153, 235.631, 255.255, 276.072),
    *(298.126, 321.465, 346.136),
)


def composites(clean: np.ndarray, heard: np.ndarray, pesq: float) -> dict[str, float]:
    """CSIG, CBAK and COVL, 1 to 5 each, and the LLR, WSS and segmental SNR that they are made of.

    Args:
      clean: the reference.
      heard: what is judged.
      pesq: its wide-band PESQ (MOS-LQO), as papers take it at 16 kHz; NaN makes them NaN.

    Raises:
      BadInput: signals of other shapes, or shorter than 37.5 ms.
    """
    llr, wss = log_likelihood_ratio(clean, heard), weighted_spectral_slope(clean, heard)
    segmental_snr_db = segmental_snr(clean, heard)
    found = {
        "csig": 3.093 - 1.029 * llr + 0.603 * pesq - 0.009 * wss,
        "cbak": 1.634 + 0.478 * pesq - 0.007 * wss + 0.063 * segmental_snr_db,
        "covl": 1.594 + 0.805 * pesq - 0.512 * llr - 0.007 * wss,
    }
    limited = {name: float(np.clip(value, 1, 5)) for name, value in found.items()}
    return limited | {"llr": llr, "wss": wss, "segmental_snr_db": segmental_snr_db}


def log_likelihood_ratio(clean: np.ndarray, heard: np.ndarray) -> float:
    """How much worse the predictor of what is heard predicts the clean frame than its own: ln.

    The mean of the 95 % of frames with the least, order 16, 0 is best (Quackenbush, Barnwell and
    Clements, "Objective Measures of Speech Quality", 1988).
    """
    of_clean, of_heard = (_autocorrelation(_frames(x)) for x in _checked(clean, heard))
    lags = np.arange(PREDICTOR_ORDER + 1)
    matrices = of_clean[:, np.abs(lags[:, None] - lags)]

    def error(predictors: np.ndarray) -> np.ndarray:
        return np.einsum("fi,fij,fj->f", predictors, matrices, predictors)

    ratio = error(_predictors(of_heard)) / error(_predictors(of_clean))
    # The clean frame's own predictor is the best: below 1 is rounding.
    return _of_most(np.log(np.maximum(ratio, 1.0)))


def segmental_snr(clean: np.ndarray, heard: np.ndarray) -> float:
    """Mean over frames of the SNR in dB, each limited to -10 to 35 dB."""
    clean, heard = _checked(clean, heard)
    signal, noise = (np.square(_frames(x)).sum(1) for x in (clean, clean - heard))
    least = np.finfo(np.float64).eps
    return float(np.clip(10 * np.log10(signal / (noise + least) + least), *SNR_LIMITS_DB).mean())


def weighted_spectral_slope(clean: np.ndarray, heard: np.ndarray) -> float:
    """Squared difference of the slopes of 25 critical bands, in dB; peaks count most.

    The mean of the 95 % of frames with the least, 0 is best (D. Klatt, "Prediction of perceived
    phonetic distance from critical-band spectra", ICASSP 1982).
    """
    spectra = [_band_levels_db(_frames(x)) for x in _checked(clean, heard)]
    of_clean, of_heard = (np.diff(levels_db) for levels_db in spectra)
    weights = np.mean([_slope_weights(levels_db) for levels_db in spectra], axis=0)
    differences = np.square(of_clean - of_heard)
    return _of_most((weights * differences).sum(1) / weights.sum(1))


def _checked(*signals: np.ndarray) -> list[np.ndarray]:
    first = np.shape(signals[0])
    if len(first) != 1 or any(np.shape(x) != first for x in signals):
        shapes = ", ".join(str(list(np.shape(x))) for x in signals)
        raise BadInput(f"signals to compare have the shapes {shapes}; they are [samples], alike")
    if first[0] < FRAME_SAMPLES + HOP_SAMPLES:
        least_ms = 1000 * (FRAME_SAMPLES + HOP_SAMPLES) / RATE_HZ
        raise BadInput(f"{first[0]} samples are too few to compare; needed: {least_ms:g} ms")
    return [np.asarray(x, np.float64) for x in signals]


def _frames(samples: np.ndarray) -> np.ndarray:
    """[F, FRAME_SAMPLES] under the window. The authors leave out the last one that fits."""
    count = (len(samples) - FRAME_SAMPLES) // HOP_SAMPLES
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME_SAMPLES)[::HOP_SAMPLES]
    return frames[:count] * np.hanning(FRAME_SAMPLES + 2)[1:-1]


def _of_most(values: np.ndarray) -> float:
    """Mean of the least 95 %."""
    return float(np.sort(values)[: math.floor(KEPT * len(values) + 0.5)].mean())


def _autocorrelation(frames: np.ndarray) -> np.ndarray:
    """[F, PREDICTOR_ORDER + 1]."""
    ends = range(FRAME_SAMPLES, FRAME_SAMPLES - PREDICTOR_ORDER - 1, -1)
    found = [np.einsum("fs,fs->f", frames[:, :end], frames[:, -end:]) for end in ends]
    found[0] = found[0] + SILENCE
    return np.stack(found, 1)


def _predictors(autocorrelation: np.ndarray) -> np.ndarray:
    """Prediction error filters [F, PREDICTOR_ORDER + 1], from 1 on: Levinson and Durbin."""
    filters = np.zeros_like(autocorrelation)
    filters[:, 0], error = 1.0, autocorrelation[:, 0]
    for order in range(1, PREDICTOR_ORDER + 1):
        past = filters[:, :order]
        reflection = -np.sum(past * autocorrelation[:, order:0:-1], 1) / error
        filters[:, 1 : order + 1] += reflection[:, None] * past[:, ::-1]
        error = error * (1 - np.square(reflection))
    return filters


@functools.cache
def _band_filters() -> np.ndarray:
    """Gaussian bands [25, bins]; a wider one is lower, and what is 30 dB down is left out."""
    bins = FFT_SAMPLES // 2
    centres, widths = (np.array(x)[:, None] / (RATE_HZ / 2) * bins for x in (CENTRES_HZ, WIDTHS_HZ))
    distances = (np.arange(bins) - np.floor(centres)) / widths
    filters = np.exp(-11 * np.square(distances)) * (widths[0] / widths)
    return filters * (filters > math.exp(-30 / (2 * 2.303)))


def _band_levels_db(frames: np.ndarray) -> np.ndarray:
    """[F, 25]."""
    spectra = np.square(np.abs(np.fft.rfft(frames, FFT_SAMPLES)[:, :-1]))
    return 10 * np.log10(np.maximum(spectra @ _band_filters().T, LEAST_ENERGY))


def _slope_weights(levels_db: np.ndarray) -> np.ndarray:
    """Weights [F, 24] of the slopes of spectra [F, 25]: of a band near its peak, and the highest.

    Uphill the peak is that before the last rise, as the authors' program has it.
    """
    rises, bands = np.diff(levels_db) > 0, np.arange(24)
    falls_at = np.where(rises, 24, bands)
    ends = np.minimum.accumulate(falls_at[:, ::-1], 1)[:, ::-1]
    last_rise = np.maximum.accumulate(np.where(rises, bands, -1), 1)
    peaks_db = np.take_along_axis(levels_db, np.where(rises, ends - 1, last_rise + 1), 1)
    own_db, highest_db = levels_db[:, :-1], levels_db.max(1, keepdims=True)
    of_all = GLOBAL_DB / (GLOBAL_DB + highest_db - own_db)
    return of_all * LOCAL_DB / (LOCAL_DB + peaks_db - own_db)
