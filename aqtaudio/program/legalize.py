"""The TFLite file of a program: operators, tensors, scales, states.

The converter hands over a graph of composites, one per operation (`program.tflite`). Each is
replaced by the integer operator that computes it, with our codes and scales on its tensors; those
of a loop (`program.loops`) by a WHILE.
"""

import dataclasses
from typing import Any

import numpy as np

from aqtaudio.program import flatbuffer
from aqtaudio.program.flatbuffer import schema
from aqtaudio.program.loops import Loop, loops
from aqtaudio.program.lowerings import LOWERINGS, Constant, int32, options_of
from aqtaudio.program.program import Edge, Operation, Program

COMPOSITE_PREFIX = "aqtaudio."
RUNTIME_VERSION = 3  # of the file format


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
    fixed = {op.output for op in program.operations if op.kind == "constant"}
    graph = _Graph(file, program, explicit_state)
    graph.border()
    if states and not explicit_state:
        graph.add("CALL_ONCE", 1, [], [], options_of(schema.CallOnceOptionsT, initSubgraphIndex=1))
        _Graph(file, program, explicit_state).initialise(states)
    found = loops(program)
    inside = frozenset().union(*(loop.inside for loop in found.values()))
    for index, sources in _composites(model, program):
        op = program.operations[index]
        if sources != [name for name in op.inputs if name not in fixed]:
            raise RuntimeError(f"{op.name}: the converter rewired it to {sources}")
        if op.output in found:  # all that goes into it is there
            graph.repeat(found[op.output])
        elif op.output not in graph.flattened and op.output not in inside:
            graph.append(op)
    return file


def _flattened(program: Program) -> dict[str, str]:
    """Edges that a dense layer need not have flattened for it, and what they are made from."""
    readers: dict[str, set[str]] = {name: {"output"} for name in program.outputs}
    for op in program.operations:
        for name in op.inputs:
            readers.setdefault(name, set()).add(op.kind)
    return {
        op.output: op.inputs[0]
        for op in program.operations
        if op.kind == "reshape"
        and len(program.edges[op.output].shape) == 1
        and readers.get(op.output) == {"dense"}
    }


