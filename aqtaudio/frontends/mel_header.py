"""What an artifact says about a front end of mel bands: its C, constants of the run, a proof."""

import math
from importlib import resources
from string import Template
from typing import Any

import jax.numpy as jnp
import numpy as np

from aqtaudio.frontends.frontend import Quantize, per_feature
from aqtaudio.frontends.golden_samples import golden_samples
from aqtaudio.program.c_text import array, edge_macros, literal, macro
from aqtaudio.program.program import Edge

LogMel = Any
"""`frontends.spectral.LogMel`, which imports this file; `Constants` are its `_Constants`."""
Constants = Any
C_SOURCE = "aqtaudio.frontends.c_source"
SOURCES = ("mel_features.h", "mel_features.c")


def files(
    frontend: LogMel, constants: Constants, level: dict[str, int], quantize: Quantize, edge: Edge
) -> dict[str, str]:
    """Texts by their path in an artifact: sources, constants, golden codes, a README's section.

    Args:
      frontend: of the run.
      constants: of it, float32.
      level: of a running level "steps", "fall" and "least"; {} without.
      quantize: of features, the network's input codes.
      edge: that they go into.
    """
    folder = resources.files(C_SOURCE)
    found = {name: (folder / name).read_text() for name in SOURCES} | {
        "mel_features_constants.h": constants_header(frontend, constants, level, edge),
        "mel_features_golden.h": golden_header(frontend, quantize, edge),
        "README.md": section(frontend, edge),
    }
    return {f"firmware/{name}": text for name, text in found.items()}


def constants_header(
    frontend: LogMel, constants: Constants, level: dict[str, int], edge: Edge
) -> str:
    """C text: macros, which take no memory."""
    settings = _sizes(frontend, constants, level)
    lines = "\n".join(f"#define FEATURES_{name} {value}" for name, value in settings.items())
    offset, gain = constants.offset, constants.gain
    if level and constants.projection is None:
        steps = level["steps"]
        offset = np.rint(steps * per_feature(frontend.mean, frontend.features)).astype(np.float32)
        gain = (1 / (steps * per_feature(frontend.scale, frontend.features))).astype(np.float32)
    firsts, counts, weights = sparse(constants.mel, constants.bins.start)
    tables: dict[str, np.ndarray] = {"WINDOW": constants.window}
    tables |= {"FIRST_BIN": firsts, "BIN_COUNT": counts, "WEIGHTS": weights}
    tables |= {"OFFSET": offset, "GAIN": gain}
    texts = [macro(f"FEATURES_{name}", values) for name, values in tables.items()]
    if constants.projection is not None:
        texts.append(macro("FEATURES_PROJECTION", constants.projection))
    text = "\n".join(texts)
    return f"""\
/* Of this run; mel_features.c reads them. */
#ifndef FEATURES_CONSTANTS_H
#define FEATURES_CONSTANTS_H

{lines}
#define FEATURES_WEIGHTS_COUNT {len(weights)}

/* Into the network: code = round(feature / scale) + zero point, clipped. */
{edge_macros("FEATURES_CODE", edge)}

{text}

#endif
"""


def sparse(mel: np.ndarray, first_bin: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each band its first bin and how many it has, int [bands]; and their weights, one band's
    after the other's. `mel`: [bins, bands], from `first_bin` on.
    """
    rows = [np.flatnonzero(band) for band in mel.T]
    weights = [band[row[0] : row[-1] + 1] for band, row in zip(mel.T, rows, strict=True)]
    firsts = np.array([row[0] + first_bin for row in rows])
    return firsts, np.array([len(band) for band in weights]), np.concatenate(weights)


def golden_header(frontend: LogMel, quantize: Quantize, edge: Edge) -> str:
    """C text: samples, and the codes of them."""
    samples = golden_samples(frontend)
    features = np.asarray(frontend(jnp.asarray(samples, jnp.float32)[None] / 32768))[0]
    frames = len(features)
    missing = -frames % (math.prod(edge.shape) // frontend.features)
    padded = np.pad(features, ((0, missing), (0, 0)))[None]
    codes = quantize(jnp.asarray(padded)).reshape(-1, frontend.features)[:frames]
    return f"""\
/* Samples from the beginning of a stream, and the codes that features_push() must make of them:
   equal but for the rounding of mathematics libraries and transforms (rarely, by one). */
#ifndef FEATURES_GOLDEN_H
#define FEATURES_GOLDEN_H

#include <stdint.h>

#define FEATURES_GOLDEN_FRAMES {frames}

{array("static const int16_t", "kFeaturesGoldenSamples", samples)}
{array(f"static const {edge.dtype}_t", "kFeaturesGoldenCodes", codes.ravel())}

#endif
"""


def section(frontend: LogMel, edge: Edge) -> str:
    """Markdown: how features are made on the device."""
    frames = math.prod(edge.shape) // frontend.features
    text = (resources.files(C_SOURCE) / "mel_features.md").read_text()
    return Template(text).substitute(
        rate_hz=frontend.sample_rate_hz,
        fft_samples=frontend.fft_samples,
        hop_samples=frontend.hop_samples,
        hop_ms=f"{frontend.hop_ms:g}",
        window_ms=f"{frontend.window_ms:g}",
        features=frontend.features,
        frames=f"{frames} frames" if frames > 1 else "one frame",
        state_bytes=state_bytes(frontend),
    )


def state_bytes(frontend: LogMel) -> int:
    """Of FeaturesState."""
    floats = 2 * frontend.fft_samples + 2 + frontend.mel_bands
    words = 1 + (frontend.level == "running") + floats
    return 4 * (words + -(-_heard_samples(frontend) // 2))


def _heard_samples(frontend: LogMel) -> int:
    """The whole hops that hold a window."""
    hop = frontend.hop_samples
    return -(-frontend.window_samples // hop) * hop


def _sizes(frontend: LogMel, constants: Constants, level: dict[str, int]) -> dict[str, object]:
    found: dict[str, object] = {
        "SAMPLE_RATE_HZ": frontend.sample_rate_hz,
        "WINDOW_SAMPLES": frontend.window_samples,
        "HOP_SAMPLES": frontend.hop_samples,
        "HEARD_SAMPLES": _heard_samples(frontend),
        "FFT_SAMPLES": frontend.fft_samples,
        "BANDS": frontend.mel_bands,
        "PER_FRAME": frontend.features,
        "POWER": int(frontend.spectrum == "power"),
        "FLOOR": literal(frontend.log_floor_value),
        "FLOOR_ADDS": int(frontend.log_floor == "add"),
        "HAS_PROJECTION": int(constants.projection is not None),
        "UNIT": f"{literal(level['steps'] if level else 1)}",
        "STATE_BYTES": state_bytes(frontend),
        "RUNNING_LEVEL": int(bool(level)),
    }
    return found | {f"LEVEL_{name.upper()}": f"({value})" for name, value in level.items()}
