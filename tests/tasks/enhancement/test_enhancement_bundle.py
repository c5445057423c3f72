"""The C side of a noise suppressor against the arithmetic that its network was trained with."""

import dataclasses
import functools
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aqtaudio.errors import BadInput
from aqtaudio.frontends import named
from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.program.execute import Executor
from aqtaudio.program.program import Edge, Operation, Program
from aqtaudio.runs import export, frontend_named
from aqtaudio.tasks.enhancement.device.bundle import files
from aqtaudio.tasks.enhancement.device.header import state_bytes
from aqtaudio.tasks.enhancement.filtering import Filtering
from aqtaudio.tasks.enhancement.task import Enhancement
from aqtaudio.tasks.enhancement.whole import analysed, of_audio
from aqtaudio.tasks.setup import Setup

pytestmark = pytest.mark.optimized(False)

COMPILER = shutil.which("cc") or shutil.which("gcc")
FLAGS = ("-O1", "-Wall", "-Wextra", "-Werror", "-pedantic", "-DENHANCEMENT_DFT")
STANDARDS = {"c": "-std=c99", "c++": "-std=c++17"}
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler")

PLAIN = Filtering()
EVERYTHING = Filtering(gains="all", post_filter=0.02, attenuation_limit_db=12.0)
SHORT = Filtering(taps=3, ahead=1)
KINDS = {
    "published": {},
    "invariant": {"level_invariant": True},
    "falls": {"level_invariant": True, "fall_db": 15.0},
}
CASES = {
    "16 kHz, published": (16_000, "published", PLAIN),
    "16 kHz, invariant": (16_000, "invariant", EVERYTHING),
    "16 kHz, falls": (16_000, "falls", PLAIN),
    "16 kHz, short filters": (16_000, "invariant", SHORT),
    "48 kHz, published": (48_000, "published", EVERYTHING),
    "48 kHz, invariant": (48_000, "invariant", PLAIN),
    "48 kHz, falls": (48_000, "falls", EVERYTHING),
}

# Of a stream in a file: for each hop that is shown, features, codes, and the sound of given codes.
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
    if (!enhancement_analyse(&state, &enhancement_dft, hop, given)) continue;
    fwrite(state.scratch.features, sizeof(state.scratch.features), 1, features);
    fwrite(given, sizeof(given), 1, codes);
    if (fread(made, sizeof(made), 1, results) != 1) return 1;
    enhancement_apply(&state, &enhancement_dft, made, hop);
    fwrite(hop, sizeof(hop), 1, sound);
  }
  fclose(features), fclose(codes), fclose(sound);
  printf("%d %d %.9g", (int)sizeof(state), ENHANCEMENT_STATE_BYTES,
         (double)enhancement_snr_db(made));
  return 0;
}
"""

GOLDEN = """
#include <math.h>
#include <stdio.h>
#include "enhancement_dsp.h"
#include "enhancement_golden.h"

int main(void) {
  static EnhancementState state;
  static float hop[ENHANCEMENT_HOP_SAMPLES];
  static EnhancementInput given[ENHANCEMENT_INPUT_VALUES];
  int i, k, frame = 0, most = 0, differ = 0;
  float error = 0.0f;
  enhancement_init(&state);
  for (k = 0; k < ENHANCEMENT_GOLDEN_HOPS; ++k) {
    for (i = 0; i < ENHANCEMENT_HOP_SAMPLES; ++i)
      hop[i] = kEnhancementGoldenSamples[k * ENHANCEMENT_HOP_SAMPLES + i] / 32768.0f;
    if (!enhancement_analyse(&state, &enhancement_dft, hop, given)) continue;
    for (i = 0; i < ENHANCEMENT_INPUT_VALUES; ++i) {
      int by = given[i] - kEnhancementGoldenInputCodes[frame * ENHANCEMENT_INPUT_VALUES + i];
      by = by < 0 ? -by : by;
      most = by > most ? by : most;
      differ += by > 0;
    }
    enhancement_apply(&state, &enhancement_dft,
                      kEnhancementGoldenOutputCodes + frame * ENHANCEMENT_OUTPUT_VALUES, hop);
    for (i = 0; frame > 0 && i < ENHANCEMENT_HOP_SAMPLES; ++i)
      error = fmaxf(error, fabsf(hop[i] - kEnhancementGoldenSound[(frame - 1) *
                                              ENHANCEMENT_HOP_SAMPLES + i]));
    ++frame;
  }
  printf("%d %d %d %.9g", frame == ENHANCEMENT_GOLDEN_FRAMES, most, differ, (double)error);
  return 0;
}
"""


# Half a second of a tone, five minutes of zeros, whose spectrum is zeros.
SILENCE = """
#include <stdio.h>
#include "enhancement_dsp.h"

