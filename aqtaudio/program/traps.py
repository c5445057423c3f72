"""What integer operators TFLite Micro refuses or gets wrong, and what to do instead.

Every rule was seen in the pinned interpreter. Many of these errors are silent there: the file loads
and computes something else.
"""

import math
from collections.abc import Iterator

from aqtaudio.program import remedies
from aqtaudio.program.findings import Finding, Rule
from aqtaudio.program.operator_view import Operator, Tensor

FIXED_GRIDS = {
    ("LOGISTIC", "INT8"): ("1/256", -128),
    ("SOFTMAX", "INT8"): ("1/256", -128),
    ("TANH", "INT8"): ("1/128", 0),
    ("L2_NORMALIZATION", "INT8"): ("1/128", 0),
    ("LOG_SOFTMAX", "INT8"): ("16/256", 127),
    ("LOGISTIC", "INT16"): ("1/32768", 0),
    ("SOFTMAX", "INT16"): ("1/32768", 0),
    ("TANH", "INT16"): ("1/32768", 0),
}
"""Scale and zero point of the output by operator and its type."""
SOFTMAX_TO_INT16 = ("1/65536", -32768)
GRID_TOLERANCE = 1e-3
"""By which these scales may differ: files hold rounded ones, and kernels compare up to that."""
_EXACT_GRIDS = {("SOFTMAX", "INT8"), ("LOG_SOFTMAX", "INT8")}  # kernels compare for equality

RAW_COPIES = frozenset(
    """
    PAD PADV2 MIRROR_PAD CONCATENATION RESHAPE TRANSPOSE SLICE STRIDED_SLICE SPLIT SPLIT_V
    GATHER GATHER_ND BROADCAST_TO EXPAND_DIMS SQUEEZE PACK UNPACK SPACE_TO_DEPTH DEPTH_TO_SPACE
    SPACE_TO_BATCH_ND BATCH_TO_SPACE_ND REVERSE_V2 RESIZE_NEAREST_NEIGHBOR MAXIMUM MINIMUM
    MAX_POOL_2D AVERAGE_POOL_2D REDUCE_MAX REDUCE_MIN FILL DYNAMIC_UPDATE_SLICE SELECT_V2
    EMBEDDING_LOOKUP
    """.split()
)
"""Operators without a rescale: of some other grids are refused, of most silently taken as equal."""

INT8_ONLY = frozenset(
    """
    ELU LOG_SOFTMAX L2_NORMALIZATION HARD_SWISH MIRROR_PAD REDUCE_MAX GATHER SPACE_TO_DEPTH
    DEPTH_TO_SPACE
    """.split()
)
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
WEIGHTS = dict.fromkeys(WEIGHTED, (1, 2)) | {"TRANSPOSE_CONV": (1, 3)}
"""Inputs that may have a scale per channel: weights and biases."""
NO_UINT8 = frozenset(
    """
    CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED ADD SUB MUL AVERAGE_POOL_2D MAX_POOL_2D SOFTMAX
    LOGISTIC TANH RELU RELU6 LEAKY_RELU HARD_SWISH MEAN PAD CONCATENATION MAXIMUM L2_NORMALIZATION
    RESIZE_BILINEAR SPLIT TRANSPOSE STRIDED_SLICE
    """.split()
)
_ONE_SCALE = {
    "DEQUANTIZE": "store the weights as FLOAT32, or let the operator that reads them have int8"
}
SOFTMAX_LIMIT = 512
_WIDER = "calibrate the output to a wider range"


def _fixed_grid(operator: Operator) -> Iterator[Finding]:
    source, target = operator.input(0), operator.output
    if not (source and target and target.is_quantized):
        return
    wanted = FIXED_GRIDS.get((operator.name, target.type))
    if operator.name == "SOFTMAX" and (source.type, target.type) == ("INT8", "INT16"):
        wanted = SOFTMAX_TO_INT16
    if wanted is None:
        return
    scale, zero_point = wanted
    numerator, denominator = map(int, scale.split("/"))
    tolerance = 1e-6 if (operator.name, target.type) in _EXACT_GRIDS else GRID_TOLERANCE
    if not _same(target.grid, (numerator / denominator, zero_point), tolerance):
        text = f"scale {scale}, zero point {zero_point}"
        yield (
            target,
            f"has {target.grid_text}; whatever it says, TFLite Micro's kernel needs {text}",
            f"annotate the output with {text}",
        )


