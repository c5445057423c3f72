"""The TFLite operator of every kind of operation: name, version, options, constants."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aqtaudio.program import support
from aqtaudio.program.flatbuffer import schema
from aqtaudio.program.program import Edge, Operation


@dataclasses.dataclass(frozen=True)
class Operator:
    """A TFLite operator.

    Attributes:
      name: of the builtin operator in the schema.
      version: least version of the kernel that computes it, for int8 and int16 tensors.
      options: its option table; None where it has none.
      extra: constants after the operation's own inputs.
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


def int32(values: Sequence[Any]) -> np.ndarray:
    """Shapes and axes as TFLite stores them."""
    return np.array(values, np.int32)


def options_of(table: type, **values: Any) -> Any:
    """An option table of the schema with these fields set."""
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
    options = options_of(
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
    options = options_of(
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
    options = options_of(
        schema.FullyConnectedOptionsT,
        fusedActivationFunction=_fused(op, target),
        keepNumDims=keep,
    )
    version = 10 if op.attributes["weight_bits"] == 4 else 5 if keep else 4
    extra = _weights(op, source, op.constants["weights"].T, 0)
    return Operator("FULLY_CONNECTED", (version, 7), options, extra)


def _pool(name: str) -> Callable[[Operation, Edge, Edge], Operator]:
    def lower(op: Operation, source: Edge, target: Edge) -> Operator:
        options = options_of(
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
        options = options_of(table, fusedActivationFunction=_fused(op, target))
        if name != "MUL":
            options.potScaleInt16 = False
        return Operator(name, version, options)

    return lower


def _reduce(name: str, version: tuple[int, int]) -> Callable[[Operation, Edge, Edge], Operator]:
    def lower(op: Operation, source: Edge, target: Edge) -> Operator:
        options = options_of(schema.ReducerOptionsT, keepDims=op.attributes["keep"])
        axes = int32([axis + 1 for axis in op.attributes["axes"]])
        return Operator(name, version, options, (Constant(axes),))

    return lower


def _plain(name: str, version: tuple[int, int] = (2, 2), table: type | None = None):
    """An operator without options, or with those of `table` as they are."""

    def lower(op: Operation, source: Edge, target: Edge) -> Operator:
        return Operator(name, version, None if table is None else table())

    return lower


def _softmax(op: Operation, source: Edge, target: Edge) -> Operator:
    options = options_of(schema.SoftmaxOptionsT, beta=op.attributes["beta"])
    return Operator("SOFTMAX", (2, 3), options)


def _leaky_relu(op: Operation, source: Edge, target: Edge) -> Operator:
    options = options_of(schema.LeakyReluOptionsT, alpha=op.attributes["alpha"])
    return Operator("LEAKY_RELU", (2, 2), options)


def _batch_matmul(op: Operation, source: Edge, target: Edge) -> Operator:
    options = options_of(
        schema.BatchMatMulOptionsT,
        adjX=op.attributes["transpose_a"],
        adjY=op.attributes["transpose_b"],
    )
    return Operator("BATCH_MATMUL", (2, 3), options)


def _reshape(op: Operation, source: Edge, target: Edge) -> Operator:
    shape = int32([1, *target.shape])
    return Operator(
        "RESHAPE", (1, 1), options_of(schema.ReshapeOptionsT, newShape=shape), (Constant(shape),)
    )


def _transpose(op: Operation, source: Edge, target: Edge) -> Operator:
    order = int32([0, *(axis + 1 for axis in op.attributes["permutation"])])
    return Operator("TRANSPOSE", (2, 5), schema.TransposeOptionsT(), (Constant(order),))


def _slice(op: Operation, source: Edge, target: Edge) -> Operator:
    names = (("begin", 0), ("end", 1), ("strides", 1))
    extra = tuple(Constant(int32([batch, *op.attributes[name]])) for name, batch in names)
    return Operator("STRIDED_SLICE", (2, 4), schema.StridedSliceOptionsT(), extra)


def _concat(op: Operation, source: Edge, target: Edge) -> Operator:
    options = options_of(schema.ConcatenationOptionsT, axis=op.attributes["axis"] + 1)
    return Operator("CONCATENATION", (2, 3), options)


def _pad(op: Operation, source: Edge, target: Edge) -> Operator:
    widths = int32([(0, 0), *op.attributes["widths"]])
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
    "elu": _plain("ELU", (1, 1)),
    "hard_swish": _plain("HARD_SWISH", (1, 1), schema.HardSwishOptionsT),
    "logistic": _plain("LOGISTIC", (2, 3)),
    "tanh": _plain("TANH", (2, 3)),
    "softmax": _softmax,
    "l2_norm": _plain("L2_NORMALIZATION", (2, 2), schema.L2NormOptionsT),
    "rsqrt": _plain("RSQRT", (2, 3)),
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
