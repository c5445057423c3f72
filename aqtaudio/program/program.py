"""A program: the explicit list of integer operations that a quantized model is.

It is recorded from a model (`vocabulary.recording`), executed in JAX (`program.execute`), costed
(`program.cost`), converted to TFLite (`program.tflite`) and run in TFLite Micro (`program.micro`).

Shapes exclude the batch axis. Real value = (code - zero_point) * scale.
"""

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.files import write, write_arrays
from aqtaudio.program.kernels.call import Grid

FORMAT = 1
FRAME = re.compile(r"/t\d+$")
"""What the names of a frame's edges end in (`vocabulary.recurrent`)."""
SOURCES = ("constant", "read_state")
"""Kinds of operations without inputs."""


@dataclasses.dataclass(frozen=True)
class Edge:
    """A tensor between operations: int8 or int16 codes on one static per-tensor grid.

    Attributes:
      name: unique; the path of the layer that owns the edge.
      shape: without the batch axis.
      scale: float32 step, stored as a Python float that is exactly a float32.
      zero_point: code of the real value 0.
      bits: 8; 4 (study precision, lives in int8 tensors); 16 (int16 tensors, zero point 0).
    """

    name: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int
    bits: int = 8

    @property
    def dtype(self) -> np.dtype:
        """Of the codes."""
        return np.dtype(np.int16 if self.bits == 16 else np.int8)

    @property
    def bytes(self) -> int:
        """Of the tensor."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def grid(self) -> Grid:
        """The codes' real values."""
        return Grid(np.float32(self.scale), self.zero_point, self.bits)


@dataclasses.dataclass(frozen=True)
class Operation:
    """One integer operation.

    `attributes` are static (ints, strings, tuples, bools); `constants` are arrays.

    | kind | attributes | constants |
    |---|---|---|
    | constant | trained | codes [...]: an edge whose codes never change; no inputs |
    | read_state | state | codes [...] before the first block; no inputs |
    | write_state | state | (its output is its input, and the state at the next block) |
    | conv2d | strides, dilation, padding ("SAME", "VALID"), weight_bits, clip | weights HWIO |
    | depthwise_conv2d | the same | weights HWC, C = input channels * multiplier |
    | dense | weight_bits, clip | weights IO |
    | batch_matmul | transpose_a, transpose_b | |
    | add, sub, mul | clip | |
    | requantize, relu, hard_swish, elu, logistic, tanh, l2_norm, rsqrt | | |
    | leaky_relu | alpha | |
    | prelu | | (the second input is the slope) |
    | softmax | beta | |
    | average_pool, max_pool | window, strides (padding VALID), clip | |
    | mean, sum | axes (after the batch, from 0), keep | |
    | reshape | shape | |
    | transpose | permutation (after the batch, from 0) | |
    | slice | begin, end, strides, per axis after the batch; backwards: end -size - 1 | |
    | concat | axis | |
    | pad | widths, (before, after) per axis after the batch | |

    "clip" is `low` and `high`: the codes that the output is clipped to, a fused activation; and
    `most`, where real values end, if the last code is at most that.
    A grouped conv2d has `groups` too.

    Operations with weights also hold `weight_scale` float32 [C] (or [1]: per tensor) and `bias`
    int32 [C]. All hold the integers that TFLite Micro derives from the scales when it loads a model
    (`program.kernels`, "prepare"): the multipliers `mantissa` int32 (31 fractional bits) and
    `exponent` int32 of weighted operations [C], and what the other kinds need.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    constants: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Program:
    """Operations in execution order, over named edges.

    Attributes:
      loops: edges that gather the results of repetitions (`program.loops`).
    """

    edges: Mapping[str, Edge]
    operations: tuple[Operation, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    loops: tuple[str, ...] = ()

    @property
    def states(self) -> tuple[Operation, ...]:
        """What is remembered from one block of a stream to the next: what reads it."""
        return tuple(op for op in self.operations if op.kind == "read_state")

    @property
    def state_bytes(self) -> int:
        """RAM that the states take."""
        return sum(self.edges[op.output].bytes for op in self.states)

    def to_json(self) -> dict[str, Any]:
        """The structure without the arrays: what `program.json` shows.

        Of arrays that are equal one is kept; the others say under which name.
        """
        names: dict[Any, str] = {}

        def told(name: str, array: np.ndarray) -> dict[str, Any]:
            found = {"dtype": str(array.dtype), "shape": list(array.shape)}
            kept = names.setdefault((array.dtype.str, array.shape, array.tobytes()), name)
            return found if kept == name else found | {"kept": kept}

        return {
            "format": FORMAT,
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            **({"loops": list(self.loops)} if self.loops else {}),
            "edges": [dataclasses.asdict(edge) for edge in self.edges.values()],
            "operations": [
                {
                    "kind": op.kind,
                    "name": op.name,
                    "inputs": list(op.inputs),
                    "output": op.output,
                    "attributes": dict(op.attributes),
                    "constants": {
                        key: told(f"{index}/{key}", np.asarray(array))
                        for key, array in op.constants.items()
                    },
                }
                for index, op in enumerate(self.operations)
            ],
        }


def save(program: Program, path: Path) -> None:
    """Writes `path` (.npz: structure and arrays) and a readable `.json` beside it."""
    structure = program.to_json()
    arrays = {
        f"{index}/{key}": np.asarray(program.operations[index].constants[key])
        for index, op in enumerate(structure["operations"])
        for key, told in op["constants"].items()
        if "kept" not in told
    }
    text = json.dumps(structure, indent=1)
    found = np.frombuffer(text.encode(), np.uint8)
    write_arrays(path, {"structure": found, **arrays})
    write(path.with_suffix(".json"), text + "\n")


def load(path: Path) -> Program:
    """Reads what `save` wrote. Raises BadInput for a missing, broken or foreign file."""
    if not path.is_file():
        raise BadInput(f"{path}: no such program; train or export a run first")
    try:
        with np.load(path, allow_pickle=False) as archive:
            structure = json.loads(archive["structure"].tobytes().decode())
            arrays = {key: archive[key] for key in archive.files if key != "structure"}
        if structure["format"] != FORMAT:
            raise BadInput(f"{path}: program format {structure['format']}, expected {FORMAT}")
        return _from_json(structure, arrays)
    except BadInput:
        raise
    except Exception as error:  # noqa: BLE001 - zip, zlib, npy and JSON raise many kinds
        raise BadInput(f"{path}: not a readable program ({error})") from error


def _from_json(structure: dict[str, Any], arrays: dict[str, np.ndarray]) -> Program:
    def frozen(value: Any) -> Any:
        return tuple(frozen(item) for item in value) if isinstance(value, list) else value

    edges = {
        e["name"]: Edge(e["name"], tuple(e["shape"]), e["scale"], e["zero_point"], e["bits"])
        for e in structure["edges"]
    }
    operations = tuple(
        Operation(
            kind=op["kind"],
            name=op["name"],
            inputs=tuple(op["inputs"]),
            output=op["output"],
            attributes={key: frozen(value) for key, value in op["attributes"].items()},
            constants={
                key: arrays[told.get("kept", f"{index}/{key}")]
                for key, told in op["constants"].items()
            },
        )
        for index, op in enumerate(structure["operations"])
    )
    names = (tuple(structure.get(key, ())) for key in ("inputs", "outputs", "loops"))
    return Program(edges, operations, *names)