def _writes(op: Operation) -> bool:
    return op.kind == "write_state"


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

    def __init__(self, model: schema.ModelT, program: Program, explicit_state: bool):
        self._program, self._explicit_state = program, explicit_state
        self.number = len(model.subgraphs)
        self.model = model
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        model.subgraphs.append(self._graph)
        self._tensors: dict[str, int] = {}
        self._handles: dict[str, int] = {}
        self._valued: dict[Any, int] = {}
        self.flattened = _flattened(program)
        self._constants = {op.output: op for op in program.operations if op.kind == "constant"}
        self._kept = {op.output: op.inputs[0] for op in program.operations if _writes(op)}
        self._graph.inputs, self._graph.outputs = int32([]), int32([])

    def border(self) -> None:
        """Takes and gives what the program does."""
        inputs, outputs = self._program.inputs, self._program.outputs
        if self._explicit_state:
            operations, states = self._program.operations, self._program.states
            kept = {op.attributes["state"]: op for op in operations if _writes(op)}
            inputs = (*inputs, *(op.output for op in states))
            outputs = (*outputs, *(kept[op.attributes["state"]].output for op in states))
        self._graph.inputs = int32([self._edge(name) for name in inputs])
        self._graph.outputs = int32([self._edge(name) for name in outputs])

    def repeat(self, loop: Loop) -> None:
        """A WHILE over the rows of an edge.

        Its variables are the number of rows that are done, the rows, of which the next is the
        first, the results, of which the newest is the last, and the states. A row that is done goes
        behind the others, since a variable keeps its shape.
        """
        edges = self._program.edges
        rows, results = edges[loop.source], edges[loop.output]
        zeros = np.full((1, *results.shape), results.zero_point, results.dtype)
        starts = [edges[carried.start] for carried in loop.carried]
        given = [
            self._constant(Constant(int32([0]))),
            self._edge(loop.source),
            self._tensor("", zeros.shape, _kind(results), zeros, *_grid(results)),
            *(self._edge(edge.name) for edge in starts),
        ]
        made = [
            self._plain("INT32", (1,)),
            self._like(rows),
            self._edge(loop.output),
            *(self._like(edge) for edge in starts),
        ]
        count = rows.shape[loop.axis]
        condition = self._another()
        condition.is_before(count, [rows, results, *starts])
        body = self._another()
        body.do_row(loop, count)
        options = options_of(
            schema.WhileOptionsT,
            condSubgraphIndex=condition.number,
            bodySubgraphIndex=body.number,
        )
        self.add("WHILE", 1, given, made, options)

    def is_before(self, count: int, others: list[Edge]) -> None:
        """The condition of a loop: whether fewer rows than `count` are done."""
        done = self._plain("INT32", (1,))
        self._graph.inputs = int32([done, *(self._like(edge) for edge in others)])
        more = self._plain("BOOL", (1,))
        most = self._constant(Constant(int32([count])))
        self.add("LESS", 1, [done, most], [more], schema.LessOptionsT())
        self._graph.outputs = int32([more])

    def do_row(self, loop: Loop, count: int) -> None:
        """The body of a loop."""
        edges = self._program.edges
        rows, results = edges[loop.source], edges[loop.output]
        done, following = self._plain("INT32", (1,)), self._plain("INT32", (1,))
        given, before = self._like(rows), self._like(results)
        states = [self._edge(carried.before) for carried in loop.carried]
        self._graph.inputs = int32([done, given, before, *states])
        one = self._constant(Constant(int32([1])))
        self.add("ADD", 1, [done, one], [following], schema.AddOptionsT())
        row = self._edge(loop.row)
        left = self._moved_on(rows, given, row, row, loop.axis, count)
        for op in loop.body:
            if op.kind != "constant":
                self.append(op)
        oldest, newest = self._like(edges[loop.result]), self._edge(loop.result)
        found = self._moved_on(results, before, oldest, newest, loop.axis, count)
        states = [self._edge(carried.after) for carried in loop.carried]
        self._graph.outputs = int32([following, left, found, *states])

    def _moved_on(
        self, edge: Edge, tensor: int, first: int, last: int, axis: int, count: int
    ) -> int:
        """The rows of a tensor without the `first`, which is taken off, and with `last` behind."""
        shape = (*edge.shape[:axis], count - 1, *edge.shape[axis + 1 :])
        rest = self._like(dataclasses.replace(edge, shape=shape))
        sizes = self._constant(Constant(int32([1, count - 1])))
        place = self._constant(Constant(np.array(axis + 1, np.int32)))
        options = options_of(schema.SplitVOptionsT, numSplits=2)
        self.add("SPLIT_V", 2, [tensor, sizes, place], [first, rest], options)
        moved = self._like(edge)
        options = options_of(schema.ConcatenationOptionsT, axis=axis + 1)
        self.add("CONCATENATION", 3 if edge.bits == 16 else 2, [rest, last], [moved], options)
        return moved

    def _another(self) -> "_Graph":
        return _Graph(self.model, self._program, self._explicit_state)

    def _plain(self, kind: str, shape: tuple[int, ...]) -> int:
        return self._tensor("", shape, kind, None, None, None)

    def _like(self, edge: Edge) -> int:
        """A tensor that is on an edge's grid, and isn't the edge."""
        return self._tensor("", (1, *edge.shape), _kind(edge), None, *_grid(edge))

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
        operator.inputs, operator.outputs = int32(inputs), int32(outputs)
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
            codes = self._beginning(edge, op.constants["codes"][None].astype(edge.dtype))
            self.add("ASSIGN_VARIABLE", 1, [handle, codes], [], schema.AssignVariableOptionsT())

    def _beginning(self, edge: Edge, values: np.ndarray) -> int:
        """A tensor of what a state is before the first block.

        In a file with loops, which is to be small, zeros are not stored: one is padded with others.
        """
        if not self._program.loops or np.any(values != edge.zero_point):
            return self._tensor("", values.shape, _kind(edge), values, *_grid(edge))
        one = values[(slice(0, 1),) * values.ndim]
        widths = Constant(int32([(0, size - 1) for size in values.shape]))
        zero = self._tensor("", one.shape, _kind(edge), one, *_grid(edge))
        zeros = self._like(edge)
        version = 3 if edge.bits == 16 else 2
        self.add("PAD", version, [zero, self._constant(widths)], [zeros], schema.PadOptionsT())
        return zeros

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
            options = options_of(schema.VarHandleOptionsT, container="", sharedName=state)
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
        """A new tensor; of equal values one: the frames of a recurrent layer have the same weights,
        and each tensor of weights says the scales of all channels.
        """
        if values is None:
            return self._new_tensor(name, shape, kind, values, scale, zeros, axis)
        grid = None if scale is None else (scale.tobytes(), zeros.tobytes(), axis)
        key = kind, tuple(shape), values.dtype.str, values.tobytes(), grid
        if key not in self._valued:
            new = self._new_tensor(name, shape, kind, values, scale, zeros, axis)
            self._valued[key] = new
        return self._valued[key]

    def _new_tensor(self, name, shape, kind, values, scale, zeros, axis) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name, int32(shape)
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
