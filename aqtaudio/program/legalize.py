"""TFLite operators for a program's operations: names, versions, options, constants, scales.

The converter hands over a graph of composites, one per operation (`program.tflite`). Each is
replaced by the integer operator that computes it, with our codes and scales on its tensors.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aqtaudio.program import flatbuffer, support
from aqtaudio.program.flatbuffer import schema
from aqtaudio.program.program import Edge, Operation, Program

COMPOSITE_PREFIX = "aqtaudio."
RUNTIME_VERSION = 3  # of the file format


@dataclasses.dataclass(frozen=True)
class Operator:
    """A TFLite operator.

    Attributes:
      name: of the builtin operator in the schema.
      version: least version of the kernel that computes it, for int8 and int16 tensors.
      options: its option table; None where it has none.
      extra: constants after the operation's own inputs, as (values, type, scales, axis).
    """

    name: str
    version: tuple[int, int] = (2, 2)
    options: Any = None
    extra: tuple["Constant", ...] = ()


@dataclasses.dataclass(frozen=True)
class Constant:
    """A constant tensor; `scale` [1], or [C] along `axis`; None: plain integers."""

    values: np.ndarray
    kind: str = "INT32"
    scale: np.ndarray | None = None
    axis: int = 0


def legalize(model: schema.ModelT, program: Program, explicit_state: bool = False) -> schema.ModelT:
    """The file of integer operators that the graph of composites stands for.

    The states of a stream become resource variables, which a second subgraph initialises; or
    (`explicit_state`) inputs after the program's own, and outputs after its own in the same order.

    Raises RuntimeError when the converter changed the graph.
    """
    file = schema.ModelT()
    file.version = RUNTIME_VERSION
    file.buffers = [schema.BufferT()]  # the first is empty by convention: "no constant"
    file.operatorCodes, file.subgraphs = [], []
    states = program.states
    graph = _Graph(file, program, explicit_state)
    if states and not explicit_state:
        graph.add("CALL_ONCE", 1, [], [], _options(schema.CallOnceOptionsT, initSubgraphIndex=1))
    for index, sources in _composites(model, program):
        op = program.operations[index]
        if sources != [name for name in op.inputs if not _is_constant(program, name)]:
            raise RuntimeError(f"{op.name}: the converter rewired it to {sources}")
        if op.output not in graph.flattened:
            graph.append(op)
    if states and not explicit_state:
        _Graph(file, program, explicit_state, border=False).initialise(states)
    return file


def _flattened(program: Program) -> dict[str, str]:
    """Edges that a dense layer need not have flattened for it, and what they are made from."""
    found = {}
    for op in program.operations:
        consumers = [other for other in program.operations if op.output in other.inputs]
        only_dense = consumers and all(other.kind == "dense" for other in consumers)
        is_flat = len(program.edges[op.output].shape) == 1
        if op.kind == "reshape" and is_flat and only_dense and op.output not in program.outputs:
            found[op.output] = op.inputs[0]
    return found


def _writes(op: Operation) -> bool:
    return op.kind == "write_state"


def _is_constant(program: Program, name: str) -> bool:
    return any(op.output == name and op.kind == "constant" for op in program.operations)


def _composites(model: schema.ModelT, program: Program) -> list[tuple[int, list[str]]]:
    """(number of the operation, edges that it reads) of every operator of the converter's graph."""
    graph = model.subgraphs[0]
    names: dict[int, str] = {}
    _name_inputs(model, program, names)
    found = []
    for operator in graph.operators:
        kind = flatbuffer.operator_name(model, operator)
        name = flatbuffer.text(getattr(operator.builtinOptions2, "name", None))
        if kind != "STABLEHLO_COMPOSITE" or not name.startswith(COMPOSITE_PREFIX):
            raise RuntimeError(f"the converter put in an operator of its own: {kind}")
        index = int(name.removeprefix(COMPOSITE_PREFIX))
        # Float weights are inputs of a composite too; they are not edges.
        found.append((index, [names[int(i)] for i in operator.inputs if int(i) in names]))
        names[int(operator.outputs[0])] = program.operations[index].output
    kept = [op.output for op in program.operations if op.kind == "write_state"]
    if {names.get(int(i)) for i in graph.outputs} != {*program.outputs, *kept}:
        raise RuntimeError("the converter changed the outputs")
    return found