def _raw_copy(operator: Operator) -> Iterator[Finding]:
    source = operator.input(0)
    if operator.name == "RESHAPE" and source and source.is_input:
        return  # a file's input by another name: features, and what a network calls them
    if operator.name in RAW_COPIES:
        remedy = "give both the same scale and zero point, by a QUANTIZE if need be"
        yield from _grid_changes(operator, "works on the codes without rescaling", remedy)


def _relu6(operator: Operator) -> Iterator[Finding]:
    if operator.name == "RELU6":
        remedy = "fuse it into a convolution, or use RELU with an output range of 0 to 6"
        yield from _grid_changes(operator, "clips the codes without rescaling", remedy)


def _grid_changes(operator: Operator, what: str, remedy: str) -> Iterator[Finding]:
    for target in operator.outputs:
        for source in operator.inputs:
            if not (source and target and source.is_quantized and target.is_quantized):
                continue  # sizes, axes, indices
            # As long as no code is half a step off, rescaling would give the same codes.
            half_a_step = 0.5 / (1 << (8 if target.type == "INT8" else 16))
            if not _same(source.grid, target.grid, half_a_step):
                grids = f"{target.grid_text}, and {source.label} {source.grid_text}"
                yield target, f"has {grids}, but TFLite Micro {what}", remedy


def _wide_softmax(operator: Operator) -> Iterator[Finding]:
    source, target = operator.input(0), operator.output
    if operator.name != "SOFTMAX" or not (source and target and source.shape):
        return
    if source.type == target.type == "INT8" and source.shape[-1] >= SOFTMAX_LIMIT:
        wrong = f"has {source.shape[-1]} positions; TFLite Micro aborts when their exponentials"
        remedy = f"keep it under {SOFTMAX_LIMIT} positions, or leave the softmax out of the graph"
        yield source, f"{wrong} sum up to {SOFTMAX_LIMIT}, as those of equal scores do", remedy


def _steep_input(operator: Operator) -> Iterator[Finding]:
    source = operator.input(0)
    if operator.name in ("LOGISTIC", "TANH") and source and source.type == "INT8":
        if source.scale is not None and source.scale >= 2:
            wrong = f"has {source.grid_text}; TFLite Micro saturates too early from scale 2 on"
            yield source, wrong, "keep the input scale below 2: a range of 256 is plenty"


def _hard_swish(operator: Operator) -> Iterator[Finding]:
    tensors = _quantized(operator, 1)
    if operator.name == "HARD_SWISH" and tensors:
        (source, target), (si, so) = tensors, _scales(tensors)
        if so <= si / 128:
            yield target, f"has scale {so:.6g}, not more than 1/128 of {source.label}'s", _WIDER


def _sum_ratio(operator: Operator) -> Iterator[Finding]:
    tensors = _quantized(operator, 2)
    if operator.name in ("ADD", "SUB") and tensors:
        target, (a, b, out) = tensors[-1], _scales(tensors)
        bits = 20 if target.type == "INT8" else 15
        if 2 * max(a, b) >= 2**bits * out:
            limit = f"2^-{bits - 1} of the larger input's, {max(a, b):.6g}: TFLite Micro aborts"
            yield target, f"has scale {out:.6g}, not more than {limit}", _WIDER


def _product_ratio(operator: Operator) -> Iterator[Finding]:
    tensors = _quantized(operator, 2)
    if operator.name == "MUL" and tensors and tensors[-1].type == "INT16":
        target, (a, b, out) = tensors[-1], _scales(tensors)
        if a * b >= 2 * out:
            limit = f"half the product of the inputs', {a * b:.6g}: in TFLite Micro it wraps around"
            yield target, f"has scale {out:.6g}, not more than {limit}", _WIDER


def _narrow_bias(operator: Operator) -> Iterator[Finding]:
    # CONV_2D and FULLY_CONNECTED read INT32 biases as what they are.
    places = {"DEPTHWISE_CONV_2D": (0, 2), "TRANSPOSE_CONV": (2, 3)}.get(operator.name)
    if places:
        source, bias = map(operator.input, places)
        if source and bias and (source.type, bias.type) == ("INT16", "INT32"):
            wrong = "is an INT32 bias beside int16 activations: TFLite Micro reads it as INT64"
            yield bias, wrong, "widen it to INT64, same values and scales"


def _int4(operator: Operator) -> Iterator[Finding]:
    source = operator.input(0)
    for tensor in operator.tensors:
        if tensor.type != "INT4":
            continue
        if operator.name not in WEIGHTED:
            yield tensor, "is INT4, which TFLite Micro lacks for this operator", "use int8"
        elif source and source.type == "INT16":
            yield tensor, "is INT4 beside int16 activations (16x4)", "use int8 weights (16x8)"
        elif operator.name == "FULLY_CONNECTED" and tensor.scale_count > 1:
            wrong = "is a per-channel int4 dense layer, which TFLite Micro lacks"
            yield tensor, wrong, "use one scale per tensor or a 1x1 convolution"


