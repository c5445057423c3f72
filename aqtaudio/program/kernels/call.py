"""What a kernel is given: codes, the grids they live on, attributes, constants and an engine."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, get_args

import jax
import numpy as np

Target = Literal["micro", "litert"]
TARGETS: tuple[Target, ...] = get_args(Target)


class Grid(NamedTuple):
    """The real values of an edge's codes: (code - zero_point) * scale.

    `bits` 8 and 4 live in int8 tensors, 16 in int16 tensors (zero point 0).
    """

    scale: jax.Array | np.float32
    zero_point: int
    bits: int = 8

    @property
    def lowest(self) -> int:
        """Least code of the tensor's type."""
        return -32768 if self.bits == 16 else -128

    @property
    def highest(self) -> int:
        """Greatest code of the tensor's type."""
        return 32767 if self.bits == 16 else 127


@dataclasses.dataclass(frozen=True)
class Engine:
    """How kernels compute.

    Attributes:
      dot: exact dots of codes, `carrier_dot` or `integer_dot` of `kernels.weighted` or AQT's.
      target: whose arithmetic: TFLite Micro's, or LiteRT's default kernels (XNNPACK).
    """

    dot: Callable[..., list[jax.Array]]
    target: Target = "micro"


@dataclasses.dataclass(frozen=True)
class Call:
    """One operation on float32-carried codes [B, ...].

    `constants` holds what the program's table (`program.program.Operation`) lists for the kind, and
    what the kind's `prepare` made of it. `step` is the output's scale where it is trained: kernels
    give it a gradient, and take the grids' scales as constants.
    """

    kind: str
    codes: tuple[jax.Array, ...]
    inputs: tuple[Grid, ...]
    output: Grid
    attributes: Mapping[str, Any]
    constants: Mapping[str, Any]
    engine: Engine
    step: jax.Array | None = None

    @property
    def bounds(self) -> tuple[int, int]:
        """Codes that the output is clipped to: a fused activation, or the tensor's type."""
        lowest, highest = self.output.lowest, self.output.highest
        return self.attributes.get("low", lowest), self.attributes.get("high", highest)

    def with_codes(self, codes: tuple[jax.Array, ...]) -> "Call":
        """The same call on these codes."""
        return dataclasses.replace(self, codes=codes)

    @property
    def is_wide(self) -> bool:
        """int16 activations."""
        return self.output.bits == 16


def no_constants(call: Call) -> dict[str, Any]:
    """`prepare` of a kind that needs none."""
    return {}


@dataclasses.dataclass(frozen=True)
class Kind:
    """An operation of the vocabulary.

    Attributes:
      compute: exact integer arithmetic: codes of the output, float32, from a call.
      real: the function itself, on real values [B, ...] and the attributes; None where the layer
        has weights (`vocabulary.linear.Linear`).
      prepare: integer constants that follow from the grids (multipliers, tables), made once per
        trace; `compute` finds them in the call's constants. It may be traced.
      differentiable: `compute` has its own gradient; else gradients are those of `real`,
        straight-through.
      least_scale: the smallest output scale at which the target computes the function at all, from
        the grids of the inputs; None: any.
    """

    compute: Callable[[Call], jax.Array]
    real: Callable[[tuple[jax.Array, ...], Mapping[str, Any]], jax.Array] | None = None
    prepare: Callable[[Call], dict[str, Any]] = no_constants
    differentiable: bool = False
    least_scale: Callable[[tuple[Grid, ...]], jax.Array] | None = None
