"""Colour and shape of each precision: the same on the page and in the figures.

Colours are of Okabe and Ito's colour-blind safe palette (https://jfly.uni-koeln.de/color/); shapes
differ too, so that nothing depends on colour alone.
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
        "w8a8_low_rank": Mark("#009E73", "P"),
    }
)
_COLOURS = ("#009E73", "#D55E00", "#0072B2", "#CC79A7", "#E69F00", "#56B4E9")
_SHAPES = ("X", "s", "D", "^", "v", "P", "o")


def marks(precisions: Iterable[str]) -> dict[str, Mark]:
    """A mark per precision, known ones first in their usual order, the others by name."""
    present = set(precisions)
    found = {precision: mark for precision, mark in _KNOWN.items() if precision in present}
    for index, precision in enumerate(sorted(present - set(_KNOWN))):
        colour, shape = _COLOURS[index % len(_COLOURS)], _SHAPES[index % len(_SHAPES)]
        found[precision] = Mark(colour, shape)
    return found