static void zeros(void *context, const float *samples, float *spectrum) {
  int i;
  (void)context, (void)samples;
  for (i = 0; i < 2 * ENHANCEMENT_BINS; ++i) spectrum[i] = 0.0f;
}

int main(void) {
  static EnhancementState state;
  static float hop[ENHANCEMENT_HOP_SAMPLES];
  static EnhancementInput given[ENHANCEMENT_INPUT_VALUES];
  const EnhancementFft silent = {zeros, zeros, 0};
  FILE *features = fopen("features", "wb");
  int i, k;
  enhancement_init(&state);
  for (i = 0; i < ENHANCEMENT_HOP_SAMPLES; ++i) hop[i] = (i % 7) * 0.1f - 0.3f;
  for (k = 0; k < 50; ++k) enhancement_analyse(&state, &enhancement_dft, hop, given);
  for (k = 0; k < 30000; ++k) enhancement_analyse(&state, &silent, hop, given);
  fwrite(state.scratch.features, sizeof(state.scratch.features), 1, features);
  fclose(features);
  return 0;
}
"""


def frontend_of(rate_hz: int, kind: str) -> DeepFilterFeatures:
    return DeepFilterFeatures(sample_rate_hz=rate_hz, **KINDS[kind])


@functools.cache
def executor_of(frontend: DeepFilterFeatures, filtering: Filtering, bits: int = 16) -> Executor:
    """A network that repeats its input."""
    values = frontend.bands + 2 * filtering.taps * frontend.filtered_bins + 1
    copies = -(-values // frontend.features)
    # As wide as calibration makes it of features; 8 bits: of a zero point too.
    scale, zero = (float(np.float32(8 / 32768)), 0) if bits == 16 else (0.03125, -3)
    shapes = {"x": frontend.features, "copies": copies * frontend.features, "results": values}
    edges = {name: Edge(name, (1, n), scale, zero, bits) for name, n in shapes.items()}
    span = {"begin": (0, 0), "end": (1, values), "strides": (1, 1)}
    operations = (
        Operation("concat", "copies", ("x",) * copies, "copies", {"axis": 1}),
        Operation("slice", "results", ("copies",), "results", span),
    )
    return Executor(Program(edges, operations, ("x",), ("results",)))


def bundle(folder: Path, rate_hz: int, kind: str, filtering: Filtering, bits: int = 16):
    frontend = frontend_of(rate_hz, kind)
    executor = executor_of(frontend, filtering, bits)
    experiment = SimpleNamespace(task=Enhancement(filtering=filtering), setup=setup_of(frontend))
    (folder / "firmware").mkdir(exist_ok=True)
    run = SimpleNamespace(experiment=experiment, path=folder)
    export._write_device_files(run, executor, folder)
    return frontend, executor


def setup_of(frontend: DeepFilterFeatures) -> Setup:
    return Setup(frontend, clip_ms=1000, block_frames=1)


def run(folder: Path, main: str, language: str = "c") -> list[float]:
    """What a program beside an artifact's sources prints."""
    (folder / "main.c").write_text(main)
    sources = [folder / "main.c", folder / "firmware" / "enhancement_dsp.c"]
    flags = [*FLAGS, STANDARDS[language], f"-I{folder / 'firmware'}", "-x", language]
    command = [COMPILER, *flags, *sources, "-x", "none", "-lm", "-o", folder / "main"]
    subprocess.run(command, check=True)
    done = subprocess.run([folder / "main"], check=True, cwd=folder, capture_output=True, text=True)
    return [float(value) for value in done.stdout.split()]


