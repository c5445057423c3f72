"""What ESPHome's micro_wake_word refuses or gets wrong of a TFLite file, and what to do instead."""

import math
from collections.abc import Callable, Iterator, Sequence

from aqtaudio.program import esphome_contract as contract
from aqtaudio.program import flatbuffer
from aqtaudio.program.flatbuffer import schema
from aqtaudio.program.operator_view import Operator, Tensor, border

REMEDIES = {
    "SOFTMAX": "put out one word's probability: the LOGISTIC of its margin over the best other",
    "SUB": "ADD the negative (MUL by a constant)",
    "RELU": "fuse it into the convolution or sum before it",
    "SLICE": "use STRIDED_SLICE",
    "SPLIT": "use SPLIT_V",
    "EXPAND_DIMS": "use RESHAPE",
    "SQUEEZE": "use RESHAPE",
    "DEQUANTIZE": "quantize inputs and outputs too: int8 in, uint8 out",
}
_OTHER = f"allowed: {', '.join(sorted(contract.REGISTERED))}"
_STATE = "keep what a stream remembers in resource variables"


def reasons(model: schema.ModelT, operators: Sequence[Operator]) -> list[str]:
    """One line per finding. Trusts the file: call it in a child process."""
    inputs, outputs = border(model)
    return [
        *_unregistered(operators),
        *_border("input", inputs, _input),
        *_border("output", outputs, _output),
        *_variables(model),
        *(line for operator in operators for line in _kernel(operator)),
    ]


def _unregistered(operators: Sequence[Operator]) -> Iterator[str]:
    first = {operator.name: operator for operator in reversed(operators)}
    for name in sorted(set(first) - contract.REGISTERED):
        remedy = REMEDIES.get(name, _OTHER)
        yield f"{name} ({first[name].place}): ESPHome does not register it; {remedy}"


def _border(
    what: str, tensors: Sequence[Tensor], rule: Callable[[Tensor], Iterator[str]]
) -> Iterator[str]:
    if len(tensors) != 1:
        yield f"{len(tensors)} {what}s: ESPHome reads and writes one; {_STATE}"
    for tensor in tensors[:1]:
        for wrong in rule(tensor):
            yield f"{what} {tensor.label} {wrong}"


def _input(tensor: Tensor) -> Iterator[str]:
    shape = tensor.shape
    fits = len(shape) == 3 and shape[0] == 1 and shape[2] == contract.FEATURES
    if not fits or not 0 < shape[1] <= contract.MOST_FRAMES:
        yield (
            f"is {list(shape)}; needed: [1, n, {contract.FEATURES}], n frames of 10 ms, 1 to "
            f"{contract.MOST_FRAMES}: RESHAPE it inside"
        )
    if tensor.type != "INT8":
        yield f"is {tensor.type}; needed: INT8, as the device makes features"
    elif not _near(tensor, contract.INPUT_GRID, contract.INPUT_TOLERANCE):
        yield (
            f"has {_grid(tensor)}; whatever it says, the device puts features on "
            f"{_words(contract.INPUT_GRID)}: train on these codes"
        )


def _output(tensor: Tensor) -> Iterator[str]:
    if tensor.shape != (1, 1):
        yield f"is {list(tensor.shape)}; needed: [1, 1], the probability of one word"
    if tensor.type != "UINT8":
        yield f"is {tensor.type}; needed: UINT8: QUANTIZE it"
    elif not _near(tensor, contract.OUTPUT_GRID, 1e-6):
        yield (
            f"has {_grid(tensor)}; whatever it says, the device reads "
            f"{_words(contract.OUTPUT_GRID)}: QUANTIZE it to that"
        )


def _variables(model: schema.ModelT) -> Iterator[str]:
    graphs = model.subgraphs if model.subgraphs is not None else ()
    names = {
        (flatbuffer.text(options.container), flatbuffer.text(options.sharedName))
        for graph in graphs
        for operator in (graph.operators if graph.operators is not None else ())
        if flatbuffer.operator_name(model, operator) == "VAR_HANDLE"
        and (options := operator.builtinOptions) is not None
    }
    if len(names) > contract.MOST_VARIABLES:
        yield (
            f"{len(names)} resource variables: ESPHome has room for {contract.MOST_VARIABLES}; "
            "keep several layers' frames in one"
        )
    if not names:
        yield f"no resource variables: each call hears its own frames alone; {_STATE}"


def _kernel(operator: Operator) -> Iterator[str]:
    """What ESP-NN computes wrong, without a word."""
    weights, target = operator.input(1), operator.output
    if operator.name != "FULLY_CONNECTED" or not (weights and target):
        return
    where = f"{operator.name} ({operator.place}): {target.label}"
    if len(target.shape) != 2:
        yield (
            f"{where} is {list(target.shape)}: ESP-NN takes the second axis for the channels; "
            "use two axes, or a 1x1 convolution"
        )
    if weights.scale_count > 1:
        yield (
            f"{where} has a weight scale per channel, which ESP-NN's releases ignore or refuse; "
            "use one scale, or a 1x1 convolution"
        )


def _near(tensor: Tensor, grid: tuple[float, int], tolerance: float) -> bool:
    if tensor.scale is None:
        return False
    return math.isclose(tensor.scale, grid[0], rel_tol=tolerance) and tensor.zero_point == grid[1]


def _grid(tensor: Tensor) -> str:
    return "no scale" if tensor.scale is None else tensor.grid_text


def _words(grid: tuple[float, int]) -> str:
    return f"scale {grid[0]:.6g}, zero point {grid[1]}"
