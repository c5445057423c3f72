"""TFLite files as objects: read, ask, slim, write.

The schema is https://github.com/google-ai-edge/LiteRT/blob/main/tflite/schema/schema.fbs; its
generated object API is pure Python and trusts the file: hostile files are parsed in a child process
(`program.child`).
"""

import copy
from collections.abc import Hashable
from typing import Any

import ai_edge_litert.schema_py_generated as schema
import flatbuffers
import numpy as np

IDENTIFIER = b"TFL3"
BUFFER_ALIGNMENT_BYTES = 16  # schema: `data:[ubyte] (force_align: 16)`; the object API forgets it

_OPERATORS = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}
_TYPES = {code: name for name, code in vars(schema.TensorType).items() if name.isupper()}
_NUMPY = {
    "FLOAT32": np.float32,
    "INT64": np.int64,
    "INT32": np.int32,
    "INT16": np.int16,
    "INT8": np.int8,
}


def read(model: bytes) -> schema.ModelT:
    """Parses a TFLite file. Raises whatever Python raises on a damaged one."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))


def write(model: schema.ModelT) -> bytes:
    """Serializes a model, equal parts once and constants aligned as TFLite Micro needs."""
    builder = _SharingBuilder(1024)
    builder.Finish(_sharing(model).Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def operator_name(model: schema.ModelT, operator: schema.OperatorT) -> str:
    """Name of the builtin operation in the schema, or `CUSTOM:name`."""
    code = model.operatorCodes[operator.opcodeIndex]
    name = _OPERATORS.get(max(code.builtinCode, code.deprecatedBuiltinCode), "UNKNOWN")
    return f"CUSTOM:{text(code.customCode)}" if name == "CUSTOM" else name


def type_name(tensor: schema.TensorT) -> str:
    """FLOAT32, INT8, ..."""
    return _TYPES.get(tensor.type, f"type {tensor.type}")


def text(value: bytes | str | None) -> str:
    """A string of the file."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""


def constant(model: schema.ModelT, tensor: schema.TensorT) -> np.ndarray:
    """Values of a constant tensor in its shape; INT4 comes back as int8."""
    data = np.ascontiguousarray(model.buffers[tensor.buffer].data)
    kind = type_name(tensor)
    if kind == "INT4":
        # Two codes a byte, the first in the low half; the shifts extend the sign.
        codes = data.view(np.int8)
        values = np.stack([codes << 4 >> 4, codes >> 4], -1).ravel()[: np.prod(tensor.shape)]
    else:
        values = data.view(_NUMPY[kind])
    return values.reshape(tensor.shape)


def buffer(values: np.ndarray, kind: str) -> schema.BufferT:
    """Constant data; INT4 is packed, two codes a byte, the first in the low half."""
    if kind == "INT4":
        codes = np.append(values.ravel(), np.zeros(values.size % 2, np.int8)).astype(np.uint8) & 15
        data = codes[::2] | codes[1::2] << 4
    else:
        data = np.ascontiguousarray(values, _NUMPY[kind]).ravel().view(np.uint8)
    found = schema.BufferT()
    found.data = data
    return found


def slim(model: schema.ModelT) -> None:
    """Drops what neither TFLite Micro nor LiteRT reads to compute: file size, not meaning.

    Kept: what a kernel or a delegate asks for, among it one zero point and one bias scale per
    channel (LiteRT and XNNPACK refuse files with fewer). Only tensors at the border keep names.
    """
    model.metadata = model.metadataBuffer = model.signatureDefs = model.description = None
    constants: dict[bytes, int] = {}
    buffers = [schema.BufferT()]  # the first is empty by convention: "no constant"
    for graph in model.subgraphs:
        graph.name = None
        border = {*graph.inputs, *graph.outputs}
        for index, tensor in enumerate(graph.tensors):
            tensor.shapeSignature = None
            tensor.name = tensor.name if index in border else None
            if tensor.quantization is not None:
                tensor.quantization.min = tensor.quantization.max = None
            data = model.buffers[tensor.buffer].data
            if data is None or len(data) == 0:
                tensor.buffer = 0
                continue
            key = data.tobytes()
            if key not in constants:
                constants[key] = len(buffers)
                buffers.append(model.buffers[tensor.buffer])
            tensor.buffer = constants[key]
    model.buffers = buffers
    _drop_unused_operator_codes(model)


def _drop_unused_operator_codes(model: schema.ModelT) -> None:
    codes: dict[tuple, int] = {}
    kept = []
    for graph in model.subgraphs:
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            key = tuple(sorted(vars(code).items(), key=str))
            if key not in codes:
                codes[key] = len(kept)
                kept.append(code)
            operator.opcodeIndex = codes[key]
    model.operatorCodes = kept


class _Once:
    """A part of a model that is written once, however often the file refers to it."""

    def __init__(self, part: Any):
        self._part, self._offset = part, None

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802
        """Its offset in the file."""
        if self._offset is None:
            self._offset = self._part.Pack(builder)
        return self._offset


def _sharing(model: schema.ModelT) -> schema.ModelT:
    """A copy to be packed, in which equal tensors, grids, operators and options are one.

    Readers of a file find them by their numbers in a graph, and don't see it.
    """
    seen: dict[Hashable, _Once] = {}

    def once(part: Any) -> _Once | None:
        return None if part is None else seen.setdefault(_content(part), _Once(part))

    def shared(graph: schema.SubGraphT) -> schema.SubGraphT:
        tensors = [_with(x, quantization=once(x.quantization)) for x in graph.tensors or ()]
        operators = [_with(x, builtinOptions=once(x.builtinOptions)) for x in graph.operators or ()]
        return _with(graph, tensors=[*map(once, tensors)], operators=[*map(once, operators)])

    return _with(model, subgraphs=[shared(graph) for graph in model.subgraphs or ()])


def _with(part: Any, **fields: Any) -> Any:
    changed = copy.copy(part)
    vars(changed).update(fields)
    return changed


def _content(part: Any) -> Hashable:
    """What two equal parts have in common, and no others."""
    if isinstance(part, np.ndarray):
        return part.dtype.str, part.shape, part.tobytes()
    if isinstance(part, (list, tuple)):
        return tuple(map(_content, part))
    if isinstance(part, _Once) or not hasattr(part, "__dict__"):
        return part
    fields = ((name, _content(value)) for name, value in vars(part).items())
    return type(part).__name__, tuple(sorted(fields, key=lambda pair: pair[0]))


class _SharingBuilder(flatbuffers.Builder):
    """Writes equal vectors once."""

    def __init__(self, size: int):
        super().__init__(size)
        self._vectors: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802
        key = (x.dtype.str, x.tobytes())
        if key not in self._vectors:
            if x.dtype == np.uint8:
                self.Prep(BUFFER_ALIGNMENT_BYTES, x.size)
            self._vectors[key] = super().CreateNumpyVector(x)
        return self._vectors[key]
