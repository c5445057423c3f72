"""One operation three ways: by the package's kernel, by `rules`, and as a file for the runtimes."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import rules
import shared_child
from one_operator import Tensor, one_operator

from aqtaudio.program import kernels
from aqtaudio.program.compiler import compiled
from aqtaudio.program.flatbuffer import schema
from aqtaudio.program.kernels.call import Engine, Grid, Target
from aqtaudio.program.kernels.weighted import carrier_dot

OPERATORS = {"requantize": "QUANTIZE"}
TABLES = {
    "add": "AddOptions",
    "sub": "SubOptions",
    "mul": "MulOptions",
    "requantize": "QuantizeOptions",
    "leaky_relu": "LeakyReluOptions",
    "batch_matmul": "BatchMatMulOptions",
    "mean": "ReducerOptions",
    "sum": "ReducerOptions",
    "average_pool": "Pool2DOptions",
    "max_pool": "Pool2DOptions",
}


@dataclasses.dataclass(frozen=True)
class Operation:
    """An operation on inputs of `shapes`, which exclude the batch.

    `activation` is a fused one: "NONE", "RELU" or "RELU6".
    """

    kind: str
    shapes: tuple[tuple[int, ...], ...]
    inputs: tuple[Grid, ...]
    output: Grid
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    activation: str = "NONE"

    @property
    def attributes_and_clip(self) -> dict[str, Any]:
        """With the codes that the activation is clipped to."""
        grid, clip = self.output, {}
        if self.activation != "NONE":
            clip["low"] = max(grid.lowest, grid.zero_point)
        if self.activation == "RELU6":
            clip["high"] = min(grid.highest, grid.zero_point + int(np.floor(6 / grid.scale + 0.5)))
        return {**self.attributes, **clip}

    def random_codes(self, rng: np.random.Generator, batch: int) -> list[np.ndarray]:
        """Uniform codes [batch, ...] of every input."""
        return [
            rng.integers(grid.lowest, grid.highest + 1, (batch, *shape)).astype(dtype_of(grid))
            for shape, grid in zip(self.shapes, self.inputs, strict=True)
        ]

    def real(self, values: list[jax.Array]) -> jax.Array:
        """The float function."""
        real = kernels.KINDS[self.kind].real
        assert real is not None
        return real(tuple(values), self.attributes)

    def kernel(self, codes: list[jax.Array], target: Target = "micro", dot=carrier_dot):
        """The package's kernel on float32-carried codes."""
        engine = Engine(dot, target)
        attributes = self.attributes_and_clip
        call = kernels.call_of(
            self.kind, tuple(codes), self.inputs, self.output, attributes, {}, engine
        )
        return kernels.run(call)

    def ours(self, codes: list[np.ndarray], target: Target = "micro", dot=carrier_dot):
        """What the package's kernel computes, compiled, as int64."""
        function = compiled(lambda *codes: self.kernel(list(codes), target, dot))
        found = function(*(x.astype(np.float32) for x in codes))
        assert found.dtype == jnp.float32
        return np.asarray(found).astype(np.int64)

    def ruled(self, codes: list[np.ndarray], target: Target = "micro") -> np.ndarray:
        """What `rules` says."""
        return rules.run(
            self.kind, codes, list(self.inputs), self.output, self.attributes_and_clip, target
        )

    def runtime(self, codes: list[np.ndarray], target: Target = "micro") -> np.ndarray:
        """What the target's own runtime computes."""
        return shared_child.invoke(target, self.file(), *codes).astype(np.int64)

    def file(self) -> bytes:
        """A TFLite file of this operation."""
        inputs = [
            Tensor((1, *shape), dtype_of(grid), float(grid.scale), grid.zero_point)
            for shape, grid in zip(self.shapes, self.inputs, strict=True)
        ]
        if "axes" in self.attributes:
            axes = np.int32(self.attributes["axes"]) + 1
            inputs.append(Tensor(axes.shape, "int32", data=axes))
        zeros = [jax.ShapeDtypeStruct((1, *shape), jnp.float32) for shape in self.shapes]
        shape = jax.eval_shape(lambda *values: self.real(list(values)), *zeros).shape
        grid = self.output
        output = Tensor(shape, dtype_of(grid), float(grid.scale), grid.zero_point)
        name = OPERATORS.get(self.kind, self.kind.upper())
        name = {"AVERAGE_POOL": "AVERAGE_POOL_2D", "MAX_POOL": "MAX_POOL_2D"}.get(name, name)
        table = TABLES.get(self.kind)
        return one_operator(name, inputs, output, self._options() if table else None, table)

    def _options(self) -> dict[str, Any]:
        attributes = self.attributes
        options: dict[str, Any] = {}
        if self.activation != "NONE":
            function = getattr(schema.ActivationFunctionType, self.activation)
            options["fusedActivationFunction"] = function
        if self.kind in ("add", "sub"):
            # Else LiteRT reads int16 scales that are powers of two by an older rule.
            options["potScaleInt16"] = False
        if "alpha" in attributes:
            options["alpha"] = attributes["alpha"]
        if "keep" in attributes:
            options["keepDims"] = attributes["keep"]
        if "transpose_a" in attributes:
            options |= {"adjX": attributes["transpose_a"], "adjY": attributes["transpose_b"]}
        if "window" in attributes:
            height, width = attributes["window"]
            stride_h, stride_w = attributes["strides"]
            options |= {"filterHeight": height, "filterWidth": width}
            options |= {"strideH": stride_h, "strideW": stride_w}
            options["padding"] = schema.Padding.VALID
        return options


