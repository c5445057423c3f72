"""The arena that a file needs on an ESP32, with ESP-NN's kernels: a bound, not a measurement.

As `firmware.arena`: the least arena of this 64-bit machine, whose structures are larger than an
ESP32's, plus the largest scratch memory that a kernel asks for, plus what planning notes of each
request. How much scratch is asked for changed between releases of ESP-NN (published models whose
arenas were measured stopped to load, esphome#15603), so this takes the most of all that are known
(esp_nn_conv_esp32s3.c, esp_nn_depthwise_conv_s8_esp32s3.c, versions 1.1 to 1.2).
"""

import math
from collections.abc import Sequence

from aqtaudio.firmware.arena import REQUEST_BYTES, STEP_BYTES
from aqtaudio.program.program import Program

LANES = 16
"""Bytes of a vector register: rows of weights and channels are padded to it."""
COLUMNS = 8
"""Pixels that a 1x1 convolution transposes at once, in 16 bits."""
ALIGNMENT_BYTES = 64


def stated_bytes(program: Program, host_bytes: int) -> int:
    """The arena of a program's file.

    Args:
      program: of the file.
      host_bytes: the least arena in which it loads with reference kernels on this machine.
    """
    requests = [
        scratch_bytes(
            op.kind,
            program.edges[op.inputs[0]].shape,
            program.edges[op.output].shape,
            op.constants["weights"].shape[:2],
        )
        for op in program.operations
        if op.kind in ("conv2d", "depthwise_conv2d")
    ]
    size = host_bytes + max(requests, default=0) + REQUEST_BYTES * len(requests)
    return math.ceil(size / STEP_BYTES) * STEP_BYTES


def scratch_bytes(
    kind: str, source: Sequence[int], target: Sequence[int], taps: Sequence[int]
) -> int:
    """The most that ESP-NN asks for while a convolution runs.

    Args:
      kind: "conv2d" or "depthwise_conv2d".
      source, target: shapes [H, W, C] of input and output.
      taps: of the kernel, rows and columns.
    """
    inputs, outputs = _padded(source[-1]), _padded(target[-1])
    rows, columns = (size + tap for size, tap in zip(source[:2], taps, strict=True))
    image = rows * columns * inputs  # with a border all around it
    if kind == "depthwise_conv2d":
        return 2 * (math.prod(taps) * outputs + image) + ALIGNMENT_BYTES
    sums = 4 * outputs
    if tuple(taps) == (1, 1):
        pixels = source[0] * source[1] * inputs
        return inputs * outputs + pixels + 2 * COLUMNS * inputs + sums + ALIGNMENT_BYTES
    return 2 * (math.prod(taps) * inputs * outputs + image) + sums + ALIGNMENT_BYTES


def _padded(channels: int) -> int:
    return math.ceil(channels / LANES) * LANES
