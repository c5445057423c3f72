"""`check` judges any file, with reasons, and survives it."""

import json
import os
from pathlib import Path

import chains
import exports
import numpy as np
import pytest
from one_operator import one_operator

from aqtaudio.errors import BadInput
from aqtaudio.program import flatbuffer, inspection, operator_view
from aqtaudio.program.check import check
from aqtaudio.program.micro import Micro
from aqtaudio.program.program import Edge, Program

pytestmark = pytest.mark.own_children
SHARED = Path(os.environ.get("AQTAUDIO_SHARED", "../shared"))
KEYS = {
    "micro_compatible",
    "reasons",
    "ops",
    "float_ops",
    "unsupported",
    "arena_bytes",
    "arena_used_bytes",
    "kernels",
    "targets",
    "file_bytes",
    "weight_bytes",
}


@pytest.mark.parametrize("variant", ["int8", pytest.param("int4", marks=pytest.mark.slow)])
def test_our_files_pass(variant: str):
    model = exports.model(variant)
    report = check(model)
    assert report.micro_compatible
    assert report.reasons == report.float_ops == report.unsupported == ()
    assert report.ops == {
        "DEPTHWISE_CONV_2D": 4,
        "CONV_2D": 5,
        "AVERAGE_POOL_2D": 1,
        "FULLY_CONNECTED": 1,
    }
    assert report.file_bytes == len(model)
    with Micro(model) as micro:
        assert report.arena_used_bytes == micro.arena_used_bytes


def test_weight_bytes_are_those_of_weights_and_biases():
    constants = [op.constants for op in exports.program("int8").operations if op.constants]
    weights = sum(c["weights"].size for c in constants)
    biases = sum(c["bias"].size for c in constants)
    assert check(exports.model("int8")).weight_bytes == weights + 4 * biases
    assert check(exports.model("int4")).weight_bytes == weights // 2 + 4 * biases


def test_the_report_is_json_with_the_documented_keys():
    report = check(exports.model("int8")).to_json()
    assert set(json.loads(json.dumps(report))) == KEYS


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared folder")
def test_a_third_party_file_passes():
    report = check((SHARED / "golden/mlperf_tiny/kws_ref_model.tflite").read_bytes())
    assert report.micro_compatible
    assert report.ops["SOFTMAX"] == 1
    assert 20_000 < report.arena_bytes < 30_000


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared folder")
def test_custom_operators_that_micro_has_pass():
    path = SHARED / "golden/micro_frontend/audio_preprocessor_int8.tflite"
    report = check(path.read_bytes())
    assert report.micro_compatible
    assert report.ops["CUSTOM:SignalRfft"] == 1


def test_a_float_model_is_refused_unless_allowed():
    model = chains.chain(["RELU", "LOGISTIC"], ["FLOAT32"] * 3)
    report = check(model)
    assert not report.micro_compatible
    (reason,) = report.reasons
    assert reason.startswith(
        "a float model: all 2 operators compute in FLOAT32 (RELU, LOGISTIC); train it quantized"
    )
    assert report.float_ops == ("RELU", "LOGISTIC")
    assert report.arena_bytes > 0
    assert check(model, allow_float=True).micro_compatible


def test_a_float_island_is_named():
    operators = ["RELU", "DEQUANTIZE", "SQRT", "QUANTIZE", "RELU"]
    model = chains.chain(operators, ["INT8", "INT8", "FLOAT32", "FLOAT32", "INT8", "INT8"])
    report = check(model)
    assert report.reasons == (
        "float island: DEQUANTIZE, SQRT, QUANTIZE from operator 1 on; tensor t2 is FLOAT32; "
        "SQRT is float only: rsqrt has an integer kernel",
    )
    assert report.float_ops == ("DEQUANTIZE", "SQRT", "QUANTIZE")


def test_a_float_border_is_named():
    report = check(chains.chain(["QUANTIZE", "RELU"], ["FLOAT32", "INT8", "INT8"]))
    assert report.reasons == (
        "float border: QUANTIZE at operator 0; tensor t0 is FLOAT32; "
        "convert with int8 inputs and outputs, and quantize outside the graph",
    )


