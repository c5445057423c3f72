"""TFLite files of a few operators in a row, made by hand: what no exporter of ours would write."""

import numpy as np

from aqtaudio.program import flatbuffer
from aqtaudio.program.flatbuffer import schema


def chain(operators: list[str], types: list[str], width: int = 4, scale: float = 1 / 256) -> bytes:
    """A file in which operator i reads tensor i and writes tensor i + 1, all [1, width]."""
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors = [_tensor(f"t{i}", kind, width, scale) for i, kind in enumerate(types)]
    graph.inputs, graph.outputs = np.int32([0]), np.int32([len(operators)])
    graph.operators, model.operatorCodes = [], []
    for index, name in enumerate(operators):
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = index
        operator.inputs, operator.outputs = np.int32([index]), np.int32([index + 1])
        if name == "SOFTMAX":
            operator.builtinOptionsType = schema.BuiltinOptions.SoftmaxOptions
            operator.builtinOptions = schema.SoftmaxOptionsT()
            operator.builtinOptions.beta = 1.0
        graph.operators.append(operator)
    model.subgraphs = [graph]
    return flatbuffer.write(model)


def _tensor(name: str, kind: str, width: int, scale: float) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name, tensor.shape = name, np.int32([1, width])
    tensor.type = getattr(schema.TensorType, kind)
    if kind != "FLOAT32":
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = np.float32([scale])
        tensor.quantization.zeroPoint = np.int64([-128])
    return tensor
