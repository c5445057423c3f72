"""Colour and shape of each precision and family: the same on the page and in the figures.

Colours are of Okabe and Ito's colour-blind safe palette (https://jfly.uni-koeln.de/color/), then of
Paul Tol's (https://personal.sron.nl/~pault/); shapes differ too, so that nothing depends on colour
alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Mark:
    """Colour as #rrggbb; shape as matplotlib's marker letter."""

    colour: str
    shape: str


_KNOWN: Mapping[str, Mark] = MappingProxyType(
    {
        "float": Mark("#767676", "o"),
        "ptq_w8a8": Mark("#E69F00", "v"),
        "fake_w8a8": Mark("#56B4E9", "s"),
        "w8a8": Mark("#0072B2", "o"),
        "w4a8": Mark("#D55E00", "^"),
        "w4a4": Mark("#CC79A7", "D"),
        "mixed": Mark("#117733", "X"),
        "w8a8_low_rank": Mark("#009E73", "P"),
    }
)
_COLOURS = (
    *("#009E73", "#D55E00", "#0072B2", "#CC79A7", "#E69F00", "#56B4E9"),
    *("#AA4499", "#999933", "#44AA99", "#88CCEE"),
)
_SHAPES = ("X", "s", "D", "^", "v", "P", "o")


def marks(names: Iterable[str]) -> dict[str, Mark]:
    """A mark per name, known precisions first in their usual order, the others by name."""
    present = set(names)
    found = {name: mark for name, mark in _KNOWN.items() if name in present}
    taken = {mark.colour for mark in found.values()}
    colours = [c for c in _COLOURS if c not in taken] + [c for c in _COLOURS if c in taken]
    for index, name in enumerate(sorted(present - set(_KNOWN))):
        found[name] = Mark(colours[index % len(colours)], _SHAPES[index % len(_SHAPES)])
    return found
