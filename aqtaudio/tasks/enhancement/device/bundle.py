"""What an artifact of noise suppression says about everything around its network.

The float arithmetic as C: constants of the run, sources that read them (beside this file), samples
with the codes and the sound that they make.
"""

from importlib import resources

import jax.numpy as jnp
import numpy as np

from aqtaudio.data.audio import to_float
from aqtaudio.errors import BadInput
from aqtaudio.frontends.band_spectrum import BandSpectrum
from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.frontends.spectrum import SpectrumFrontend
from aqtaudio.program.c_text import array
from aqtaudio.program.execute import Executor
from aqtaudio.program.program import Edge
from aqtaudio.tasks.enhancement.changing import Changing
from aqtaudio.tasks.enhancement.device import header, masking_header, masking_readme, readme
from aqtaudio.tasks.enhancement.filtering import Filtering
from aqtaudio.tasks.enhancement.masking import Masking
from aqtaudio.tasks.enhancement.whole import analysed, synthesised

SOURCES = ("enhancement_dsp.h", "enhancement_dsp.c", "enhancement_sound.h")
MASKING_SOURCES = ("masking_dsp.h", "masking_dsp.c", "enhancement_sound.h")
"""Beside this file; in a bundle they have the names of `SOURCES`."""
PROOF_HOPS = 16


def files(frontend: SpectrumFrontend, filtering: Changing, executor: Executor) -> dict[str, str]:
    """Texts by their path in an artifact: the C side, and a section of the bundle's README.

    Args:
      frontend: of the run.
      filtering: of the run's task.
      executor: of the run's program, a frame per call.

    Raises:
      BadInput: the program takes or gives something else, or `filtering` looks further ahead than
        the front end.
    """
    given, made = _edges(executor)
    _require_frames(frontend, filtering, given, made)
    if isinstance(filtering, Masking) and isinstance(frontend, BandSpectrum):
        sources = MASKING_SOURCES
        constants = masking_header.constants(frontend, filtering, given, made)
        section = masking_readme.section(frontend, filtering, masking_header.state_bytes(frontend))
    elif isinstance(filtering, Filtering) and isinstance(frontend, DeepFilterFeatures):
        sources = SOURCES
        constants = header.constants(frontend, filtering, given, made)
        section = readme.section(frontend, filtering, header.state_bytes(frontend, filtering))
    else:
        names = type(filtering).__name__, type(frontend).__name__
        raise BadInput(f"{names[0]} behind {names[1]} has no form in C")
    folder = resources.files("aqtaudio.tasks.enhancement.device")
    texts = [(folder / name).read_text() for name in sources]
    found = dict(zip(SOURCES, texts, strict=True)) | {
        "enhancement_constants.h": constants,
        "enhancement_golden.h": golden_header(frontend, filtering, executor),
        "README.md": section,
    }
    return {f"firmware/{name}": text for name, text in found.items()}


def golden_header(frontend: SpectrumFrontend, filtering: Changing, executor: Executor) -> str:
    """C text: samples, input codes of them, the network's output codes, the sound of these."""
    samples = golden_samples(frontend)
    features, spectrum = analysed(jnp.asarray(to_float(samples))[None], frontend)
    codes = executor.quantize(features[0])
    results = executor(codes)
    outputs = jnp.asarray(executor.dequantize(results)).reshape(1, len(codes), -1)
    sound = synthesised(outputs, spectrum, filtering, frontend)[0]
    return f"""\
/* A stream from its beginning, and what must come of it: input codes of all hops but the first
   ENHANCEMENT_SKIPPED_FRAMES, equal but for the rounding of mathematics libraries (rarely, by one
   code); with these output codes of the network this sound, but for the rounding of float32. The
   sound begins with the second hop that enhancement_apply() returns. */
#ifndef ENHANCEMENT_GOLDEN_H
#define ENHANCEMENT_GOLDEN_H

#include <stdint.h>

#define ENHANCEMENT_GOLDEN_HOPS {PROOF_HOPS}
#define ENHANCEMENT_GOLDEN_FRAMES {len(codes)}

/* To be divided by 32768. */
{array("static const int16_t", "kEnhancementGoldenSamples", samples)}
{array(f"static const {codes.dtype}_t", "kEnhancementGoldenInputCodes", codes.ravel())}
{array(f"static const {results.dtype}_t", "kEnhancementGoldenOutputCodes", results.ravel())}
{array("static const float", "kEnhancementGoldenSound", np.asarray(sound))}

#endif
"""


def golden_samples(frontend: SpectrumFrontend) -> np.ndarray:
    """int16 harmonics in noise, three quarters of the hops loud, the rest 40 dB quieter."""
    count = PROOF_HOPS * frontend.hop_samples
    places = np.arange(count)
    turns = 2 * np.pi * 150 * places / frontend.sample_rate_hz
    tones = sum(np.sin(n * turns) / n for n in range(1, 20))
    noise = np.random.default_rng(0).normal(size=count)
    level = np.where(places < 3 * count // 4, 1.0, 0.01)
    return np.rint(level * (3000 * tones + 1000 * noise)).astype(np.int16)


def _edges(executor: Executor) -> tuple[Edge, Edge]:
    """Of the input and of the output."""
    program = executor.program
    return program.edges[program.inputs[0]], program.edges[program.outputs[0]]


def _require_frames(
    frontend: SpectrumFrontend, filtering: Changing, given: Edge, made: Edge
) -> None:
    results = filtering.values(frontend)
    for edge, does, values in (given, "takes", frontend.features), (made, "gives", results):
        if int(np.prod(edge.shape)) != values:
            raise BadInput(
                f"the program {does} {list(edge.shape)}; allowed: {values} values, those of one "
                "frame (stream_block_frames=1)"
            )
    if filtering.ahead > frontend.skipped_frames:
        raise BadInput(
            f"filtering.ahead is {filtering.ahead}; allowed: at most {frontend.skipped_frames}, "
            "the frames that the front end runs ahead"
        )