def _name_inputs(model: schema.ModelT, program: Program, names: dict[int, str]) -> None:
    """Inputs come in any order: those that no state is read from are the program's."""
    graph = model.subgraphs[0]
    reads = {f"{COMPOSITE_PREFIX}{i}" for i, op in enumerate(program.operations) if not op.inputs}
    of_states = {
        int(operator.inputs[0])
        for operator in graph.operators
        if flatbuffer.text(getattr(operator.builtinOptions2, "name", None)) in reads
    }
    own = [int(index) for index in graph.inputs if int(index) not in of_states]
    names.update(zip(own, program.inputs, strict=True))


class _Graph:
    """A subgraph of a file in the making."""

    def __init__(
        self, model: schema.ModelT, program: Program, explicit_state: bool, border: bool = True
    ):
        self._program, self._explicit_state = program, explicit_state
        self.model = model
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        model.subgraphs.append(self._graph)
        self._tensors: dict[str, int] = {}
        self._handles: dict[str, int] = {}
        self.flattened = _flattened(program)
        self._constants = {op.output: op for op in program.operations if op.kind == "constant"}
        self._kept = {op.output: op.inputs[0] for op in program.operations if _writes(op)}
        inputs, outputs = (program.inputs, program.outputs) if border else ((), ())
        if border and explicit_state:
            kept = {op.attributes["state"]: op for op in program.operations if _writes(op)}
            inputs = (*inputs, *(op.output for op in program.states))
            outputs = (*outputs, *(kept[op.attributes["state"]].output for op in program.states))
        self._graph.inputs = _int32([self._edge(name) for name in inputs])
        self._graph.outputs = _int32([self._edge(name) for name in outputs])

    def append(self, op: Operation) -> None:
        """One more operation."""
        if op.kind in ("read_state", "write_state"):
            if not self._explicit_state:
                self._access(op)
            return
        edges = self._program.edges
        source, target = edges[op.inputs[0]], edges[op.output]
        made = LOWERINGS[op.kind](op, source, target)
        inputs = [self._edge(name) for name in op.inputs]
        inputs += [self._constant(constant) for constant in made.extra]
        version = made.version[target.bits == 16]
        self.add(made.name, version, inputs, [self._edge(op.output)], made.options)

    def add(
        self, name: str, version: int, inputs: list[int], outputs: list[int], options: Any = None
    ) -> None:
        """One more operator."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(name, version)
        operator.inputs, operator.outputs = _int32(inputs), _int32(outputs)
        if options is not None:
            table = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            operator.builtinOptions = options
        self._graph.operators.append(operator)

    def initialise(self, states: tuple[Operation, ...]) -> None:
        """Assigns the states what they are before the first block."""
        for op in states:
            handle = self._handle(op.attributes["state"])
            edge = self._program.edges[op.output]
            values = op.constants["codes"][None].astype(edge.dtype)
            codes = self._tensor("", values.shape, _kind(edge), values, *_grid(edge))
            self.add("ASSIGN_VARIABLE", 1, [handle, codes], [], schema.AssignVariableOptionsT())

    def _access(self, op: Operation) -> None:
        handle = self._handle(op.attributes["state"])
        if op.kind == "read_state":
            options = schema.ReadVariableOptionsT()
            self.add("READ_VARIABLE", 1, [handle], [self._edge(op.output)], options)
        else:
            options = schema.AssignVariableOptionsT()
            self.add("ASSIGN_VARIABLE", 1, [handle, self._edge(op.inputs[0])], [], options)

    def _handle(self, state: str) -> int:
        """The tensor that stands for a resource variable."""
        if state not in self._handles:
            handle = self._tensor("", (), "RESOURCE", None, None, None)
            options = _options(schema.VarHandleOptionsT, container="", sharedName=state)
            self.add("VAR_HANDLE", 1, [], [handle], options)
            self._handles[state] = handle
        return self._handles[state]

    def _code(self, name: str, version: int) -> int:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1

    def _edge(self, name: str) -> int:
        name = self.flattened.get(name, name)
        name = self._kept.get(name, name)
        if name not in self._tensors:
            edge = self._program.edges[name]
            codes = self._constants[name].constants["codes"] if name in self._constants else None
            values = None if codes is None else codes[None]
            self._tensors[name] = self._tensor(
                name, (1, *edge.shape), _kind(edge), values, *_grid(edge)
            )
        return self._tensors[name]

    def _constant(self, constant: Constant) -> int:
        scale = constant.scale
        zeros = None if scale is None else np.zeros(scale.shape, np.int64)
        shape = constant.values.shape
        return self._tensor("", shape, constant.kind, constant.values, scale, zeros, constant.axis)

    def _tensor(self, name, shape, kind, values, scale, zeros, axis=0) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name, _int32(shape)
        tensor.type = getattr(schema.TensorType, kind)
        tensor.buffer = 0
        if values is not None:
            self.model.buffers.append(flatbuffer.buffer(values, kind))
            tensor.buffer = len(self.model.buffers) - 1
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = scale, zeros
            tensor.quantization.quantizedDimension = axis
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1


def _kind(edge: Edge) -> str:
    return "INT16" if edge.bits == 16 else "INT8"


def _grid(edge: Edge) -> tuple[np.ndarray, np.ndarray]:
    """Scale and zero point as a tensor stores them."""
    return np.array([edge.scale], np.float32), np.array([edge.zero_point], np.int64)


def _int32(values: Sequence[Any]) -> np.ndarray:
    return np.array(values, np.int32)


# --- one function per kind of operation --------------------------------------------------------


def _options(table: type, **values: Any) -> Any:
    options = table()
    for name, value in values.items():
        setattr(options, name, value)
    return options


def _fused(op: Operation, target: Edge) -> int:
    return getattr(schema.ActivationFunctionType, support.activation(op, target))


def _window(op: Operation, padding: str) -> dict[str, int]:
    return {
        "padding": getattr(schema.Padding, padding),
        "strideH": op.attributes["strides"][0],
        "strideW": op.attributes["strides"][1],
    }


def _weights(op: Operation, source: Edge, values: np.ndarray, axis: int) -> tuple[Constant, ...]:
    """Weights in TFLite's order, and biases in steps of input scale * weight scale."""
    scale = op.constants["weight_scale"]
    kind = "INT4" if op.attributes["weight_bits"] == 4 else "INT8"
    steps = (np.float64(np.float32(source.scale)) * scale.astype(np.float64)).astype(np.float32)
    bias = "INT64" if source.bits == 16 else "INT32"
    return (
        Constant(np.ascontiguousarray(values), kind, scale, axis),
        Constant(op.constants["bias"], bias, steps),
    )


