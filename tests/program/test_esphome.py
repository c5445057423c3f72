"""Files for ESPHome's micro_wake_word: what comes out of one, and what is wrong with others."""

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aqtaudio.errors import BadInput
from aqtaudio.program import esphome_traps, flatbuffer, operator_view
from aqtaudio.program.check import check
from aqtaudio.program.esphome import esphome_program, esphome_tflite
from aqtaudio.program.execute import Executor
from aqtaudio.program.flatbuffer import schema
from aqtaudio.program.micro import Micro
from aqtaudio.program.portable import Building
from aqtaudio.program.program import Edge, Program
from aqtaudio.runs.run import Run


@pytest.fixture(scope="session")
def served(once, esphome_run) -> bytes:
    """The file of its second word."""

    def write(folder: Path) -> None:
        folder.mkdir()
        (folder / "word.tflite").write_bytes(esphome_tflite(Run(esphome_run).program, 1))

    return (once("esphome_file", write) / "word.tflite").read_bytes()


def findings(model: bytes, change: Callable[[schema.ModelT], None]) -> list[str]:
    """Of a file with a change."""
    parsed = flatbuffer.read(model)
    change(parsed)
    return esphome_traps.reasons(parsed, operator_view.operators(parsed))


def test_the_file_computes_the_programs_bytes(esphome_run, served):
    program, rng = esphome_program(Run(esphome_run).program, 1), np.random.default_rng(1)
    sounds = np.repeat(rng.integers(-100, 100, (16, 1, 1, 40)), 16, 0)  # 0.5 s each
    codes = (sounds + rng.integers(-28, 28, (256, 3, 1, 40))).astype(np.int8)
    ours = Executor(program)(codes).astype(int) + 128
    with Micro(served) as micro:
        (given,), (made,) = micro.input_details, micro.output_details
        theirs = micro.invoke(codes.reshape(-1, 3, 40))[0]
    assert given.shape == (1, 3, 40) and given.dtype == np.int8
    assert made.shape == (1, 1) and made.dtype == np.uint8
    assert (made.scale, made.zero_point) == (1 / 256, 0)
    assert np.array_equal(theirs, ours) and len(np.unique(ours)) > 20


def test_nothing_is_wrong_with_it(served):
    report = check(served, target="esphome")
    assert report.micro_compatible and report.targets == {"esphome": []}


def test_a_runs_own_file_is_told_what_it_lacks(esphome_run):
    told = "\n".join(findings(Run(esphome_run).model, lambda model: None))
    for part in ("[1, 3, 1, 40]; needed: [1, n, 40]", "[1, 4]; needed: [1, 1]", "needed: UINT8"):
        assert part in told


def retyped(place: str, **values) -> Callable[[schema.ModelT], None]:
    """A change of the input's or output's tensor."""

    def change(model: schema.ModelT) -> None:
        graph = model.subgraphs[0]
        tensor = graph.tensors[int(getattr(graph, place)[0])]
        for key, value in values.items():
            owner = tensor.quantization if key in ("scale", "zeroPoint") else tensor
            setattr(owner, key, value)

    return change


def _softmax(model: schema.ModelT) -> None:
    code = next(
        code for code in model.operatorCodes if code.builtinCode == schema.BuiltinOperator.LOGISTIC
    )
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SOFTMAX


def _stateless(model: schema.ModelT) -> None:
    for graph in model.subgraphs:
        graph.operators = [
            operator
            for operator in graph.operators
            if flatbuffer.operator_name(model, operator) != "VAR_HANDLE"
        ]


def _crowded(model: schema.ModelT) -> None:
    graph = model.subgraphs[0]
    handle = next(
        operator
        for operator in graph.operators
        if flatbuffer.operator_name(model, operator) == "VAR_HANDLE"
    )
    for number in range(21):
        more = copy.deepcopy(handle)
        more.builtinOptions.sharedName = f"more_{number}"
        graph.operators.append(more)


def _two_inputs(model: schema.ModelT) -> None:
    graph = model.subgraphs[0]
    graph.inputs = np.array([graph.inputs[0], graph.inputs[0]], np.int32)