@pytest.mark.parametrize(
    "operators, remedy",
    [
        (["SUM", "MUL"], "x.mean(axis) becomes float SUM and MUL: reshape to 4-D and average-pool"),
        (["MUL"], "a bare scalar carries no scale"),
        (["TRANSPOSE_CONV"], "use a sub-pixel convolution"),
        (["STABLEHLO_COMPOSITE"], "convert with _experimental_strict_qdq"),
        (["RELU"], "annotate every input and output with a scale"),
    ],
)
def test_a_float_island_comes_with_its_usual_remedy(operators: list[str], remedy: str):
    row = ["RELU", "DEQUANTIZE", *operators, "QUANTIZE"]
    types = ["INT8", "INT8", *["FLOAT32"] * (len(operators) + 1), "INT8"]
    (reason,) = inspection.inspect_file(chains.chain(row, types))["float_reasons"]
    assert "from operator 1 on; tensor t2 is FLOAT32; " in reason
    assert remedy in reason


def test_a_float_island_knows_the_layer_that_it_belongs_to():
    types = ["INT8", "FLOAT32", "FLOAT32", "INT8", "INT8"]
    model = chains.chain(["DEQUANTIZE", "RELU", "QUANTIZE", "RELU"], types, scale=0.5)
    edges = {
        "input": Edge("input", (4,), 0.25, -128),
        "block/act": Edge("block/act", (4,), 0.5, -128),
    }
    program = Program(edges, (), ("input",), ("block/act",))
    (reason,) = check(model, program=program).reasons
    assert "QUANTIZE from operator 0 on (layer block/act); tensor t1 is FLOAT32" in reason


def test_a_layer_is_a_guess_where_only_the_size_fits():
    model = chains.chain(["GELU"], ["INT8", "INT8"])
    wanted = "(operator 0, perhaps layer a, tensor t1)"
    for edges, expected in (
        ({"a": Edge("a", (4,), 3.0, 0), "b": Edge("b", (5,), 3.0, 0)}, wanted),
        ({"b": Edge("b", (5,), 3.0, 0)}, "(operator 0, tensor t1)"),
    ):
        (reason,) = check(model, program=Program(edges, (), (), ())).reasons
        assert expected in reason


def test_the_layers_of_our_own_files_are_found():
    program, model = exports.program("int8"), flatbuffer.read(exports.model("int8"))
    layers = [
        operator.layer
        for operator in operator_view.operators(model, program.to_json()["edges"])
        if operator.name != "RESHAPE"
    ]
    for operation, layer in zip(
        (o for o in program.operations if o.kind != "reshape"), layers, strict=True
    ):
        assert layer.startswith("layer ") and operation.output in layer


def test_tensors_without_a_name_have_a_number_and_strange_names_are_tamed():
    parsed = flatbuffer.read(chains.chain(["GELU", "GELU"], ["INT8"] * 3))
    parsed.subgraphs[0].tensors[1].name = None
    (reason,) = check(flatbuffer.write(parsed)).reasons
    assert "tensor number 1" in reason
    parsed.subgraphs[0].tensors[1].name = "\x1b[31m\n" + "x" * 1000
    (reason,) = check(flatbuffer.write(parsed)).reasons
    assert reason.isprintable() and len(reason) < 200


@pytest.mark.sampled(2)
@pytest.mark.parametrize("allow_float", [False, True])
def test_gelu_is_refused_with_the_reason(allow_float: bool):
    report = check(chains.chain(["RELU", "GELU"], ["INT8"] * 3), allow_float)
    assert not report.micro_compatible
    assert report.reasons == (
        "TFLite Micro has no operator GELU (operator 1, tensor t2); use hard-swish or relu",
    )
    assert report.unsupported == ("GELU",)
    assert report.arena_bytes is None
    assert check(chains.chain(["RELU", "GELU"], ["FLOAT32"] * 3), allow_float).unsupported


def test_a_float_model_with_counters_in_integers_is_one_finding():
    types = ["FLOAT32", "FLOAT32", "INT32", "INT32", "FLOAT32", "FLOAT32"]
    model = chains.chain(["TANH", "CAST", "ADD", "CAST", "LOGISTIC"], types)
    (reason,) = inspection.inspect_file(model)["float_reasons"]
    assert reason.startswith("a float model: 4 of 5 operators compute in FLOAT32 (TANH, CAST, LOG")


