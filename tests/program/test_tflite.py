"""A TFLite file stores the program exactly, and little else."""

import dataclasses
import os
from typing import Any

import exports
import flatbuffers
import numpy as np
import operation_programs
import programs
import pytest
import reference

from aqtaudio.errors import BadInput
from aqtaudio.program import flatbuffer, tflite
from aqtaudio.program.legalize import legalize
from aqtaudio.program.micro import Micro
from aqtaudio.program.program import Operation, Program

LAYERS = ["CONV_2D", *["DEPTHWISE_CONV_2D", "CONV_2D"] * 4]


def micro_codes(model: bytes, codes: np.ndarray) -> np.ndarray:
    with Micro(model) as micro:
        return micro.invoke(codes)[0]


def replace_operation(program: Program, name: str, **changes) -> Program:
    """The program with other attributes or constants in one operation."""

    def changed(op: Operation) -> Operation:
        attributes = {k: v for k, v in changes.items() if k in op.attributes}
        constants = {k: v for k, v in changes.items() if k in op.constants}
        return dataclasses.replace(
            op,
            kind=changes.get("kind", op.kind),
            attributes=op.attributes | attributes,
            constants=op.constants | constants,
        )

    operations = tuple(changed(op) if op.name == name else op for op in program.operations)
    return dataclasses.replace(program, operations=operations)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("variant", exports.VARIANTS)
def test_micro_computes_the_program(variant: str):
    codes = programs.random_codes((40, 49, 10, 1), seed=1)
    codes[0], codes[1] = -128, 127
    expected = reference.run(exports.program(variant), codes)
    np.testing.assert_array_equal(micro_codes(exports.model(variant), codes), expected)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("variant", exports.VARIANTS)
def test_micro_computes_every_code_before_the_pool(variant: str):
    program = exports.program(variant)
    pool = [op.kind for op in program.operations].index("average_pool")
    last = program.operations[pool - 1].output
    program = dataclasses.replace(program, operations=program.operations[:pool], outputs=(last,))
    codes = programs.random_codes((6, 49, 10, 1), seed=1)
    expected = reference.run(program, codes)
    assert len(np.unique(expected)) > 0.75 * 2 ** program.edges[last].bits
    np.testing.assert_array_equal(micro_codes(tflite.to_tflite(program), codes), expected)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("seed", range(6))
def test_micro_computes_convolutions_of_any_geometry(seed: int):
    random = np.random.default_rng(seed)
    channels, width = int(random.integers(1, 4)), int(random.integers(1, 6))
    build = programs.Builder(
        (int(random.integers(9, 14)), int(random.integers(9, 14)), channels), seed
    )

    def geometry() -> dict:
        dilated = random.random() < 0.3
        return {
            "strides": (1, 1) if dilated else tuple(map(int, random.integers(1, 3, 2))),
            "dilation": tuple(map(int, random.integers(1, 3, 2))) if dilated else (1, 1),
            "padding": str(random.choice(["SAME", "VALID"])),
            "relu": bool(random.random() < 0.5),
            "weight_bits": int(random.choice([4, 8])),
        }

    kernel = tuple(map(int, random.integers(1, 4, 2)))
    build.weighted("conv2d", "first", (*kernel, channels, width), **geometry())
    build.weighted("depthwise_conv2d", "second", (2, 3, width), **geometry())
    build.average_pool("pool", (2, 1))
    build.reshape("flat", (int(np.prod(build.last.shape)),))
    build.weighted("dense", "last", (build.last.shape[0], 5), relu=True)
    program = build.program()
    codes = programs.random_codes((50, *program.edges["input"].shape), seed)
    model = tflite.to_tflite(program)
    np.testing.assert_array_equal(micro_codes(model, codes), reference.run(program, codes))


@pytest.mark.parametrize("variant", ["int8", "int4"])
def test_operators_are_the_expected_ones_and_no_tensor_is_float(variant: str):
    model = flatbuffer.read(exports.model(variant))
    graph = model.subgraphs[0]
    names = [flatbuffer.operator_name(model, operator) for operator in graph.operators]
    assert names == [*LAYERS, "AVERAGE_POOL_2D", "FULLY_CONNECTED"]
    types = {flatbuffer.type_name(tensor) for tensor in graph.tensors}
    assert types == {"INT8", "INT32"} | ({"INT4"} if variant == "int4" else set())


