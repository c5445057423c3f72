"""Features in C, as a bundle has them, against the arithmetic that a network was trained behind."""

import functools
import shutil
import subprocess
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from aqtaudio.frontends.frontend import Frontend
from aqtaudio.frontends.golden_samples import golden_samples
from aqtaudio.frontends.mel_header import state_bytes
from aqtaudio.frontends.spectral import LogMel, Mfcc
from aqtaudio.frontends.speech_energies import SPEECH_ENERGIES
from aqtaudio.program.execute import Executor
from aqtaudio.program.program import Edge, Operation, Program

COMPILER = shutil.which("cc") or shutil.which("gcc")
FLAGS = ("-O1", "-Wall", "-Wextra", "-Werror", "-pedantic", "-DFEATURES_DFT")
STANDARDS = {"c": "-std=c99", "c++": "-std=c++17"}
pytestmark = [
    pytest.mark.optimized(False),
    pytest.mark.skipif(COMPILER is None, reason="no C compiler"),
]
FRONTENDS = {
    "log-mel": LogMel(),
    "mfcc": Mfcc(),
    "speech energies": SPEECH_ENERGIES,  # a window that no whole hops hold
    "log-mel, running level": LogMel(level="running"),
    "mfcc, running level": Mfcc(level="running", mel_bands=20, coefficients=13, mean=(0.0,)),
    "8 kHz, hamming": LogMel(
        sample_rate_hz=8000, window_ms=32.0, hop_ms=16.0, mel_bands=16, upper_hz=3800.0,
        window="hamming", window_periodic=False, log_floor="max", mel_scale="slaney",
    ),
}  # fmt: skip

# Of a stream in a file: the codes of its frames.
STREAM = """
#include <stdio.h>
#include "mel_features.h"

int main(void) {
  static FeaturesState state;
  static int16_t hop[FEATURES_HOP_SAMPLES];
  static FeaturesCode codes[FEATURES_PER_FRAME];
  FILE *samples = fopen("samples", "rb"), *made = fopen("codes", "wb");
  features_init(&state);
  while (fread(hop, sizeof(hop), 1, samples) == 1) {
    if (features_push(&state, &features_dft, hop, codes)) fwrite(codes, sizeof(codes), 1, made);
  }
  fclose(made);
  printf("%d %d", (int)sizeof(state), FEATURES_STATE_BYTES);
  return 0;
}
"""

GOLDEN = """
#include <stdio.h>
#include <stdlib.h>
#include "mel_features.h"
#include "mel_features_golden.h"

int main(void) {
  static FeaturesState state;
  static FeaturesCode codes[FEATURES_PER_FRAME];
  int hop, i, frame = 0, most = 0, differ = 0;
  features_init(&state);
  for (hop = 0; frame < FEATURES_GOLDEN_FRAMES; ++hop) {
    const int16_t *samples = kFeaturesGoldenSamples + hop * FEATURES_HOP_SAMPLES;
    if ((hop + 1) * FEATURES_HOP_SAMPLES >
        (int)(sizeof(kFeaturesGoldenSamples) / sizeof(*kFeaturesGoldenSamples))) break;
    if (!features_push(&state, &features_dft, samples, codes)) continue;
    for (i = 0; i < FEATURES_PER_FRAME; ++i) {
      const int by = abs(codes[i] - kFeaturesGoldenCodes[frame * FEATURES_PER_FRAME + i]);
      most = by > most ? by : most;
      differ += by > 0;
    }
    ++frame;
  }
  printf("%d %d %d", frame, most, differ);
  return 0;
}
"""


@functools.cache
def executor(name: str, bits: int = 8) -> Executor:
    """Of a program that takes two frames."""
    shape = (2, FRONTENDS[name].features)
    grid = (1 / 2048, 0, 16) if bits == 16 else (0.06, -12, 8)
    edges = {edge: Edge(edge, shape, *grid) for edge in ("in", "out")}
    relu = Operation("relu", "relu", ("in",), "out", {})
    return Executor(Program(edges, (relu,), ("in",), ("out",)))


def built(folder: Path, name: str, main: str, language: str = "c", bits: int = 8) -> Path:
    """The program of a front end's files and of `main`, in their folder."""
    made = executor(name, bits)
    edge = made.program.edges["in"]
    for path, text in FRONTENDS[name].device_files(made.quantize, edge).items():
        (folder / Path(path).name).write_text(text)
    (folder / "main.c").write_text(main)
    command = [COMPILER, *FLAGS, STANDARDS[language], "-x", language, "main.c", "mel_features.c"]
    libraries = ["-lm", "-lstdc++"] if language == "c++" else ["-lm"]
    subprocess.run([*command, "-o", "main", *libraries], cwd=folder, check=True)
    return folder / "main"


def codes_of(frontend: Frontend, samples: np.ndarray, made: Executor) -> np.ndarray:
    """[T, F], of an even number of frames."""
    features = frontend(jnp.asarray(samples, jnp.float32)[None] / 32768)
    features = np.asarray(features)[:, : features.shape[1] // 2 * 2]
    return made.quantize(features).reshape(-1, frontend.features)


@pytest.mark.parametrize("name", FRONTENDS)
def test_a_stream_in_c_has_the_codes_of_training(name, tmp_path):
    frontend, made = FRONTENDS[name], executor(name)
    rng = np.random.default_rng(1)
    speech = np.concatenate([golden_samples(frontend), np.zeros(4000, np.int16)])
    speech = np.concatenate([speech, rng.integers(-32768, 32767, 4000).astype(np.int16)])
    program = built(tmp_path, name, STREAM)
    (tmp_path / "samples").write_bytes(speech.tobytes())
    told = subprocess.run([program], cwd=tmp_path, check=True, capture_output=True, text=True)
    expected = codes_of(frontend, speech, made)
    found = np.fromfile(tmp_path / "codes", np.int8).reshape(-1, frontend.features)
    frames = min(len(found), len(expected))
    assert frames > 20 and len(expected) - len(found) <= 2  # whole hops only
    apart = np.abs(found[:frames].astype(int) - expected[:frames])
    assert apart.max() <= 1 and np.mean(apart > 0) < 2e-3, (apart.max(), np.mean(apart > 0))
    assert len(np.unique(found)) > 20
    assert told.stdout.split() == [str(state_bytes(frontend))] * 2


@pytest.mark.parametrize(
    ("name", "language", "bits"),
    [("log-mel", "c", 16), ("mfcc", "c++", 8), ("speech energies", "c", 8)],
)
def test_golden_codes_are_met(name, language, bits, tmp_path):
    program = built(tmp_path, name, GOLDEN, language, bits)
    told = subprocess.run([program], cwd=tmp_path, check=True, capture_output=True, text=True)
    frames, most, differ = map(int, told.stdout.split())
    # Of 16 bits a code is finer than the rounding of a float32 logarithm.
    assert frames > 15 and (most <= 1 and differ <= 2 if bits == 8 else most <= 8)


def test_a_quantization_that_is_not_the_runs_would_be_seen(tmp_path):
    """The proof tells other constants apart."""
    program = built(tmp_path, "mfcc", GOLDEN)
    constants = tmp_path / "mel_features_constants.h"
    text = constants.read_text()
    changed = text.replace("#define FEATURES_FLOOR_ADDS 1", "#define FEATURES_FLOOR_ADDS 0")
    assert changed != text
    constants.write_text(changed)
    command = [COMPILER, *FLAGS, "main.c", "mel_features.c", "-o", program, "-lm"]
    subprocess.run(command, cwd=tmp_path, check=True)
    told = subprocess.run([program], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert int(told.stdout.split()[2]) > 2
