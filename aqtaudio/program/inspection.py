"""What a TFLite file says about itself. Trusts the file: call it in a child process."""

import collections
import itertools
import struct
from typing import Any

import numpy as np

from aqtaudio.program import (
    esphome_traps,
    flatbuffer,
    kernel_traps,
    operator_view,
    remedies,
    traps,
)
from aqtaudio.program.flatbuffer import schema
from aqtaudio.program.kernel_libraries import LIBRARIES
from aqtaudio.program.operator_view import EdgeFacts, Operator, Tensor


def inspect_file(model: bytes, edges: EdgeFacts = ()) -> dict[str, Any]:
    """Facts about a file, ready for JSON.

    Args:
      model: contents of the file.
      edges: of the program behind it, to name layers.

    Returns:
      ops: number of operators by name.
      first: where each of these names occurs first, and one of its tensors, in words.
      float_ops: names of the operators that read or write a FLOAT32 tensor.
      float_reasons: one line per stretch of such operators.
      trap_reasons: one line per trap of TFLite Micro's kernels (`program.traps`).
      kernel_reasons: by kernel library, one line per operator that it gets wrong
        (`program.kernel_traps`).
      target_reasons: by device that has a contract of its own, one line per breach of it
        (`program.esphome_traps`).
      weight_bytes: of the constants, each counted once.

    Raises ValueError, and whatever else Python raises on a damaged file.
    """
    try:
        parsed = flatbuffer.read(model)
        operators = operator_view.operators(parsed, edges)
        contracts = {"esphome": esphome_traps.reasons(parsed, operators)}
    except (struct.error, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ValueError("an offset in it points nowhere") from error
    stretches = _float_stretches(operators)
    floats = itertools.chain.from_iterable(stretches)
    return {
        "ops": dict(collections.Counter(operator.name for operator in operators)),
        "first": {operator.name: _first(operator) for operator in reversed(operators)},
        "float_ops": list(dict.fromkeys(operator.name for operator in floats)),
        "float_reasons": _float_reasons(operators, stretches),
        "trap_reasons": [line for operator in operators for line in traps.reasons(operator)],
        "kernel_reasons": _kernel_reasons(operators),
        "target_reasons": contracts,
        "weight_bytes": _weight_bytes(parsed),
    }


def _kernel_reasons(operators: list[Operator]) -> dict[str, list[str]]:
    found = [kernel_traps.reasons(operator) for operator in operators]
    return {library: [line for lines in found for line in lines[library]] for library in LIBRARIES}


def _weight_bytes(model: schema.ModelT) -> int:
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    contents = [model.buffers[index].data for index in used]
    return sum(len(np.asarray(data)) for data in contents if data is not None)


def _first(operator: Operator) -> str:
    tensors = [*operator.outputs, *operator.inputs]
    labels = [tensor.label for tensor in tensors if tensor is not None]
    return ", ".join([operator.place, *labels[:1]])


def _float_stretches(operators: list[Operator]) -> list[list[Operator]]:
    """Runs of operators with a FLOAT32 tensor, within a subgraph."""
    groups = itertools.groupby(operators, key=lambda o: (o.subgraph, bool(_floats(o))))
    return [list(group) for (_, is_float), group in groups if is_float]


def _floats(operator: Operator) -> list[Tensor]:
    return [tensor for tensor in operator.tensors if tensor.type == "FLOAT32"]


def _float_reasons(operators: list[Operator], stretches: list[list[Operator]]) -> list[str]:
    """One line per stretch, or one for a model that computes nothing in int8 or int16."""
    outputs = [tensor for operator in operators for tensor in operator.outputs]
    if not stretches or any(tensor and tensor.is_quantized for tensor in outputs):
        return [_float_reason(stretch) for stretch in stretches]
    names = [operator.name for stretch in stretches for operator in stretch]
    kinds, total = ", ".join(dict.fromkeys(names)), len(operators)
    count = f"all {total}" if len(names) == total else f"{len(names)} of {total}"
    remedy = remedies.for_float_model(set(names))
    return [f"a float model: {count} operators compute in FLOAT32 ({kinds}); {remedy}"]


def _float_reason(stretch: list[Operator]) -> str:
    names = [operator.name for operator in stretch]
    first, last = stretch[0], stretch[-1]
    is_border = set(names) <= {"QUANTIZE", "DEQUANTIZE"}
    what = "border" if is_border else "island"
    where = f"at operator {first.number}" if is_border else f"from operator {first.number} on"
    layer = f" ({last.layer})" if last.layer else ""
    tensor = f"{_floats(first)[0].label} is FLOAT32"
    remedy = remedies.for_float(set(names))
    return f"float {what}: {', '.join(names)} {where}{layer}; {tensor}; {remedy}"