@pytest.mark.parametrize(
    ("variant", "file_bytes", "arena_bytes"),
    [("int8", 33_000, 26 * 1024), ("int4", 22_000, 30 * 1024)],
)
def test_size(variant: str, file_bytes: int, arena_bytes: int):
    assert len(exports.model(variant)) <= file_bytes
    with Micro(exports.model(variant)) as micro:
        assert micro.arena_used_bytes <= arena_bytes


def test_equal_constants_are_one_tensor():
    """Of the frames of a recurrent layer too: weights with their scales, and where to cut."""
    graph = flatbuffer.read(operation_programs.tflite("gru", "w8a8")).subgraphs[0]
    tensors = [graph.tensors[i] for op in graph.operators for i in op.inputs]
    constants = {id(tensor): tensor for tensor in tensors if tensor.buffer}

    def what(tensor) -> tuple:
        scale = None if tensor.quantization is None else tensor.quantization.scale
        known = None if scale is None else tuple(scale)
        return tensor.buffer, tensor.type, tuple(tensor.shape), known

    kinds = [what(tensor) for tensor in constants.values()]
    assert len(kinds) == len(set(kinds)) < len(tensors)


def test_equal_parts_are_written_once():
    """A reader finds in the file what the plain serializer of the schema writes in more bytes."""
    parsed = flatbuffer.read(operation_programs.tflite("gru", "w8a8"))
    builder = flatbuffers.Builder(1024)
    builder.Finish(parsed.Pack(builder), flatbuffer.IDENTIFIER)
    plain, shared = bytes(builder.Output()), flatbuffer.write(parsed)
    assert len(shared) < 0.8 * len(plain)
    assert contents(flatbuffer.read(shared)) == contents(flatbuffer.read(plain))


def contents(part: Any) -> Any:
    """A part of a file as nested plain values."""
    if isinstance(part, np.ndarray):
        return part.dtype.str, part.tolist()
    if isinstance(part, list):
        return [contents(x) for x in part]
    if hasattr(part, "__dict__"):
        return {name: contents(value) for name, value in vars(part).items()}
    return part


def test_slimming_twice_changes_nothing():
    model = exports.model("int8")
    parsed = flatbuffer.read(model)
    flatbuffer.slim(parsed)
    assert flatbuffer.write(parsed) == model


def test_constants_are_aligned_for_micro():
    model = np.frombuffer(exports.model("int4"), np.uint8)
    root = flatbuffer.schema.Model.GetRootAsModel(model, 0)
    for index in range(1, root.BuffersLength()):
        offset = root.Buffers(index).DataAsNumpy().ctypes.data - model.ctypes.data
        assert offset % flatbuffer.BUFFER_ALIGNMENT_BYTES == 0


def test_conversion_is_deterministic():
    assert tflite.to_tflite(exports.program("mixed")) == exports.model("mixed")


def test_biases_beyond_float32_are_stored_exactly():
    program = programs.ds_cnn(shape=(7, 5, 1), width=4, blocks=1, classes=3)
    bias = np.int32([2**30 + 1, -(2**29) - 1, 0, 2**24 + 1])
    program = replace_operation(program, "block0/pointwise", bias=bias)
    codes = programs.random_codes((20, 7, 5, 1), seed=3)
    model = tflite.to_tflite(program)
    np.testing.assert_array_equal(micro_codes(model, codes), reference.run(program, codes))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("layer", ["stem", "block0/depthwise", "block0/pointwise", "logits"])
def test_layers_without_bias_and_dead_channels(layer: str):
    program = programs.ds_cnn(shape=(7, 5, 1), width=4, blocks=1, classes=3)
    (op,) = (op for op in program.operations if op.name == layer)
    weights = op.constants["weights"].copy()
    weights[..., 0] = 0
    bias = np.zeros_like(op.constants["bias"])
    program = replace_operation(program, layer, weights=weights, bias=bias)
    codes = programs.random_codes((20, 7, 5, 1), seed=4)
    model = tflite.to_tflite(program)
    np.testing.assert_array_equal(micro_codes(model, codes), reference.run(program, codes))


