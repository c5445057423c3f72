"""Scores of enhanced speech, and their means with intervals.

Everything is scored at 16 kHz, whatever the rate of the signals, so that models of all rates
compare. A score that does not exist (no speech to score, say) is NaN: it is counted, and no mean
holds it. The packages pesq, pystoi and speechmos are optional, and so is visqol-python.
"""

import functools
import importlib.util
import math
import warnings
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from aqtaudio.errors import BadInput

SCORED_HZ = 16000
INSTALL = "pip install 'aqtaudio[quality]'"
QUALITY_PACKAGES = (
    *("pesq", "pystoi", "speechmos"),
    *("librosa", "onnxruntime", "pandas", "tqdm"),  # what speechmos imports
)
# The C code behind pesq holds 50 utterances, unchecked: speech of 40 s can end the process. An
# utterance and its pause take 0.4 s or more, so this much never holds 50.
PESQ_PIECE_S = 15
# pystoi needs 30 frames of 25.6 ms every 12.8 ms, and says this where silence leaves it fewer.
STOI_LEAST_S = 0.4
STOI_TOO_SHORT = 1e-5
RESAMPLES = 1000
CONFIDENCE = 0.95


def scores(
    reference: np.ndarray,
    noisy: np.ndarray,
    enhanced: np.ndarray,
    sample_rate_hz: int,
    with_models: bool = True,
) -> dict[str, float]:
    """All scores of one mixture.

    Args:
      reference: clean speech [samples], float in [-1, 1] or int16; the others likewise and as long.
      noisy: what was enhanced.
      enhanced: what came out, aligned with the reference.
      with_models: with PESQ, STOI and DNSMOS; SI-SDR takes a few ms, they about a second.

    Raises:
      BadInput: as `si_sdr`; a package is missing.
    """
    reference, noisy, enhanced = _scored(sample_rate_hz, reference, noisy, enhanced)
    after_db = si_sdr(reference, enhanced)
    found = {
        "si_sdr_db": after_db,
        "si_sdr_improvement_db": after_db - si_sdr(reference, noisy),
    }
    if with_models:
        found["pesq"] = pesq_wb(reference, enhanced, SCORED_HZ)
        found["stoi"] = stoi(reference, enhanced, SCORED_HZ)
        heard = dnsmos(enhanced, SCORED_HZ)
        found |= {f"dnsmos_{name}": value for name, value in heard.items()}
    return found


def models_are_installed() -> bool:
    """Whether PESQ, STOI and DNSMOS can be computed: `pip install "aqtaudio[quality]"`."""
    return all(importlib.util.find_spec(name) for name in QUALITY_PACKAGES)


