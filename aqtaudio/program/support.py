"""What the targets can run as a program says: checked before anything is written."""

import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.program.kernel_libraries import four_bit_depthwise_is_right
from aqtaudio.program.kernels import KINDS
from aqtaudio.program.kernels.softmax import SOFTMAX_FINEST_SCALE, SOFTMAX_WIDTH_LIMIT
from aqtaudio.program.kernels.transcendental import INPUT_SCALE_LIMIT
from aqtaudio.program.kernels.weighted import EXACT
from aqtaudio.program.program import SOURCES, Edge, Operation, Program

WEIGHTED = ("conv2d", "depthwise_conv2d", "dense")
MOVEMENT = (
    "write_state",
    "reshape",
    "transpose",
    "slice",
    "concat",
    "pad",
    "average_pool",
    "max_pool",
)
BINARY = ("add", "sub", "mul")
FIXED = {
    "logistic": ((1 / 256, -128), (1 / 32768, 0)),
    "softmax": ((1 / 256, -128), (1 / 32768, 0)),
    "tanh": ((1 / 128, 0), (1 / 32768, 0)),
    "l2_norm": ((1 / 128, 0), None),
}
"""Output (scale, zero point) that a kind must have in int8 and in int16."""
NOT_WIDE = ("hard_swish", "l2_norm", "elu", "rsqrt")
MOST_TAPS = EXACT // (255 * 127) - 1
BROADCAST_AXES = 4
LAYOUT_AXES = 5


class Unsupported(BadInput):
    """A layer that a target cannot run as the program says.

    Attributes:
      layer: the operation's name.
    """

    def __init__(self, layer: str, reason: str):
        super().__init__(f"{layer}: {reason}")
        self.layer = layer


def require(program: Program) -> None:
    """Raises Unsupported, naming the layer, for what TFLite Micro cannot run as it stands."""
    if len(program.inputs) != 1 or len(program.outputs) != 1:
        raise BadInput("export needs a program of one input and one output")
    for edge in program.edges.values():
        _require_edge(edge)
    require_form(program)
    for op in program.operations:
        if op.kind not in SOURCES:
            _require_values(program, op)


def require_litert(program: Program) -> None:
    """Raises Unsupported, naming the layer, for what LiteRT computes wrong and we don't follow."""
    for op in program.operations:
        if op.kind == "depthwise_conv2d" and op.attributes["weight_bits"] == 4:
            inputs = program.edges[op.inputs[0]].shape[-1]
            outputs = program.edges[op.output].shape[-1]
            dilated = op.attributes["dilation"] != (1, 1)
            if not four_bit_depthwise_is_right(inputs, outputs, dilated, "litert"):
                raise Unsupported(
                    op.name,
                    f"LiteRT computes this 4-bit depthwise convolution ({outputs} channels"
                    f"{', dilated' if dilated else ''}) wrong; use 8 bits, or a multiple of 8 "
                    "channels without dilation",
                )


def require_form(program: Program) -> None:
    """As `require`, but for what depends on no scale and no code: arrays may be shapes."""
    for op in program.operations:
        if op.kind not in SOURCES:
            _require_form(program, op)


def activation(op: Operation, edge: Edge) -> str:
    """Fused activation (NONE, RELU, RELU6) that clips to the operation's `low` and `high`.

    Raises Unsupported where there is none.
    """
    lowest, highest = edge.grid.lowest, edge.grid.highest
    wanted = (op.attributes.get("low", lowest), op.attributes.get("high", highest))
    six = edge.zero_point + int(np.floor(np.float32(6) / np.float32(edge.scale) + 0.5))
    ranges = {
        "RELU": (edge.zero_point, highest),
        "RELU6": (edge.zero_point, min(six, highest)),
        "NONE": (lowest, highest),
    }
    for name, limits in ranges.items():
        if limits == wanted:
            return name
    raise Unsupported(op.name, f"codes clipped to {wanted} have no fused activation ({ranges})")


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


def _require_edge(edge: Edge) -> None:
    if not (edge.scale > 0 and float(np.float32(edge.scale)) == edge.scale):
        raise Unsupported(edge.name, f"scale {edge.scale} is not a positive float32")
    if not edge.grid.lowest <= edge.zero_point <= edge.grid.highest:
        raise Unsupported(edge.name, f"zero point {edge.zero_point} is no code of its type")
    if edge.bits == 16 and edge.zero_point:
        raise Unsupported(edge.name, f"zero point {edge.zero_point}; int16 tensors need 0")


def _require_form(program: Program, op: Operation) -> None:
    inputs = [program.edges[name] for name in op.inputs]
    target = program.edges[op.output]
    if op.kind not in KINDS:
        raise Unsupported(op.name, f"no TFLite form for {op.kind}; allowed: {', '.join(KINDS)}")
    _require_width(op, inputs, target)
    if op.kind in WEIGHTED:
        _require_weight_bits(op, target)
    if op.kind in BINARY:
        _require_axes(op, inputs, BROADCAST_AXES)
    _require_axes(op, [*inputs, target], LAYOUT_AXES)
    if op.kind == "softmax" and inputs[0].shape[-1] > SOFTMAX_WIDTH_LIMIT and target.bits != 16:
        raise Unsupported(
            op.name,
            f"softmax over {inputs[0].shape[-1]} positions; TFLite Micro aborts where the sum of "
            f"exponentials reaches 512: at most {SOFTMAX_WIDTH_LIMIT}",
        )


