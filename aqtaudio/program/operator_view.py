"""The operators of a parsed TFLite file as checks read them: names, types, scales, places.

Trusts the file, as `program.flatbuffer` does: use it in a child process.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aqtaudio.program import flatbuffer
from aqtaudio.program.flatbuffer import schema

LABEL_LIMIT = 60
LAYERS_LIMIT = 3
EdgeFacts = Sequence[dict[str, Any]]
"""Edges of the program behind a file, as `Program.to_json` gives them; empty when unknown."""


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor; `scale` and `zero_point` are the first of `scale_count`, None when not quantized.

    Attributes:
      index: its number in its subgraph.
      label: "tensor" and its name, or its number where the file has no name for it.
      type: FLOAT32, INT8, ...
      shape: with the batch.
      open_axes: axes whose size the file leaves open: -1 in its shape or, for an input, in its
        signature; there not the batch, which converters leave open and TFLite Micro takes as 1.
      is_resized: its signature leaves a size open, the batch apart.
      scales_differ: it has several scales, not all the same.
      scale_axis: along which it has one scale per index.
      zero_points: all of them.
      largest_code: largest magnitude of a constant INT32 or INT64; 0 for others.
      is_constant: it has data in the file.
      is_input: of its subgraph.
    """

    index: int
    label: str
    type: str
    shape: tuple[int, ...]
    open_axes: tuple[int, ...]
    is_resized: bool
    scale: float | None
    zero_point: int | None
    scale_count: int
    scales_differ: bool
    scale_axis: int
    zero_points: tuple[int, ...]
    largest_code: int
    is_constant: bool
    is_input: bool

    @property
    def elements(self) -> int:
        """Their number; with an open axis, not one."""
        return math.prod(self.shape)

    @property
    def is_quantized(self) -> bool:
        """Whether it holds activations of the precisions of ours."""
        return self.type in ("INT8", "INT16") and self.scale is not None

    @property
    def grid(self) -> tuple[float, int]:
        """Scale and zero point of a quantized tensor."""
        assert self.scale is not None and self.zero_point is not None
        return self.scale, self.zero_point

    @property
    def grid_text(self) -> str:
        """The same in words."""
        return f"scale {self.scale:.6g}, zero point {self.zero_point}"


@dataclasses.dataclass(frozen=True)
class Operator:
    """An operator; absent optional inputs are None.

    Attributes:
      name: of its kind: CONV_2D, ..., or `CUSTOM:name`.
      number: "3", the third of the main subgraph, from 0; "3 of subgraph 1".
      layer: of ours, whose edge it writes: "layer stem"; empty when not known.
      subgraph: its number.
      dilation: of a convolution, rows and columns.
      activation: fused into it, by its name in the schema; "NONE" for none.
      options: the numbers of its options table, by their names in the schema; empty without one.
    """

    name: str
    number: str
    layer: str
    subgraph: int
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor | None, ...]
    dilation: tuple[int, int] = (1, 1)
    activation: str = "NONE"
    options: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def place(self) -> str:
        """Number and layer in words."""
        return f"operator {self.number}" + (f", {self.layer}" if self.layer else "")

    @property
    def tensors(self) -> list[Tensor]:
        """Inputs and outputs that are there."""
        return [tensor for tensor in (*self.inputs, *self.outputs) if tensor is not None]

    def input(self, index: int) -> Tensor | None:
        """An input, None when absent."""
        return self.inputs[index] if index < len(self.inputs) else None

    @property
    def output(self) -> Tensor | None:
        """The first output."""
        return self.outputs[0] if self.outputs else None


def operators(model: schema.ModelT, edges: EdgeFacts = ()) -> list[Operator]:
    """All operators of all subgraphs, in order. Raises whatever a damaged file provokes."""
    return [
        _operator(model, subgraph, index, edges)
        for subgraph, graph in enumerate(model.subgraphs)
        for index in range(len(graph.operators if graph.operators is not None else ()))
    ]