@pytest.mark.parametrize(
    "name, remedy",
    [
        ("UNIDIRECTIONAL_SEQUENCE_RNN", "or export one step"),
        ("BIDIRECTIONAL_SEQUENCE_LSTM", "no single step to export"),
        ("BIDIRECTIONAL_SEQUENCE_RNN", "no single step to export"),
    ],
)
def test_a_recurrent_layer_that_micro_lacks_is_to_be_unrolled(name: str, remedy: str):
    report = check(chains.chain(["RELU", name], ["INT8"] * 3))
    assert report.unsupported == (name,)
    (reason,) = report.reasons
    assert f"has no operator {name} (operator 1, tensor t2); unroll it over the clip" in reason
    assert reason.endswith(remedy)


def test_every_unsupported_operator_is_listed():
    report = check(chains.chain(["GELU", "RELU", "SIGN"], ["INT8"] * 4))
    assert report.unsupported == ("GELU", "SIGN")


def test_a_type_that_a_kernel_lacks_is_refused_with_its_words():
    report = check(chains.chain(["SQRT"], ["INT8", "INT8"]))
    assert not report.micro_compatible
    ours, micro = report.reasons
    assert ours.startswith("SQRT (operator 0): tensor t1 is INT8")
    assert micro.startswith("TFLite Micro: ")
    assert "SQRT" in micro or "FLOAT32" in micro


def test_a_file_that_crashes_micro_is_refused():
    report = check(chains.chain(["SOFTMAX"], ["INT8", "INT8"], width=512))
    ours, micro = report.reasons
    assert ours.startswith("SOFTMAX (operator 0): tensor t0 has 512 positions")
    assert micro.startswith("TFLite Micro: the interpreter crashed (SIGABRT)")


@pytest.mark.sampled(2)
@pytest.mark.parametrize("allow_float", [False, True])
def test_a_file_that_runs_but_computes_something_else_is_refused(allow_float: bool):
    row = [1, 4]
    model = one_operator("TANH", [(row, "int8", 0.1, 0, None)], (row, "int8", 0.01, 0))
    report = check(model, allow_float)
    assert not report.micro_compatible
    assert report.arena_bytes > 0
    (reason,) = report.reasons
    assert reason.startswith("TANH (operator 0): tensor t1 has scale 0.01")
    assert reason.endswith("annotate the output with scale 1/128, zero point 0")


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not a model at all", bytes(1000)])
def test_other_files_are_bad_input(content: bytes):
    with pytest.raises(BadInput, match="not a TFLite file"):
        check(content)


@pytest.mark.parametrize("size", [8, 100, 0.5, 0.99])
def test_truncated_files_are_bad_input(size: float):
    model = exports.model("int8")
    with pytest.raises(BadInput, match="a damaged TFLite file"):
        check(model[: int(size if size > 1 else size * len(model))])


def test_an_operator_of_tensorflow_itself_is_unsupported():
    parsed = flatbuffer.read(chains.chain(["RELU", "GELU"], ["INT8"] * 3))
    code = parsed.operatorCodes[1]
    code.builtinCode = code.deprecatedBuiltinCode = flatbuffer.schema.BuiltinOperator.CUSTOM
    code.customCode = "FlexErf"
    report = check(flatbuffer.write(parsed))
    assert report.unsupported == ("CUSTOM:FlexErf",)
    assert report.reasons[0].startswith("TFLite Micro has no operator CUSTOM:FlexErf (operator 1")


def test_a_uint8_file_is_not_called_hybrid():
    """Every model of TensorFlow 1: the interpreter's own words name another fault."""
    weights = ((4, 3, 3, 3), "uint8", 0.01, 128, np.ones((4, 3, 3, 3)))
    inputs = [((1, 5, 5, 3), "uint8", 0.05, 128), weights]
    inputs.append(((4,), "int32", 0.0005, 0, np.arange(4)))
    options = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    out = ((1, 5, 5, 4), "uint8", 0.1, 128)
    report = check(one_operator("CONV_2D", inputs, out, options, "Conv2DOptions"))
    (reason,) = report.reasons
    assert not report.micro_compatible and "UINT8" in reason and "ybrid" not in reason
    assert "int8 with a representative dataset" in reason
