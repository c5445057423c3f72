"""What a program becomes for a GPU, on a machine without one: it is traced and lowered, no more."""

import dataclasses
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax._src.lib.mlir import ir

PLATFORM = "cuda"
OF_GPUS = {"cu_threefry2x32_ffi"}
"""Custom calls that jaxlib has for GPUs: random bits."""
_ARRAY = re.compile(r"tensor<((?:\d+x)*)([a-z]+\d*\w*(?:<\w+>)?)>")


@dataclasses.dataclass(frozen=True)
class Array:
    """Shape and type, as "f64" or "ui8"."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True)
class Operation:
    """Of StableHLO.

    Attributes:
      name: without the dialect.
      operands, results: what goes in and comes out.
      target: of a custom call.
      precision: of a product, of each operand: "DEFAULT" or "HIGHEST".
    """

    name: str
    operands: tuple[Array, ...]
    results: tuple[Array, ...]
    target: str
    precision: tuple[str, ...]


def lowered(function: Callable, *arguments: Any) -> list[Operation]:
    """The operations of a function of arrays, or of shapes, as a GPU would be given them."""
    jitted = function if hasattr(function, "trace") else jax.jit(function)
    on_gpu = jitted.trace(*arguments).lower(lowering_platforms=(PLATFORM,))
    found: list[Operation] = []

    def visit(op: Any) -> Any:
        if op.name.startswith(("stablehlo.", "chlo.")):
            found.append(_operation(op))
        return ir.WalkResult.ADVANCE

    on_gpu.compiler_ir("stablehlo").operation.walk(visit)
    return found


def _operation(op: Any) -> Operation:
    attributes = op.attributes
    target = str(attributes["call_target_name"]).strip('"') if "custom_call" in op.name else ""
    told = str(attributes["precision_config"]) if "precision_config" in attributes else ""
    return Operation(
        op.name.split(".", 1)[1],
        tuple(_arrays(op.operands)),
        tuple(_arrays(op.results)),
        target,
        tuple(re.findall("DEFAULT|HIGHEST|HIGH", told)),
    )


def _arrays(values: Any) -> Iterator[Array]:
    for value in values:
        if match := _ARRAY.search(str(value.type)):
            shape = tuple(int(size) for size in match[1].split("x")[:-1])
            yield Array(shape, match[2])


def require_of_gpus(operations: list[Operation], more: set[str] = frozenset()) -> None:  # pyright: ignore
    """Nothing that only a processor has, and no scatter of 64 bits, which a GPU does in turn."""
    assert len(operations) > 3
    calls = {op.target for op in operations if op.target}
    assert calls <= OF_GPUS | more, calls
    scattered = [op for op in operations if op.name == "scatter"]
    assert not [op for op in scattered if any("64" in array.dtype for array in op.operands)]


def largest_double(operations: list[Operation]) -> int:
    """Values of the largest float64 array."""
    arrays = (array for op in operations for array in op.results)
    return max((array.size for array in arrays if "f64" in array.dtype), default=0)


def products(operations: list[Operation], dtype: str) -> list[Operation]:
    """Products of matrices whose operands have this type."""
    found = [op for op in operations if op.name in ("dot_general", "convolution")]
    return [op for op in found if {array.dtype for array in op.operands} == {dtype}]


def rounded(operations: list[Operation]) -> list[Operation]:
    """float32 products whose operands a GPU rounds to fewer bits."""
    return [op for op in products(operations, "f32") if set(op.precision) != {"HIGHEST"}]


def like(shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
    """An array that is not there."""
    return jax.ShapeDtypeStruct(shape, dtype)


@pytest.fixture
def on_gpu(monkeypatch) -> None:
    """What the project chooses by the default device, it chooses as on a GPU.

    What is compiled once per process must not be called: others would be given it.
    """
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
