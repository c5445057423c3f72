"""A run's front end in its artifact: settings, headers that a compiler reads, refusals."""

import dataclasses
import math
import re
import shutil
import subprocess
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from corpus import MICRO, RATE_HZ
from micro_oracles import tensorflow_op

from aqtaudio.errors import BadInput
from aqtaudio.frontends.micro import tables
from aqtaudio.frontends.micro_header import golden_header, header, input_codes
from aqtaudio.frontends.spectral import Mfcc
from aqtaudio.program.execute import Executor
from aqtaudio.runs.frontend_named import frontend_of
from aqtaudio.runs.run import Run

pytestmark = pytest.mark.optimized("slow")

COMPILER = shutil.which("g++") or shutil.which("c++")
C_COMPILER = shutil.which("gcc") or shutil.which("cc")


@pytest.fixture(scope="module")
def artifact(tiny_hearing) -> Path:
    return tiny_hearing / "artifact"


def array(text: str, name: str) -> np.ndarray:
    """The values of a C++ array, flat."""
    body = re.search(rf"{name}(?:\[\w+\])+ = {{(.*?)}};", text, re.DOTALL).group(1)
    return np.asarray([int(value) for value in re.findall(r"-?\d+", body)])


def test_artifact_holds_the_settings(artifact):
    assert frontend_of(str(artifact / "frontend.json")) == MICRO
    assert frontend_of(str(artifact)) == MICRO


def test_header_gives_the_input_codes_of_features(artifact, tone_corpus):
    """A device that looks its features up has the codes that the run was evaluated on."""
    run = Run(artifact)
    data = run.data([tone_corpus], ("val",))
    clips, _ = data.evaluation_arrays(run.items(data, "val")[:8])
    steps = MICRO.integers(jnp.asarray(clips, jnp.int32), MICRO.initial_state(len(clips)))[0]
    codes = array((artifact / "firmware" / "frontend.h").read_text(), "kInputCodes")
    looked_up = codes[np.minimum(np.asarray(steps), len(codes) - 1)]
    executor = Executor(run.program)
    features = run.experiment.setup.features(jnp.asarray(clips, jnp.float32) / 32768)
    expected = executor.quantize(features).reshape(looked_up.shape)
    assert np.array_equal(looked_up, expected) and len(np.unique(expected)) > 20


def test_channels_of_their_own_scale_have_codes_of_their_own(artifact):
    run = Run(artifact)
    executor = Executor(run.program)
    uneven = dataclasses.replace(MICRO, mean=(13.0, 10.0), scale=(6.5, 5.0))
    codes = input_codes(uneven, executor.quantize, math.prod(run.experiment.setup.input_shape))
    assert codes.shape[0] == MICRO.channels
    assert np.array_equal(codes[1], codes[2]) and not np.array_equal(codes[0], codes[1])
    assert f"kInputCodes[{MICRO.channels}]" in header(uneven, tables(uneven), codes)


def test_golden_vectors_are_the_c_librarys(artifact):
    """By the operator in TensorFlow's package."""
    text = (artifact / "firmware" / "frontend_golden.h").read_text()
    samples = array(text, "kFrontendGoldenSamples")
    assert samples.max() > 10_000 and len(samples) == RATE_HZ // 2
    features = array(text, "kFrontendGoldenFeatures").reshape(-1, MICRO.channels)
    expected = tensorflow_op(MICRO, samples.astype(np.int16))
    assert np.array_equal(features, expected) and features.max() > 300


LIBRARY = """
#include "frontend.h"
#include "frontend_golden.h"
#include <cstdio>
struct Config {
  struct { int size_ms, step_size_ms; } window;
  struct { int num_channels; float lower_band_limit, upper_band_limit; } filterbank;
  struct { int smoothing_bits; float even_smoothing, odd_smoothing, min_signal_remaining; }
      noise_reduction;
  struct { int enable_pcan; float strength, offset; int gain_bits; } pcan_gain_control;
  struct { int enable_log, scale_shift; } log_scale;
};
int main() {
  Config c{};
  aqtaudio::FillFrontendConfig(&c);
  int sum = 0, gains = 0;
  for (int value : aqtaudio::kFrontendWindow) sum += value;
  for (int value : aqtaudio::kFrontendGains) ++gains, sum += value;
  std::printf("%d %d %d %g %g %d %g %g %g %d %g %g %d %d %d %d %d", c.window.size_ms,
              c.window.step_size_ms, c.filterbank.num_channels, c.filterbank.lower_band_limit,
              c.filterbank.upper_band_limit, c.noise_reduction.smoothing_bits,
              c.noise_reduction.even_smoothing, c.noise_reduction.odd_smoothing,
              c.noise_reduction.min_signal_remaining, c.pcan_gain_control.enable_pcan,
              c.pcan_gain_control.strength, c.pcan_gain_control.offset,
              c.pcan_gain_control.gain_bits, c.log_scale.enable_log, c.log_scale.scale_shift,
              gains, sum);
}
"""


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")
def test_the_compiler_reads_settings_and_tables(artifact, tmp_path):
    source, program = tmp_path / "main.cc", tmp_path / "main"
    source.write_text(LIBRARY)
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{artifact / 'firmware'}"]
    subprocess.run([COMPILER, *flags, source, "-o", program], check=True)
    values = subprocess.run([program], check=True, capture_output=True, text=True).stdout.split()
    expected = [30, 20, 10, 125, 3500, 10, 0.025, 0.06, 0.05, 1, 0.95, 40, 21, 1, 6]
    assert [float(value) for value in values[:-1]] == [*expected, 125]
    found = tables(MICRO)
    gains = found.gains[0, 0] + found.gains[1, 0] + found.gains[2:].sum()
    assert int(values[-1]) == found.window.sum() + gains