def speech_like(rate_hz: int) -> np.ndarray:
    """float32, 1 s: silence, then syllables of harmonics in noise; 30 dB down, 60 dB up."""
    rng, time = np.random.default_rng(3), np.arange(rate_hz) / rate_hz
    turns = 2 * np.pi * (120 * time + 20 * time**2)
    tones = sum(np.sin(n * turns + n * n) / n for n in range(1, 30))
    syllables = np.maximum(np.sin(2 * np.pi * 4 * time), 0) ** 2
    sound = 0.1 * syllables * tones + 0.02 * rng.normal(size=rate_hz)
    level = np.select([time < 0.05, time < 0.4, time < 0.8], [0.0, 0.1, 0.003], 3.0)
    return np.float32(np.rint(level * sound * 32768) / 32768)


def results_of(frontend: DeepFilterFeatures, filtering: Filtering, frames: int) -> np.ndarray:
    """Gains, filters and shares at random, real values."""
    rng = np.random.default_rng(4)
    filters = rng.normal(0, 0.3, (frames, 2 * filtering.taps * frontend.filtered_bins))
    return np.concatenate(
        [rng.random((frames, frontend.bands)), filters, rng.random((frames, 1))], 1
    )


class Given:
    """A network whose answers [1, T, values] are known."""

    def __init__(self, answers: np.ndarray):
        self._answers = answers

    def whole(self, features: np.ndarray, at_once: int = 128) -> np.ndarray:
        return self._answers[:, : features.shape[1]]


@pytest.mark.sampled(2)
@needs_compiler
@pytest.mark.parametrize("case", CASES)
def test_the_c_side_does_what_the_network_was_trained_with(case, tmp_path):
    rate_hz, kind, filtering = CASES[case]
    frontend, executor = bundle(tmp_path, rate_hz, kind, filtering)
    audio = speech_like(rate_hz)
    hops = len(audio) // frontend.hop_samples
    flushed = np.pad(audio, (0, (frontend.skipped_frames + 1) * frontend.hop_samples))
    edge = executor.program.edges["results"]
    results = results_of(frontend, filtering, hops + 2)
    results = np.clip(np.rint(results / edge.scale), -32768, 32767).astype(np.int16)
    flushed.tofile(tmp_path / "samples")
    results.tofile(tmp_path / "results")
    size, documented, snr_db = run(tmp_path, STREAM)
    assert size == documented == state_bytes(frontend, filtering)

    features = np.asarray(jax.jit(lambda x: analysed(x, frontend)[0][0])(flushed[None]))
    found = np.fromfile(tmp_path / "features", np.float32).reshape(features.shape)
    assert np.abs(features).max() > 0.5
    feature_error = np.abs(found - features).max()
    codes = executor.quantize(features).reshape(features.shape).astype(int)
    by = np.abs(np.fromfile(tmp_path / "codes", np.int16).reshape(codes.shape) - codes)

    outputs = executor.dequantize(results)[None]
    expected = of_audio(Given(outputs), audio[None], filtering, frontend)[0]
    sound = np.fromfile(tmp_path / "sound", np.float32)[frontend.hop_samples :]
    sound_error = np.abs(sound[: len(audio)] - expected).max()
    print(f"\n{case}: features {feature_error:.1e}, codes by {by.max()} in {np.mean(by > 0):.3%}")
    print(f"  sound {sound_error:.1e} of {np.abs(sound).max():.2g}, {size:.0f} bytes of state")
    assert feature_error < 1e-4
    assert by.max() <= 1 and np.mean(by > 0) < 0.005
    assert np.abs(sound).max() > 0.05 and sound_error < 1e-5
    assert (
        abs(snr_db - float(filtering.results(jnp.asarray(outputs), frontend).snr_db[0, hops]))
        < 1e-3
    )


