"""What of a TFLite file does not fit together, whatever its operators are.

Interpreters trust a file: TFLite Micro reads past the end of constants that are too short, writes
into those that are inputs and takes infinite scales, all without a word. Works on parsed files; use
it in a child process.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from aqtaudio.program import flatbuffer
from aqtaudio.program.flatbuffer import schema
from aqtaudio.program.operator_view import ints, label
from aqtaudio.program.registered import is_registered

SCHEMA_VERSION = 3
BITS = {
    "FLOAT32": 32,
    "FLOAT16": 16,
    "BFLOAT16": 16,
    "FLOAT64": 64,
    "COMPLEX64": 64,
    "COMPLEX128": 128,
    "BOOL": 8,
    "INT2": 2,
    "INT4": 4,
    "UINT4": 4,
    "FLOAT8_E4M3FN": 8,
    "FLOAT8_E5M2": 8,
    **{f"{sign}INT{bits}": bits for sign in ("", "U") for bits in (8, 16, 32, 64)},
}
"""Of an element, by type; strings, resources and variants have no size."""
_CODES = {f"INT{bits}": (-(1 << bits - 1), (1 << bits - 1) - 1) for bits in (2, 4, 8, 16)} | {
    f"UINT{bits}": (0, (1 << bits) - 1) for bits in (4, 8, 16)
}
"""Least and greatest, by type; zero points are among them."""
_CALLED = (
    "thenSubgraphIndex",
    "elseSubgraphIndex",
    "condSubgraphIndex",
    "bodySubgraphIndex",
    "initSubgraphIndex",
)
_AGAIN = "convert the model again"
_WHOLE = "get the file again, or convert the model again"
_INSIDE = "convert it again with its constants inside the file (below 2 GB)"


def require_whole(model: schema.ModelT) -> None:
    """Raises ValueError, with one sentence, where a number in the file points nowhere."""
    for table in ("subgraphs", "buffers"):
        if not rows(getattr(model, table)):
            raise ValueError(f"it has no {table}; {_WHOLE}")
    for number, graph in enumerate(model.subgraphs):
        if not rows(graph.tensors):
            raise ValueError(f"subgraph {number} has no tensors; {_WHOLE}")
        for fault in _pointers(model, number, graph):
            raise ValueError(f"{fault}; {_WHOLE}")


def reasons(model: schema.ModelT) -> list[str]:
    """One line per fault. The file is one that `require_whole` accepts."""
    found = []
    if model.version != SCHEMA_VERSION:
        read = f"TFLite Micro and LiteRT read {SCHEMA_VERSION}"
        found.append(f"schema version {model.version}; {read}; {_AGAIN}")
    if not len(ints(model.subgraphs[0].outputs)):
        found.append(f"the file has no outputs, so nothing can be read from it; {_AGAIN}")
    for number, graph in enumerate(model.subgraphs):
        for index in _used(graph):
            place = place_of(graph, number, index)
            faults = (*_data(model, graph.tensors[index]), *_grid(graph.tensors[index]))
            found += [f"{place} {fault}" for fault in faults]
        found += _order(model, number, graph)
    return found


def _pointers(model: schema.ModelT, number: int, graph: schema.SubGraphT) -> Iterator[str]:
    count, of_graph = len(graph.tensors), f" of subgraph {number}" if number else ""
    for index, tensor in enumerate(graph.tensors):
        if not 0 <= tensor.buffer < len(model.buffers):
            place = place_of(graph, number, index)
            yield f"{place} is in buffer {tensor.buffer} of {len(model.buffers)}"
    for what in ("inputs", "outputs"):
        for index in ints(getattr(graph, what)):
            if not 0 <= index < count:
                yield f"the {what}{of_graph} name tensor {index} of {count}"
    for place, operator in enumerate(rows(graph.operators)):
        here = f"operator {place}{of_graph}"
        if not 0 <= operator.opcodeIndex < len(rows(model.operatorCodes)):
            yield f"{here} is of kind {operator.opcodeIndex} of {len(rows(model.operatorCodes))}"
            continue
        here = f"{flatbuffer.operator_name(model, operator)} ({here})"
        for index in (*ints(operator.inputs), *ints(operator.outputs)):
            if not -1 <= index < count:
                yield f"{here} names tensor {index} of {count}"
        for field in _CALLED:
            called = getattr(operator.builtinOptions, field, 0)
            if not 0 <= called < len(model.subgraphs):
                yield f"{here} calls subgraph {called} of {len(model.subgraphs)}"


def _data(model: schema.ModelT, tensor: schema.TensorT) -> Iterator[str]:
    """Constants that are not what their shape and type say."""
    buffer = model.buffers[tensor.buffer]
    size, needed = _size(buffer.data), _needed(tensor)
    if tensor.sparsity is not None:
        yield "is sparse, which TFLite Micro takes for dense; store it dense (no sparsity option)"
    elif size and needed is not None and size < needed:
        shape = list(ints(tensor.shape))
        kind = f"{shape} of {flatbuffer.type_name(tensor)}"
        yield f"has {size} bytes of data, but {kind} needs {needed}; {_WHOLE}"
    if not size and (buffer.offset > 1 or buffer.size > 1 or tensor.externalBuffer):
        yield f"has its data outside of the flatbuffer, where TFLite Micro does not look; {_INSIDE}"
    if size and tensor.isVariable:
        yield f"is a variable and a constant too; {_AGAIN}"


def _grid(tensor: schema.TensorT) -> Iterator[str]:
    """Scales and zero points that mean nothing."""
    quantization, kind = tensor.quantization, flatbuffer.type_name(tensor)
    if quantization is None:
        return
    scales = np.asarray(() if quantization.scale is None else quantization.scale, np.float64)
    zeros = ints(quantization.zeroPoint)
    wrong = ~(np.isfinite(scales) & (scales > 0))
    if wrong.any():
        where = f" (channel {int(wrong.argmax())})" if len(scales) > 1 else ""
        yield f"has scale {scales[wrong][0]:g}{where}; scales are above 0; calibrate and {_AGAIN}"
    if len(scales) and not zeros:
        yield f"has a scale and no zero point: TFLite Micro takes it as not quantized; {_AGAIN}"
    low, high = _CODES.get(kind, (-(1 << 31), (1 << 31) - 1))
    outside = [zero for zero in zeros if not low <= zero <= high]
    if len(scales) and outside:
        yield f"has zero point {outside[0]}; {kind} codes are {low} to {high}; {_AGAIN}"
    if quantization.details is not None and quantization.detailsType > 1:
        names = {value: name for name, value in vars(schema.QuantizationDetails).items()}
        text = names.get(quantization.detailsType, quantization.detailsType)
        yield f"has {text}, which TFLite Micro lacks; quantize per tensor or per channel"


def _order(model: schema.ModelT, number: int, graph: schema.SubGraphT) -> Iterator[str]:
    """Tensors that nobody wrote before they are read, or that two write."""
    inputs = ints(graph.inputs)
    operators = rows(graph.operators)
    writers: dict[int, int] = {}
    for index in sorted(set(inputs)):
        if _is_stored(model, graph.tensors[index]):
            place = place_of(graph, number, index)
            yield f"{place} is an input and has data in the file, over which inputs go; {_AGAIN}"
    later = {index: n for n, operator in enumerate(operators) for index in ints(operator.outputs)}
    known = {*inputs, *(i for i, t in enumerate(graph.tensors) if _is_there(model, t))}
    for place, operator in enumerate(operators):
        name = flatbuffer.operator_name(model, operator)
        here = f"{name} ({_number(place, number)})"
        # What compilers for accelerators give them as scratch memory nobody writes.
        is_foreign = name.startswith("CUSTOM:") and not is_registered(name)
        for index in dict.fromkeys(ints(operator.inputs)):
            if index >= 0 and index not in known and not is_foreign:
                by = f"operator {later[index]} writes" if index in later else "nobody writes"
                yield f"{here} reads {place_of(graph, number, index)}, which {by}; {_AGAIN}"
                known.add(index)
        for index in ints(operator.outputs):
            target = place_of(graph, number, index) if index >= 0 else ""
            if index in writers:
                yield f"{here} writes {target}, as operator {writers[index]} does; {_AGAIN}"
            elif index in inputs:
                yield f"{here} writes {target}, which is an input; {_AGAIN}"
            elif index >= 0 and _is_stored(model, graph.tensors[index]):
                yield f"{here} writes {target}, which is a constant; {_AGAIN}"
            if index >= 0:
                writers.setdefault(index, place)
                known.add(index)
    for index in ints(graph.outputs):
        if index not in known:
            yield f"{place_of(graph, number, index)} is an output, which nobody writes; {_AGAIN}"


def _used(graph: schema.SubGraphT) -> list[int]:
    lists = [graph.inputs, graph.outputs]
    for operator in rows(graph.operators):
        lists += [operator.inputs, operator.outputs]
    return sorted({index for indices in lists for index in ints(indices) if index >= 0})


def _is_stored(model: schema.ModelT, tensor: schema.TensorT) -> bool:
    return _size(model.buffers[tensor.buffer].data) > 0


def _is_there(model: schema.ModelT, tensor: schema.TensorT) -> bool:
    """Without anybody who writes it: a constant, also one elsewhere, a variable, nothing at all."""
    buffer = model.buffers[tensor.buffer]
    is_elsewhere = buffer.offset > 1 or bool(tensor.externalBuffer)
    is_nothing = _needed(tensor) == 0
    return _is_stored(model, tensor) or tensor.isVariable or is_elsewhere or is_nothing


def _needed(tensor: schema.TensorT) -> int | None:
    """Bytes of its elements; None where they have no fixed number or size."""
    bits, shape = BITS.get(flatbuffer.type_name(tensor)), ints(tensor.shape)
    if bits is None or min(shape, default=0) < 0:
        return None
    return -(-math.prod(shape) * bits // 8)


def _size(data: np.ndarray | list | None) -> int:
    return 0 if data is None else len(data)


def rows(table: Sequence | None) -> Sequence:
    """Of a table that may be missing."""
    return () if table is None else table


def place_of(graph: schema.SubGraphT, number: int, index: int) -> str:
    """A tensor by name and number, and the number of its subgraph where it is not the main one."""
    text = label(graph.tensors[index], index)
    text = text if text.endswith(f"number {index}") else f"{text} (number {index})"
    return text + (f" of subgraph {number}" if number else "")


def _number(place: int, subgraph: int) -> str:
    return f"operator {place}" + (f" of subgraph {subgraph}" if subgraph else "")