def test_relu6_is_fused():
    program = programs.ds_cnn(shape=(7, 5, 1), width=4, blocks=1, classes=3)
    edge = program.edges["stem"]
    high = edge.zero_point + round(2.0 / edge.scale)
    with pytest.raises(BadInput, match="stem: codes clipped to .* no fused activation"):
        tflite.to_tflite(replace_operation(program, "stem", high=high))
    six = edge.zero_point + round(6 / edge.scale)
    if six < 127:
        program = replace_operation(program, "stem", high=six)
    codes = programs.random_codes((20, 7, 5, 1), seed=5)
    model = tflite.to_tflite(program)
    np.testing.assert_array_equal(micro_codes(model, codes), reference.run(program, codes))


def test_the_file_holds_the_programs_numbers():
    program, model = exports.program("int4"), flatbuffer.read(exports.model("int4"))
    graph = model.subgraphs[0]
    weighted = [op for op in program.operations if "weights" in op.constants]
    operators = [o for o in graph.operators if len(o.inputs) == 3]
    for op, operator in zip(weighted, operators, strict=True):
        source, weights, bias = (graph.tensors[index] for index in operator.inputs)
        codes = np.sort(op.constants["weights"].ravel())
        np.testing.assert_array_equal(np.sort(flatbuffer.constant(model, weights).ravel()), codes)
        np.testing.assert_array_equal(weights.quantization.scale, op.constants["weight_scale"])
        np.testing.assert_array_equal(flatbuffer.constant(model, bias), op.constants["bias"])
        assert source.quantization.scale[0] == np.float32(program.edges[op.inputs[0]].scale)
        assert flatbuffer.type_name(weights) == "INT4"


def skeleton(program: Program):
    """What the converter makes of a program: a graph of composites."""
    weights = {op.name: tflite._real_weights(program, op) for op in program.operations}
    forward = tflite._forward(program, weights, tflite._composite)
    return flatbuffer.read(tflite._convert(forward, program))


def _swap(graph) -> None:
    graph.operators[2].inputs, graph.operators[3].inputs = (
        graph.operators[3].inputs,
        graph.operators[2].inputs,
    )


CHANGES = {
    "the converter rewired it": _swap,
    "an operator of its own": lambda graph: setattr(graph.operators[1], "builtinOptions2", None),
    "changed the outputs": lambda graph: graph.operators.pop(),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_converter_that_changes_the_graph_is_noticed(what: str):
    program = programs.ds_cnn(shape=(7, 5, 1), width=4, blocks=1, classes=3)
    model = skeleton(program)
    legalize(model, program)
    CHANGES[what](model.subgraphs[0])
    with pytest.raises(RuntimeError, match=what):
        legalize(model, program)


REFUSALS = {
    "no 4-bit dense layer with a scale per channel": (
        "logits",
        {"weight_bits": 4, "weights": np.ones((8, 3), np.int8)},
    ),
    "no TFLite form for fft": ("stem", {"kind": "fft"}),
    "6-bit weights": ("stem", {"weight_bits": 6}),
    "weight codes beyond 127": ("stem", {"weights": np.full((10, 4, 1, 8), -128, np.int8)}),
    "weight scales must be positive": ("stem", {"weight_scale": np.zeros(8, np.float32)}),
    "not the one its scales imply": ("stem", {"mantissa": np.full(8, 2**30, np.int32)}),
    "no fused activation": ("stem", {"low": -100}),
    "codes clipped": ("pool", {"high": 100}),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_refuses_what_micro_cannot_run(reason: str):
    layer, changes = REFUSALS[reason]
    program = programs.ds_cnn(width=8, blocks=1, classes=3)
    with pytest.raises(BadInput, match=f"{layer}: .*{reason}"):
        tflite.to_tflite(replace_operation(program, layer, **changes))


def test_refuses_a_pool_that_changes_the_scale():
    program = programs.ds_cnn(width=8, blocks=1, classes=3)
    edges = dict(program.edges)
    edges["pool"] = dataclasses.replace(edges["pool"], scale=0.5)
    with pytest.raises(BadInput, match="pool: average_pool must keep the scale"):
        tflite.to_tflite(dataclasses.replace(program, edges=edges))


def test_conversion_is_silent(capfd: pytest.CaptureFixture):
    tflite.to_tflite(exports.program("int8"))
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_a_failed_conversion_says_why(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
):
    def fail(*_: object) -> bytes:
        os.write(2, b"composite_v2 is not known\n")
        raise ValueError("could not translate")

    monkeypatch.setattr(tflite, "_run_converter", fail)
    with pytest.raises(RuntimeError, match=r"could not translate\ncomposite_v2 is not known"):
        tflite.to_tflite(exports.program("int8"))
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"
