"""What the kernel libraries of TFLite files get wrong or lack: one place for what is known.

"reference": TFLite Micro's own kernels (what it cannot run at all is in `support` and `traps`).
"cmsis-nn": what nearly every Cortex-M product runs in their place. "litert": LiteRT with XNNPACK,
on phones and desktops. Every rule was seen by running it (`docs/operations.md`). Knows no program.
"""

import math
from collections.abc import Callable, Iterator
from typing import Literal, get_args

import numpy as np

from aqtaudio.program.operator_view import Operator, Tensor

Library = Literal["reference", "cmsis-nn", "litert"]
LIBRARIES: tuple[Library, ...] = get_args(Library)
Finding = tuple[Tensor, str, str]
"""The tensor, what is wrong with it, the remedy."""
Rule = Callable[[Operator], Iterator[Finding]]

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
    return all(
        _multiplier(float(up / down)) == _multiplier(float(up) / float(down)) for up, down in ratios
    )


def _multiplier(ratio: float) -> tuple[int, int]:
    """Mantissa of 31 bits and exponent."""
    fraction, exponent = math.frexp(ratio)
    mantissa = math.floor(fraction * 2.0**31 + 0.5)
    return (mantissa // 2, exponent + 1) if mantissa == 2**31 else (mantissa, exponent)


def reasons(operator: Operator) -> dict[Library, list[str]]:
    """By library, one line per finding of its rules."""
    return {
        library: [
            f"{operator.name} ({operator.place}): {tensor.label} {wrong}; {remedy}"
            for rule in rules
            for tensor, wrong, remedy in rule(operator)
        ]
        for library, rules in RULES.items()
    }


def _four_bits(library: Library, what: str, remedy: str) -> Rule:
    def rule(operator: Operator) -> Iterator[Finding]:
        source, weights, target = operator.input(0), operator.input(1), operator.output
        if operator.name != "DEPTHWISE_CONV_2D" or not (source and weights and target):
            return
        if weights.type == "INT4" and source.shape and target.shape:
            inputs, outputs = source.shape[-1], target.shape[-1]
            dilated = operator.dilation != (1, 1)
            if not four_bit_depthwise_is_right(inputs, outputs, dilated, library):
                yield weights, f"is INT4, {inputs} channels to {outputs}: {what}", remedy

    return rule


def _groups(operator: Operator) -> Iterator[Finding]:
    source, weights = operator.input(0), operator.input(1)
    if operator.name == "CONV_2D" and source and weights and source.type == "INT16":
        if source.shape and weights.shape and source.shape[-1] != weights.shape[-1]:
            wrong = "has groups beside int16 activations: CMSIS-NN crashes, or is wrong silently"
            yield weights, wrong, "use a convolution per group and a concatenation"


def _many_scales(operator: Operator) -> Iterator[Finding]:
    source, weights = operator.input(0), operator.input(1)
    if operator.name == "FULLY_CONNECTED" and source and weights and source.type == "INT16":
        if weights.scale_count > 1:
            wrong = "has a scale per channel beside int16 activations, which CMSIS-NN refuses"
            yield weights, wrong, "use one scale, or a 1x1 convolution"


def _many_axes(operator: Operator) -> Iterator[Finding]:
    source = operator.input(0)
    if operator.name == "TRANSPOSE" and source and source.type == "INT8":
        if len(source.shape) > TRANSPOSED_AXES:
            wrong = (
                f"has {len(source.shape)} axes: CMSIS-NN leaves garbage beyond {TRANSPOSED_AXES}"
            )
            yield source, wrong, "reshape to fewer axes first: axes of one element go free"


def _difference(operator: Operator) -> Iterator[Finding]:
    tensors = [operator.input(0), operator.input(1), operator.output]
    a, b, y = (tensor if tensor and tensor.is_quantized else None for tensor in tensors)
    if operator.name == "SUB" and a and b and y:
        if not difference_is_one(a.grid[0], b.grid[0], y.grid[0], y.type == "INT16"):
            wrong = "has a scale whose ratios TFLite Micro's releases round differently"
            yield y, wrong, "add the negative, or use scales that are powers of two apart"


RULES: dict[Library, tuple[Rule, ...]] = {
    "reference": (),
    "cmsis-nn": (
        _four_bits(
            "cmsis-nn", "CMSIS-NN computes it wrong", "use int8, or an even number of inputs"
        ),
        _groups,
        _many_scales,
        _many_axes,
        _difference,
    ),
    "litert": (
        _four_bits(
            "litert", "LiteRT computes it wrong", "use int8, or a multiple of 8 undilated ones"
        ),
    ),
}
