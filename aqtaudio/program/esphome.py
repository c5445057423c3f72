"""A stream as a file that ESPHome's micro_wake_word loads (`program.esphome_contract`)."""

import math
from typing import Any

import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.program import flatbuffer
from aqtaudio.program.esphome_contract import (
    FEATURES,
    INPUT_GRID,
    MOST_FRAMES,
    MOST_VARIABLES,
    OUTPUT_GRID,
    REGISTERED,
)
from aqtaudio.program.flatbuffer import schema
from aqtaudio.program.lowerings import LOWERINGS, int32, options_of
from aqtaudio.program.portable import Rewrite, as_bytes, as_convolution, as_sum, rewritten
from aqtaudio.program.program import SOURCES, Operation, Program
from aqtaudio.program.tflite import to_tflite
from aqtaudio.program.word_probability import word_probability


def esphome_tflite(program: Program, word: int, rivals: bool = True) -> bytes:
    """A stream's program as a file for the component: int8 [1, n, 40] in, uint8 [1, 1] out.

    Args:
      program: of a stream; its input edge, of n frames of 40 features, has the codes that the
        component makes (`frontends.micro`, codes "esphome"); its outputs are logits.
      word: whose probability comes out, among the logits.
      rivals: as of `word_probability`.

    Raises:
      BadInput: the component cannot run it; names operators and layers.
    """
    serving = esphome_program(program, word, rivals)
    model = flatbuffer.read(to_tflite(serving))
    _renamed_input(model)
    _unsigned_output(model)
    flatbuffer.slim(model)  # operators that are there already have their codes
    return flatbuffer.write(model)


def esphome_program(program: Program, word: int, rivals: bool = True) -> Program:
    """The program behind the file, whose output byte is its output code + 128.

    Every integer is the program's. Weights of 4 bits are stored in 8, for which ESP-NN has fast
    kernels; dense layers that ESP-NN computes wrong, or not at all, are convolutions.

    Raises BadInput as `esphome_tflite` does.
    """
    serving = word_probability(program, word, rivals)
    for rule in (_in_bytes, _as_convolutions):
        serving = rewritten(serving, rule)
    _require(serving)
    return serving


def _in_bytes(program: Program, op: Operation) -> Rewrite | None:
    return as_bytes if op.attributes.get("weight_bits") == 4 else None


def _as_convolutions(program: Program, op: Operation) -> Rewrite | None:
    if op.kind == "sub":
        return as_sum
    rows = len(program.edges[op.output].shape) > 1
    if op.kind == "dense" and (rows or op.constants["weight_scale"].size > 1):
        return as_convolution
    return None


def _require(program: Program) -> None:
    """Raises BadInput for what the component cannot run."""
    edge, states = program.edges[program.inputs[0]], program.states
    wide = [name for name, each in program.edges.items() if each.bits == 16]
    missing: dict[str, str] = {}
    for op in program.operations:
        if op.kind not in SOURCES and op.kind != "write_state":
            source, target = program.edges[op.inputs[0]], program.edges[op.output]
            name = LOWERINGS[op.kind](op, source, target).name
            if name not in REGISTERED:
                missing.setdefault(name, op.name)
    rules = (
        (not wide, f"{len(wide)} edges of 16 bits ({wide[0] if wide else ''}); allowed: 8 bits"),
        (bool(states), "the program takes whole clips; needed: a stream (stream_block_frames)"),
        (
            math.prod(edge.shape) == edge.shape[0] * FEATURES and edge.shape[0] <= MOST_FRAMES,
            f"the program takes {list(edge.shape)}; allowed: 1 to {MOST_FRAMES} frames of "
            f"{FEATURES} features",
        ),
        (
            len(states) <= MOST_VARIABLES,
            f"{len(states)} states; allowed: at most {MOST_VARIABLES}",
        ),
        (
            not missing,
            "it has no operator "
            + ", ".join(f"{name} ({layer})" for name, layer in missing.items())
            + f"; allowed: {', '.join(sorted(REGISTERED))}",
        ),
    )
    for holds, message in rules:
        if not holds:
            raise BadInput(f"ESPHome: {message}")


def _renamed_input(model: schema.ModelT) -> None:
    """Puts [1, n, 40] on the component's grid before the input, and a RESHAPE between them.

    Its codes are the input's. On the component's grid they are features, on the program's own
    features normalised: an affine map that costs nothing.
    """
    graph = model.subgraphs[0]
    own = int(graph.inputs[0])
    shape = tuple(int(size) for size in graph.tensors[own].shape)
    shape = (1, shape[1], math.prod(shape[2:]))
    graph.tensors.append(_tensor("features", "INT8", shape, INPUT_GRID))
    given = len(graph.tensors) - 1
    new_shape = int32(graph.tensors[own].shape)
    model.buffers.append(flatbuffer.buffer(new_shape, "INT32"))
    target = schema.TensorT()
    target.shape, target.type = int32([len(new_shape)]), schema.TensorType.INT32
    target.buffer = len(model.buffers) - 1
    graph.tensors.append(target)
    options = options_of(schema.ReshapeOptionsT, newShape=new_shape)
    operator = _operator(model, "RESHAPE", 1, [given, len(graph.tensors) - 1], [own], options)
    # Before what reads the input, behind CALL_ONCE.
    first = next(
        place for place, other in enumerate(graph.operators) if own in set(map(int, other.inputs))
    )
    graph.operators.insert(first, operator)
    graph.inputs = int32([given])


def _unsigned_output(model: schema.ModelT) -> None:
    """Puts a QUANTIZE from int8 to uint8 behind the output: exact, codes + 128."""
    graph = model.subgraphs[0]
    own = int(graph.outputs[0])
    graph.tensors.append(_tensor("probability", "UINT8", (1, 1), OUTPUT_GRID))
    made = len(graph.tensors) - 1
    operator = _operator(model, "QUANTIZE", 2, [own], [made], schema.QuantizeOptionsT())
    graph.operators.append(operator)
    graph.outputs = int32([made])


def _tensor(
    name: str, kind: str, shape: tuple[int, ...], grid: tuple[float, int]
) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer = name, int32(shape), 0
    tensor.type = getattr(schema.TensorType, kind)
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = np.array(grid[:1], np.float32)
    tensor.quantization.zeroPoint = np.array(grid[1:], np.int64)
    return tensor


def _operator(
    model: schema.ModelT,
    name: str,
    version: int,
    inputs: list[int],
    outputs: list[int],
    options: Any,
) -> schema.OperatorT:
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = version
    model.operatorCodes.append(code)
    operator = schema.OperatorT()
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.inputs, operator.outputs = int32(inputs), int32(outputs)
    operator.builtinOptionsType = getattr(
        schema.BuiltinOptions, type(options).__name__.removesuffix("T")
    )
    operator.builtinOptions = options
    return operator