def dtype_of(grid: Grid) -> str:
    """Of an edge's tensor."""
    return "int16" if grid.bits == 16 else "int8"


def random_grid(rng: np.random.Generator, bits: int = 8, ties: bool = False) -> Grid:
    """Scale 2**-9 to 2, any zero point; int16 grids start lower and have zero point 0.

    `ties`: scales are powers of two, so that many results lie half-way between two codes.
    """
    low, high = (-17, -6) if bits == 16 else (-9, 1)
    exponent = rng.uniform(low, high)
    scale = np.float32(np.exp2(round(exponent) if ties else exponent))
    return Grid(scale, 0 if bits == 16 else int(rng.integers(-128, 128)), bits)


def random_operation(
    kind: str,
    rng: np.random.Generator,
    shapes: tuple[tuple[int, ...], ...],
    bits: tuple[int, int] = (8, 8),
    attributes: Mapping[str, Any] | None = None,
    ties: bool = False,
    spread: float = 4,
) -> Operation:
    """Random grids; the output's scale is 2**-spread to 2**spread times the natural one.

    Args:
      kind: of the operation.
      rng: source of the grids.
      shapes: of the inputs, without the batch.
      bits: of the inputs and of the output.
      attributes: of the operation.
      ties: see `random_grid`.
      spread: in powers of two.
    """
    attributes = attributes or {}
    inputs = [random_grid(rng, bits[0], ties) for _ in shapes]
    if kind == "prelu" and bits[0] == 16:  # its slope is int8
        inputs[1] = random_grid(rng, 8, ties)._replace(zero_point=0)
    first, last = float(inputs[0].scale), float(inputs[-1].scale)
    levels = [128, 32768][bits[0] == 16]
    if kind in ("add", "sub"):
        natural = first + last
    elif kind == "mul":
        natural = first * last * levels
    elif kind == "batch_matmul":
        natural = first * last * levels * 3
    elif kind == "sum":
        natural = first * math.sqrt(math.prod(shapes[0][i] for i in attributes["axes"]))
    else:
        natural = first * 2.0 ** (bits[0] - bits[1])
    exponent = math.log2(natural) + rng.uniform(-spread, spread)
    scale = np.float32(2.0 ** (round(exponent) if ties else exponent))
    output = random_grid(rng, bits[1])._replace(scale=scale)
    activation = "NONE"
    if kind in ("add", "sub", "mul"):
        activation = str(rng.choice(["NONE", "RELU", "RELU6"]))
    return Operation(kind, shapes, tuple(inputs), output, attributes, activation)


def all_codes(operation: Operation, rng: np.random.Generator) -> list[np.ndarray]:
    """Every code of one int8 input, every pair of two, every code of each int16 input: batch 1."""
    if all(grid.bits == 8 for grid in operation.inputs):
        codes = np.arange(-128, 128, dtype=np.int8)
        mesh = np.meshgrid(*[codes] * len(operation.inputs))
    else:
        mesh = [rng.permutation(65536) - 32768 for _ in operation.inputs]
    return [
        x.reshape(1, *shape).astype(dtype_of(grid))
        if grid.bits == 16 or x.dtype == np.int8
        else (x // 256).reshape(1, *shape).astype(np.int8)
        for x, shape, grid in zip(mesh, operation.shapes, operation.inputs, strict=True)
    ]


def check(operation: Operation, codes: list[np.ndarray], target: Target, dot=carrier_dot) -> int:
    """Asserts that kernel, rule and runtime agree in every code; returns how many there are."""
    found = operation.runtime(codes, target)
    for name, codes_of in (("rule", operation.ruled), ("kernel", operation.ours)):
        wrong = np.flatnonzero(codes_of(codes, target) != found)
        assert not wrong.size, f"{name}: {wrong.size} of {found.size}, {operation}"
    return found.size
