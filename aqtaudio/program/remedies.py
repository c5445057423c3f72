"""What to do about operators that TFLite Micro lacks and about operators left in float."""

_OUTSIDE = "compute it outside the graph"
_STRICT = "convert with _experimental_strict_qdq"
_BARE = "annotate its output, and constants too: a bare scalar carries no scale"
_UNROLL = "unroll it over the clip, into dense, logistic, tanh, mul and add (Keras: unroll=True)"
_STEP = f"{_UNROLL}, or export one step"
_BOTH_WAYS = f"{_UNROLL}; it reads the whole clip, so it has no single step to export"
_FUSE = "annotate the weights too, and nothing between product and bias"

UNSUPPORTED = {
    "GELU": "use hard-swish or relu",
    "SELECT": "it often comes from elu or where(): use relu, leaky relu or hard-swish",
    "STABLEHLO_COMPOSITE": _STRICT,
    "STABLEHLO_REDUCE_WINDOW": "pool over a 4-D tensor",
    "FAKE_QUANT": _STRICT,
    "TILE": "use BROADCAST_TO and RESHAPE (jnp.repeat)",
    "POW": "multiply",
    "RFFT2D": f"{_OUTSIDE}, in the front end, or as a matrix product",
    "SCATTER_ND": "use slice and concat",
    "REDUCE_PROD": "multiply slices",
    "CONV_3D": "use 2-D convolutions",
    "LSTM": _STEP,
    "RNN": _STEP,
    "UNIDIRECTIONAL_SEQUENCE_RNN": _STEP,
    "BIDIRECTIONAL_SEQUENCE_LSTM": _BOTH_WAYS,
    "BIDIRECTIONAL_SEQUENCE_RNN": _BOTH_WAYS,
}

FLOAT_ONLY = {
    "EXP": "use softmax, logistic or hard-swish",
    "LOG": "move it to the front end",
    "SQRT": "rsqrt has an integer kernel",
    "SQUARE": "write x * x",
    "NEG": "multiply by a constant, or subtract",
    **dict.fromkeys(("SIN", "COS", "CEIL", "FLOOR", "ROUND"), _OUTSIDE),
}
"""Operators that TFLite Micro has for FLOAT32 and not for int8 or int16."""

_FLOAT_STRETCHES = (
    ("STABLEHLO_COMPOSITE", _STRICT),
    ("STABLEHLO_REDUCE_WINDOW", UNSUPPORTED["STABLEHLO_REDUCE_WINDOW"]),
    ("GELU", UNSUPPORTED["GELU"]),
    ("TRANSPOSE_CONV", "use a sub-pixel convolution: 1x1 to r*C channels, then reshape"),
    ("DYNAMIC_UPDATE_SLICE", "use slice and concat"),
    ("CUMSUM", "use a matrix product with a triangular constant"),
    ("ARG_MAX", _OUTSIDE),
    ("SUM MUL RSQRT", "annotate every step of the normalization, or fold a batch norm instead"),
    (
        "SUM MUL",
        "x.mean(axis) becomes float SUM and MUL: reshape to 4-D and average-pool, or annotate",
    ),
    *((name, f"{name} is float only: {remedy}") for name, remedy in FLOAT_ONLY.items()),
    ("FULLY_CONNECTED", _FUSE),
    ("CONV_2D", _FUSE),
    ("DEPTHWISE_CONV_2D", _FUSE),
    ("MUL", _BARE),
    ("ADD", f"{_BARE}; a bias is added without annotation"),
    ("SUB", _BARE),
)


OF_A_CRASH = "convert the model again, or replace the operator"
_ACCELERATORS = ("edgetpu-custom-op", "ethos-u", "DISPATCH_OP", "NeuronOp", "QNN", "MTKEXT", "VSI")
_REFUSALS = (
    ("scale_diff", "quantize the bias at input scale times weight scale"),
    ("Dynamic tensors", "convert with concrete shapes and batch 1"),
    ("Requested", "make the model smaller: no more than 256 MiB of arena are tried"),
    ("strings, resource", "keep inputs and outputs numbers"),
    ("no answer", "look for a loop that does not end, or make the model smaller"),
    ("Unsupported data type", "convert with int8, int16 or float32 tensors"),
    ("type", "give it tensors of a type that it has: int8 as a rule"),
    ("upported", "give it what it has: int8 tensors and fixed sizes as a rule"),
)


def for_unsupported(name: str) -> str:
    """What to do about an operator that TFLite Micro lacks."""
    if name.startswith("STABLEHLO_"):
        default = "the converter found no TFLite form: write it with other operations"
    elif name.startswith("CUSTOM:FlexTensorList"):
        default = "it collects the steps of a loop: unroll the loop (Keras: unroll=True)"
    elif name.removeprefix("CUSTOM:").startswith(_ACCELERATORS):
        default = "it is compiled for an accelerator: check the file that the compiler was given"
    elif name == "CUSTOM:":
        default = "it has no name: convert the model again"
    elif name.startswith("CUSTOM:"):
        default = (
            "it is not of TFLite: write it with operations that are, or register a kernel of yours"
        )
    elif name == "UNKNOWN":
        default = "it is newer than the schema here, or damaged: convert the model again"
    else:
        default = f"replace it, or {_OUTSIDE}"
    return UNSUPPORTED.get(name, default)


def for_refusal(words: str) -> str:
    """What to do about a file that TFLite Micro refuses, by its words."""
    fitting = (remedy for needed, remedy in _REFUSALS if needed in words)
    return next(fitting, "convert the model again, or replace the operator")


def for_float(names: set[str]) -> str:
    """What to do about a stretch of FLOAT32 operators: the first pattern that they hold."""
    if names <= {"QUANTIZE", "DEQUANTIZE"}:
        return "convert with int8 inputs and outputs, and quantize outside the graph"
    fitting = (remedy for needed, remedy in _FLOAT_STRETCHES if set(needed.split()) <= names)
    return next(fitting, "annotate every input and output with a scale")


def for_float_model(names: set[str]) -> str:
    """What to do about a model without a single integer operator."""
    is_unconverted = "STABLEHLO_COMPOSITE" in names
    return _STRICT if is_unconverted else "train it quantized and export that; or allow float"
