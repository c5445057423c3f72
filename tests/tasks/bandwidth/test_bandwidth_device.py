"""The C side of an extender against the arithmetic that its network was trained with."""

import shutil
import subprocess
from pathlib import Path

import jax
import numpy as np
import pytest

from aqtaudio.frontends.wave import WaveBlocks
from aqtaudio.program.program import Edge
from aqtaudio.tasks.bandwidth.device import header, section

pytestmark = pytest.mark.optimized(False)
COMPILER = shutil.which("cc") or shutil.which("gcc")
FLAGS = ("-O1", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
BLOCKS, SIZE = 20, 256
GIVEN = Edge("given", (1, SIZE), 0.6 / 32767, 0, 16)
MADE = Edge("made", (1, SIZE), 1.1 / 32767, 0, 16)
# Codes of samples, and sound of these codes taken as outputs.
STREAM = """
#include <stdio.h>
#include "bandwidth.h"

int main(void) {
  static BandwidthState state;
  static float samples[BANDWIDTH_BLOCK_SAMPLES];
  static BandwidthInput codes[BANDWIDTH_BLOCK_SAMPLES];
  FILE *in = fopen("samples", "rb"), *out = fopen("codes", "wb"), *sound = fopen("sound", "wb");
  bandwidth_init(&state);
  while (fread(samples, sizeof(samples), 1, in) == 1) {
    bandwidth_hear(&state, samples, codes);
    fwrite(codes, sizeof(codes), 1, out);
    bandwidth_sound(&state, codes, samples);
    fwrite(samples, sizeof(samples), 1, sound);
  }
  return fclose(out) || fclose(sound);
}
"""


@pytest.mark.skipif(COMPILER is None, reason="no C compiler")
@pytest.mark.parametrize("peak", [None, 0.5])
def test_codes_and_sound(tmp_path: Path, peak: float | None):
    frontend = WaveBlocks(peak=peak)
    rng = np.random.default_rng(0)
    level = np.repeat(10.0 ** rng.uniform(-4, -0.3, BLOCKS), SIZE)
    samples = (level * rng.uniform(-1, 1, BLOCKS * SIZE)).astype(np.float32)
    samples.tofile(tmp_path / "samples")
    (tmp_path / "bandwidth.h").write_text(header(frontend, GIVEN, MADE))
    (tmp_path / "stream.c").write_text(STREAM)
    subprocess.run(
        [str(COMPILER), *FLAGS, "stream.c", "-o", "stream", "-lm"], cwd=tmp_path, check=True
    )
    subprocess.run(["./stream"], cwd=tmp_path, check=True)
    blocks, gains, _ = jax.jit(frontend.push_with_gain)(samples[None], frontend.initial_state(1))
    gains = np.ones(blocks.shape, np.float32) if gains is None else np.asarray(gains)
    expected = np.rint(np.asarray(blocks * gains)[0] / np.float32(GIVEN.scale))
    codes = np.fromfile(tmp_path / "codes", np.int16).reshape(expected.shape)
    apart = np.abs(codes - np.clip(expected, -32768, 32767))
    assert apart.max() <= 1 and (apart > 0).mean() < 1 / 200
    assert len(np.unique(codes)) > 500
    sound = np.fromfile(tmp_path / "sound", np.float32).reshape(expected.shape)
    np.testing.assert_allclose(sound, codes * np.float32(MADE.scale) / gains[0], rtol=1e-5)


def test_the_readme_says_how():
    assert "256 samples (16 ms) at 16000 Hz" in section(WaveBlocks(peak=0.5))
