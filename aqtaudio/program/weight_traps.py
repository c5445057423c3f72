"""What TFLite Micro gets wrong, without a word, of weights, biases, options and types.

Every rule was seen in the pinned interpreter, as those of `traps`.
"""

from collections.abc import Iterator

from aqtaudio.program.findings import Finding, Rule
from aqtaudio.program.operator_view import Operator, Tensor
from aqtaudio.program.traps import RAW_COPIES

CHANNELS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}
"""Axis of the output channels in the weights."""
POOLS = ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D")
ACTIVATED = (*CHANNELS, "ADD", "SUB", "MUL", *POOLS)
ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6")
"""Fused ones that TFLite Micro has."""
PADDINGS = (0, 1)
MOST_STEPS_OF_A_BIAS = 0.5
"""Of the output, by which a scale of a bias may misplace it."""
SCALED = frozenset(
    """
    ADD SUB MUL SQUARED_DIFFERENCE BATCH_MATMUL RELU LEAKY_RELU PRELU HARD_SWISH LOGISTIC TANH ELU
    SOFTMAX LOG_SOFTMAX MEAN SUM RSQRT ABS QUANTIZE DEQUANTIZE
    """.split()
) | set(CHANNELS)
"""Operators that compute with scales."""
ONE_TYPE = (
    RAW_COPIES - {"FILL", "SELECT_V2", "EMBEDDING_LOOKUP"}
    | SCALED - {"QUANTIZE", "DEQUANTIZE", "SOFTMAX", "BATCH_MATMUL"}
    | {"RELU6", "L2_NORMALIZATION"}
)
"""Operators whose output has the type of their first input."""
PAIRS = ("ADD", "SUB", "MUL", "SQUARED_DIFFERENCE")
"""Operators whose inputs and output have one type."""
_ACTIVATIONS = ("INT8", "INT16", "FLOAT32")
_CALIBRATE = "convert with a representative dataset"


def _weights(operator: Operator) -> tuple[Tensor, Tensor, Tensor] | None:
    """Source, weights and output; of a transposed convolution the source is the third input."""
    source = operator.input(2 if operator.name == "TRANSPOSE_CONV" else 0)
    weights, target = operator.input(1), operator.output
    return (source, weights, target) if source and weights and target else None


def _bias(operator: Operator) -> Tensor | None:
    return operator.input(3 if operator.name == "TRANSPOSE_CONV" else 2)


def _channels(operator: Operator, weights: Tensor) -> int:
    """Output channels; 0 where the weights have no such axis."""
    axis = CHANNELS[operator.name]
    return weights.shape[axis] if axis < len(weights.shape) else 0


def _axis_of_scales(operator: Operator) -> Iterator[Finding]:
    weights = operator.input(1)
    if operator.name not in CHANNELS or not weights or not weights.scales_differ:
        return
    axis, channels = CHANNELS[operator.name], _channels(operator, weights)
    if weights.scale_axis != axis or weights.scale_count != channels:
        has = f"has {weights.scale_count} scales along axis {weights.scale_axis}"
        wrong = f"{has}; TFLite Micro takes {channels} along axis {axis}, the output channels"
        yield weights, wrong, f"quantize weights per tensor, or per output channel (axis {axis})"


def _weights_around_another_zero(operator: Operator) -> Iterator[Finding]:
    weights = operator.input(1)
    if operator.name not in CHANNELS or not weights or weights.type not in ("INT8", "INT4"):
        return
    if operator.name == "FULLY_CONNECTED":  # has one zero point of its weights
        if len(set(weights.zero_points)) > 1:
            wrong = "has several zero points, of which TFLite Micro takes the first for all"
            yield weights, wrong, "quantize weights symmetrically"
        return
    other = next(filter(None, weights.zero_points), 0)
    if other and weights.scale is not None:
        wrong = f"has zero point {other}, which TFLite Micro takes for 0"
        yield weights, wrong, "quantize weights symmetrically"


def _wide_zero_point(operator: Operator) -> Iterator[Finding]:
    found = _weights(operator) if operator.name in CHANNELS else None
    if not found or operator.name == "FULLY_CONNECTED":  # which has them
        return
    for tensor in (found[0], found[2]):
        if tensor.type == "INT16" and tensor.zero_point:
            wrong = f"is INT16 with zero point {tensor.zero_point}, which TFLite Micro takes for 0"
            yield tensor, wrong, "quantize int16 activations symmetrically"


def _depth(operator: Operator) -> Iterator[Finding]:
    """Inputs that are no multiple of what the weights have: TFLite Micro reads past their end."""
    found = _weights(operator) if operator.name in CHANNELS else None
    if not found or not found[0].shape or not found[1].shape:
        return
    source, weights = found[0], found[1]
    have, take = source.shape[-1], weights.shape[-1]
    if operator.name == "FULLY_CONNECTED":
        have = source.elements
    if operator.name == "DEPTHWISE_CONV_2D":
        have, take = take, have
    if (have % take if take > 0 else have > 0) and have >= 0:
        wrong = f"is {list(weights.shape)}, which does not fit {source.label}, {list(source.shape)}"
        yield weights, wrong, "convert the model again"


def _type_of_bias(operator: Operator) -> Iterator[Finding]:
    found, bias = _weights(operator) if operator.name in CHANNELS else None, _bias(operator)
    if not found or not bias or found[0].type not in ("INT8", "INT16"):
        return
    # INT32 beside INT16 is another rule's; of the others the bits are read as they stand.
    is_wide = found[0].type == "INT16" or operator.name == "FULLY_CONNECTED"
    allowed = ("INT32", "INT64") if is_wide else ("INT32",)
    if bias.type not in allowed:
        wrong = f"is a bias of {bias.type}, whose bits TFLite Micro reads as {allowed[-1]}"
        yield bias, wrong, "quantize it to INT32 at input scale times weight scale"