def _dense(shape: list[int], scales: int) -> Callable[[schema.ModelT], None]:
    def change(model: schema.ModelT) -> None:
        graph = model.subgraphs[0]
        dense = next(
            operator
            for operator in graph.operators
            if flatbuffer.operator_name(model, operator) == "FULLY_CONNECTED"
        )
        graph.tensors[int(dense.outputs[0])].shape = np.array(shape, np.int32)
        quantization = graph.tensors[int(dense.inputs[1])].quantization
        quantization.scale = np.ones(scales, np.float32)
        quantization.zeroPoint = np.zeros(scales, np.int64)

    return change


INT16, FLOAT = schema.TensorType.INT16, schema.TensorType.FLOAT32
BREACHES = {
    "operator": (_softmax, "SOFTMAX (operator", "LOGISTIC of its margin"),
    "bands": (retyped("inputs", shape=np.array([1, 3, 32])), "is [1, 3, 32]", "[1, n, 40]"),
    "16 bits": (retyped("inputs", type=INT16), "is INT16; needed: INT8", ""),
    "grid": (
        retyped("inputs", scale=np.array([0.2], np.float32)),
        "has scale 0.2",
        "scale 0.101624, zero point -128",
    ),
    "outputs": (retyped("outputs", shape=np.array([1, 2])), "is [1, 2]; needed: [1, 1]", ""),
    "float": (retyped("outputs", type=FLOAT), "is FLOAT32; needed: UINT8", ""),
    "byte": (retyped("outputs", zeroPoint=np.array([9])), "zero point 9", "zero point 0"),
    "no memory": (_stateless, "no resource variables", "keep what a stream remembers"),
    "variables": (_crowded, "resource variables: ESPHome has room for 20", ""),
    "inputs": (_two_inputs, "2 inputs: ESPHome reads and writes one", ""),
    "axes": (_dense([1, 1, 1], 1), "is [1, 1, 1]: ESP-NN", "two axes, or a 1x1 convolution"),
    "scales": (_dense([1, 1], 4), "a weight scale per channel", "or a 1x1 convolution"),
}


@pytest.mark.parametrize("name", BREACHES)
def test_every_breach_of_the_contract_is_told_with_a_remedy(served, name: str):
    change, wrong, remedy = BREACHES[name]
    (reason,) = findings(served, change)
    assert wrong in reason and remedy in reason


def test_published_models_pass():
    """Those that come with the runtime for computers."""
    package = pytest.importorskip("pymicro_wakeword")
    models = sorted((Path(package.__file__).parent / "models").glob("*.tflite"))
    assert models
    for path in models:
        assert findings(path.read_bytes(), lambda model: None) == [], path.name


def test_a_program_of_whole_clips_is_refused():
    edge = Edge("logits", (4,), 0.1, 0, 8)
    program = Program({"logits": edge}, (), ("logits",), ("logits",))
    with pytest.raises(BadInput, match="ESPHome: the program takes whole clips; needed: a stream"):
        esphome_program(program, 0)


def test_operators_that_it_lacks_are_named_with_their_layers(esphome_run):
    old = Run(esphome_run).program
    building = Building(old)
    for op in old.operations:
        building.append(op)
    squashed = Edge("squashed", old.edges["logits"].shape, 1 / 128, 0, 8)
    building.add("tanh", ("logits",), squashed)
    program = dataclasses.replace(building.program(), outputs=("squashed",))
    with pytest.raises(BadInput, match=r"it has no operator TANH \(squashed\); allowed: ADD, "):
        esphome_program(program, 0)


def test_dense_layers_that_esp_nn_computes_wrong_are_convolutions(esphome_run):
    old = Run(esphome_run).program
    assert next(op for op in old.operations if op.name == "logits").kind == "dense"
    new = esphome_program(old, 0)
    assert [op.name for op in new.operations if op.kind == "dense"] == ["word/margin"]
    assert {op.attributes.get("weight_bits", 8) for op in new.operations} == {8}


@pytest.mark.slow
def test_every_code_stays(esphome_run):
    old = Run(esphome_run).program
    new = esphome_program(old, 0)
    codes = np.random.default_rng(2).integers(-128, 128, (8, 3, 1, 40)).astype(np.int8)
    ours, theirs = Executor(old).edges(codes), Executor(new).edges(codes)
    assert all(np.array_equal(ours[name], theirs[name]) for name in set(ours) & set(theirs))
