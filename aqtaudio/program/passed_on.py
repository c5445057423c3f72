"""Values that pass between graphs and between calls: branches, loops, variables.

TFLite Micro copies their bytes; a type, size or grid that is another on the other side means
something else there. Works on parsed files that `file_faults.require_whole` accepts.
"""

import math
from collections.abc import Iterator, Sequence

from aqtaudio.program import flatbuffer
from aqtaudio.program.file_faults import BITS, place_of, rows
from aqtaudio.program.flatbuffer import schema
from aqtaudio.program.operator_view import ints

GRID_TOLERANCE = 1e-6
_AGAIN = "convert the model again"
_BRANCHES = {"IF": ("thenSubgraphIndex", "elseSubgraphIndex"), "WHILE": ("bodySubgraphIndex",)}
_Tensor = tuple[int, int]
"""Numbers of a subgraph and of a tensor of it."""


def reasons(model: schema.ModelT) -> list[str]:
    """One line per value that is not the same on both sides."""
    return [*_calls(model), *_variables(model)]


def _calls(model: schema.ModelT) -> Iterator[str]:
    for number, place, operator in _operators(model):
        name = flatbuffer.operator_name(model, operator)
        here = f"{name} (operator {place}{_of(number)})"
        given = ints(operator.inputs)[1 if name == "IF" else 0 :]
        for field in _BRANCHES.get(name, ()):
            called = getattr(operator.builtinOptions, field, 0)
            graph = model.subgraphs[called]
            sides = ((given, graph.inputs), (ints(operator.outputs), graph.outputs))
            for outer, inner in sides:
                yield from _pairs(model, here, (number, outer), (called, ints(inner)))
        if name == "WHILE":
            condition = getattr(operator.builtinOptions, "condSubgraphIndex", 0)
            graph = model.subgraphs[condition]
            yield from _pairs(model, here, (number, given), (condition, ints(graph.inputs)))
            for index in ints(graph.outputs):
                if flatbuffer.type_name(graph.tensors[index]) != "BOOL":
                    said = flatbuffer.type_name(graph.tensors[index])
                    told = place_of(graph, condition, index)
                    yield f"{here}: {told} is {said}, and a condition is BOOL; {_AGAIN}"


def _pairs(
    model: schema.ModelT,
    here: str,
    outer: tuple[int, Sequence[int]],
    inner: tuple[int, Sequence[int]],
) -> Iterator[str]:
    for a, b in zip(outer[1], inner[1], strict=False):  # of other counts TFLite Micro tells
        if a >= 0 and b >= 0:
            yield from _difference(model, here, (outer[0], a), (inner[0], b))


def _variables(model: schema.ModelT) -> Iterator[str]:
    """Of every variable all that is written and read; one that is never written."""
    handles: dict[_Tensor, tuple[str, str]] = {}
    written: dict[tuple[str, str], _Tensor] = {}
    read: dict[tuple[str, str], list[tuple[str, _Tensor]]] = {}
    for number, place, operator in _operators(model):
        name = flatbuffer.operator_name(model, operator)
        inputs, outputs = ints(operator.inputs), ints(operator.outputs)
        if name == "VAR_HANDLE" and outputs and operator.builtinOptions is not None:
            options = operator.builtinOptions
            names = (getattr(options, field, None) for field in ("container", "sharedName"))
            handles[number, outputs[0]] = tuple(map(flatbuffer.text, names))  # type: ignore[assignment]
        variable = handles.get((number, inputs[0])) if inputs else None
        if variable is None:
            continue
        here = f"{name} (operator {place}{_of(number)})"
        if name == "ASSIGN_VARIABLE" and len(inputs) > 1 and inputs[1] >= 0:
            value = (number, inputs[1])
            yield from _difference(model, here, value, written.setdefault(variable, value))
        elif name == "READ_VARIABLE" and outputs and outputs[0] >= 0:
            read.setdefault(variable, []).append((here, (number, outputs[0])))
    for variable, readers in read.items():
        for here, value in readers:
            if variable in written:
                yield from _difference(model, here, value, written[variable])
            else:
                yield f"{here} reads a variable that nobody writes; {_AGAIN}"


def _difference(model: schema.ModelT, here: str, a: _Tensor, b: _Tensor) -> Iterator[str]:
    tensors = [model.subgraphs[number].tensors[index] for number, index in (a, b)]
    texts = [_words(tensor) for tensor in tensors]
    if _same(*tensors):
        return
    one, other = (place_of(model.subgraphs[number], number, index) for number, index in (a, b))
    yield f"{here}: {one} is {texts[0]}, and {other} {texts[1]}, whose bytes it gets; {_AGAIN}"


def _same(a: schema.TensorT, b: schema.TensorT) -> bool:
    kinds = [flatbuffer.type_name(tensor) for tensor in (a, b)]
    if not set(kinds) <= set(BITS):
        return True  # handles and strings have no bytes of their own
    shapes = [ints(tensor.shape) for tensor in (a, b)]
    if min((*shapes[0], *shapes[1]), default=0) >= 0:
        if math.prod(shapes[0]) != math.prod(shapes[1]):
            return False
    grids = [_grid(tensor) for tensor in (a, b)]
    if kinds[0] != kinds[1]:
        return False
    if None in grids or kinds[0] == "FLOAT32":
        return True
    (scale, zero), (other, other_zero) = grids  # type: ignore[misc]
    return math.isclose(scale, other, rel_tol=GRID_TOLERANCE) and zero == other_zero


def _grid(tensor: schema.TensorT) -> tuple[float, int] | None:
    found = tensor.quantization
    if found is None or found.scale is None or not len(found.scale):
        return None
    return float(found.scale[0]), (*ints(found.zeroPoint), 0)[0]


def _words(tensor: schema.TensorT) -> str:
    grid = _grid(tensor)
    at = "" if grid is None else f" at scale {grid[0]:.6g}, zero point {grid[1]}"
    return f"{flatbuffer.type_name(tensor)} {list(ints(tensor.shape))}{at}"


def _operators(model: schema.ModelT) -> Iterator[tuple[int, int, schema.OperatorT]]:
    for number, graph in enumerate(model.subgraphs):
        for place, operator in enumerate(rows(graph.operators)):
            yield number, place, operator


def _of(number: int) -> str:
    return f" of subgraph {number}" if number else ""
