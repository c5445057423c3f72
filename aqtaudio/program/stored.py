"""What a TFLite file has to store to be a given program, and whether it does."""

import numpy as np
from numpy.typing import ArrayLike

from aqtaudio.errors import BadInput
from aqtaudio.program import flatbuffer
from aqtaudio.program.flatbuffer import schema
from aqtaudio.program.program import Edge, Operation, Program

WEIGHTED = ("conv2d", "depthwise_conv2d", "dense")
KINDS = (*WEIGHTED, "average_pool", "reshape")


def require_supported(program: Program) -> None:
    """Raises BadInput, naming the layer, for what TFLite Micro cannot run as the program says."""
    if len(program.inputs) != 1 or len(program.outputs) != 1:
        raise BadInput("export needs a program of one input and one output")
    for edge in program.edges.values():
        if not (edge.scale > 0 and float(np.float32(edge.scale)) == edge.scale):
            raise BadInput(f"{edge.name}: scale {edge.scale} is not a positive float32")
        if not -128 <= edge.zero_point <= 127:
            raise BadInput(f"{edge.name}: zero point {edge.zero_point} is outside -128..127")
    for op in program.operations:
        if op.kind not in KINDS:
            raise BadInput(f"{op.name}: no TFLite form for {op.kind}; allowed: {', '.join(KINDS)}")
        if op.kind in WEIGHTED:
            _require_weighted(program, op)
        else:
            _require_same_grid(program, op)


def activation(op: Operation, edge: Edge) -> str:
    """Fused activation (NONE, RELU, RELU6) that clips to the operation's `low` and `high`.

    Raises BadInput where there is none.
    """
    wanted = (op.attributes["low"], op.attributes["high"])
    six = edge.zero_point + int(np.floor(np.float32(6) / np.float32(edge.scale) + 0.5))
    ranges = {
        "RELU": (edge.zero_point, 127),
        "RELU6": (edge.zero_point, min(six, 127)),
        "NONE": (-128, 127),
    }
    for name, limits in ranges.items():
        if limits == wanted:
            return name
    raise BadInput(f"{op.name}: codes clipped to {wanted} have no fused activation ({ranges})")


