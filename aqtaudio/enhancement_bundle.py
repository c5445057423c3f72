"""What an artifact of noise suppression says about everything around its network.

The front end's settings, and in firmware/ the float arithmetic as C: constants of the run, sources
that read them (aqtaudio/enhancement/device), samples with the codes and the sound that they make.
"""

from importlib import resources
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from aqtaudio import frontend_bundle
from aqtaudio.data.audio import to_float
from aqtaudio.enhancement.filtering import Filtering
from aqtaudio.enhancement.whole import heard, synthesised
from aqtaudio.enhancement_header import constants, lines, literal, state_bytes
from aqtaudio.enhancement_readme import section
from aqtaudio.errors import BadInput
from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.program.execute import Executor
from aqtaudio.program.program import Edge

SOURCES = ("enhancement_dsp.h", "enhancement_dsp.c")
GOLDEN_HOPS = 16


def write(
    folder: Path, frontend: DeepFilterFeatures, filtering: Filtering, executor: Executor
) -> None:
    """Writes frontend.json into an artifact folder, and the C side into its firmware folder.

    enhancement_constants.h, enhancement_dsp.h and .c, enhancement_golden.h; README.md gets a
    section.

    Args:
      folder: of the artifact; exists.
      frontend: of the run.
      filtering: of the run's task.
      executor: of the run's program, a frame per call.

    Raises:
      BadInput: the program takes or gives something else, or `filtering` looks further ahead than
        the front end.
    """
    given, made = _edges(executor)
    _require_frames(frontend, filtering, given, made)
    frontend_bundle.write(folder, frontend, executor)
    firmware = folder / "firmware"
    firmware.mkdir(exist_ok=True)
    for name in SOURCES:
        source = resources.files("aqtaudio.enhancement") / "device" / name
        (firmware / name).write_text(source.read_text())
    text = constants(frontend, filtering, given, made)
    (firmware / "enhancement_constants.h").write_text(text)
    (firmware / "enhancement_golden.h").write_text(golden_header(frontend, filtering, executor))
    readme = firmware / "README.md"
    before = readme.read_text() + "\n" if readme.exists() else ""
    readme.write_text(before + section(frontend, filtering, state_bytes(frontend, filtering)))


def golden_header(frontend: DeepFilterFeatures, filtering: Filtering, executor: Executor) -> str:
    """C text: samples, input codes of them, the network's output codes, the sound of these."""
    samples = golden_samples(frontend)
    features, spectrum = heard(jnp.asarray(to_float(samples))[None], frontend)
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

#define ENHANCEMENT_GOLDEN_HOPS {GOLDEN_HOPS}
#define ENHANCEMENT_GOLDEN_FRAMES {len(codes)}

/* To be divided by 32768. */
{_array("int16_t", "Samples", samples)}
{_array(f"{codes.dtype}_t", "InputCodes", codes)}
{_array(f"{results.dtype}_t", "OutputCodes", results)}
{_array("float", "Sound", np.asarray(sound))}

#endif
"""


def golden_samples(frontend: DeepFilterFeatures) -> np.ndarray:
    """int16 harmonics in noise, three quarters of the hops loud, the rest 40 dB quieter."""
    count = GOLDEN_HOPS * frontend.hop_samples
    places = np.arange(count)
    turns = 2 * np.pi * 150 * places / frontend.sample_rate_hz
    tones = sum(np.sin(n * turns) / n for n in range(1, 20))
    noise = np.random.default_rng(0).normal(size=count)
    level = np.where(places < 3 * count // 4, 1.0, 0.01)
    return np.rint(level * (3000 * tones + 1000 * noise)).astype(np.int16)


def _array(kind: str, name: str, values: np.ndarray) -> str:
    texts = [literal(x) if kind == "float" else str(x) for x in values.ravel()]
    return f"static const {kind} kEnhancementGolden{name}[{len(texts)}] = {{\n{lines(texts)}}};"


def _edges(executor: Executor) -> tuple[Edge, Edge]:
    """Of the input and of the output."""
    program = executor.program
    return program.edges[program.inputs[0]], program.edges[program.outputs[0]]


def _require_frames(
    frontend: DeepFilterFeatures, filtering: Filtering, given: Edge, made: Edge
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
