"""What a TFLite file says about itself. Trusts the file: call it in a child process."""

import collections
import itertools
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from aqtaudio.program import (
    esphome_traps,
    file_faults,
    flatbuffer,
    kernel_traps,
    litert_probe,
    operator_view,
    passed_on,
    remedies,
    traps,
    weight_traps,
)
from aqtaudio.program.findings import lines
from aqtaudio.program.flatbuffer import schema
from aqtaudio.program.operator_view import EdgeFacts, Operator, Tensor

_QUANTIZED = ("INT8", "INT16", "UINT8")
Probe = Callable[[bytes, bool], dict[str, Any]]


def not_probed(model: bytes, is_run: bool) -> dict[str, Any]:
    """For who doesn't ask LiteRT."""
    del model, is_run
    return {"error": "", "shapes": []}


def inspect_file(model: bytes, edges: EdgeFacts = (), probe: Probe = not_probed) -> dict[str, Any]:
    """Facts about a file, ready for JSON.

    Args:
      model: contents of the file.
      edges: of the program behind it, to name layers.
      probe: what LiteRT makes of it (`program.litert_probe.probe`); not asked unless given.

    Returns:
      ops: number of operators by name.
      places: of each operator of the main subgraph, its name, and its place and first tensor in
        words.
      first: where each of these names occurs first, and one of its tensors, in words.
      float_ops: names of the operators that read or write a FLOAT32 tensor.
      float_reasons: one line per stretch of such operators.
      trap_reasons: one line per fault of the file (`program.file_faults`, `program.passed_on`),
        trap of TFLite Micro's kernels (`program.traps`, `program.weight_traps`) and shape that
        LiteRT derives otherwise.
      kernel_reasons: by kernel library, one line per operator that it gets wrong
        (`program.kernel_traps`), and why LiteRT does not load or run it.
      target_reasons: by device that has a contract of its own, one line per breach of it
        (`program.esphome_traps`).
      weight_bytes: of the constants, each counted once.

    Raises ValueError, and whatever else Python raises on a damaged file.
    """
    try:
        parsed = flatbuffer.read(model)
    except (struct.error, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ValueError(
            f"an offset in it points nowhere: its {len(model)} bytes were cut short or changed; "
            "get the file again"
        ) from error
    file_faults.require_whole(parsed)
    try:
        operators = operator_view.operators(parsed, edges)
        contracts = {"esphome": esphome_traps.reasons(parsed, operators)}
        faults = [*file_faults.reasons(parsed), *passed_on.reasons(parsed)]
    except (struct.error, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ValueError("a table in it is of another kind; get the file again") from error
    rules = (*traps.RULES, *weight_traps.RULES)
    litert = probe(model, litert_probe.is_runnable_on_zeros(operators))
    shapes = litert_probe.fault(litert["error"], operators)
    shapes += litert_probe.shape_reasons(litert["shapes"], operators)
    refusals = [litert_probe.refusal(litert["error"], operators)] if litert["error"] else []
    stretches = _float_stretches(operators)
    kernels = kernel_traps.reasons(operators)
    floats = itertools.chain.from_iterable(stretches)
    return {
        "ops": dict(collections.Counter(operator.name for operator in operators)),
        "places": [(o.name, _first(o)) for o in operators if not o.subgraph],
        "first": {operator.name: _first(operator) for operator in reversed(operators)},
        "float_ops": list(dict.fromkeys(operator.name for operator in floats)),
        "float_reasons": _float_reasons(operators, stretches),
        "trap_reasons": [*faults, *lines(operators, rules), *shapes],
        "kernel_reasons": {**kernels, "litert": [*kernels["litert"], *refusals]},
        "target_reasons": contracts,
        "weight_bytes": _weight_bytes(parsed),
    }


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
    """One line per stretch, or one for a model that computes nothing in int8, int16 or uint8."""
    outputs = [tensor for operator in operators for tensor in operator.outputs]
    is_mixed = any(t and t.type in _QUANTIZED and t.scale is not None for t in outputs)
    if not stretches or is_mixed:
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