def _size_of_bias(operator: Operator) -> Iterator[Finding]:
    found, bias = _weights(operator) if operator.name in CHANNELS else None, _bias(operator)
    if not found or not bias or min(bias.shape, default=0) < 0:
        return
    channels = _channels(operator, found[1])
    if bias.elements != channels:
        wrong = f"is a bias of {bias.elements} for {channels} output channels"
        yield bias, wrong, "give every output channel one"


def _grid_of_bias(operator: Operator) -> Iterator[Finding]:
    """TFLite Micro never looks: codes of biases are in steps of input scale times weight scale."""
    found, bias = _weights(operator) if operator.name in CHANNELS else None, _bias(operator)
    if not found or not bias or not all(tensor.is_quantized for tensor in (found[0], found[2])):
        return
    if bias.scale is None or found[1].scale is None or bias.scale_count != found[1].scale_count:
        return
    other = next(filter(None, bias.zero_points), 0)
    if other:
        wrong = f"is a bias with zero point {other}, which TFLite Micro takes for 0"
        yield bias, wrong, "quantize biases symmetrically"
    product, out = found[0].grid[0] * found[1].scale, found[2].grid[0]
    steps = bias.largest_code * abs(bias.scale - product) / out if out > 0 else 0.0
    if steps >= MOST_STEPS_OF_A_BIAS:
        taken = f"which TFLite Micro takes for {product:.6g}, input scale times weight scale"
        wrong = (
            f"is a bias of scale {bias.scale:.6g}, {taken}: up to {steps:.3g} steps of the output"
        )
        yield bias, wrong, "quantize it at that scale"


def _options(operator: Operator) -> Iterator[Finding]:
    """Sizes that are 0 where the options are missing or another operator's."""
    target, options = operator.output, operator.options
    if not target:
        return
    names = []
    if operator.name in (*POOLS, "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"):
        names += ["strideH", "strideW"]
    if operator.name in POOLS:
        names += ["filterHeight", "filterWidth"]
    if operator.name == "SOFTMAX":
        names += ["beta"]
    for name in names:
        value = options.get(name, 0)
        if not value > 0:
            wrong = f"is made with {name} {value:g} (0 where the options are missing)"
            yield target, wrong, "convert the model again"
            return
    for name in ("ellipsisMask", "newAxisMask", "offset"):
        value = options.get(name, 0)
        if operator.name == "STRIDED_SLICE" and value:
            wrong = f"is made with {name} {value:g}, which TFLite Micro leaves out"
            yield target, wrong, "write the slice with a begin, an end and a stride per axis"
            return
    padding = options.get("padding", 0)
    if padding not in PADDINGS:
        yield target, f"is made with padding {padding:g}, which is none", "use SAME or VALID"


def _lost_activation(operator: Operator) -> Iterator[Finding]:
    target, activation = operator.output, operator.activation
    if operator.name not in ACTIVATED or not target:
        return
    is_whole = operator.name == "ADD" and target.type == "INT32" and activation != "NONE"
    if activation not in ACTIVATIONS or is_whole:
        number = "activation " if activation.lstrip("-").isdigit() else ""
        wrong = f"is {target.type} with a fused {number}{activation}, which TFLite Micro leaves out"
        remedy = "make the activation an operator of its own"
        yield target, wrong, f"{remedy} (MAXIMUM, MINIMUM)" if is_whole else remedy


def _other_type(operator: Operator) -> Iterator[Finding]:
    source = operator.input(2 if operator.name == "TRANSPOSE_CONV" else 0)
    if operator.name in ("SPLIT", "PACK") and operator.inputs:
        source = operator.inputs[-1]
    target = operator.output
    if operator.name not in ONE_TYPE or not source or not target or source.type == target.type:
        return
    if source.type in _ACTIVATIONS and target.type in _ACTIVATIONS:
        wrong = f"is {target.type}, and {source.label} {source.type}: TFLite Micro converts nothing"
        yield target, wrong, "QUANTIZE or DEQUANTIZE between them"


def _mixed_types(operator: Operator) -> Iterator[Finding]:
    """What `_other_type` doesn't look at: second inputs, and whole numbers."""
    source = operator.input(0)
    if operator.name not in PAIRS or not source:
        return
    for tensor in (operator.input(1), operator.output):
        if not tensor or tensor.type == source.type:
            continue
        is_told = tensor is operator.output and {tensor.type, source.type} <= set(_ACTIVATIONS)
        if not is_told:
            wrong = f"is {tensor.type}, and {source.label} {source.type}"
            yield tensor, f"{wrong}: TFLite Micro converts nothing", "give all three one type"


def _no_scale(operator: Operator) -> Iterator[Finding]:
    if operator.name not in SCALED:
        return
    found = (operator.input(2 if operator.name == "TRANSPOSE_CONV" else 0), operator.output)
    for tensor in found:
        if tensor and tensor.type in ("INT8", "INT16") and tensor.scale is None:
            wrong = f"is {tensor.type} without a scale, which TFLite Micro takes for 0"
            yield tensor, wrong, _CALIBRATE


RULES: tuple[Rule, ...] = (
    _axis_of_scales,
    _weights_around_another_zero,
    _wide_zero_point,
    _depth,
    _type_of_bias,
    _size_of_bias,
    _grid_of_bias,
    _options,
    _lost_activation,
    _other_type,
    _mixed_types,
    _no_scale,
)
