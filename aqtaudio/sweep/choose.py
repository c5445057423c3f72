"""The best run of a study under a budget, as an artifact folder and in words."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aqtaudio.errors import BadInput
from aqtaudio.study.budget import Candidate, Limits, choose
from aqtaudio.study.headlines import headlines, main_metric, written
from aqtaudio.study.store import Store

TITLES = {
    "file_bytes": "flash",
    "arena_bytes": "arena",
    "macs": "MACs",
    "bitops": "bit-operations",
    "macs_per_second": "MACs per second",
}
"""Costs that are shown, and can be limited."""


def chosen(study: Path, limits: Limits, metric: str | None = None) -> dict[str, Any]:
    """What the study has to offer under `limits`, as JSON; `best` is null where nothing fits.

    metric: the quality; default: the study's main one. A candidate has it under its own name and
    as `metric`, `quality`, `interval` where it is known, and `beside`, what is told with it.
    """
    rows = Store(study).rows()
    if not rows:
        raise BadInput(f"{Store(study).rows_path} has no rows: name the folder of a study")
    metric = metric or main_metric(rows)
    choice = choose(rows, limits, metric)
    return {
        "titles": dict(headlines(rows).titles),
        "study": str(study),
        "limits": dict(limits),
        "best": choice.best and _candidate(choice.best, metric),
        "limited_by": choice.limited_by,
        "missed": choice.missed and _candidate(choice.missed, metric),
        "artifact": None,
    }


def artifact(
    study: Path, best: Mapping[str, Any], out: Path | None, folders: Sequence[Path]
) -> Path:
    """The best as a bundle in `out`, or as the study's artifact, which is made if it has none.

    folders: recordings for the golden vectors of one that is made.

    Raises:
      BadInput: `out` holds something, or there is nothing to make an artifact of.
    """
    kept, run = (study / kind / best["run_id"] for kind in ("artifacts", "work"))
    if kept.is_dir() and out is None:
        return kept
    from aqtaudio.runs.export import export, keep  # heavy: JAX
    from aqtaudio.runs.run import Run

    if kept.is_dir() and out is not None:
        return export(Run(kept), out, folders)
    if (run / "row.json").exists():
        return keep(Run(run), study, folders) if out is None else export(Run(run), out, folders)
    raise BadInput(
        f"the best is {_described(best, {}, {})[0]}; it cannot be exported: neither {kept} nor "
        f"{run} is here, where the sweep left them"
    )


def in_words(value: Mapping[str, Any]) -> list[str]:
    """The lines that `choose` prints."""
    limits, best, missed = value["limits"], value["best"], value["missed"]
    titles = value["titles"]
    lines = []
    if best is None:
        lines += ["nothing fits; nearest to the budget is", *_described(missed, {}, titles)]
        return [*lines, f"over the budget: {_excesses(missed, value)}"]
    lines += _described(best, limits, titles)
    if missed is None:
        return [*lines, "limited by nothing: no other run is better"]
    limited = ", ".join(TITLES[axis] for axis in value["limited_by"])
    lines.append(f"limited by {limited}: better, but over the budget, is")
    lines += [f"  {line}" for line in _described(missed, limits, titles)[:1]]
    return [*lines, f"  with {_excesses(missed, value)}"]


def _candidate(one: Candidate, metric: str) -> dict[str, Any]:
    point = one.point
    quality: dict[str, Any] = {metric: point.quality, "metric": metric, "quality": point.quality}
    if point.interval is not None:
        quality["interval"] = list(point.interval)
    return {
        "run_id": point.run_id,
        "name": point.name,
        "model": point.model,
        "precision": point.precision,
        **quality,
        "beside": dict(point.beside),
        "spread": point.spread,
        "run_ids": list(point.run_ids),
        "costs": dict(one.costs),
        "share_of_budget": one.excess,
    }


def _described(one: Mapping[str, Any], limits: Limits, titles: Mapping[str, str]) -> list[str]:
    metric = one["metric"]
    quality = written(metric, one["quality"], one["spread"], one.get("interval"))
    seeds = f"{len(one['run_ids'])} seeds, " if len(one["run_ids"]) > 1 else ""
    head = f"{one['name']} ({one['model']} {one['precision']}, {seeds}run {one['run_id']})"
    costs = [
        f"{title} {_number(axis, one['costs'][axis])}"
        + (f" of {_number(axis, limits[axis])}" if axis in limits else "")
        for axis, title in TITLES.items()
        if axis in one["costs"]
    ]
    told = [f"{titles.get(metric, metric)} {quality}"]
    told += [f"{titles.get(key, key)} {written(key, x)}" for key, x in one["beside"].items()]
    return [f"{head}: {'; '.join(told)}", ", ".join(costs)]


def _excesses(one: Mapping[str, Any], value: Mapping[str, Any]) -> str:
    limits, costs = value["limits"], one["costs"]
    return ", ".join(
        f"{TITLES[axis]} {_number(axis, costs[axis])}, "
        f"{100 * (costs[axis] / limits[axis] - 1):.1f} % more than {_number(axis, limits[axis])}"
        for axis in value["limited_by"]
    )


def _number(axis: str, value: float) -> str:
    return f"{value:,.0f} B" if axis.endswith("_bytes") else f"{value:,.0f}"
