"""What a TFLite file says about itself. Trusts the file: call it in a child process."""

import collections
import itertools
import struct
from typing import Any

import numpy as np

from aqtaudio.program import flatbuffer
from aqtaudio.program.flatbuffer import schema


def inspect_file(model: bytes) -> dict[str, Any]:
    """Facts about a file, ready for JSON.

    Returns:
      ops: number of operators by name.
      float_ops: names of the operators that read or write a FLOAT32 tensor.
      float_reasons: one line per stretch of such operators.
      weight_bytes: of the constants, each counted once.

    Raises ValueError, and whatever else Python raises on a damaged file.
    """
    try:
        parsed = flatbuffer.read(model)
    except (struct.error, TypeError, IndexError) as error:
        raise ValueError("an offset in it points nowhere") from error
    names = [
        flatbuffer.operator_name(parsed, operator)
        for graph in parsed.subgraphs
        for operator in graph.operators
    ]
    stretches = [stretch for graph in parsed.subgraphs for stretch in _stretches(parsed, graph)]
    float_names = dict.fromkeys(name for names, *_ in stretches for name in names)
    return {
        "ops": dict(collections.Counter(names)),
        "float_ops": list(float_names),
        "float_reasons": [_reason(*stretch, total=len(names)) for stretch in stretches],
        "weight_bytes": _weight_bytes(parsed),
    }


def _weight_bytes(model: schema.ModelT) -> int:
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    contents = [model.buffers[index].data for index in used]
    return sum(len(np.asarray(data)) for data in contents if data is not None)


def _stretches(model: schema.ModelT, graph: schema.SubGraphT) -> list[tuple[list[str], int, str]]:
    """Runs of operators in float: their names, the place of the first, the first float tensor."""
    floats = [
        (place, flatbuffer.operator_name(model, operator), _float_tensors(graph, operator))
        for place, operator in enumerate(graph.operators)
    ]
    stretches = []
    for is_float, group in itertools.groupby(floats, key=lambda item: bool(item[2])):
        members = list(group)
        if is_float:
            names = [name for _, name, _ in members]
            stretches.append((names, members[0][0], members[0][2][0]))
    return stretches


def _float_tensors(graph: schema.SubGraphT, operator: schema.OperatorT) -> list[str]:
    indices = [int(index) for index in (*operator.inputs, *operator.outputs) if index >= 0]
    tensors = {index: graph.tensors[index] for index in indices}
    return [
        flatbuffer.text(tensor.name) or f"number {index}"
        for index, tensor in tensors.items()
        if flatbuffer.type_name(tensor) == "FLOAT32"
    ]


def _reason(names: list[str], first: int, tensor: str, total: int) -> str:
    if len(names) == total:
        kinds = ", ".join(dict.fromkeys(names))
        return f"a float model: all {total} operators compute in FLOAT32 ({kinds})"
    listed = ", ".join(names)
    if set(names) <= {"QUANTIZE", "DEQUANTIZE"}:
        return f"float border: {listed} at operator {first}; tensor {tensor} is FLOAT32"
    return f"float island: {listed} from operator {first} on; tensor {tensor} is FLOAT32"
