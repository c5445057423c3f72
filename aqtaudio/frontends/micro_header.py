"""What an artifact says about its front end: headers for the device, for C and C++."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from aqtaudio.frontends.frontend import Quantize
from aqtaudio.frontends.golden_samples import golden_samples
from aqtaudio.program import c_text

MicroFrontend = Any
"""`frontends.micro.MicroFrontend`, which imports this file; `Tables` are its `tables`."""
Tables = Any
FEATURE_VALUES = 1 << 16


def files(
    frontend: MicroFrontend, tables: Tables, quantize: Quantize, values: int
) -> dict[str, str]:
    """Texts by their path in an artifact.

    firmware/frontend.h: the settings for the device's library, the integer tables as they should
    come out there, and the model's input code of every feature value. firmware/frontend_golden.h:
    samples and the features of them, which tell a front end that differs.
    """
    return {
        "firmware/frontend.h": header(frontend, tables, input_codes(frontend, quantize, values)),
        "firmware/frontend_golden.h": golden_header(frontend),
    }


def input_codes(frontend: MicroFrontend, quantize: Quantize, values: int) -> np.ndarray:
    """The model's input code of feature values 0, 1, 2, ...: [channels, values].

    The last value's code holds for all above. One row where channels are alike.
    """
    frames = values // frontend.channels
    steps = np.minimum(np.arange(-(-FEATURE_VALUES // frames) * frames), FEATURE_VALUES - 1)
    steps = np.repeat(steps[:, None], frontend.channels, 1).reshape(-1, frames, frontend.channels)
    codes = quantize(frontend.normalised(jnp.asarray(steps)))
    codes = codes.reshape(-1, frontend.channels).T[:, :FEATURE_VALUES]
    changes = np.flatnonzero((np.diff(codes, axis=1) != 0).any(axis=0))
    codes = codes[:, : changes[-1] + 2 if len(changes) else 1]
    return codes[:1] if (codes == codes[0]).all() else codes


def golden_header(frontend: MicroFrontend) -> str:
    """C and C++ text with samples and features."""
    samples = golden_samples(frontend)
    features, _ = frontend.integers(
        jnp.asarray(samples, jnp.int32)[None], frontend.initial_state(1)
    )
    rows = np.asarray(features[0])
    return _guarded(f"""\
// Samples, from a silent start, and the front end's features of them before anything else.
{c_text.array("static const int16_t", "kFrontendGoldenSamples", samples)}
{c_text.table("static const uint16_t", "kFrontendGoldenFeatures", rows)}
""")


def header(frontend: MicroFrontend, tables: Tables, codes: np.ndarray) -> str:
    """C and C++ text with settings, tables and input codes [channels or 1, values]."""
    library = "the C library" if frontend.variant == "c" else "TFLite Micro's signal operators"
    row = "channel" if len(codes) > 1 else "0"
    return _guarded(f"""\
// The front end that this model was trained on: TensorFlow's micro front end, {library}.
enum {{
  kFrontendSampleRateHz = {frontend.sample_rate_hz},
  kFrontendWindowSamples = {frontend.window_samples},
  kFrontendHopSamples = {frontend.hop_samples},
  kFrontendChannels = {frontend.channels},
}};

// Fills the C library's FrontendConfig; then FrontendPopulateState(config, state,
// kFrontendSampleRateHz).
{_config(frontend)}

// What a device must compute in its tables. Mathematics libraries differ: compare, or copy them.
{c_text.array("static const int16_t", "kFrontendWindow", tables.window)}
{c_text.array("static const int16_t", "kFrontendGains", _library_layout(tables.gains))}
// Spectrum bin kFrontendFirstBin + i lies in interval i of these: 0 ends where filter 0 is highest.
// It has its weight (falling) in the filter before, its unweight (rising) in the interval's.
enum {{ kFrontendFirstBin = {tables.filters.start} }};
{c_text.array("static const int16_t", "kFrontendFilterIntervals", tables.filters.intervals)}
{c_text.array("static const int16_t", "kFrontendFilterWeights", tables.filters.falling)}
{c_text.array("static const int16_t", "kFrontendFilterUnweights", tables.filters.rising)}

// The model's input code of a feature: kInputCodes[{row}][feature < kInputCodeValues ? feature :
// kInputCodeValues - 1].
enum {{ kInputCodeValues = {codes.shape[1]} }};
{c_text.table(f"static const {codes.dtype.name}_t", "kInputCodes", codes)}
""")


def _guarded(text: str) -> str:
    """A header for C, and for C++, where it is in the namespace."""
    return f"""\
#pragma once

#include <stdint.h>

#ifdef __cplusplus
namespace aqtaudio {{
#endif

{text}
#ifdef __cplusplus
}}  // namespace aqtaudio
#endif
"""


def _library_layout(gains: np.ndarray) -> np.ndarray:
    """int16 [125]: the gains at 0 and 1, then four values an octave, the last of them empty."""
    octaves = np.pad(gains[2:], ((0, 0), (0, 1)))
    return np.concatenate([gains[:2, 0], octaves.reshape(-1)[:-1]])


def _config(frontend: MicroFrontend) -> str:
    """AQTAUDIO_FILL_FRONTEND_CONFIG and, in C++, FillFrontendConfig; neither compiles where the
    library cannot do this.
    """
    f = frontend
    values = {
        "window.size_ms": f"{f.window_ms:g}",
        "window.step_size_ms": f"{f.hop_ms:g}",
        "filterbank.num_channels": f.channels,
        "filterbank.lower_band_limit": f"{float(f.lower_hz)}f",
        "filterbank.upper_band_limit": f"{float(f.upper_hz)}f",
        "noise_reduction.smoothing_bits": f.smoothing_bits,
        "noise_reduction.even_smoothing": f"{float(f.even_smoothing)}f",
        "noise_reduction.odd_smoothing": f"{float(f.odd_smoothing)}f",
        "noise_reduction.min_signal_remaining": f"{float(f.min_signal_remaining)}f",
        "pcan_gain_control.enable_pcan": int(f.pcan),
        "pcan_gain_control.strength": f"{float(f.pcan_strength)}f",
        "pcan_gain_control.offset": f"{float(f.pcan_offset)}f",
        "pcan_gain_control.gain_bits": f.gain_bits,
        "log_scale.enable_log": int(f.log),
        "log_scale.scale_shift": f.scale_shift,
    }
    body = [f"(config)->{name} = {value};" for name, value in values.items()]
    if reason := _refusal(f):
        body = [f'AQTAUDIO_STATIC_ASSERT(sizeof(*(config)) == 0, "{reason}");']
    lines = " \\\n".join(f"    {line}" for line in body)
    return f"""\
#ifdef __cplusplus
#define AQTAUDIO_STATIC_ASSERT static_assert
#else
#define AQTAUDIO_STATIC_ASSERT _Static_assert
#endif
#define AQTAUDIO_FILL_FRONTEND_CONFIG(config) \\
  do {{ \\
{lines} \\
  }} while (0)
#ifdef __cplusplus
template <typename Config>
void FillFrontendConfig(Config* config) {{
  AQTAUDIO_FILL_FRONTEND_CONFIG(config);
}}
#endif"""


def _refusal(frontend: MicroFrontend) -> str:
    """Why the C library cannot be this front end, or ""."""
    if frontend.variant == "tflm":
        return "the C library rounds filter weights that TFLite Micro's operators truncate"
    if not (float(frontend.window_ms).is_integer() and float(frontend.hop_ms).is_integer()):
        found = f"{frontend.window_ms:g} every {frontend.hop_ms:g}"
        return f"the library takes whole milliseconds; this front end has {found}"
    return ""
