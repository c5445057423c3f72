"""The best run of a study under a budget, as an artifact folder and in words."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aqtaudio.data.new_folder import new_folder
from aqtaudio.errors import BadInput
from aqtaudio.pipeline import export
from aqtaudio.run_directory import Run
from aqtaudio.study.budget import Candidate, Limits, choose
from aqtaudio.study.store import Store

TITLES = {
    "file_bytes": "flash",
    "arena_bytes": "arena",
    "macs": "MACs",
    "bitops": "bit-operations",
    "macs_per_second": "MACs per second",
}
"""Costs that are shown, and can be limited."""


def chosen(study: Path, limits: Limits) -> dict[str, Any]:
    """What the study has to offer under `limits`, as JSON; `best` is null where nothing fits."""
    rows = Store(study).rows()
    if not rows:
        raise BadInput(f"{Store(study).rows_path} has no rows: name the folder of a study")
    choice = choose(rows, limits)
    return {
        "study": str(study),
        "limits": dict(limits),
        "best": choice.best and _candidate(choice.best),
        "limited_by": choice.limited_by,
        "missed": choice.missed and _candidate(choice.missed),
        "artifact": None,
    }


def artifact(
    study: Path, best: Mapping[str, Any], out: Path | None, data_folder: Path | None
) -> Path:
    """The best as an artifact folder: a copy in `out`, or the study's own, made if it has none.

    data_folder: recordings for the golden vectors of one that is made.

    Raises:
      BadInput: `out` holds something, or there is nothing to make an artifact of.
    """
    kept, run = (study / kind / best["run_id"] for kind in ("artifacts", "work"))
    if kept.is_dir():
        if out is None:
            return kept
        with new_folder(out) as folder:
            shutil.copytree(kept, folder, dirs_exist_ok=True)
        return out
    if (run / "row.json").exists():
        return export(Run(run), out or kept, data_folder)
    raise BadInput(
        f"the best is {_described(best, {})[0]}; it cannot be exported: neither {kept} nor {run} "
        "is here, where the sweep left them"
    )


def in_words(value: Mapping[str, Any]) -> list[str]:
    """The lines that `choose` prints."""
    limits, best, missed = value["limits"], value["best"], value["missed"]
    lines = []
    if best is None:
        lines += ["nothing fits; nearest to the budget is", *_described(missed, {})]
        return [*lines, f"over the budget: {_excesses(missed, value)}"]
    lines += _described(best, limits)
    if missed is None:
        return [*lines, "limited by nothing: no other run is better"]
    limited = ", ".join(TITLES[axis] for axis in value["limited_by"])
    lines.append(f"limited by {limited}: better, but over the budget, is")
    lines += [f"  {line}" for line in _described(missed, limits)[:1]]
    return [*lines, f"  with {_excesses(missed, value)}"]


def _candidate(one: Candidate) -> dict[str, Any]:
    point = one.point
    return {
        "run_id": point.run_id,
        "name": point.name,
        "model": point.model,
        "precision": point.precision,
        "accuracy": point.quality,
        "spread": point.spread,
        "run_ids": list(point.run_ids),
        "costs": dict(one.costs),
        "share_of_budget": one.excess,
    }


def _described(one: Mapping[str, Any], limits: Limits) -> list[str]:
    spread = "" if one["spread"] is None else f" ± {100 * one['spread']:.2f}"
    seeds = f"{len(one['run_ids'])} seeds, " if len(one["run_ids"]) > 1 else ""
    head = f"{one['name']} ({one['model']} {one['precision']}, {seeds}run {one['run_id']})"
    costs = [
        f"{title} {_number(axis, one['costs'][axis])}"
        + (f" of {_number(axis, limits[axis])}" if axis in limits else "")
        for axis, title in TITLES.items()
        if axis in one["costs"]
    ]
    return [f"{head}: accuracy {100 * one['accuracy']:.2f} %{spread}", ", ".join(costs)]


def _excesses(one: Mapping[str, Any], value: Mapping[str, Any]) -> str:
    limits, costs = value["limits"], one["costs"]
    return ", ".join(
        f"{TITLES[axis]} {_number(axis, costs[axis])}, "
        f"{100 * (costs[axis] / limits[axis] - 1):.1f} % more than {_number(axis, limits[axis])}"
        for axis in value["limited_by"]
    )


def _number(axis: str, value: float) -> str:
    return f"{value:,.0f} B" if axis.endswith("_bytes") else f"{value:,.0f}"