def multiplier(program: Program, op: Operation) -> tuple[np.ndarray, np.ndarray]:
    """Mantissa and exponent, int [C], that TFLite Micro derives from the stored scales."""
    source, target = program.edges[op.inputs[0]], program.edges[op.output]
    real = source.scale * op.constants["weight_scale"].astype(np.float64) / target.scale
    fraction, exponent = np.frexp(real)
    mantissa = np.floor(fraction * 2.0**31 + 0.5).astype(np.int64)
    carry = mantissa == 2**31
    mantissa, exponent = np.where(carry, mantissa // 2, mantissa), exponent + carry
    flushed = exponent < -31
    return np.where(flushed, 0, mantissa), np.where(flushed, 0, exponent)


def restore_biases(model: schema.ModelT, program: Program) -> None:
    """Writes the program's bias codes where the converter's float32 path rounded them away."""
    for op, operator in _pairs(model, program):
        tensor = _bias(model, operator) if op.kind in WEIGHTED else None
        if tensor is not None:
            bias = op.constants["bias"]
            if not np.array_equal(flatbuffer.constant(model, tensor), bias):
                flatbuffer.set_constant(model, tensor, bias)


def verify(model: schema.ModelT, program: Program) -> None:
    """Raises RuntimeError unless the file stores the program: operators, codes, scales, shapes."""
    tensors = model.subgraphs[0].tensors
    for op, operator in _pairs(model, program):
        edges = {operator.inputs[0]: op.inputs[0], operator.outputs[0]: op.output}
        for index, name in edges.items():
            _verify_edge(op, tensors[index], program.edges[name])
        if op.kind in WEIGHTED:
            _verify_weighted(model, program, op, operator)


def _require_weighted(program: Program, op: Operation) -> None:
    constants, bits = op.constants, op.attributes["weight_bits"]
    weights, scale = constants["weights"], constants["weight_scale"]
    if bits not in (4, 8):
        raise BadInput(f"{op.name}: {bits}-bit weights; TFLite Micro has 4 and 8")
    peak = 2 ** (bits - 1) - 1
    if np.abs(weights.astype(int)).max() > peak:
        raise BadInput(f"{op.name}: weight codes beyond {peak}, the limit of {bits} bits")
    if op.kind == "dense" and bits == 4 and scale.size > 1:
        raise BadInput(
            f"{op.name}: TFLite Micro has no 4-bit dense layer with a scale per channel; use one "
            "scale per tensor, 8 bits, or a 1x1 convolution"
        )
    if not (np.isfinite(scale).all() and (scale > 0).all() and scale.dtype == np.float32):
        raise BadInput(f"{op.name}: weight scales must be positive float32")
    activation(op, program.edges[op.output])
    mantissa, exponent = multiplier(program, op)
    if (mantissa != constants["mantissa"]).any() or (exponent != constants["exponent"]).any():
        raise BadInput(f"{op.name}: its rescale is not the one its scales imply")


def _require_same_grid(program: Program, op: Operation) -> None:
    source, target = program.edges[op.inputs[0]], program.edges[op.output]
    if (source.scale, source.zero_point) != (target.scale, target.zero_point):
        raise BadInput(f"{op.name}: {op.kind} must keep the scale and zero point of its input")
    low, high = op.attributes.get("low", -128), op.attributes.get("high", 127)
    if low > _lowest_code(program, op.inputs[0]) or high < 127:
        raise BadInput(f"{op.name}: a {op.kind} cannot clip to {low}..{high}")


def _lowest_code(program: Program, edge: str) -> int:
    producers = {op.output: op for op in program.operations}
    while edge in producers and producers[edge].kind not in WEIGHTED:
        edge = producers[edge].inputs[0]
    return producers[edge].attributes["low"] if edge in producers else -128


def _pairs(model: schema.ModelT, program: Program) -> list[tuple[Operation, schema.OperatorT]]:
    """Operations of the program beside the operators of the file.

    Reshapes are left out of both: the converter folds them into a dense layer at will.
    """
    graph = model.subgraphs[0]
    found = [(flatbuffer.operator_name(model, o), o) for o in graph.operators]
    found = [(name, o) for name, o in found if name != "RESHAPE"]
    wanted = [op for op in program.operations if op.kind != "reshape"]
    names = [name for name, _ in found]
    if len(names) != len(wanted) or any(
        name not in _operator_names(op) for name, op in zip(names, wanted, strict=True)
    ):
        expected = [_operator_names(op)[0] for op in wanted]
        raise RuntimeError(f"the converter made {names}, expected {expected}")
    return [(op, operator) for op, (_, operator) in zip(wanted, found, strict=True)]


def _operator_names(op: Operation) -> tuple[str, ...]:
    if op.kind == "conv2d":
        # With one input channel the converter prefers a depthwise operator with a multiplier.
        one_channel = op.constants["weights"].shape[2] == 1
        return ("DEPTHWISE_CONV_2D", "CONV_2D") if one_channel else ("CONV_2D",)
    if op.kind == "depthwise_conv2d":
        one_channel = op.constants["weights"].shape[2] == 1
        return ("DEPTHWISE_CONV_2D", "CONV_2D") if one_channel else ("DEPTHWISE_CONV_2D",)
    return {"dense": ("FULLY_CONNECTED",), "average_pool": ("AVERAGE_POOL_2D",)}[op.kind]


def _verify_edge(op: Operation, tensor: schema.TensorT, edge: Edge) -> None:
    quantization = tensor.quantization
    found = (
        flatbuffer.type_name(tensor),
        np.asarray(quantization.scale, np.float32).tolist(),
        np.asarray(quantization.zeroPoint).tolist(),
        int(np.prod(tensor.shape)),
    )
    wanted = ("INT8", [edge.scale], [edge.zero_point], int(np.prod(edge.shape)))
    if found != wanted:
        raise RuntimeError(f"{op.name}: edge {edge.name} is stored as {found}, not {wanted}")


def _verify_weighted(
    model: schema.ModelT, program: Program, op: Operation, operator: schema.OperatorT
) -> None:
    def require(what: str, found: ArrayLike, wanted: ArrayLike) -> None:
        found, wanted = np.asarray(found), np.asarray(wanted)
        if not np.array_equal(found, wanted):
            raise RuntimeError(f"{op.name}: {what} changed by the converter: {found}, not {wanted}")

    tensor = model.subgraphs[0].tensors[operator.inputs[1]]
    depthwise = flatbuffer.operator_name(model, operator) == "DEPTHWISE_CONV_2D"
    scale = op.constants["weight_scale"]
    bits = 4 if flatbuffer.type_name(tensor) == "INT4" else 8
    require("weight bits", bits, op.attributes["weight_bits"])
    require("weights", flatbuffer.constant(model, tensor), _tflite_weights(op, depthwise))
    require("weight scales", tensor.quantization.scale, scale)
    require("weight zero points", np.any(tensor.quantization.zeroPoint), False)
    bias = _bias(model, operator)
    if bias is None:
        require("any bias", False, np.any(op.constants["bias"]))
    else:
        product = program.edges[op.inputs[0]].scale * scale.astype(np.float64)
        require("biases", flatbuffer.constant(model, bias), op.constants["bias"])
        require("bias scales", bias.quantization.scale, product.astype(np.float32))
    fused = schema.ActivationFunctionType
    wanted = activation(op, program.edges[op.output])
    require("activation", operator.builtinOptions.fusedActivationFunction, getattr(fused, wanted))


def _tflite_weights(op: Operation, depthwise: bool) -> np.ndarray:
    weights = op.constants["weights"]
    if op.kind == "dense":
        return weights.T
    if depthwise:
        return weights.reshape(1, *weights.shape[:2], -1)
    if op.kind == "depthwise_conv2d":
        weights = weights[:, :, None, :]
    return weights.transpose(3, 0, 1, 2)


def _bias(model: schema.ModelT, operator: schema.OperatorT) -> schema.TensorT | None:
    absent = len(operator.inputs) < 3 or operator.inputs[2] < 0
    return None if absent else model.subgraphs[0].tensors[operator.inputs[2]]
