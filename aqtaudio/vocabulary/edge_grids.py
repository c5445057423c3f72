"""The codes of a layer's output edges: which there are, and their step."""

import dataclasses
from typing import Any, NamedTuple

import jax
from jax import lax

from aqtaudio.recipe import Rule
from aqtaudio.vocabulary.owner import Owner


@dataclasses.dataclass(frozen=True)
class EdgeGrid:
    """The codes of an output edge: real 0, and the clip; traced where its bits are."""

    zero_point: Any
    low: Any
    high: int
    bits: int

    @property
    def levels(self) -> Any:
        """Steps between zero and the largest magnitude."""
        return self.high - self.zero_point


class Bits(NamedTuple):
    """Of a layer: ints, or int32 [] that are traced."""

    weights: Any
    activations: Any


def bits_of(layer: Owner, rule: Rule) -> Bits:
    """What "bits" holds of a layer, else what its rule says."""
    if not layer.has_variable("bits", "weights"):
        return Bits(rule.weight_bits, rule.activation_bits)
    return Bits(*(layer.get_variable("bits", name) for name in Bits._fields))


def most_bits(bits: Any) -> int:
    """The bits of a tensor that holds codes: 8 where they are traced."""
    return bits if isinstance(bits, int) else 8


def edge_grid(relu: bool, bits: Any) -> EdgeGrid:
    """relu edges use the codes from zero up; signed ones are symmetric and have 8 or 16 bits."""
    if isinstance(bits, int) and bits == 16:
        return EdgeGrid(0, 0 if relu else -32768, 32767, 16)
    if not relu:
        return EdgeGrid(0, -128, 127, 8)
    zero_point = 128 - (1 << bits)
    return EdgeGrid(zero_point, zero_point, 127, most_bits(bits))


def edge_scale(layer: Owner, part: str) -> jax.Array:
    """The float32 step of an edge, as a constant: see `Quantized._step`."""
    if not layer.has_variable("ranges", part):
        raise ValueError(f"layer {layer.label}: no activation range; calibrate the model first")
    return lax.stop_gradient(layer.get_variable("ranges", part)["scale"])
