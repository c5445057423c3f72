"""Files that do not fit together: each fault is named with its place and remedy, its twin is not.

TFLite Micro takes most of them without a word, which is asserted too.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import chains
import numpy as np
import pytest
from fates import ABORTS, REFUSED, SILENT, asked
from one_operator import Tensor, one_operator

from aqtaudio.errors import BadInput
from aqtaudio.program import flatbuffer, inspection
from aqtaudio.program.check import check
from aqtaudio.program.flatbuffer import schema
from aqtaudio.program.litert import LiteRT
from aqtaudio.program.micro import Micro

pytestmark = pytest.mark.own_children

Edit = Callable[[schema.ModelT, schema.SubGraphT], Any]
STRIDE_1 = {"strideW": 1, "strideH": 1}


def edited(model: bytes, edit: Edit) -> bytes:
    parsed = flatbuffer.read(model)
    edit(parsed, parsed.subgraphs[0])
    return flatbuffer.write(parsed)


def bias(kind: str = "int32") -> Tensor:
    return Tensor([4], kind, 0.002, 0, np.arange(4) * 10)


DENSE = one_operator(
    "FULLY_CONNECTED",
    [([1, 8], "int8", 0.1), ([4, 8], "int8", 0.02, 0, np.arange(32) - 16), bias()],
    ([1, 4], "int8", 0.05),
    {},
)
CONV = one_operator(
    "CONV_2D",
    [([1, 3, 3, 8], "int8", 0.1), ([4, 1, 1, 8], "int8", 0.02, 0, np.arange(32) - 16), bias()],
    ([1, 3, 3, 4], "int8", 0.05),
    STRIDE_1,
    "Conv2DOptions",
)
WIDE = one_operator(
    "CONV_2D",
    [([1, 3, 3, 8], "int16", 0.1), ([4, 1, 1, 8], "int8", 0.02, 0, np.arange(32)), bias("int64")],
    ([1, 3, 3, 4], "int16", 0.05),
    STRIDE_1,
    "Conv2DOptions",
)
FILL = one_operator(
    "FILL",
    [([2], "int32", None, 0, np.int32([1, 4])), ([], "int8", 0.1, 0, np.int8(3))],
    ([1, 4], "int8", 0.1),
    {},
)
DEPTHWISE = one_operator(
    "DEPTHWISE_CONV_2D",
    [([1, 3, 3, 4], "int8", 0.1), ([1, 3, 3, 4], "int8", 0.02, 0, np.arange(36) - 16), bias()],
    ([1, 3, 3, 4], "int8", 0.05),
    STRIDE_1 | {"depthMultiplier": 1},
    "DepthwiseConv2DOptions",
)
ADD = one_operator("ADD", [([1, 8], "int8", 0.1)] * 2, ([1, 8], "int8", 0.2), {})
FLOATS = one_operator("ADD", [([1, 8], "float32")] * 2, ([1, 8], "float32"), {})
SLICE = one_operator(
    "STRIDED_SLICE",
    [([1, 2, 4], "int8", 0.1)]
    + [([3], "int32", None, 0, np.int32(x)) for x in ([0, 0, 0], [1, 2, 1], [1, 1, 1])],
    ([1, 2, 1], "int8", 0.1),
    {},
)
RELUS = chains.chain(["RELU", "RELU"], ["INT8"] * 3)
SOFTMAX = chains.chain(["SOFTMAX"], ["INT8", "INT8"])
CUT, AGAIN = "get the file again", "convert the model again"


def data(tensor: int, cut: slice) -> Edit:
    def edit(model: schema.ModelT, graph: schema.SubGraphT) -> None:
        found = model.buffers[graph.tensors[tensor].buffer]
        found.data = found.data[cut]

    return edit


def field(tensor: int, **values: Any) -> Edit:
    return lambda _, graph: [setattr(graph.tensors[tensor], k, v) for k, v in values.items()]


def grid(tensor: int, **values: Any) -> Edit:
    def edit(_: schema.ModelT, graph: schema.SubGraphT) -> None:
        for name, value in values.items():
            setattr(graph.tensors[tensor].quantization, name, value)

    return edit


def scales(count: int, axis: int, zeros: Any = 0) -> Edit:
    """A scale per index of the weights, from their own upwards."""
    return grid(
        1,
        scale=np.float32(0.02 * (1 + np.arange(count) / 8)),
        zeroPoint=np.full(count, zeros, np.int64),
        quantizedDimension=axis,
    )


def operator(number: int, **values: Any) -> Edit:
    return lambda _, graph: [setattr(graph.operators[number], k, v) for k, v in values.items()]


def option(**values: Any) -> Edit:
    def edit(_: schema.ModelT, graph: schema.SubGraphT) -> None:
        for name, value in values.items():
            setattr(graph.operators[0].builtinOptions, name, value)

    return edit


def ends(**values: list[int]) -> Edit:
    return lambda _, graph: [setattr(graph, k, np.int32(v)) for k, v in values.items()]


def outside(model: schema.ModelT, graph: schema.SubGraphT) -> None:
    buffer = model.buffers[graph.tensors[1].buffer]
    buffer.data, buffer.offset, buffer.size = None, 200, 32


def sparse(_: schema.ModelT, graph: schema.SubGraphT) -> None:
    graph.tensors[1].sparsity = schema.SparsityParametersT()
    graph.tensors[1].sparsity.traversalOrder = np.int32([0, 1])


def blockwise(_: schema.ModelT, graph: schema.SubGraphT) -> None:
    found = graph.tensors[1].quantization
    found.detailsType = schema.QuantizationDetails.BlockwiseQuantization
    found.details = schema.BlockwiseQuantizationT()
    found.details.blockSize = 4


def other_bias(kind: str) -> Edit:
    def edit(model: schema.ModelT, graph: schema.SubGraphT) -> None:
        values = np.arange(4).astype(kind)
        graph.tensors[2].type = getattr(schema.TensorType, kind.upper())
        model.buffers[graph.tensors[2].buffer].data = values.view(np.uint8)

    return edit


def narrow(model: schema.ModelT, graph: schema.SubGraphT) -> None:
    graph.tensors[1].shape = np.int32([*graph.tensors[1].shape[:-1], 7])
    model.buffers[graph.tensors[1].buffer].data = np.zeros(28, np.uint8)


def few_biases(model: schema.ModelT, graph: schema.SubGraphT) -> None:
    graph.tensors[2].shape = np.int32([2])
    model.buffers[graph.tensors[2].buffer].data = np.zeros(8, np.uint8)


def unused_tensor() -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.shape, tensor.type = np.int32([4]), schema.TensorType.INT8
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = np.float32([0]), np.int64([0])
    return tensor


class Case(NamedTuple):
    """A good file, what is done to it, what TFLite Micro does then, what the line has to say."""

    good: bytes
    edit: Edit
    fate: str
    says: tuple[str, ...]


WEIGHTS = "tensor t1 (number 1)"
CASES = {
    "short_weights": Case(
        DENSE,
        data(1, slice(12)),
        SILENT,
        (WEIGHTS, "12 bytes of data, but [4, 8] of INT8 needs 32", CUT),
    ),
    "short_bias": Case(
        CONV, data(2, slice(4)), SILENT, ("tensor t2 (number 2)", "[4] of INT32 needs 16")
    ),
    "no_weights": Case(
        DENSE,
        data(1, slice(0)),
        SILENT,
        ("FULLY_CONNECTED (operator 0) reads", WEIGHTS, "nobody writes", AGAIN),
    ),
    "outside": Case(DENSE, outside, SILENT, (WEIGHTS, "outside of the flatbuffer", "inside")),
    "sparse": Case(DENSE, sparse, SILENT, (WEIGHTS, "sparse", "takes for dense", "store it dense")),
    "blockwise": Case(DENSE, blockwise, SILENT, (WEIGHTS, "BlockwiseQuantization", "lacks")),
    "variable_constant": Case(
        DENSE, field(1, isVariable=True), SILENT, (WEIGHTS, "a variable and a constant", AGAIN)
    ),
    "scale_of_0": Case(
        DENSE, grid(3, scale=np.float32([0])), REFUSED, ("tensor t3 (number 3)", "scale 0;")
    ),
    "negative_scale": Case(
        DENSE, grid(3, scale=np.float32([-0.1])), SILENT, ("tensor t3 (number 3)", "scale -0.1;")
    ),
    "infinite_scale": Case(
        DENSE, grid(3, scale=np.float32([np.inf])), SILENT, ("has scale inf;", "above 0")
    ),
    "one_scale_is_nan": Case(
        edited(CONV, scales(4, 0)),
        grid(1, scale=np.float32([0.02, 0.02, np.nan, 0.02])),
        SILENT,
        (WEIGHTS, "scale nan (channel 2)", "calibrate"),
    ),
    "zero_point_too_high": Case(
        DENSE,
        grid(0, zeroPoint=np.int64([200])),
        SILENT,
        ("tensor t0 (number 0)", "zero point 200; INT8 codes are -128 to 127"),
    ),
    "no_zero_point": Case(
        CONV, grid(1, zeroPoint=None), REFUSED, (WEIGHTS, "no zero point", "not quantized")
    ),
    "scales_along_another_axis": Case(
        DENSE,
        scales(8, 1),
        SILENT,
        ("FULLY_CONNECTED (operator 0): tensor t1", "8 scales along axis 1", "4 along axis 0"),
    ),
    "scales_along_axis_-1": Case(
        CONV, scales(4, -1), SILENT, ("CONV_2D (operator 0): tensor t1", "along axis -1", "axis 0")
    ),
    "depthwise_scales_along_axis_0": Case(
        DEPTHWISE, scales(4, 0), REFUSED, ("DEPTHWISE_CONV_2D (operator 0): tensor t1", "(axis 3)")
    ),
    "too_few_scales": Case(CONV, scales(3, 0), REFUSED, ("3 scales along axis 0", "takes 4")),
    "one_channel_around_another_zero": Case(
        edited(CONV, scales(4, 0)),
        scales(4, 0, [0, 3, 0, 0]),
        SILENT,
        ("CONV_2D (operator 0): tensor t1", "zero point 3", "symmetrically"),
    ),
    "several_zero_points": Case(
        edited(DENSE, scales(4, 0)),
        scales(4, 0, [0, 3, 0, 0]),
        SILENT,
        ("FULLY_CONNECTED (operator 0): tensor t1", "several zero points", "symmetrically"),
    ),
    "bias_of_another_scale": Case(
        CONV,
        grid(2, scale=np.float32([0.5])),
        SILENT,
        ("CONV_2D (operator 0): tensor t2", "scale 0.5", "takes for 0.002", "299 steps"),
    ),
    "bias_around_another_zero": Case(
        CONV, grid(2, zeroPoint=np.int64([5])), SILENT, ("tensor t2", "zero point 5", "for 0")
    ),
    "bias_of_int64": Case(
        CONV, other_bias("int64"), SILENT, ("tensor t2 is a bias of INT64", "reads as INT32")
    ),
    "bias_of_int8": Case(
        DENSE, other_bias("int8"), SILENT, ("tensor t2 is a bias of INT8", "quantize it to INT32")
    ),
    "bias_of_float32": Case(
        CONV, other_bias("float32"), SILENT, ("tensor t2 is a bias of FLOAT32", "reads as INT32")
    ),
    "too_few_biases": Case(
        DENSE, few_biases, SILENT, ("tensor t2 is a bias of 2 for 4 output channels", "every")
    ),
    "int16_around_another_zero": Case(
        WIDE,
        grid(0, zeroPoint=np.int64([100])),
        SILENT,
        ("CONV_2D (operator 0): tensor t0 is INT16 with zero point 100", "symmetrically"),
    ),
    "depth_that_does_not_fit": Case(
        CONV,
        narrow,
        SILENT,
        ("CONV_2D (operator 0): tensor t1 is [4, 1, 1, 7], which does not fit tensor t0", AGAIN),
    ),
    "weights_without_columns": Case(
        DENSE,
        lambda _, graph: setattr(graph.tensors[1], "shape", np.int32([4, 0])),
        SILENT,
        ("FULLY_CONNECTED (operator 0): tensor t1 is [4, 0], which does not fit", AGAIN),
    ),
    "too_narrow_weights": Case(
        DENSE, narrow, SILENT, ("FULLY_CONNECTED (operator 0): tensor t1 is [4, 7]", AGAIN)
    ),
    "filled_with_another_grid": Case(
        FILL, grid(2, scale=np.float32([0.2])), SILENT, ("FILL (operator 0): tensor t2", "QUANTIZE")
    ),
    "no_options": Case(
        CONV,
        operator(0, builtinOptions=None, builtinOptionsType=0),
        SILENT,
        ("CONV_2D (operator 0): tensor t3", "strideH 0", "options are missing"),
    ),
    "new_axis_of_a_slice": Case(
        SLICE,
        option(newAxisMask=4),
        SILENT,
        ("STRIDED_SLICE (operator 0): tensor t4", "newAxisMask 4"),
    ),
    "sum_of_floats_and_whole_numbers": Case(
        FLOATS,
        field(1, type=schema.TensorType.INT32),
        SILENT,
        ("ADD (operator 0): tensor t1 is INT32",),
    ),
    "sum_that_is_called_whole_numbers": Case(
        FLOATS, field(2, type=schema.TensorType.INT32), SILENT, ("tensor t2 is INT32", "one type")
    ),
    "no_temperature": Case(
        SOFTMAX,
        operator(0, builtinOptions=None, builtinOptionsType=0),
        ABORTS,
        ("SOFTMAX (operator 0): tensor t1", "beta 0", AGAIN),
    ),
    "negative_stride": Case(CONV, option(strideW=-1), SILENT, ("strideW -1", AGAIN)),
    "no_padding": Case(CONV, option(padding=9), SILENT, ("padding 9", "SAME or VALID")),
    "fused_tanh": Case(
        CONV,
        option(fusedActivationFunction=schema.ActivationFunctionType.TANH),
        SILENT,
        ("CONV_2D (operator 0): tensor t3", "fused TANH", "leaves out", "operator of its own"),
    ),
    "fused_nobody_knows": Case(
        ADD, option(fusedActivationFunction=9), SILENT, ("tensor t2", "fused activation 9")
    ),
    "other_type": Case(
        ADD,
        field(2, type=schema.TensorType.INT16),
        SILENT,
        ("ADD (operator 0): tensor t2 is INT16, and tensor t0 INT8", "QUANTIZE"),
    ),
    "no_scale": Case(
        RELUS,
        field(1, quantization=None),
        SILENT,
        ("RELU (operator 0): tensor t1 is INT8 without a scale", "representative dataset"),
    ),
    "another_schema": Case(
        RELUS, lambda model, _: setattr(model, "version", 99), SILENT, ("schema version 99", AGAIN)
    ),
    "no_outputs": Case(RELUS, ends(outputs=[]), SILENT, ("no outputs",)),
    "no_inputs": Case(
        RELUS,
        ends(inputs=[]),
        SILENT,
        ("RELU (operator 0) reads tensor t0 (number 0), which nobody writes",),
    ),
    "no_operators": Case(
        RELUS,
        lambda _, graph: setattr(graph, "operators", []),
        SILENT,
        ("tensor t2 (number 2) is an output, which nobody writes",),
    ),
    "wrong_order": Case(
        RELUS,
        lambda _, graph: graph.operators.reverse(),
        SILENT,
        ("RELU (operator 0) reads tensor t1 (number 1), which operator 1 writes", AGAIN),
    ),
    "written_twice": Case(
        RELUS,
        operator(1, outputs=np.int32([1])),
        SILENT,
        ("RELU (operator 1) writes tensor t1 (number 1), as operator 0 does",),
    ),
    "writes_an_input": Case(
        ADD, operator(0, outputs=np.int32([0])), SILENT, ("ADD (operator 0) writes", "is an input")
    ),
    "writes_a_constant": Case(
        DENSE, operator(0, outputs=np.int32([1])), SILENT, (WEIGHTS, "which is a constant")
    ),
    "input_with_data": Case(
        DENSE, ends(inputs=[0, 1]), SILENT, (WEIGHTS, "is an input and has data in the file")
    ),
}
FINE = {
    "scales_per_channel": edited(CONV, scales(4, 0)),
    "scales_per_output_feature": edited(DENSE, scales(4, 0)),
    "scales_per_depthwise_channel": edited(DEPTHWISE, scales(4, 3)),
    "bias_almost_to_scale": edited(CONV, grid(2, scale=np.float32([0.00206]))),
    "no_bias": edited(CONV, operator(0, inputs=np.int32([0, 1]))),
    "wide_bias": edited(DENSE, other_bias("int64")),
    "dense_without_options": edited(DENSE, operator(0, builtinOptions=None, builtinOptionsType=0)),
    "too_many_bytes": edited(
        DENSE, lambda model, _: setattr(model.buffers[1], "data", np.zeros(64, np.uint8))
    ),
    "two_names_of_one_output": edited(RELUS, ends(outputs=[2, 2])),
    "no_operator_needed": edited(RELUS, ends(outputs=[0])),
    "unused_scale": edited(DENSE, lambda _, graph: graph.tensors.append(unused_tensor())),
} | {f"before_{name}": case.good for name, case in CASES.items()}


@pytest.fixture(scope="module")
def fate() -> Iterator[Callable[[bytes], str]]:
    yield from asked()


@pytest.mark.parametrize("name", CASES)
def test_a_fault_is_named_with_its_place_and_remedy(name: str, fate: Callable[[bytes], str]):
    case = CASES[name]
    broken = edited(case.good, case.edit)
    lines = inspection.inspect_file(broken)["trap_reasons"]
    assert any(all(part in line for part in case.says) for line in lines), lines
    assert fate(broken) == case.fate


@pytest.mark.parametrize("name", FINE)
def test_no_fault_is_seen_in_a_good_file(name: str, fate: Callable[[bytes], str]):
    assert inspection.inspect_file(FINE[name])["trap_reasons"] == []
    assert fate(FINE[name]) == SILENT


POINTERS = {
    "buffer": (field(1, buffer=99), "tensor t1 (number 1) is in buffer 99 of 1"),
    "kind": (operator(1, opcodeIndex=7), "operator 1 is of kind 7 of 2"),
    "kinds": (lambda model, _: setattr(model, "operatorCodes", None), "operator 0 is of kind 0"),
    "read": (operator(1, inputs=np.int32([99])), "RELU (operator 1) names tensor 99 of 3"),
    "written": (operator(1, outputs=np.int32([-7])), "RELU (operator 1) names tensor -7 of 3"),
    "input": (ends(inputs=[-1]), "the inputs name tensor -1 of 3"),
    "output": (ends(outputs=[3]), "the outputs name tensor 3 of 3"),
    "graphs": (lambda model, _: setattr(model, "subgraphs", []), "it has no subgraphs"),
    "graph": (
        lambda model, _: setattr(model, "subgraphs", [schema.SubGraphT()]),
        "subgraph 0 has no tensors",
    ),
    "buffers": (lambda model, _: setattr(model, "buffers", None), "it has no buffers"),
}


@pytest.mark.parametrize("name", POINTERS)
def test_a_number_that_points_nowhere_is_damage(name: str):
    edit, says = POINTERS[name]
    with pytest.raises(ValueError) as caught:
        inspection.inspect_file(edited(RELUS, edit))
    assert says in str(caught.value) and CUT in str(caught.value)


def test_damage_is_one_line_without_names_of_python():
    with pytest.raises(BadInput) as caught:
        check(edited(RELUS, operator(1, inputs=np.int32([99]))))
    assert str(caught.value).startswith("a damaged TFLite file: RELU (operator 1) names tensor 99")
    with pytest.raises(BadInput, match="cut short or changed; get the file again"):
        check(RELUS[:200])


def test_the_subgraph_of_a_call_must_be_there():
    parsed = flatbuffer.read(chains.chain(["IF"], ["INT8", "INT8"]))
    found = parsed.subgraphs[0].operators[0]
    found.builtinOptionsType, found.builtinOptions = schema.BuiltinOptions.IfOptions, None
    found.builtinOptions = schema.IfOptionsT()
    found.builtinOptions.elseSubgraphIndex = 4
    with pytest.raises(ValueError, match=r"IF \(operator 0\) calls subgraph 4 of 1"):
        inspection.inspect_file(flatbuffer.write(parsed))


def test_a_result_that_is_called_smaller_than_it_is():
    """TFLite Micro writes over what is behind it; LiteRT knows the shape."""
    report = check(edited(CONV, field(3, shape=np.int32([1, 2, 2, 4]))))
    (reason,) = report.reasons
    assert reason.startswith("CONV_2D (operator 0): tensor t3 is [1, 2, 2, 4], but its operator")
    assert "gives [1, 3, 3, 4]" in reason and "concrete shapes" in reason


def test_units_of_a_dense_layer_are_its_last_axis():
    """TFLite Micro takes the other axes for rows, and reads behind the end of its input."""
    report = check(edited(DENSE, field(3, shape=np.int32([4, 1]))))
    (reason,) = report.reasons
    assert "tensor t3 is [4, 1], but its operator gives [1, 4]" in reason
    for shape in ([4], [1, 1, 4]):
        assert check(edited(DENSE, field(3, shape=np.int32(shape)))).micro_compatible


def test_scratch_memory_of_an_accelerator_is_no_fault_of_the_file():
    """What Vela writes: an operator of its own that reads tensors which nobody writes."""
    parsed = flatbuffer.read(RELUS)
    graph, code = parsed.subgraphs[0], parsed.operatorCodes[1]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = "ethos-u"
    graph.tensors.append(schema.TensorT())
    graph.tensors[3].shape, graph.tensors[3].type = np.int32([64]), schema.TensorType.UINT8
    graph.operators[1].inputs = np.int32([1, 3])
    (reason,) = check(flatbuffer.write(parsed)).reasons
    assert "no operator CUSTOM:ethos-u" in reason and "compiled for an accelerator" in reason


def test_what_litert_refuses_is_told_of_it_alone():
    report = check(edited(CONV, operator(0, inputs=np.int32([0, 1]))))
    assert report.micro_compatible
    (line,) = report.kernels["litert"]
    assert line.startswith("CONV_2D (operator 0, tensor t3): LiteRT refuses it: has_bias was not")
    assert check(CONV).kernels["litert"] == []


def test_indices_that_litert_alone_looks_at():
    """TFLite Micro runs the file, and reads elsewhere."""
    axis = ([1], "int32", None, 0, np.int32([3]))
    inputs, table = [([1, 4], "int8", 0.1), axis], "ReducerOptions"
    model = one_operator("MEAN", inputs, ([1, 1], "int8", 0.1), {"keepDims": True}, table)
    (reason,) = check(model).reasons
    assert reason.startswith("MEAN (operator 0, tensor t2): Invalid axis index: TFLite Micro does")


def test_biases_that_litert_takes_for_wider_ones():
    wide = edited(WIDE, other_bias("int32"))
    declared = edited(wide, option(quantizedBiasType=schema.TensorType.INT32))
    (line,) = inspection.inspect_file(wide)["kernel_reasons"]["litert"]
    assert "tensor t2 is an INT32 bias that the options do not declare" in line
    assert inspection.inspect_file(declared)["kernel_reasons"]["litert"] == []
    x = np.full((1, 3, 3, 8), 100, np.int16)
    with Micro(wide) as micro, LiteRT(wide, "BUILTIN_REF") as litert:
        expected = micro.invoke(x)[0]
        assert np.any(litert.invoke(x)[0] != expected)
    with LiteRT(declared, "BUILTIN_REF") as litert:
        np.testing.assert_array_equal(litert.invoke(x)[0], expected)


def test_a_file_that_runs_on_zeros_and_not_on_noise():
    model = one_operator("RSQRT", [([1, 32], "int16", 0.01)], ([1, 32], "int16", 0.01))
    report = check(model)
    (reason,) = report.reasons
    assert "RSQRT (operator 0, tensor t1): Rsqrt is only defined for positive" in reason
    assert reason.endswith("(with random inputs)") and report.arena_bytes < 10_000


def test_the_operator_of_a_crash_is_found():
    parsed = flatbuffer.read(chains.chain(["RELU", "RELU", "RELU"], ["INT8"] * 4))
    code = parsed.operatorCodes[1]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = "SignalRfft"  # without its options
    (reason,) = check(flatbuffer.write(parsed)).reasons
    assert reason.startswith("TFLite Micro: the interpreter crashed (SIGSEGV) at CUSTOM:SignalRfft")
    assert "(operator 1, tensor t2)" in reason


@pytest.mark.parametrize(
    "name, remedy",
    [
        ("MyOwn", "register a kernel of yours"),
        ("edgetpu-custom-op", "compiled for an accelerator"),
        ("DISPATCH_OP", "compiled for an accelerator"),
    ],
)
def test_a_custom_operator_is_named_with_what_to_do(name: str, remedy: str):
    parsed = flatbuffer.read(RELUS)
    code = parsed.operatorCodes[1]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = name
    report = check(flatbuffer.write(parsed))
    assert report.unsupported == (f"CUSTOM:{name}",)
    (reason,) = report.reasons
    assert f"no operator CUSTOM:{name} (operator 1, tensor t2)" in reason and remedy in reason
    (litert,) = report.kernels["litert"]
    assert f"LiteRT has no operator CUSTOM:{name}" in litert


def test_many_alike_are_one_line():
    model = chains.chain(["RELU"] * 6, ["INT8"] * 7)
    parsed = flatbuffer.read(model)
    for tensor in parsed.subgraphs[0].tensors:
        tensor.quantization = None
    (line,) = inspection.inspect_file(flatbuffer.write(parsed))["trap_reasons"]
    assert line.startswith("RELU (operator 0): tensor t0 is INT8 without a scale")
    assert line.endswith("(and 11 more alike, at operators 0, 1, 2, 3, 4, 5)")


@pytest.mark.parametrize(
    "content, says",
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (b"PK\x03\x04" + bytes(40), "unpack it"),
        (b"<!doctype html>", "a web page"),
        (b"hello, this is a text", "not 'TFL3'"),
        (RELUS[:4] + b"TFL2" + RELUS[8:], "not 'TFL3'"),
    ],
)
def test_what_is_no_tflite_file_is_told(content: bytes, says: str):
    with pytest.raises(BadInput, match="not a TFLite file") as caught:
        check(content)
    assert says in str(caught.value)