@pytest.mark.sampled(2)
@needs_compiler
@pytest.mark.parametrize("language", STANDARDS)
@pytest.mark.parametrize("bits", [8, 16])
def test_golden_vectors_prove_a_build(language, bits, tmp_path):
    bundle(tmp_path, 16_000, "falls", EVERYTHING, bits)
    whole, most, differ, error = run(tmp_path, GOLDEN, language)
    assert whole and most <= 1 and differ <= 15 and error < 1e-5


@needs_compiler
def test_golden_vectors_tell_another_normalisation(tmp_path):
    bundle(tmp_path, 16_000, "invariant", PLAIN)
    other = tmp_path / "other"
    other.mkdir()
    bundle(other, 16_000, "published", PLAIN)
    name = "firmware/enhancement_constants.h"
    shutil.copy(other / name, tmp_path / name)
    _, most, differ, _ = run(tmp_path, GOLDEN)
    assert most > 100 and differ > 1000


@pytest.mark.sampled(2)
@needs_compiler
@pytest.mark.parametrize("kind", KINDS)
def test_minutes_of_digital_silence_leave_features_finite(kind, tmp_path):
    frontend, _ = bundle(tmp_path, 16_000, kind, PLAIN)
    run(tmp_path, SILENCE)
    features = np.fromfile(tmp_path / "features", np.float32)
    assert len(features) == frontend.features and np.isfinite(features).all()


def test_the_artifact_holds_settings_and_tells_how_to_use_them(tmp_path):
    (tmp_path / "firmware").mkdir()
    (tmp_path / "firmware" / "README.md").write_text("# Streaming model\n")
    frontend, _ = bundle(tmp_path, 16_000, "falls", EVERYTHING)
    assert frontend_named.frontend_of(str(named.write(frontend, tmp_path))) == frontend
    text = (tmp_path / "firmware" / "README.md").read_text()
    assert text.startswith("# Streaming model\n\n# Noise suppression\n")
    assert f"{state_bytes(frontend, EVERYTHING):,} bytes" in text
    assert "which hears falls of 15 dB" in text
    assert "160 samples (10 ms) at 16000 Hz" in text and "at most 12 dB" in text


def test_constants_are_those_of_the_front_end(tmp_path):
    frontend, _ = bundle(tmp_path, 16_000, "invariant", PLAIN)
    text = (tmp_path / "firmware" / "enhancement_constants.h").read_text()

    def table(name: str) -> list[float]:
        body = re.search(rf"ENHANCEMENT_{name} {{(.*?)}}", text, re.DOTALL).group(1)
        return [float(x.strip(" \\\n").removesuffix("f")) for x in body.split(",")]

    assert tuple(table("BAND_WIDTHS")) == frontend.widths
    assert np.array_equal(np.float32(table("WINDOW")), frontend.window())
    assert "ENHANCEMENT_HOP_SAMPLES 160\n" in text and "ENHANCEMENT_DECAY 9.9e-01f" in text


def test_programs_and_filters_that_do_not_fit_are_refused():
    frontend = frontend_of(16_000, "invariant")
    executor = executor_of(frontend, PLAIN)
    with pytest.raises(BadInput, match="gives .*allowed: 609 values"):
        files(frontend, SHORT, executor)
    wider = dataclasses.replace(frontend, filtered_bins=97)
    with pytest.raises(BadInput, match="takes .*stream_block_frames=1"):
        files(wider, PLAIN, executor)
    with pytest.raises(BadInput, match="ahead is 3; allowed: at most 2"):
        files(frontend, Filtering(ahead=3), executor)
