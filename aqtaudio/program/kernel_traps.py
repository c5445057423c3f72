"""Which operators of a TFLite file a kernel library gets wrong, and what to do instead."""

from collections.abc import Iterator, Sequence

from aqtaudio.program.findings import Finding, Rule, lines
from aqtaudio.program.flatbuffer import schema
from aqtaudio.program.kernel_libraries import (
    TRANSPOSED_AXES,
    Library,
    difference_is_one,
    four_bit_depthwise_is_right,
    slopes_are_one,
)
from aqtaudio.program.operator_view import Operator


def reasons(operators: Sequence[Operator]) -> dict[Library, list[str]]:
    """By library, one line per finding of its rules."""
    return {library: lines(operators, rules) for library, rules in RULES.items()}


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
    if operator.name != "CONV_2D" or not (source and weights and source.shape and weights.shape):
        return
    if source.shape[-1] == weights.shape[-1]:
        return
    beside = {"INT16": "beside int16 activations", "INT4": "of INT4"}
    for kind in {source.type, weights.type} & set(beside):
        wrong = f"has groups {beside[kind]}: CMSIS-NN crashes, or is wrong silently"
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


def _slopes(operator: Operator) -> Iterator[Finding]:
    source, target = operator.input(0), operator.output
    if operator.name not in ("RELU", "LEAKY_RELU") or not (source and target):
        return
    if source.type == target.type == "INT16" and source.is_quantized and target.is_quantized:
        if not slopes_are_one(source.grid[0], target.grid[0]):
            wrong = "has a scale whose ratio TFLite Micro's releases round differently"
            yield target, wrong, "use PRELU with a constant slope, or scales a power of two apart"


def _undeclared_bias(operator: Operator) -> Iterator[Finding]:
    source, bias = operator.input(0), operator.input(2)
    if operator.name not in ("CONV_2D", "FULLY_CONNECTED") or not (source and bias):
        return
    if (source.type, bias.type) == ("INT16", "INT32"):
        if operator.options.get("quantizedBiasType", 0) != schema.TensorType.INT32:
            wrong = "is an INT32 bias that the options do not declare: LiteRT reads it as INT64"
            yield bias, wrong, "set quantized_bias_type to INT32, or widen it to INT64"


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
        _slopes,
    ),
    "litert": (
        _four_bits(
            "litert", "LiteRT computes it wrong", "use int8, or a multiple of 8 undilated ones"
        ),
        _undeclared_bias,
    ),
}