def si_sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio in dB, both signals freed of their mean.

    Le Roux, Wisdom, Erdogan and Hershey, "SDR - half-baked or well done?", ICASSP 2019. NaN where
    either signal is silent (constant): the ratio is 0/0. Infinite without any distortion.

    Raises:
      BadInput: the signals are not [samples], not of one length, empty or not finite.
    """
    signals = _checked(reference, estimate)
    if not all(np.ptp(x) for x in signals):
        return math.nan
    target, heard = (x - x.mean() for x in signals)
    # Plain sums: threads of a matrix library cost more than they save here.
    target = target * (np.sum(heard * target) / np.sum(target * target))
    energies = [np.sum(np.square(x)) for x in (target, heard - target)]
    with np.errstate(divide="ignore"):
        target_db, distortion_db = 10 * np.log10(energies)
    return float(target_db - distortion_db)


def pesq_wb(reference: np.ndarray, degraded: np.ndarray, sample_rate_hz: int) -> float:
    """PESQ, wide band (ITU-T P.862.2), MOS-LQO from 1.04 to 4.64.

    More than 15 s are scored as the mean of equal pieces of at most 15 s (the recommendation is
    for 8 to 20 s); a piece without an utterance in the reference is left out. NaN where no
    utterance is found, where the degraded signal is silent, and below 1/4 s.
    """
    with _quality_packages():
        from pesq import PesqError, pesq
    reference, degraded = _scored(sample_rate_hz, reference, degraded)
    count = -(-len(reference) // (PESQ_PIECE_S * SCORED_HZ))
    found = []
    pieces = zip(np.array_split(reference, count), np.array_split(degraded, count), strict=True)
    for clean, heard in pieces:
        if not clean.any():
            continue
        value = pesq(SCORED_HZ, clean, heard, "wb", on_error=PesqError.RETURN_VALUES)
        if not value < 0:  # negative numbers are the codes of errors
            found.append(value)
    return float(np.mean(found)) if found else math.nan


def stoi(reference: np.ndarray, degraded: np.ndarray, sample_rate_hz: int) -> float:
    """Short-time objective intelligibility (Taal et al., TASLP 2011), 1 is best.

    NaN where the reference is silent or has less than about 0.4 s of speech.
    """
    with _quality_packages():
        from pystoi import stoi as stoi_of
    reference, degraded = _scored(sample_rate_hz, reference, degraded)
    if len(reference) < STOI_LEAST_S * SCORED_HZ or not reference.any():
        return math.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        value = float(stoi_of(reference, degraded, SCORED_HZ))
    return math.nan if value == STOI_TOO_SHORT else value


def visqol_is_installed() -> bool:
    """Whether `visqol` can be computed: `pip install "aqtaudio[visqol]"`."""
    return importlib.util.find_spec("visqol") is not None


def visqol(reference: np.ndarray, degraded: np.ndarray, sample_rate_hz: int) -> float:
    """ViSQOL v3, speech (Chinen et al., QoMEX 2020), mapped by its lattice: MOS-LQO from 1 to 5.

    NaN where a signal is silent.
    """
    reference, degraded = _scored(sample_rate_hz, reference, degraded)
    if not reference.any() or not degraded.any():
        return math.nan
    found = _visqol_model().measure_from_arrays(reference, degraded, sample_rate=SCORED_HZ)
    return float(found.moslqo)


def dnsmos(degraded: np.ndarray, sample_rate_hz: int) -> dict[str, float]:
    """DNSMOS P.835 (ovrl, sig, bak) and P.808 (p808) on the calibrated scale of speechmos.

    Reddy, Gopal and Cutler, ICASSP 2022. Windows of 9.01 s every second; a clip shorter than two of
    them is judged by its first 9.01 s, after repetition where it is shorter than that. It hears the
    level: compare at one level. It judges without a reference, and silence is given about 1.8 (bak
    3.5): never read it alone.
    """
    (samples,) = _scored(sample_rate_hz, degraded)
    model = _dnsmos_model()
    samples = (samples / max(1.0, np.abs(samples).max())).astype(np.float32)
    found = model(samples, SCORED_HZ, is_personalized_MOS=False)
    return {name: float(found[f"{name}_mos"]) for name in ("ovrl", "sig", "bak", "p808")}


def summary(
    rows: Sequence[Mapping[str, float]],
    groups: Sequence[Hashable] | None = None,
    snrs_db: Sequence[float] | None = None,
) -> dict[str, Any]:
    """Means over mixtures, ready for JSON.

    Args:
      rows: the scores of every mixture.
      groups: what each mixture belongs to (its speaker): mixtures of a group are alike, so groups
        are what is drawn again. None: every mixture stands for itself.
      snrs_db: the SNR of every mixture, for a summary each under "per_snr".

    Returns:
      `{metric: mean}`, with `intervals: {metric: [low, high]}` (95 %, percentile bootstrap, the
      same draws at every call; absent with fewer than two groups, too narrow with fewer than about
      ten), `n: {metric: mixtures in the mean}`, `left_out: {metric: mixtures without a finite
      score}` where there are any, and `per_snr: {"-5": {...}, ...}`. A metric without a finite
      score has no mean.
    """
    groups = list(range(len(rows))) if groups is None else groups
    found = _means(rows, groups)
    if snrs_db is not None:
        labelled = list(zip(rows, groups, snrs_db, strict=True))
        found["per_snr"] = {
            f"{snr_db:g}": _means(
                [row for row, _, own_db in labelled if own_db == snr_db],
                [group for _, group, own_db in labelled if own_db == snr_db],
            )
            for snr_db in sorted(set(snrs_db))
        }
    return found


def _means(rows: Sequence[Mapping[str, float]], groups: Sequence[Hashable]) -> dict[str, Any]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = np.array([[row.get(name, math.nan) for name in names] for row in rows], np.float64)
    table = table.reshape(len(rows), len(names))
    finite = np.isfinite(table)
    places = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    sums, counts = np.zeros((2, len(places), len(names)))
    for group, scored, values in zip(groups, finite, np.where(finite, table, 0), strict=True):
        sums[places[group]] += values
        counts[places[group]] += scored
    lows, highs = _bootstrap(sums, counts)
    found: dict[str, Any] = {"n": {}, "left_out": {}, "intervals": {}}
    for index, name in enumerate(names):
        n = int(counts[:, index].sum())
        found["n"][name] = n
        if n < len(rows):
            found["left_out"][name] = len(rows) - n
        if n:
            found[name] = float(sums[:, index].sum() / n)
        if np.count_nonzero(counts[:, index]) > 1:
            found["intervals"][name] = [float(lows[index]), float(highs[index])]
    return found


def _bootstrap(sums: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lows and highs of the means, from sums and counts [groups, metrics]."""
    groups, metrics = sums.shape
    if not groups:
        return np.zeros(metrics), np.zeros(metrics)
    draw, means = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        times = np.bincount(draw.integers(groups, size=groups), minlength=groups)
        with np.errstate(invalid="ignore"):
            means.append((times @ sums) / (times @ counts))
    tail = 50 * (1 - CONFIDENCE)
    with warnings.catch_warnings():  # a metric that no draw holds
        warnings.simplefilter("ignore", RuntimeWarning)
        lows, highs = np.nanpercentile(means, [tail, 100 - tail], axis=0)
    return lows, highs


