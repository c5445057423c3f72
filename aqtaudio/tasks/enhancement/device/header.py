"""enhancement_constants.h: what the C side of a noise suppressor reads of its run."""

import numpy as np

from aqtaudio.frontends import deep_filter
from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.program.c_text import edge_macros, literal, macro
from aqtaudio.program.program import Edge
from aqtaudio.tasks.enhancement import changing
from aqtaudio.tasks.enhancement import filtering as filters
from aqtaudio.tasks.enhancement.changing import Changing
from aqtaudio.tasks.enhancement.filtering import Filtering

INVARIANCE = (
    *("OVERALL_NEW", "USUAL_MAGNITUDE", "SILENT_POWER", "FIRST_RISE_DB", "MOST_RISE_DB"),
    *("MINIMUM_RISE_DB", "LOW_QUANTILE", "STEP_DB", "USUAL_ABOVE_DB"),
)
"""Constants of `frontends.deep_filter` that only level invariance reads."""


def constants(frontend: DeepFilterFeatures, filtering: Filtering, given: Edge, made: Edge) -> str:
    """C text: macros, which take no memory. `given` goes into the network, `made` comes out."""
    settings = _sizes(frontend, filtering) | _numbers(frontend) | _results(filtering)
    lines = "\n".join(f"#define ENHANCEMENT_{name} {value}" for name, value in settings.items())
    edges = np.cumsum([0, *frontend.widths])
    start = frontend.initial_state(1)
    return f"""\
/* Of this run; enhancement_dsp.c reads them. */
#ifndef ENHANCEMENT_CONSTANTS_H
#define ENHANCEMENT_CONSTANTS_H

{lines}

/* Into the network: {frontend.bands} levels of bands; (re, im) of each of
   {frontend.filtered_bins} low bins.
   code = round(value / scale) + zero point, clipped. */
{edge_macros("ENHANCEMENT_INPUT", given)}

/* Out of it: {frontend.bands} gains of bands; (re, im) of {filtering.taps} taps, the oldest frame's
   first, of each of {frontend.filtered_bins} low bins; the local signal-to-noise ratio as 0 to 1.
   value = (code - zero point) * scale. */
{edge_macros("ENHANCEMENT_OUTPUT", made)}

/* Bins of bands from the lowest; band i has those from edge i to before edge i + 1. */
{macro("ENHANCEMENT_BAND_WIDTHS", np.asarray(frontend.widths))}
{macro("ENHANCEMENT_BAND_EDGES", edges)}

/* Running means before the first frame: of band levels in dB, of magnitudes of low bins. */
{macro("ENHANCEMENT_LEVEL_STARTS", np.asarray(start.levels[0]))}
{macro("ENHANCEMENT_MAGNITUDE_STARTS", np.asarray(start.magnitudes[0]))}

/* Of analysis and synthesis. */
{macro("ENHANCEMENT_WINDOW", frontend.window())}

#endif
"""


def state_bytes(frontend: DeepFilterFeatures, filtering: Filtering) -> int:
    """Of EnhancementState, which holds values of four bytes."""
    spectrum = 2 * frontend.bins
    values = 2 * frontend.hop_samples + _spectra(frontend, filtering) * spectrum
    values += frontend.bands + frontend.filtered_bins + 2
    if frontend.level_invariant:
        values += frontend.bands + 3
    if frontend.fall_db:
        values += deep_filter.FALL_FRAMES * frontend.bands + 1
    return 4 * (values + max(frontend.features, spectrum + frontend.fft_samples))


def _spectra(frontend: DeepFilterFeatures, filtering: Filtering) -> int:
    """Frames from the oldest that a filter sees to the newest."""
    return frontend.skipped_frames + filtering.taps - filtering.ahead


def _sizes(frontend: DeepFilterFeatures, filtering: Filtering) -> dict[str, object]:
    return {
        "SAMPLE_RATE_HZ": frontend.sample_rate_hz,
        "HOP_SAMPLES": frontend.hop_samples,
        "FFT_SAMPLES": frontend.fft_samples,
        "BINS": frontend.bins,
        "BANDS": frontend.bands,
        "FILTERED_BINS": frontend.filtered_bins,
        "SKIPPED_FRAMES": frontend.skipped_frames,
        "DELAY_HOPS": frontend.skipped_frames + 1,
        "TAPS": filtering.taps,
        "AHEAD": filtering.ahead,
        "SPECTRA": _spectra(frontend, filtering),
        "STATE_BYTES": state_bytes(frontend, filtering),
        "LEVEL_INVARIANT": int(frontend.level_invariant),
        "FALL_FRAMES": deep_filter.FALL_FRAMES if frontend.fall_db else 0,
    }


def _numbers(frontend: DeepFilterFeatures) -> dict[str, str]:
    """Of the normalisation."""
    numbers = {
        "DECAY": frontend.decay,
        "NEW_SHARE": 1 - frontend.decay,
        "POWER_FLOOR": deep_filter.POWER_FLOOR,
        "LEVEL_SCALE_DB": deep_filter.LEVEL_SCALE_DB,
    }
    if frontend.level_invariant:
        numbers |= {name: getattr(deep_filter, name) for name in INVARIANCE}
        numbers["OVERALL_START"] = frontend.initial_state(1).overall[0]
    if frontend.fall_db:
        numbers |= {"FALL_DB": frontend.fall_db, "HIGH_QUANTILE": deep_filter.HIGH_QUANTILE}
    return {name: literal(number) for name, number in numbers.items()}


def _results(filtering: Filtering) -> dict[str, object]:
    """What results do."""
    return {
        "LEAST_SNR_DB": literal(filters.LEAST_SNR_DB),
        "MOST_SNR_DB": literal(filters.MOST_SNR_DB),
        "GAINS_OF_ALL_BINS": int(filtering.gains == "all"),
    } | for_listeners(filtering)


def for_listeners(filtering: Changing) -> dict[str, object]:
    """Post-filter and limit."""
    limit = filtering.attenuation_limit_db
    results: dict[str, object] = {
        "HAS_POST_FILTER": int(filtering.post_filter > 0),
        "POST_FILTER": literal(filtering.post_filter),
        "TINY": literal(changing.TINY),
        "HAS_ATTENUATION_LIMIT": int(limit is not None),
    }
    if limit is not None:
        results["ATTENUATION_LIMIT_DB"] = literal(limit)
        results["KEPT"] = literal(10 ** (-limit / 20))
    return results
