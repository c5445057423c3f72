"""How a keyword run stands what its recordings may go through (`data.conditions`).

A score at the levels of one corpus does not tell what becomes of it at others.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aqtaudio.data.conditions import conditions
from aqtaudio.tasks.keywords.task import Keywords
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.task import Network


def robustness(
    network: Network,
    task: Keywords,
    data: Any,
    items: Sequence[Any],
    setup: Setup,
    split: str,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Figures of `task.under` in every condition; noise is that of the data's split.

    Returns:
      {"n", "conditions": [{"kind", "value", "unit", "name", figures...}]}.
    """
    told = []
    for one in conditions(data.noises(split)):
        say(one.name)
        found = task.under(network, data, items, setup, one.change)
        told.append({"kind": one.kind, "value": one.value, "unit": one.unit} | found)
        told[-1]["name"] = one.name
    return {"n": len(items), "conditions": told}


def markdown(value: Mapping[str, Any]) -> str:
    """A table of what `robustness` returns, shares in per cent."""
    rows = value["conditions"]
    names = list(dict.fromkeys(name for row in rows for name in row["figures"]))
    head = ["", *names]
    body = [
        [row["name"], *(_told(name, row["figures"].get(name)) for name in names)] for row in rows
    ]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *body)]
    return "\n".join([lines[0], f"| --- |{' ---: |' * len(names)}", *lines[1:]]) + "\n"


def _told(name: str, figure: float | None) -> str:
    if figure is None:
        return "-"
    return f"{figure:.1f}" if name.endswith("per hour") else f"{100 * figure:.1f}"
