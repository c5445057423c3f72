"""Bits and ranks per layer, where rows have them: `bits` {layer: [weights, activations]}, ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aqtaudio.study.measures import Row


@dataclass(frozen=True)
class LayerFacts:
    """What is known of one layer of a run."""

    weight_bits: int | None = None
    activation_bits: int | None = None
    rank: int | None = None

    @property
    def text(self) -> str:
        """`8/4`, `4/8 r16`, `r16`."""
        bits = [str(n) for n in (self.weight_bits, self.activation_bits) if n is not None]
        rank = [] if self.rank is None else [f"r{self.rank}"]
        return " ".join([*(["/".join(bits)] if bits else []), *rank])


def layers_of(row: Row) -> dict[str, LayerFacts]:
    """Layer -> facts, in the row's order; empty where the row has none."""
    bits, ranks = (row.get(key) for key in ("bits", "ranks"))
    bits = bits if isinstance(bits, Mapping) else {}
    ranks = ranks if isinstance(ranks, Mapping) else {}
    found = {}
    for layer in dict.fromkeys([*bits, *ranks]):
        weights, activations = _pair(bits.get(layer))
        found[str(layer)] = LayerFacts(weights, activations, _whole(ranks.get(layer)))
    return {layer: facts for layer, facts in found.items() if facts != LayerFacts()}


def layer_lines(rows: Sequence[Row]) -> list[dict[str, object]]:
    """A line of a CSV per run and layer."""
    return [
        {
            "run_id": row.get("run_id"),
            "name": row.get("name"),
            "model": row.get("model"),
            "precision": row.get("precision"),
            "layer": layer,
            "weight_bits": facts.weight_bits,
            "activation_bits": facts.activation_bits,
            "rank": facts.rank,
        }
        for row in rows
        for layer, facts in layers_of(row).items()
    ]


def _pair(value: object) -> tuple[int | None, int | None]:
    if isinstance(value, list | tuple) and len(value) == 2:
        return _whole(value[0]), _whole(value[1])
    return None, None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