def _hybrid(operator: Operator) -> Iterator[Finding]:
    source, weights = operator.input(0), operator.input(1)
    if operator.name in WEIGHTED and source and weights and source.type == "FLOAT32":
        if weights.type in ("INT8", "INT4"):
            wrong = (
                f"holds {weights.type} weights beside FLOAT32 activations, which TFLite Micro lacks"
            )
            yield weights, wrong, "convert with a representative dataset, to int8 activations"


def _computed_filter(operator: Operator) -> Iterator[Finding]:
    weights = operator.input(1)
    if operator.name == "TRANSPOSE_CONV" and weights and not weights.is_constant:
        wrong = "is a filter computed in the graph: TFLite Micro's result is wrong"
        yield weights, wrong, "store the filter as a constant, or use a sub-pixel convolution"


def _kernel_type(operator: Operator) -> Iterator[Finding]:
    target = operator.output
    if target and target.type in ("INT8", "INT16") and operator.name in remedies.FLOAT_ONLY:
        wrong = f"is {target.type}; TFLite Micro's kernel is FLOAT32 only"
        yield target, wrong, remedies.FLOAT_ONLY[operator.name]
    if target and target.type == "INT16" and operator.name in INT8_ONLY:
        yield target, "is INT16, which TFLite Micro lacks for this operator", "use int8 here"


def _open_shape(operator: Operator) -> Iterator[Finding]:
    inputs = [tensor for tensor in operator.inputs if tensor and tensor.is_input]
    for tensor in (*inputs, *operator.outputs):
        if tensor and tensor.open_axes:
            axes = ", ".join(map(str, tensor.open_axes))
            wrong = f"has a dynamic shape (axis {axes}), and TFLite Micro only fixed ones"
            yield tensor, wrong, "convert with concrete shapes and batch 1"


def _computed_size(operator: Operator) -> Iterator[Finding]:
    # A loop over frames (a recurrent layer of Keras) cuts what it collected in two, at the frame
    # where it stands. TFLite Micro reserves one element for such a slice; its loop never ends.
    target, places = operator.output, {"SLICE": (1, 2), "FILL": (0,)}.get(operator.name, ())
    is_computed = any(size and not size.is_constant for size in map(operator.input, places))
    if target and is_computed and (target.is_resized or operator.name == "FILL"):
        wrong = "gets its size at run time, and TFLite Micro has only fixed ones"
        yield target, wrong, "convert with batch 1, and a recurrent layer of Keras with unroll=True"


def _many_scales(operator: Operator) -> Iterator[Finding]:
    places = WEIGHTS.get(operator.name, ())
    for index, tensor in enumerate((*operator.inputs, *operator.outputs)):
        if tensor is None or not tensor.scales_differ:
            continue
        if index not in places:
            wrong = (
                f"has {tensor.scale_count} scales, of which TFLite Micro takes the first for all"
            )
            yield tensor, wrong, _ONE_SCALE.get(operator.name, "use one scale per tensor")


def _uint8(operator: Operator) -> Iterator[Finding]:
    if operator.name not in NO_UINT8:
        return
    for tensor in operator.tensors:
        if tensor.type == "UINT8" and tensor.scale is not None:
            wrong = "is UINT8, the quantization of TensorFlow 1, which TFLite Micro has no more"
            yield tensor, wrong, "convert the model again, to int8 with a representative dataset"
            return


def _same(grid: tuple[float, int], other: tuple[float, int], tolerance: float) -> bool:
    return math.isclose(grid[0], other[0], rel_tol=tolerance) and grid[1] == other[1]


def _quantized(operator: Operator, inputs: int) -> list[Tensor]:
    """The first inputs and the output; empty unless all are quantized."""
    tensors = [*map(operator.input, range(inputs)), operator.output]
    found = [tensor for tensor in tensors if tensor and tensor.is_quantized]
    return found if len(found) == len(tensors) else []


def _scales(tensors: list[Tensor]) -> list[float]:
    return [tensor.grid[0] for tensor in tensors]


RULES: tuple[Rule, ...] = (
    _fixed_grid,
    _raw_copy,
    _relu6,
    _wide_softmax,
    _steep_input,
    _hard_swish,
    _sum_ratio,
    _product_ratio,
    _narrow_bias,
    _int4,
    _hybrid,
    _computed_filter,
    _kernel_type,
    _open_shape,
    _computed_size,
    _many_scales,
    _uint8,
)