def _checked(*signals: np.ndarray) -> list[np.ndarray]:
    """The signals as float64 of full scale 1."""
    for x in signals:
        if np.ndim(x) != 1 or not len(x) or len(x) != len(signals[0]):
            shapes = ", ".join(str(list(np.shape(s))) for s in signals)
            raise BadInput(f"signals to score have the shapes {shapes}; they are [samples], alike")
        if not np.isfinite(x).all():
            raise BadInput("a signal to score holds samples that are NaN or infinite")
    scales = [32768 if np.issubdtype(np.asarray(x).dtype, np.integer) else 1 for x in signals]
    return [np.asarray(x, np.float64) / scale for x, scale in zip(signals, scales, strict=True)]


def _scored(sample_rate_hz: int, *signals: np.ndarray) -> list[np.ndarray]:
    """The signals as float64 at the rate of scoring."""
    checked = _checked(*signals)
    if sample_rate_hz == SCORED_HZ:
        return checked
    return _checked(*(soxr.resample(x, sample_rate_hz, SCORED_HZ) for x in checked))


def dnsmos_file(name: str = "sig_bak_ovr.onnx") -> Path:
    """A file of DNSMOS' weights in the package speechmos: P.835, or `model_v8.onnx`, P.808."""
    with _quality_packages():
        from speechmos import dnsmos as package
    return Path(package.__file__).parent / "dnsmos_models" / name


@functools.cache
def _dnsmos_model() -> Any:
    """Loaded once, on one thread each: evaluations run beside one another."""
    with _quality_packages():
        import onnxruntime
        from speechmos import dnsmos as package  # and what that imports
    files = [str(dnsmos_file()), str(dnsmos_file("model_v8.onnx"))]
    model = package.DNSMOS(*files)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model.onnx_sess, model.p808_onnx_sess = (
        onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        for file in files
    )
    return model


@functools.cache
def _visqol_model() -> Any:
    if not visqol_is_installed():
        raise BadInput("scoring needs visqol-python; install it: pip install 'aqtaudio[visqol]'")
    from visqol import VisqolApi

    model = VisqolApi()
    model.create(mode="speech", use_lattice_model=True)
    return model


@contextmanager
def _quality_packages() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise BadInput(f"scoring needs the package {error.name}; install it: {INSTALL}") from error
