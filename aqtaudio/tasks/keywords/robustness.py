"""How a keyword run stands what its recordings may go through (`data.conditions`).

A score at the levels of one corpus does not tell what becomes of it at others.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from aqtaudio.data.conditions import Change, conditions


def robustness(
    under: Callable[[Change], Mapping[str, Any]],
    noises: Sequence[np.ndarray],
    say: Callable[[str], None] = lambda text: None,
) -> list[dict[str, Any]]:
    """Figures in every condition. `under`: those of one change (`Keywords.under`).

    Returns:
      [{"kind", "value", "unit", "name", figures...}].
    """
    told = []
    for one in conditions(noises):
        say(one.name)
        named = {"kind": one.kind, "value": one.value, "unit": one.unit, "name": one.name}
        told.append(named | dict(under(one.change)))
    return told


def markdown(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The lines of a table of what `robustness` returns, shares in per cent."""
    names = list(dict.fromkeys(name for row in rows for name in row["figures"]))
    head = ["", *names]
    body = [
        [row["name"], *(_told(name, row["figures"].get(name)) for name in names)] for row in rows
    ]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *body)]
    return [lines[0], f"| --- |{' ---: |' * len(names)}", *lines[1:]]


def _told(name: str, figure: float | None) -> str:
    if figure is None:
        return "-"
    return f"{figure:.1f}" if name.endswith("per hour") else f"{100 * figure:.1f}"
