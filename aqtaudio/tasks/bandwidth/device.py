"""What an artifact says about everything around its network: samples to codes, codes to samples.

C99, also C++, float32, no allocation: one header with the run's constants. It computes what
`frontends.wave` and `whole.sound` do.
"""

import math

import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.frontends.wave import QUIETEST_PEAK, WaveBlocks
from aqtaudio.program.c_text import literal
from aqtaudio.program.execute import Executor
from aqtaudio.program.program import Edge

TYPES = {8: "int8_t", 16: "int16_t"}


def files(frontend: WaveBlocks, executor: Executor) -> dict[str, str]:
    """Texts by their path in an artifact: the C side, and a section of the bundle's README.

    Raises:
      BadInput: the program takes or gives something else than whole blocks.
    """
    program = executor.program
    given, made = (program.edges[x[0]] for x in (program.inputs, program.outputs))
    size = frontend.window_samples
    for edge, does in ((given, "takes"), (made, "gives")):
        if math.prod(edge.shape) % size:
            raise BadInput(f"the program {does} {list(edge.shape)}; allowed: blocks of {size}")
    return {
        "firmware/bandwidth.h": header(frontend, given, made),
        "firmware/README.md": section(frontend),
    }


def header(frontend: WaveBlocks, given: Edge, made: Edge) -> str:
    """C text of the front end's settings and the edges' grids."""
    levelled = frontend.peak is not None
    kept = np.exp(-frontend.hop_ms / frontend.decay_ms)
    return f"""\
/* Bandwidth extension around its network: samples at {frontend.sample_rate_hz} Hz (resampled, of \
half the band)
   to input codes, output codes to samples. C99 and C++; needs math.h. */
#ifndef BANDWIDTH_H
#define BANDWIDTH_H

#include <math.h>
#include <stdint.h>

#define BANDWIDTH_BLOCK_SAMPLES {frontend.window_samples}
#define BANDWIDTH_IS_LEVELLED {int(levelled)}
typedef {TYPES[given.bits]} BandwidthInput;
typedef {TYPES[made.bits]} BandwidthOutput;

/* One per stream; begin with bandwidth_init(). */
typedef struct {{
  float loudest;                        /* sample so far, forgotten slowly */
  float gains[BANDWIDTH_BLOCK_SAMPLES]; /* of the block that was heard last */
}} BandwidthState;

static inline float bandwidth_clipped(float value, float low, float high) {{
  return value < low ? low : value > high ? high : value;
}}

static inline void bandwidth_init(BandwidthState *state) {{
  state->loudest = {literal(QUIETEST_PEAK)};
}}

/* A block of samples, -1 to 1, to input codes. */
static inline void bandwidth_hear(BandwidthState *state, const float *samples,
                                  BandwidthInput *codes) {{
  int i;
  float loudest = {literal(QUIETEST_PEAK)}, before, now;
  for (i = 0; i < BANDWIDTH_BLOCK_SAMPLES; ++i) {{
    const float magnitude = fabsf(samples[i]);
    loudest = magnitude > loudest ? magnitude : loudest;
  }}
  before = state->loudest;
  now = {literal(kept)} * before;
  state->loudest = loudest > now ? loudest : now;
  now = {literal(frontend.peak or 1.0)} / state->loudest;
  before = {literal(frontend.peak or 1.0)} / before;
  for (i = 0; i < BANDWIDTH_BLOCK_SAMPLES; ++i) {{
    const float place = (float)(i + 1) / BANDWIDTH_BLOCK_SAMPLES;
    const float gain = before + (now - before) * place;
    state->gains[i] = BANDWIDTH_IS_LEVELLED ? (gain < now ? gain : now) : 1.0f;
    codes[i] = (BandwidthInput)bandwidth_clipped(
        rintf(samples[i] * state->gains[i] / {literal(given.scale)}) + {given.zero_point}.0f,
        {given.grid.lowest}.0f, {given.grid.highest}.0f);
  }}
}}

/* The network's output codes for that block to samples. */
static inline void bandwidth_sound(const BandwidthState *state, const BandwidthOutput *codes,
                                   float *samples) {{
  int i;
  for (i = 0; i < BANDWIDTH_BLOCK_SAMPLES; ++i)
    samples[i] = ((float)codes[i] - {made.zero_point}.0f) * {literal(made.scale)} / state->gains[i];
}}

#endif
"""


def section(frontend: WaveBlocks) -> str:
    """Markdown: what runs where, and the order of calls."""
    size, rate_hz = frontend.window_samples, frontend.sample_rate_hz
    level = (
        "The network is given every block at one level; `bandwidth_sound()` gives the level back."
        if frontend.peak is not None
        else "The network is given the samples as they are."
    )
    return f"""\
# Bandwidth extension

Block by block, {size} samples ({frontend.hop_ms:g} ms) at {rate_hz} Hz. Speech of {rate_hz // 2} Hz
has to be resampled to {rate_hz} Hz first, by a filter of yours. {level}

```c
#include "bandwidth.h"
static BandwidthState state; /* one per stream */
BandwidthInput given[BANDWIDTH_BLOCK_SAMPLES];
BandwidthOutput made[BANDWIDTH_BLOCK_SAMPLES];

bandwidth_init(&state); /* and the interpreter's Reset(): a stream begins */
for (;;) {{
  read_block(samples); /* float, -1 to 1 */
  bandwidth_hear(&state, samples, given);
  invoke_model(given, made); /* given to input(0), Invoke(), output(0) to made */
  bandwidth_sound(&state, made, samples);
  play_block(samples);
}}
```

What comes out is the block that went in, with its upper band: a block ({frontend.hop_ms:g} ms) of
delay, and what resampling takes. `given` and `made` may be the model's own tensors.
"""
