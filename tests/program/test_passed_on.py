"""What passes through branches, loops and variables has one type, size and grid on both sides."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from fates import REFUSED, SILENT, asked

from aqtaudio.program import flatbuffer, inspection
from aqtaudio.program.flatbuffer import schema


def tensor(name: str, scale: float = 0.1, size: int = 4, kind: str = "INT8") -> schema.TensorT:
    found = schema.TensorT()
    found.name, found.shape = name, np.int32([1, size])
    found.type = getattr(schema.TensorType, kind)
    if kind == "INT8":
        found.quantization = schema.QuantizationParametersT()
        found.quantization.scale = np.float32([scale])
        found.quantization.zeroPoint = np.int64([0])
    return found


def operator(
    code: int, inputs: list[int], outputs: list[int], table: str | None = None, **options: Any
) -> schema.OperatorT:
    found = schema.OperatorT()
    found.opcodeIndex, found.inputs, found.outputs = code, np.int32(inputs), np.int32(outputs)
    if table:
        found.builtinOptionsType = getattr(schema.BuiltinOptions, table)
        found.builtinOptions = getattr(schema, f"{table}T")()
        for name, value in options.items():
            setattr(found.builtinOptions, name, value)
    return found


def graph(
    tensors: list[schema.TensorT], inputs: list[int], outputs: list[int], *operators: Any
) -> schema.SubGraphT:
    found = schema.SubGraphT()
    found.tensors, found.operators = tensors, list(operators)
    found.inputs, found.outputs = np.int32(inputs), np.int32(outputs)
    return found


def model(names: Sequence[str], *graphs: schema.SubGraphT) -> bytes:
    found = schema.ModelT()
    found.version, found.subgraphs, found.buffers = 3, list(graphs), [schema.BufferT()]
    found.operatorCodes = []
    for name in names:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        found.operatorCodes.append(code)
    return flatbuffer.write(found)


def branches(scale: float = 0.1, size: int = 4) -> bytes:
    """Of one, the result."""
    options = {"thenSubgraphIndex": 1, "elseSubgraphIndex": 2}
    condition = tensor("c", size=1, kind="BOOL")
    condition.shape = np.int32([1])
    main = graph(
        [condition, tensor("x"), tensor("y")],
        [0, 1],
        [2],
        operator(0, [0, 1], [2], "IfOptions", **options),
    )
    one = graph([tensor("a"), tensor("b")], [0], [1], operator(1, [0], [1]))
    other = graph([tensor("d"), tensor("e", scale, size)], [0], [1], operator(1, [0], [1]))
    return model(["IF", "RELU"], main, one, other)


def loop(condition: str = "BOOL", size: int = 4) -> bytes:
    options = {"condSubgraphIndex": 1, "bodySubgraphIndex": 2}
    kind = "INT32"
    ends = [tensor("x", kind=kind), tensor("y", kind=kind)]
    main = graph(ends, [0], [1], operator(0, [0], [1], "WhileOptions", **options))
    tensors = [tensor("a", kind=kind), tensor("b", kind=condition)]
    test = graph(tensors, [0], [1], operator(1, [0, 0], [1], "LessOptions"))
    tensors = [tensor("d", kind=kind), tensor("e", size=size, kind=kind)]
    body = graph(tensors, [0], [1], operator(2, [0, 0], [1], "AddOptions"))
    return model(["WHILE", "LESS", "ADD"], main, test, body)


def variable(scale: float = 0.1, size: int = 4, is_written: bool = True) -> bytes:
    """Of one, what is read."""
    handle = tensor("h", kind="RESOURCE")
    handle.shape = np.int32([])
    operators = [operator(0, [], [1], "VarHandleOptions", container="", sharedName="v")]
    if is_written:
        operators.append(operator(1, [1, 0], [], "AssignVariableOptions"))
    operators.append(operator(2, [1], [2], "ReadVariableOptions"))
    operators.append(operator(3, [2, 2], [3], "AddOptions"))
    tensors = [tensor("x"), handle, tensor("r", scale, size), tensor("y", 0.7, size)]
    names = ["VAR_HANDLE", "ASSIGN_VARIABLE", "READ_VARIABLE", "ADD"]
    return model(names, graph(tensors, [0], [3], *operators))


CASES = {
    "grid_of_a_branch": (
        branches(scale=0.3),
        SILENT,
        ("IF (operator 0): tensor y (number 2) is INT8 [1, 4] at scale 0.1", "scale 0.3"),
    ),
    "size_of_a_branch": (
        branches(size=8),
        REFUSED,
        ("IF (operator 0)", "tensor e (number 1) of subgraph 2 INT8 [1, 8]"),
    ),
    "type_of_a_condition": (
        loop(condition="INT32"),
        SILENT,
        ("WHILE (operator 0): tensor b (number 1) of subgraph 1 is INT32", "is BOOL"),
    ),
    "size_of_a_loop": (
        loop(size=8),
        SILENT,
        ("WHILE (operator 0)", "tensor e (number 1) of subgraph 2 INT32 [1, 8]"),
    ),
    "grid_of_a_variable": (
        variable(scale=0.3),
        SILENT,
        ("READ_VARIABLE (operator 2): tensor r (number 2)", "scale 0.3", "tensor x", "scale 0.1"),
    ),
    "size_of_a_variable": (
        variable(size=8),
        SILENT,
        ("READ_VARIABLE (operator 2): tensor r (number 2) is INT8 [1, 8]", "tensor x"),
    ),
    "nobody_writes": (
        variable(is_written=False),
        SILENT,
        ("READ_VARIABLE (operator 1) reads a variable that nobody writes",),
    ),
}


@pytest.fixture(scope="module")
def fate() -> Iterator[Callable[[bytes], str]]:
    yield from asked()


@pytest.mark.parametrize("name", CASES)
def test_another_type_size_or_grid_is_named(name: str, fate: Callable[[bytes], str]):
    file, expected, says = CASES[name]
    lines = inspection.inspect_file(file)["trap_reasons"]
    assert any(all(part in line for part in says) for line in lines), lines
    assert fate(file) == expected


@pytest.mark.parametrize("make", [branches, loop, variable])
def test_what_fits_is_not_named(make: Callable[[], bytes], fate: Callable[[bytes], str]):
    assert inspection.inspect_file(make())["trap_reasons"] == []
    assert fate(make()) == SILENT