@pytest.mark.skipif(C_COMPILER is None, reason="no C compiler")
def test_it_is_c_too(artifact, tmp_path):
    source, program = tmp_path / "main.c", tmp_path / "main"
    config = LIBRARY[LIBRARY.index("struct Config") : LIBRARY.index("int main")]
    source.write_text(f"""
        #include "frontend.h"
        #include "frontend_golden.h"
        #include <stdio.h>
        {config}
        int main(void) {{
          struct Config c;
          AQTAUDIO_FILL_FRONTEND_CONFIG(&c);
          printf("%d %d %d", c.window.size_ms, kFrontendChannels, kInputCodes[0][0]);
          return kFrontendGoldenSamples[0] == kFrontendWindow[0];
        }}
    """)
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{artifact / 'firmware'}"]
    subprocess.run([C_COMPILER, *flags, source, "-o", program], check=True)
    values = subprocess.run([program], capture_output=True, text=True).stdout.split()
    assert [int(value) for value in values[:2]] == [30, MICRO.channels]


def test_header_holds_the_filters(artifact):
    text = (artifact / "firmware" / "frontend.h").read_text()
    found = tables(MICRO).filters
    assert np.array_equal(array(text, "kFrontendFilterIntervals"), found.intervals)
    assert np.array_equal(array(text, "kFrontendFilterWeights"), found.falling)
    assert np.array_equal(array(text, "kFrontendFilterUnweights"), found.rising)
    assert f"kFrontendFirstBin = {found.start} }};" in text


def test_what_the_c_library_cannot_be_does_not_compile():
    """Its settings are integers: 12.5 would become 12 without a word."""

    def text(**changes: object) -> str:
        frontend = dataclasses.replace(MICRO, hop_ms=10, **changes)
        return header(frontend, tables(frontend), np.zeros((1, 1), np.int8))

    refusal = "AQTAUDIO_STATIC_ASSERT("
    assert "size_ms = 25;" in text(window_ms=25.0) and refusal not in text(window_ms=25.0)
    assert "size_ms" not in text(window_ms=25.5) and "has 25.5 every 10" in text(window_ms=25.5)
    assert refusal in text(variant="tflm")


def test_golden_vectors_of_a_long_window_hold_a_frame():
    long = dataclasses.replace(MICRO, window_ms=600.0)
    assert "kFrontendGoldenFeatures[1][10]" in golden_header(long)


def test_another_front_end_is_refused_by_its_settings(artifact, tone_corpus, answer, refused):
    status, value = answer("evaluate", artifact, "--data", tone_corpus, "--frontend", artifact)
    assert status == 0 and value["n"] > 0
    message = refused("evaluate", artifact, "--data", tone_corpus, "--frontend", "micro-tflm")
    for name in ("variant", "sample_rate_hz", "channels", "upper_hz", "pcan_offset"):
        assert f"{name} is" in message
    assert "hop_ms" not in message and "recalibrate" in message
    sound = sorted(tone_corpus.rglob("*.flac"))[0]
    assert "Mfcc requested" in refused("listen", artifact, sound, "--frontend", "mfcc")


def test_front_ends_by_name_file_and_run(artifact, tmp_path):
    assert frontend_of("mfcc") == Mfcc()
    with pytest.raises(BadInput, match="allowed: log-mel, mfcc, micro-c, micro-tflm"):
        frontend_of("nothing")
    broken = tmp_path / "frontend.json"
    broken.write_text("{")
    with pytest.raises(BadInput, match="not readable JSON"):
        frontend_of(str(broken))
