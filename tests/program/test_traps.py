"""Traps of TFLite Micro: each file that falls into one is told so; its mended twin is not.

What the interpreter itself does with the file is asserted too, so that no rule outlives its trap.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from fates import ABORTS, REFUSED, SILENT, asked
from one_operator import Tensor, one_operator

from aqtaudio.program import flatbuffer, inspection
from aqtaudio.program.flatbuffer import schema

ROW = [1, 4]
STRIDE_1 = {"strideW": 1, "strideH": 1}


def int8(shape: Sequence[int], scale: float = 0.1, zero_point: int = 0, data=None) -> Tensor:
    return Tensor(shape, "int8", scale, zero_point, data)


def int16(shape: Sequence[int], scale: float = 0.01, data=None) -> Tensor:
    return Tensor(shape, "int16", scale, 0, data)


def sizes(values: Any) -> Tensor:
    return Tensor(np.shape(values), "int32", None, 0, np.int32(values))


def unary(name: str, source: Tensor, target: Tensor, options: Mapping | None = None) -> bytes:
    return one_operator(name, [source], target, options)


def binary(name: str, a: Tensor, b: Tensor, target: Tensor) -> bytes:
    return one_operator(name, [a, b], target, {})


def pad(source: Tensor, target: Tensor) -> bytes:
    return one_operator("PAD", [source, sizes([[0, 0], [1, 1]])], target, {})


def softmax(width: int, **target: Any) -> bytes:
    out = {"scale": 1 / 256, "zero_point": -128} | target
    return unary("SOFTMAX", int8([1, width]), int8([1, width], **out), {"beta": 1.0})


def wide_softmax(scale: float) -> bytes:
    return unary("SOFTMAX", int8(ROW), Tensor(ROW, "int16", scale, -32768), {"beta": 1.0})


def pool(target_scale: float) -> bytes:
    options = STRIDE_1 | {"filterWidth": 1, "filterHeight": 1, "padding": 1}
    source, target = int8([1, 2, 2, 1]), int8([1, 2, 2, 1], target_scale)
    return one_operator("MAX_POOL_2D", [source], target, options, "Pool2DOptions")


def dense(activation: Callable = int8, bias: str = "int32") -> bytes:
    weights = int8([4, 8], 0.02, 0, np.ones([4, 8]))
    scale = activation([1]).scale * 0.02
    inputs = [activation([1, 8]), weights, Tensor([4], bias, scale, 0, np.zeros(4))]
    return one_operator("FULLY_CONNECTED", inputs, activation([1, 4]), {})


def conv(activation: Callable = int8, bias: str = "int32", weights_zero: int = 0) -> bytes:
    weights = int8([4, 1, 1, 8], 0.02, weights_zero, np.ones([4, 8]))
    inputs = [activation([1, 3, 3, 8]), weights, Tensor([4], bias, 0.002, 0, np.zeros(4))]
    return one_operator("CONV_2D", inputs, activation([1, 3, 3, 4]), STRIDE_1, "Conv2DOptions")


def depthwise(bias: str) -> bytes:
    weights = int8([1, 3, 3, 4], 0.02, 0, np.ones([3, 3, 4]))
    inputs = [int16([1, 3, 3, 4]), weights, Tensor([4], bias, 0.002, 0, np.zeros(4))]
    options, table = STRIDE_1 | {"depthMultiplier": 1}, "DepthwiseConv2DOptions"
    return one_operator("DEPTHWISE_CONV_2D", inputs, int16([1, 3, 3, 4]), options, table)


def hybrid(name: str, weights: str) -> bytes:
    scale = 0.02 if weights == "int8" else None
    inputs = [Tensor([1, 8], "float32"), Tensor([4, 8], weights, scale, 0, np.ones([4, 8]))]
    return one_operator(name, inputs, Tensor([1, 4], "float32"), {})


def part(name: str, is_computed: bool) -> bytes:
    """The first frames of [4, 2]: one, or as many as an input says."""
    begin, size = sizes([0, 0]), sizes([1, 2])
    if is_computed:
        size = size._replace(data=None)
    parsed = flatbuffer.read(one_operator(name, [int8([4, 2]), begin, size], int8([1, 2]), {}))
    if is_computed:
        parsed.subgraphs[0].tensors[-1].shapeSignature = np.int32([1, -1])
    return flatbuffer.write(parsed)


def transpose_conv(activation: Callable, bias: Tensor, is_constant: bool = True) -> bytes:
    weights = int8([4, 3, 3, 4], 0.02, 0, np.ones([4, 3, 3, 4]) if is_constant else None)
    shape = [1, 3, 3, 4]
    inputs = [sizes(shape), weights, activation(shape), bias]
    table = "TransposeConvOptions"
    return one_operator("TRANSPOSE_CONV", inputs, activation(shape), STRIDE_1, table)


def bias(dtype: str) -> Tensor:
    return Tensor([4], dtype, None if dtype == "float32" else 0.002, 0, np.zeros(4))


def with_int4(model: bytes, tensor: int = 1, channels: int = 1) -> bytes:
    """The same with 4-bit weights."""
    parsed = flatbuffer.read(model)
    weights = parsed.subgraphs[0].tensors[tensor]
    weights.type = schema.TensorType.INT4
    weights.quantization.scale = np.full(channels, 0.02, np.float32)
    weights.quantization.zeroPoint = np.zeros(channels, np.int64)
    data = parsed.buffers[weights.buffer].data
    parsed.buffers[weights.buffer].data = np.full(len(data) // 2, 0x11, np.uint8)
    return flatbuffer.write(parsed)


def with_open_shape(model: bytes, shape: list[int], signature: list[int] | None = None) -> bytes:
    parsed = flatbuffer.read(model)
    for tensor in parsed.subgraphs[0].tensors:
        tensor.shape = np.int32(shape)
        tensor.shapeSignature = None if signature is None else np.int32(signature)
    return flatbuffer.write(parsed)


def with_scales(model: bytes, tensor: int, axis: int, differ: bool = True) -> bytes:
    """The same with a scale per channel of a tensor, from its own upwards."""
    parsed = flatbuffer.read(model)
    found = parsed.subgraphs[0].tensors[tensor]
    count = found.shape[axis]
    steps = np.arange(count) if differ else np.zeros(count)
    found.quantization.scale = np.float32(found.quantization.scale[0] * (1 + steps / 8))
    found.quantization.zeroPoint = np.zeros(count, np.int64)
    found.quantization.quantizedDimension = axis
    return flatbuffer.write(parsed)


def uint8(shape: Sequence[int], scale: float = 0.1, data=None) -> Tensor:
    return Tensor(shape, "uint8", scale, 128, data)


def uint8_conv() -> bytes:
    weights = uint8([4, 1, 1, 8], 0.02, np.ones([4, 8]))
    inputs = [uint8([1, 3, 3, 8]), weights, Tensor([4], "int32", 0.002, 0, np.zeros(4))]
    return one_operator("CONV_2D", inputs, uint8([1, 3, 3, 4]), STRIDE_1, "Conv2DOptions")


def whole_sum(activation: int) -> bytes:
    """Of whole numbers."""
    tensor = Tensor([1, 4], "int32")
    return one_operator("ADD", [tensor] * 2, tensor, {"fusedActivationFunction": activation})


FLOAT_ROW = Tensor([1, 4], "float32")
RELU = unary("RELU", int8([1, 4]), int8([1, 4]))


class Case(NamedTuple):
    """A file that falls into a trap, what the line has to say, and a file that does not."""

    fate: str
    broken: bytes
    says: tuple[str, ...]
    mended: bytes | None = None


CASES = {
    "logistic_scale": Case(
        SILENT,
        unary("LOGISTIC", int8(ROW), int8(ROW, 0.01, -128)),
        ("LOGISTIC (operator 0): tensor t1", "scale 0.01", "annotate", "1/256, zero point -128"),
        unary("LOGISTIC", int8(ROW), int8(ROW, 1 / 256, -128)),
    ),
    "logistic_zero_point": Case(
        REFUSED,
        unary("LOGISTIC", int8(ROW), int8(ROW, 1 / 256, 0)),
        ("LOGISTIC (operator 0): tensor t1", "zero point 0", "1/256, zero point -128"),
    ),
    "tanh_scale": Case(
        SILENT,
        unary("TANH", int8(ROW), int8(ROW, 0.01, 0)),
        ("TANH (operator 0): tensor t1", "scale 0.01", "1/128, zero point 0"),
        unary("TANH", int8(ROW), int8(ROW, 1 / 128, 0)),
    ),
    "tanh_zero_point": Case(
        SILENT,
        unary("TANH", int8(ROW), int8(ROW, 1 / 128, 5)),
        ("TANH (operator 0): tensor t1", "zero point 5", "1/128, zero point 0"),
    ),
    "tanh_int16": Case(
        REFUSED,
        unary("TANH", int16(ROW), int16(ROW, 0.01)),
        ("TANH (operator 0): tensor t1", "1/32768, zero point 0"),
        unary("TANH", int16(ROW), int16(ROW, 1 / 32768)),
    ),
    "softmax_scale": Case(
        REFUSED,
        softmax(4, scale=1 / 255),
        ("SOFTMAX (operator 0): tensor t1", "1/256, zero point -128"),
        softmax(4),
    ),
    "l2_norm_scale": Case(
        SILENT,
        unary("L2_NORMALIZATION", int8(ROW), int8(ROW)),
        ("L2_NORMALIZATION (operator 0): tensor t1", "1/128, zero point 0"),
        unary("L2_NORMALIZATION", int8(ROW), int8(ROW, 1 / 128)),
    ),
    "softmax_scale_int16": Case(
        REFUSED,
        wide_softmax(1.002 / 65536),
        ("SOFTMAX (operator 0): tensor t1", "scale 1/65536, zero point -32768"),
        wide_softmax(1.5259e-05),  # as files in use have it
    ),
    "softmax_width": Case(
        ABORTS,
        softmax(512),
        ("SOFTMAX (operator 0): tensor t0", "512 positions", "aborts", "keep it under 512"),
        softmax(511),
    ),
    "relu6": Case(
        SILENT,
        unary("RELU6", int8(ROW), int8(ROW, 6 / 255, -128)),
        ("RELU6 (operator 0): tensor t1", "tensor t0 scale 0.1", "use RELU", "0 to 6"),
        unary("RELU6", int8(ROW), int8(ROW)),
    ),
    "pad_int8": Case(
        SILENT,
        pad(int8(ROW), int8([1, 6], 0.2)),
        ("PAD (operator 0): tensor t2", "tensor t0 scale 0.1", "without rescaling", "QUANTIZE"),
        pad(int8(ROW), int8([1, 6])),
    ),
    "pad_int16": Case(
        SILENT,
        pad(int16(ROW), int16([1, 6], 0.2)),
        ("PAD (operator 0): tensor t2", "without rescaling", "QUANTIZE"),
        pad(int16(ROW), int16([1, 6], 0.01 * (1 + 5e-6))),
    ),
    "pad_almost_int16": Case(
        SILENT,
        pad(int16(ROW), int16([1, 6], 0.01 * (1 + 2e-5))),  # the widest codes are a step off
        ("PAD (operator 0): tensor t2", "without rescaling", "QUANTIZE"),
        pad(int8(ROW), int8([1, 6], 0.1 * (1 + 1e-3))),  # no code is
    ),
    "concatenation_int16": Case(
        SILENT,
        one_operator(
            "CONCATENATION", [int16(ROW), int16(ROW, 0.2)], int16([1, 8], 0.2), {"axis": 1}
        ),
        ("CONCATENATION (operator 0): tensor t2", "tensor t0 scale 0.01", "QUANTIZE"),
        one_operator("CONCATENATION", [int16(ROW), int16(ROW)], int16([1, 8]), {"axis": 1}),
    ),
    "pool_scale": Case(
        REFUSED, pool(0.2), ("MAX_POOL_2D (operator 0): tensor t1", "QUANTIZE"), pool(0.1)
    ),
    "logistic_input": Case(
        SILENT,
        unary("LOGISTIC", int8(ROW, 2.0), int8(ROW, 1 / 256, -128)),
        ("LOGISTIC (operator 0): tensor t0", "saturates", "input scale below 2"),
        unary("LOGISTIC", int8(ROW, 1.99), int8(ROW, 1 / 256, -128)),
    ),
    "hard_swish": Case(
        REFUSED,
        unary("HARD_SWISH", int8(ROW, 1.0), int8(ROW, 1 / 128)),
        ("HARD_SWISH (operator 0): tensor t1", "1/128 of tensor t0's", "wider range"),
        unary("HARD_SWISH", int8(ROW, 1.0), int8(ROW, 1 / 127)),
    ),
    "add_ratio": Case(
        ABORTS,
        binary("ADD", int8(ROW, 1.0), int8(ROW, 0.5), int8(ROW, 2.0**-19)),
        ("ADD (operator 0): tensor t2", "aborts", "wider range"),
        binary("ADD", int8(ROW, 1.0), int8(ROW, 0.5), int8(ROW, 2.1 * 2.0**-20)),
    ),
    "sub_ratio_int16": Case(
        ABORTS,
        binary("SUB", int16(ROW, 1.0), int16(ROW, 0.5), int16(ROW, 2.0**-14)),
        ("SUB (operator 0): tensor t2", "aborts", "wider range"),
        binary("SUB", int16(ROW, 1.0), int16(ROW, 0.5), int16(ROW, 2.1 * 2.0**-15)),
    ),
    "mul_ratio_int16": Case(
        SILENT,
        binary("MUL", int16(ROW, 1.0), int16(ROW, 1.0), int16(ROW, 0.5)),
        ("MUL (operator 0): tensor t2", "wraps around", "wider range"),
        binary("MUL", int16(ROW, 1.0), int16(ROW, 1.0), int16(ROW, 0.51)),
    ),
    "depthwise_bias_16x8": Case(
        SILENT,
        depthwise("int32"),
        ("DEPTHWISE_CONV_2D (operator 0): tensor t2", "INT32 bias", "widen it to INT64"),
        depthwise("int64"),
    ),
    "transpose_conv_bias_16x8": Case(
        SILENT,
        transpose_conv(int16, bias("int32")),
        ("TRANSPOSE_CONV (operator 0): tensor t3", "INT32 bias", "widen it to INT64"),
        transpose_conv(int16, bias("int64")),
    ),
    "transpose_conv_float_bias": Case(
        SILENT,
        transpose_conv(int8, bias("float32")),
        ("TRANSPOSE_CONV (operator 0): tensor t3", "bias of FLOAT32", "quantize it to INT32"),
        transpose_conv(int8, bias("int32")),
    ),
    "computed_filter": Case(
        SILENT,
        transpose_conv(int8, bias("int32"), is_constant=False),
        ("TRANSPOSE_CONV (operator 0): tensor t1", "computed in the graph", "sub-pixel"),
    ),
    "int4_dense_per_channel": Case(
        REFUSED,
        with_int4(dense(), channels=4),
        ("FULLY_CONNECTED (operator 0): tensor t1", "one scale per tensor or a 1x1 convolution"),
        with_int4(dense()),
    ),
    "int4_transpose_conv": Case(
        REFUSED,
        with_int4(transpose_conv(int8, bias("int32"))),
        ("TRANSPOSE_CONV (operator 0): tensor t1", "INT4", "use int8"),
    ),
    "16x4": Case(
        REFUSED,
        with_int4(conv(int16, "int64"), channels=4),
        ("CONV_2D (operator 0): tensor t1", "16x4", "16x8"),
        with_int4(conv(), channels=4),
    ),
    "hybrid_dense": Case(
        REFUSED,
        hybrid("FULLY_CONNECTED", "int8"),
        ("FULLY_CONNECTED (operator 0): tensor t1", "FLOAT32 activations", "representative"),
        hybrid("FULLY_CONNECTED", "float32"),
    ),
    "slice_of_computed_size": Case(
        SILENT,
        part("SLICE", is_computed=True),
        ("SLICE (operator 0): tensor t3", "gets its size at run time", "unroll=True"),
        part("SLICE", is_computed=False),
    ),
    "fill_of_computed_size": Case(
        REFUSED,
        one_operator("FILL", [Tensor([2], "int32"), int8([], data=3)], int8([2, 3]), {}),
        ("FILL (operator 0): tensor t2", "gets its size at run time", "batch 1"),
        one_operator("FILL", [sizes([2, 3]), int8([])], int8([2, 3]), {}),
    ),
    "sqrt": Case(
        REFUSED,
        unary("SQRT", int8(ROW), int8(ROW)),
        ("SQRT (operator 0): tensor t1", "FLOAT32 only", "rsqrt"),
        unary("RSQRT", int8(ROW, zero_point=-128), int8(ROW)),
    ),
    "hard_swish_int16": Case(
        REFUSED,
        unary("HARD_SWISH", int16(ROW), int16(ROW)),
        ("HARD_SWISH (operator 0): tensor t1", "INT16", "use int8"),
        unary("HARD_SWISH", int8(ROW), int8(ROW)),
    ),
    "dequantized_per_channel": Case(
        SILENT,
        with_scales(unary("DEQUANTIZE", int8(ROW), FLOAT_ROW), 0, 1),
        ("DEQUANTIZE (operator 0): tensor t0", "4 scales", "takes the first", "as FLOAT32"),
        with_scales(unary("DEQUANTIZE", int8(ROW), FLOAT_ROW), 0, 1, differ=False),
    ),
    "product_with_a_constant_per_channel": Case(
        SILENT,
        with_scales(binary("MUL", int8(ROW), int8(ROW, data=np.ones(ROW)), int8(ROW)), 1, 1),
        ("MUL (operator 0): tensor t1", "4 scales", "one scale per tensor"),
    ),
    "weights_around_another_zero": Case(
        SILENT,
        conv(weights_zero=7),
        ("CONV_2D (operator 0): tensor t1", "zero point 7", "symmetrically"),
        with_scales(conv(), 1, 0),
    ),
    "uint8_convolution": Case(
        REFUSED,
        uint8_conv(),
        ("CONV_2D (operator 0): tensor t0", "is UINT8", "again, to int8"),
    ),
    "uint8_sum": Case(
        REFUSED,
        binary("ADD", uint8(ROW), uint8(ROW), uint8(ROW)),
        ("ADD (operator 0): tensor t0", "is UINT8", "again, to int8"),
        unary("RESHAPE", uint8(ROW), uint8(ROW), {}),
    ),
    **{
        f"int32_sum_{name}": Case(
            SILENT,
            whole_sum(number),
            ("ADD (operator 0): tensor t2", f"fused {name},", "leaves out", "MINIMUM"),
            whole_sum(0),
        )
        for number, name in ((1, "RELU"), (2, "RELU_N1_TO_1"), (3, "RELU6"))
    },
    "open_shape": Case(
        REFUSED,
        with_open_shape(RELU, [1, -1]),
        ("RELU (operator 0): tensor t0", "dynamic shape (axis 1)", "concrete shapes"),
        RELU,
    ),
    "open_signature": Case(
        SILENT,
        with_open_shape(RELU, [1, 4], [-1, -1]),
        ("RELU (operator 0): tensor t0", "dynamic shape (axis 1)", "concrete shapes"),
        with_open_shape(RELU, [1, 4], [-1, 4]),
    ),
}
FINE = {
    "dense_bias_16x8": dense(int16),
    "conv_bias_16x8": conv(int16),
    "logistic_int16": unary("LOGISTIC", int16(ROW), int16(ROW, 1 / 32768)),
    "softmax_to_int16": unary(
        "SOFTMAX", int8(ROW), Tensor(ROW, "int16", 1 / 65536, -32768), {"beta": 1.0}
    ),
    "float_relu6": unary("RELU6", Tensor(ROW, "float32"), Tensor(ROW, "float32")),
} | {name: case.mended for name, case in CASES.items() if case.mended is not None}


@pytest.fixture(scope="module")
def fate() -> Iterator[Callable[[bytes], str]]:
    yield from asked()


@pytest.mark.parametrize("name", CASES)
def test_a_trap_is_named_with_its_remedy(name: str, fate: Callable[[bytes], str]):
    case = CASES[name]
    lines = inspection.inspect_file(case.broken)["trap_reasons"]
    assert any(all(part in line for part in case.says) for line in lines), lines
    assert fate(case.broken) == case.fate


@pytest.mark.parametrize("name", FINE)
def test_no_trap_is_seen_in_a_good_file(name: str, fate: Callable[[bytes], str]):
    assert inspection.inspect_file(FINE[name])["trap_reasons"] == []
    assert fate(FINE[name]) == SILENT
