"""enhancement_constants.h of a noise suppressor whose network puts out a mask of bands."""

import numpy as np

from aqtaudio.frontends import band_spectrum
from aqtaudio.frontends.band_spectrum import BandSpectrum
from aqtaudio.program.c_text import edge_macros, literal, macro
from aqtaudio.program.program import Edge
from aqtaudio.tasks.enhancement.device.header import for_listeners
from aqtaudio.tasks.enhancement.masking import Masking


def constants(frontend: BandSpectrum, masking: Masking, given: Edge, made: Edge) -> str:
    """C text: macros, which take no memory. `given` goes into the network, `made` comes out."""
    settings = _sizes(frontend, masking) | for_listeners(masking)
    lines = "\n".join(f"#define ENHANCEMENT_{name} {value}" for name, value in settings.items())
    seen = {
        "log": "log10 of the magnitude",
        "spectrum": "(magnitude, re, im)",
        "compressed": "(re, im), compressed,",
    }[frontend.kind]
    mask = "(re, im) of the mask" if masking.parts == 2 else "the mask"
    return f"""\
/* Of this run; enhancement_dsp.c reads them. */
#ifndef ENHANCEMENT_CONSTANTS_H
#define ENHANCEMENT_CONSTANTS_H

{lines}

/* Into the network: {seen} of each of {frontend.bands} bands.
   code = round(value / scale) + zero point, clipped. */
{edge_macros("ENHANCEMENT_INPUT", given)}

/* Out of it: {mask} of each band.
   value = (code - zero point) * scale. */
{edge_macros("ENHANCEMENT_OUTPUT", made)}

{_bands(frontend)}/* Of analysis and synthesis. */
{macro("ENHANCEMENT_WINDOW", frontend.window())}

#endif
"""


def _bands(frontend: BandSpectrum) -> str:
    """Macros of the bands above the low bins, where there are any."""
    if not frontend.high_bands:
        return ""
    bands, shares = bands_of_bins(frontend)
    return f"""\
/* Of every bin above the low ones: its band, counted from the first that is not a bin, and the
   share that the band after it has. */
{macro("ENHANCEMENT_BAND_OF", bands)}
{macro("ENHANCEMENT_NEXT_SHARE", shares)}

"""


def bands_of_bins(frontend: BandSpectrum) -> tuple[np.ndarray, np.ndarray]:
    """Of every bin above the low ones: its (first) band, and the next band's share, float32."""
    triangles = frontend.triangles()
    bands = (triangles > 0).argmax(1)
    after = np.pad(triangles, ((0, 0), (0, 1)))[np.arange(len(bands)), bands + 1]
    return bands, after


def state_bytes(frontend: BandSpectrum) -> int:
    """Of EnhancementState, which holds values of four bytes."""
    spectrum = 2 * frontend.bins
    scratch = max(frontend.features, spectrum + frontend.fft_samples)
    return 4 * (2 * frontend.hop_samples + spectrum + scratch + (frontend.level == "running"))


def _sizes(frontend: BandSpectrum, masking: Masking) -> dict[str, object]:
    return {
        "SAMPLE_RATE_HZ": frontend.sample_rate_hz,
        "HOP_SAMPLES": frontend.hop_samples,
        "FFT_SAMPLES": frontend.fft_samples,
        "BINS": frontend.bins,
        "LOW_BINS": frontend.low_bins,
        "BANDS": frontend.bands,
        "BAND_PARTS": frontend.features // frontend.bands,
        "MASK_PARTS": masking.parts,
        "LOG": int(frontend.kind == "log"),
        "COMPRESSED": int(frontend.kind == "compressed"),
        "SHRINKING": f"({literal(frontend.shrinking)})",
        "EXPANDED": int(masking.compression < 1),
        "EXPANDING": literal(masking.expanding),
        "SMALLEST": literal(band_spectrum.SMALLEST),
        "SKIPPED_FRAMES": frontend.skipped_frames,
        "DELAY_HOPS": frontend.skipped_frames + 1,
        "STATE_BYTES": state_bytes(frontend),
        "RUNNING_LEVEL": int(frontend.level == "running"),
    } | (_level(frontend) if frontend.level == "running" else {})


def _level(frontend: BandSpectrum) -> dict[str, object]:
    return {
        "LEVEL_STEPS": band_spectrum.LEVEL_STEPS,
        "LEVEL_FROM_BIN": frontend.level_from_bin,
        "LEVEL_FALL": frontend.level_fall,
        "LEVEL_LEAST": f"({frontend.level_least})",
        "LEVEL_SHOWN_DBFS": f"({literal(frontend.level_shown_dbfs)})",
    }
