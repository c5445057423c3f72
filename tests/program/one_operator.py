"""TFLite files of one operator, made by hand: any shapes, scales and zero points, no converter."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from aqtaudio.program import flatbuffer
from aqtaudio.program.flatbuffer import schema


class Tensor(NamedTuple):
    """A tensor of the file; a plain tuple of these will do.

    `dtype` is "int8", "int16", "int32" or "float32"; a tensor without `scale` is not quantized;
    with `data` (of `shape`) it is a constant, without it an input.
    """

    shape: Sequence[int]
    dtype: str
    scale: float | None = None
    zero_point: int = 0
    data: np.ndarray | None = None


def one_operator(
    name: str,
    inputs: Sequence[tuple],
    output: tuple,
    options: Mapping[str, Any] | None = None,
    table: str | None = None,
) -> bytes:
    """A file that computes one operator.

    Args:
      name: in the schema's BuiltinOperator: "ADD", "LOGISTIC", "BATCH_MATMUL".
      inputs: `Tensor`s, or tuples (shape, dtype, scale, zero_point, data or None), in the
        operator's order. Those without data are the file's inputs, in that order. Shapes include
        the batch, which must be 1 for `Micro` and `LiteRT` to run the file.
      output: a `Tensor` or (shape, dtype, scale, zero_point).
      options: fields of the operator's options table, in the schema's spelling, e.g.
        {"fusedActivationFunction": schema.ActivationFunctionType.RELU}. Fields left out keep the
        schema's defaults. None: the operator has no options.
      table: name of that options table, where it is not `Name`Options of the operator's NAME:
        "ReducerOptions", "Pool2DOptions".
    """
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT()]
    tensors = [Tensor(*tensor) for tensor in (*inputs, output)]
    graph = schema.SubGraphT()
    graph.tensors = [_tensor(model, f"t{index}", tensor) for index, tensor in enumerate(tensors)]
    graph.inputs = np.int32([i for i, tensor in enumerate(tensors[:-1]) if tensor.data is None])
    graph.outputs = np.int32([len(inputs)])
    graph.operators = [_operator(name, len(inputs), options, table)]
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = 1
    model.operatorCodes = [code]
    model.subgraphs = [graph]
    return flatbuffer.write(model)


def _operator(name: str, arity: int, options, table: str | None) -> schema.OperatorT:
    operator = schema.OperatorT()
    operator.opcodeIndex = 0
    operator.inputs, operator.outputs = np.arange(arity, dtype=np.int32), np.int32([arity])
    if options is None:
        return operator
    table = table or "".join(part.capitalize() for part in name.split("_")) + "Options"
    operator.builtinOptionsType = getattr(schema.BuiltinOptions, table)
    operator.builtinOptions = getattr(schema, f"{table}T")()
    for field, value in options.items():
        if not hasattr(operator.builtinOptions, field):
            raise AttributeError(f"{table} has no field {field}")
        setattr(operator.builtinOptions, field, value)
    return operator


def _tensor(model: schema.ModelT, name: str, spec: Tensor) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name, tensor.shape = name, np.int32(spec.shape)
    tensor.type = getattr(schema.TensorType, spec.dtype.upper())
    if spec.scale is not None:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = np.float32([spec.scale])
        tensor.quantization.zeroPoint = np.int64([spec.zero_point])
    if spec.data is not None:
        data = np.ascontiguousarray(spec.data, spec.dtype).reshape(tuple(spec.shape))
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(data.tobytes(), np.uint8)
        tensor.buffer = len(model.buffers)
        model.buffers.append(buffer)
    return tensor
