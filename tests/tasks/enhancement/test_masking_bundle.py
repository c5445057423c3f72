"""The C side of a noise suppressor that masks bands against the arithmetic around its network."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest
from test_enhancement_bundle import GOLDEN, STANDARDS, Given, needs_compiler, run, speech_like

from aqtaudio.errors import BadInput
from aqtaudio.frontends.band_spectrum import LEVEL_STEPS, BandSpectrum
from aqtaudio.program.execute import Executor
from aqtaudio.program.program import Edge, Operation, Program
from aqtaudio.tasks.enhancement.device.bundle import files
from aqtaudio.tasks.enhancement.device.masking_header import state_bytes
from aqtaudio.tasks.enhancement.masking import Masking
from aqtaudio.tasks.enhancement.whole import analysed, of_audio

pytestmark = pytest.mark.optimized(False)

CASES = {
    "complex": (BandSpectrum(), Masking("complex")),
    "real": (BandSpectrum(kind="log"), Masking("real")),
    "running complex": (BandSpectrum(level="running"), Masking("complex")),
    "running real": (BandSpectrum(kind="log", level="running"), Masking("real")),
    "compressed": (
        BandSpectrum(kind="compressed", level="running", low_bins=256, high_bands=0),
        Masking("complex", compression=0.3),
    ),
    "compressed bands": (BandSpectrum(kind="compressed"), Masking("real", compression=0.5)),
    "everything": (
        BandSpectrum(kind="log", low_bins=33, high_bands=20),
        Masking("complex", post_filter=0.02, attenuation_limit_db=12.0),
    ),
    "8 kHz": (
        BandSpectrum(sample_rate_hz=8000, low_bins=40, high_bands=30),
        Masking("real", post_filter=0.01),
    ),
}
# Of a stream in a file: for each hop features, codes, and the sound of given codes.
STREAM = """
#include <stdio.h>
#include "enhancement_dsp.h"

int main(void) {
  static EnhancementState state;
  static float hop[ENHANCEMENT_HOP_SAMPLES];
  static EnhancementInput given[ENHANCEMENT_INPUT_VALUES];
  static EnhancementOutput made[ENHANCEMENT_OUTPUT_VALUES];
  FILE *samples = fopen("samples", "rb"), *results = fopen("results", "rb");
  FILE *features = fopen("features", "wb"), *codes = fopen("codes", "wb");
  FILE *sound = fopen("sound", "wb");
  enhancement_init(&state);
  while (fread(hop, sizeof(hop), 1, samples) == 1) {
    if (!enhancement_analyse(&state, &enhancement_dft, hop, given)) return 1;
    fwrite(state.scratch.features, sizeof(float), ENHANCEMENT_INPUT_VALUES, features);
    fwrite(given, sizeof(given), 1, codes);
    if (fread(made, sizeof(made), 1, results) != 1) return 2;
    enhancement_apply(&state, &enhancement_dft, made, hop);
    fwrite(hop, sizeof(hop), 1, sound);
  }
  printf("%d %d\\n", (int)sizeof(state), ENHANCEMENT_STATE_BYTES);
  return fclose(samples) + fclose(results) + fclose(features) + fclose(codes) + fclose(sound);
}
"""


def executor_of(frontend: BandSpectrum, masking: Masking) -> Executor:
    """A network that repeats the beginning of its input."""
    values = masking.values(frontend)
    copies = -(-values // frontend.features)
    scale = float(np.float32(40 / 32768))
    shapes = {"x": frontend.features, "copies": copies * frontend.features, "results": values}
    edges = {name: Edge(name, (1, n), scale, 0, 16) for name, n in shapes.items()}
    span = {"begin": (0, 0), "end": (1, values), "strides": (1, 1)}
    operations = (
        Operation("concat", "copies", ("x",) * copies, "copies", {"axis": 1}),
        Operation("slice", "results", ("copies",), "results", span),
    )
    return Executor(Program(edges, operations, ("x",), ("results",)))


def bundle(folder: Path, case: str) -> tuple[BandSpectrum, Masking, Executor]:
    frontend, masking = CASES[case]
    executor = executor_of(frontend, masking)
    for name, text in files(frontend, masking, executor).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return frontend, masking, executor


@needs_compiler
@pytest.mark.parametrize("case", CASES)
def test_the_c_side_does_what_jax_does(case, tmp_path):
    frontend, masking, executor = bundle(tmp_path, case)
    audio = speech_like(frontend.sample_rate_hz)
    hop = frontend.hop_samples
    audio = audio[: len(audio) // hop * hop]
    flushed = np.pad(audio, (0, hop))
    hops = len(flushed) // hop
    edge = executor.program.edges["results"]
    real = np.random.default_rng(4).normal(0, 0.5, (hops, masking.values(frontend)))
    results = np.clip(np.rint(real / edge.scale), -32768, 32767).astype(np.int16)
    flushed.tofile(tmp_path / "samples")
    results.tofile(tmp_path / "results")
    size, documented = run(tmp_path, STREAM)
    assert size == documented == state_bytes(frontend)

    features = np.asarray(jax.jit(lambda x: analysed(x, frontend)[0][0])(flushed[None]))
    found = np.fromfile(tmp_path / "features", np.float32).reshape(features.shape)
    # Logarithms of near silence multiply the rounding of the transform; a level may be a step off.
    step = 10 ** (1 / LEVEL_STEPS / 20) - 1 if frontend.level == "running" else 0
    allowed = 2e-2 if frontend.kind == "log" else 1e-4 + step * np.abs(features)
    assert (np.abs(found - features) < allowed).all()
    assert np.median(np.abs(found - features)) < 1e-5
    codes = executor.quantize(features).reshape(features.shape).astype(int)
    by = np.abs(np.fromfile(tmp_path / "codes", np.int16).reshape(codes.shape) - codes)
    assert np.mean(by > 0) < 0.005

    expected = of_audio(Given(executor.dequantize(results)[None]), audio[None], masking, frontend)
    sound = np.fromfile(tmp_path / "sound", np.float32)[hop:]
    assert np.abs(sound).max() > 0.05
    assert np.abs(sound[: len(audio)] - expected[0]).max() < 1e-5


@needs_compiler
@pytest.mark.parametrize("language", STANDARDS)
def test_golden_vectors_prove_a_build(language, tmp_path):
    bundle(tmp_path, "everything")
    whole, most, differ, error = run(tmp_path, GOLDEN, language)
    assert whole and most <= 1 and differ <= 15 and error < 1e-5


def test_the_readme_tells_how_to_use_it(tmp_path):
    frontend, _, _ = bundle(tmp_path, "everything")
    text = (tmp_path / "firmware" / "README.md").read_text()
    assert f"{state_bytes(frontend):,} bytes" in text
    assert "256 samples (16 ms) at 16000 Hz" in text and "at most 12 dB" in text
    assert "complex mask" in text and "lies one hop (16 ms) before" in text


def test_programs_that_do_not_fit_are_refused():
    frontend, masking = CASES["complex"]
    executor = executor_of(frontend, masking)
    with pytest.raises(BadInput, match="gives .*allowed: 129 values"):
        files(frontend, Masking("real"), executor)
    with pytest.raises(BadInput, match="takes .*stream_block_frames=1"):
        files(dataclasses.replace(frontend, kind="log"), masking, executor)