def _conv2d(op: Operation, source: Edge, target: Edge) -> Operator:
    options = _options(
        schema.Conv2DOptionsT,
        **_window(op, op.attributes["padding"]),
        dilationHFactor=op.attributes["dilation"][0],
        dilationWFactor=op.attributes["dilation"][1],
        fusedActivationFunction=_fused(op, target),
    )
    weights = op.constants["weights"]
    grouped = weights.shape[2] != source.shape[-1]
    version = 7 if op.attributes["weight_bits"] == 4 else 6 if grouped else 3
    extra = _weights(op, source, weights.transpose(3, 0, 1, 2), 0)
    return Operator("CONV_2D", (version, 6 if grouped else 4), options, extra)


def _depthwise_conv2d(op: Operation, source: Edge, target: Edge) -> Operator:
    weights = op.constants["weights"]
    options = _options(
        schema.DepthwiseConv2DOptionsT,
        **_window(op, op.attributes["padding"]),
        depthMultiplier=weights.shape[-1] // source.shape[-1],
        dilationHFactor=op.attributes["dilation"][0],
        dilationWFactor=op.attributes["dilation"][1],
        fusedActivationFunction=_fused(op, target),
    )
    version = 7 if op.attributes["weight_bits"] == 4 else 3
    extra = _weights(op, source, weights[None], 3)
    return Operator("DEPTHWISE_CONV_2D", (version, 5), options, extra)


def _dense(op: Operation, source: Edge, target: Edge) -> Operator:
    keep = len(source.shape) > 1
    options = _options(
        schema.FullyConnectedOptionsT,
        fusedActivationFunction=_fused(op, target),
        keepNumDims=keep,
    )
    version = 10 if op.attributes["weight_bits"] == 4 else 5 if keep else 4
    extra = _weights(op, source, op.constants["weights"].T, 0)
    return Operator("FULLY_CONNECTED", (version, 7), options, extra)


def _pool(name: str) -> Callable[[Operation, Edge, Edge], Operator]:
    def lower(op: Operation, source: Edge, target: Edge) -> Operator:
        options = _options(
            schema.Pool2DOptionsT,
            **_window(op, "VALID"),
            filterHeight=op.attributes["window"][0],
            filterWidth=op.attributes["window"][1],
            fusedActivationFunction=_fused(op, target),
        )
        return Operator(name, (2, 3), options)

    return lower