def border(model: schema.ModelT) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs and outputs of the main subgraph. Raises whatever a damaged file provokes."""
    graph = model.subgraphs[0]
    inputs, outputs = (
        [_tensor(model, graph, index) for index in ints(indices)]
        for indices in (graph.inputs, graph.outputs)
    )
    return inputs, outputs


def _operator(model: schema.ModelT, subgraph: int, index: int, edges: EdgeFacts) -> Operator:
    graph = model.subgraphs[subgraph]
    operator = graph.operators[index]

    def views(indices: Any) -> tuple[Tensor | None, ...]:
        indices = () if indices is None else indices
        return tuple(_tensor(model, graph, int(i)) if i >= 0 else None for i in indices)

    outputs = views(operator.outputs)
    return Operator(
        name=_short(flatbuffer.operator_name(model, operator)),
        number=f"{index} of subgraph {subgraph}" if subgraph else str(index),
        layer=_layer(outputs[0], edges) if outputs and outputs[0] else "",
        subgraph=subgraph,
        inputs=views(operator.inputs),
        outputs=outputs,
        dilation=_dilation(operator),
        activation=_activation(operator),
        options=_options(operator),
    )


def _dilation(operator: schema.OperatorT) -> tuple[int, int]:
    options = operator.builtinOptions
    factors = (getattr(options, f"dilation{axis}Factor", 1) for axis in "HW")
    return tuple(max(1, int(factor)) for factor in factors)  # type: ignore[return-value]


def _activation(operator: schema.OperatorT) -> str:
    number = getattr(operator.builtinOptions, "fusedActivationFunction", 0)
    names = {value: name for name, value in vars(schema.ActivationFunctionType).items()}
    return str(names.get(number, number))


def _options(operator: schema.OperatorT) -> dict[str, float]:
    options = operator.builtinOptions
    values = {} if options is None else vars(options)
    return {name: value for name, value in values.items() if isinstance(value, int | float)}


def _tensor(model: schema.ModelT, graph: schema.SubGraphT, index: int) -> Tensor:
    tensor = graph.tensors[index]
    quantization = tensor.quantization
    scales = [] if quantization is None or quantization.scale is None else quantization.scale
    zero_points = ints(quantization.zeroPoint) if quantization is not None else ()
    sizes = ints(tensor.shape)
    data = model.buffers[tensor.buffer].data
    is_input = index in ints(graph.inputs)
    resized = _open(ints(tensor.shapeSignature)[1:], 1)
    return Tensor(
        index=index,
        label=label(tensor, index),
        type=flatbuffer.type_name(tensor),
        shape=sizes,
        open_axes=_open(sizes) or (resized if is_input else ()),
        is_resized=bool(resized),
        scale=float(scales[0]) if len(scales) else None,
        zero_point=(*zero_points, 0)[0] if len(scales) else None,
        scale_count=len(scales),
        scales_differ=len({float(scale) for scale in scales}) > 1,
        scale_axis=0 if quantization is None else int(quantization.quantizedDimension),
        zero_points=zero_points,
        largest_code=_largest_code(flatbuffer.type_name(tensor), data),
        is_constant=data is not None and len(data) > 0,
        is_input=is_input,
    )


def _largest_code(kind: str, data: Any) -> int:
    width = {"INT32": 4, "INT64": 8}.get(kind, 0)
    if not width or data is None or len(data) == 0 or len(data) % width:
        return 0
    codes = np.ascontiguousarray(data, np.uint8).view(f"<i{width}")
    return max(-int(codes.min()), int(codes.max()))


def label(tensor: schema.TensorT, index: int) -> str:
    """Says "tensor" and its name, or its number where the file has no name for it."""
    return f"tensor {_short(flatbuffer.text(tensor.name)) or f'number {index}'}"


def ints(values: Any) -> tuple[int, ...]:
    """A vector of the file; empty where it has none."""
    return () if values is None else tuple(int(value) for value in values)


def _open(sizes: tuple[int, ...], first: int = 0) -> tuple[int, ...]:
    return tuple(first + axis for axis, size in enumerate(sizes) if size < 0)


def _layer(tensor: Tensor, edges: EdgeFacts) -> str:
    """Edges of that size and grid; where none has the grid, those of that size, as a guess.

    The exporter keeps no names of inner tensors, and skips a reshape that a dense layer needs not.
    """
    alike = [edge for edge in edges if math.prod(edge["shape"]) == math.prod(tensor.shape)]
    same = [
        edge["name"]
        for edge in alike
        if (edge["scale"], edge["zero_point"]) == (tensor.scale, tensor.zero_point)
    ]
    names = same or [edge["name"] for edge in alike]
    if not 0 < len(names) <= LAYERS_LIMIT:
        return ""
    return ("layer " if same else "perhaps layer ") + " or ".join(names)


def _short(name: str) -> str:
    name = printable(name)
    return name if len(name) <= LABEL_LIMIT else f"{name[:LABEL_LIMIT]}..."


def printable(text: str) -> str:
    """Strange characters of a file's strings as question marks."""
    return "".join(character if character.isprintable() else "?" for character in text)
