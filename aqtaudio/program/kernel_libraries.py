"""What the kernel libraries of TFLite files get wrong or lack: one place for what is known.

"reference": TFLite Micro's own kernels (what it cannot run at all is in `support` and `traps`).
"cmsis-nn": what nearly every Cortex-M product runs in their place. "litert": LiteRT with XNNPACK,
on phones and desktops. Every rule was seen by running it (`docs/operations.md`).
Files are searched for it by `kernel_traps`.
"""

import math
from typing import Literal, get_args

import numpy as np

Library = Literal["reference", "cmsis-nn", "litert"]
LIBRARIES: tuple[Library, ...] = get_args(Library)
TRANSPOSED_AXES = 4
"""That CMSIS-NN transposes, with the batch."""


def four_bit_depthwise_is_right(inputs: int, outputs: int, dilated: bool, library: Library) -> bool:
    """Whether a library computes a depthwise convolution of 4-bit weights, by its channels."""
    if library == "cmsis-nn":
        return inputs % 2 == 0 or (inputs == outputs and not dilated)
    return library == "reference" or (outputs % 8 == 0 and not dilated)


def four_bits_everywhere(kind: str, inputs: int, outputs: int, dilated: bool) -> bool:
    """Whether every library computes a weighted operation of 4 bits, by its channels."""
    return kind != "depthwise_conv2d" or all(
        four_bit_depthwise_is_right(inputs, outputs, dilated, library) for library in LIBRARIES
    )


def difference_is_one(a: float, b: float, y: float, wide: bool) -> bool:
    """Whether all releases of TFLite Micro derive the same multipliers of a SUB from its scales.

    Some form the ratios in float32, some in float64 (tflite-micro#1501, #1536, #3271).
    """
    first, second, target = np.float32(a), np.float32(b), np.float32(y)
    most, shift = 2 * max(first, second), np.float32(2**15 if wide else 2**20)
    ratios = ((first, most), (second, most), (most, shift * target))
    return all(_ratio_is_one(up, down) for up, down in ratios)


def slopes_are_one(x: float, y: float, alpha: float = 1.0) -> bool:
    """As `difference_is_one`, of a RELU or LEAKY_RELU (its slope `alpha`) from scale x to y."""
    source, target, slope = np.float32(x), np.float32(y), np.float32(alpha)
    below = float(source) * float(slope) / float(target)
    return _ratio_is_one(source, target) and (
        _multiplier(float(source * slope / target)) == _multiplier(below)
    )


def _ratio_is_one(up: np.float32, down: np.float32) -> bool:
    """Whether a quotient in float32 and in float64 are the same multiplier."""
    return _multiplier(float(up / down)) == _multiplier(float(up) / float(down))


def _multiplier(ratio: float) -> tuple[int, int]:
    """Mantissa of 31 bits and exponent."""
    fraction, exponent = math.frexp(ratio)
    mantissa = math.floor(fraction * 2.0**31 + 0.5)
    return (mantissa // 2, exponent + 1) if mantissa == 2**31 else (mantissa, exponent)