def _binary(name: str, version: tuple[int, int]) -> Callable[[Operation, Edge, Edge], Operator]:
    table = {"ADD": schema.AddOptionsT, "SUB": schema.SubOptionsT, "MUL": schema.MulOptionsT}[name]

    def lower(op: Operation, source: Edge, target: Edge) -> Operator:
        options = _options(table, fusedActivationFunction=_fused(op, target))
        if name != "MUL":
            options.potScaleInt16 = False
        return Operator(name, version, options)

    return lower


def _reduce(name: str, version: tuple[int, int]) -> Callable[[Operation, Edge, Edge], Operator]:
    def lower(op: Operation, source: Edge, target: Edge) -> Operator:
        options = _options(schema.ReducerOptionsT, keepDims=op.attributes["keep"])
        axes = _int32([axis + 1 for axis in op.attributes["axes"]])
        return Operator(name, version, options, (Constant(axes),))

    return lower


def _plain(name: str, version: tuple[int, int] = (2, 2), table: type | None = None):
    """An operator without options, or with those of `table` as they are."""

    def lower(op: Operation, source: Edge, target: Edge) -> Operator:
        return Operator(name, version, None if table is None else table())

    return lower


def _softmax(op: Operation, source: Edge, target: Edge) -> Operator:
    options = _options(schema.SoftmaxOptionsT, beta=op.attributes["beta"])
    return Operator("SOFTMAX", (2, 3), options)


def _leaky_relu(op: Operation, source: Edge, target: Edge) -> Operator:
    options = _options(schema.LeakyReluOptionsT, alpha=op.attributes["alpha"])
    return Operator("LEAKY_RELU", (2, 2), options)


def _batch_matmul(op: Operation, source: Edge, target: Edge) -> Operator:
    options = _options(
        schema.BatchMatMulOptionsT,
        adjX=op.attributes["transpose_a"],
        adjY=op.attributes["transpose_b"],
    )
    return Operator("BATCH_MATMUL", (2, 3), options)


def _reshape(op: Operation, source: Edge, target: Edge) -> Operator:
    shape = _int32([1, *target.shape])
    return Operator(
        "RESHAPE", (1, 1), _options(schema.ReshapeOptionsT, newShape=shape), (Constant(shape),)
    )


def _transpose(op: Operation, source: Edge, target: Edge) -> Operator:
    order = _int32([0, *(axis + 1 for axis in op.attributes["permutation"])])
    return Operator("TRANSPOSE", (2, 5), schema.TransposeOptionsT(), (Constant(order),))


def _slice(op: Operation, source: Edge, target: Edge) -> Operator:
    names = (("begin", 0), ("end", 1), ("strides", 1))
    extra = tuple(Constant(_int32([batch, *op.attributes[name]])) for name, batch in names)
    return Operator("STRIDED_SLICE", (2, 4), schema.StridedSliceOptionsT(), extra)


def _concat(op: Operation, source: Edge, target: Edge) -> Operator:
    options = _options(schema.ConcatenationOptionsT, axis=op.attributes["axis"] + 1)
    return Operator("CONCATENATION", (2, 3), options)


def _pad(op: Operation, source: Edge, target: Edge) -> Operator:
    widths = _int32([(0, 0), *op.attributes["widths"]])
    return Operator("PAD", (2, 3), schema.PadOptionsT(), (Constant(widths),))


LOWERINGS: dict[str, Callable[[Operation, Edge, Edge], Operator]] = {
    "conv2d": _conv2d,
    "depthwise_conv2d": _depthwise_conv2d,
    "dense": _dense,
    "batch_matmul": _batch_matmul,
    "add": _binary("ADD", (2, 4)),
    "sub": _binary("SUB", (3, 5)),
    "mul": _binary("MUL", (2, 4)),
    "requantize": _plain("QUANTIZE", (2, 3), schema.QuantizeOptionsT),
    "relu": _plain("RELU", (2, 3)),
    "leaky_relu": _leaky_relu,
    "prelu": _plain("PRELU", (1, 1)),
    "hard_swish": _plain("HARD_SWISH", (1, 1), schema.HardSwishOptionsT),
    "logistic": _plain("LOGISTIC", (2, 3)),
    "tanh": _plain("TANH", (2, 3)),
    "softmax": _softmax,
    "l2_norm": _plain("L2_NORMALIZATION", (2, 2), schema.L2NormOptionsT),
    "average_pool": _pool("AVERAGE_POOL_2D"),
    "max_pool": _pool("MAX_POOL_2D"),
    "mean": _reduce("MEAN", (2, 3)),
    "sum": _reduce("SUM", (2, 2)),
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "concat": _concat,
    "pad": _pad,
}