def _require_values(program: Program, op: Operation) -> None:
    inputs = [program.edges[name] for name in op.inputs]
    target = program.edges[op.output]
    if op.kind in WEIGHTED:
        _require_weighted(program, op)
    elif op.kind in MOVEMENT:
        _require_same_grid(program, op)
    elif op.kind in FIXED:
        _require_fixed(op, inputs[0], target)
    elif op.kind in BINARY:
        activation(op, target)
    if op.kind == "softmax" and op.attributes["beta"] * inputs[0].scale <= SOFTMAX_FINEST_SCALE:
        raise Unsupported(
            op.name,
            f"softmax of an input with scale {inputs[0].scale} times beta "
            f"{op.attributes['beta']}; TFLite Micro needs more than {SOFTMAX_FINEST_SCALE}",
        )
    _require_safe_scale(op, inputs, target)


def _require_width(op: Operation, inputs: list[Edge], target: Edge) -> None:
    widths = {edge.bits == 16 for edge in (*inputs, target)}
    if op.kind == "prelu":
        widths = {edge.bits == 16 for edge in (inputs[0], target)}
    if len(widths) > 1 and op.kind != "requantize":
        raise Unsupported(op.name, f"{op.kind} cannot mix int8 and int16 activations")
    if target.bits == 16 and op.kind in NOT_WIDE:
        raise Unsupported(op.name, f"{op.kind} has no int16 kernel; use 8-bit activations")


def _require_axes(op: Operation, edges: list[Edge], most: int) -> None:
    axes = max(len(edge.shape) + 1 for edge in edges)
    if axes > most:
        raise Unsupported(
            op.name, f"{op.kind} of {axes} axes (with the batch); TFLite Micro has at most {most}"
        )


def _require_fixed(op: Operation, source: Edge, target: Edge) -> None:
    wanted = FIXED[op.kind][target.bits == 16]
    if (target.scale, target.zero_point) != wanted:
        raise Unsupported(
            op.name,
            f"{op.kind} with output scale {target.scale} and zero point {target.zero_point}; "
            f"the kernel computes for {wanted}",
        )
    if op.kind in ("logistic", "tanh") and source.scale >= INPUT_SCALE_LIMIT:
        raise Unsupported(
            op.name,
            f"{op.kind} of an input with scale {source.scale}; TFLite Micro is wrong from "
            f"{INPUT_SCALE_LIMIT} up",
        )


def _require_safe_scale(op: Operation, inputs: list[Edge], target: Edge) -> None:
    least = KINDS[op.kind].least_scale
    if least is None:
        return
    lowest = float(least(tuple(edge.grid for edge in inputs)))
    if target.scale < lowest:
        raise Unsupported(
            op.name,
            f"{op.kind} with output scale {target.scale}; TFLite Micro needs {lowest} or more for "
            "these inputs",
        )


def _require_weight_bits(op: Operation, target: Edge) -> None:
    rows, columns = op.constants["weights"].shape[:2]
    if op.kind == "depthwise_conv2d" and rows * columns > MOST_TAPS:
        raise Unsupported(
            op.name, f"a depthwise kernel of {rows * columns} taps; at most {MOST_TAPS} are exact"
        )
    bits, scale = op.attributes["weight_bits"], op.constants["weight_scale"]
    if bits not in (4, 8):
        raise Unsupported(op.name, f"{bits}-bit weights; TFLite Micro has 4 and 8")
    if bits == 4 and target.bits == 16:
        raise Unsupported(
            op.name, "4-bit weights with 16-bit activations; TFLite Micro has no such kernel"
        )
    if op.kind == "dense" and bits == 4 and scale.size > 1:
        raise Unsupported(
            op.name,
            "TFLite Micro has no 4-bit dense layer with a scale per channel; use one "
            "scale per tensor, 8 bits, or a 1x1 convolution",
        )


def _require_weighted(program: Program, op: Operation) -> None:
    constants, peak = op.constants, 2 ** (op.attributes["weight_bits"] - 1) - 1
    weights, scale = constants["weights"], constants["weight_scale"]
    if np.abs(weights.astype(int)).max() > peak:
        raise Unsupported(op.name, f"weight codes beyond {peak}, the limit of its bits")
    if not (np.isfinite(scale).all() and (scale > 0).all() and scale.dtype == np.float32):
        raise Unsupported(op.name, "weight scales must be positive float32")
    activation(op, program.edges[op.output])
    mantissa, exponent = multiplier(program, op)
    if (mantissa != constants["mantissa"]).any() or (exponent != constants["exponent"]).any():
        raise Unsupported(op.name, "its rescale is not the one its scales imply")


def _require_same_grid(program: Program, op: Operation) -> None:
    target = program.edges[op.output]
    for name in op.inputs:
        source = program.edges[name]
        if (source.scale, source.zero_point) != (target.scale, target.zero_point):
            raise Unsupported(
                op.name, f"{op.kind} must keep the scale and zero point of its input {name}"
            )
    activation(op, target)
