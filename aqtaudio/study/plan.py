"""From a study to the runs it needs: resolved, named by hash, parents first, each once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from aqtaudio.study.space import Study, describe

Overlay = Callable[[object, Mapping[str, object]], object]
Identity = Callable[[Any], Mapping[str, object]]


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study.

    run_id: hash of what changes its numbers.
    name: for people; from the delta, or the settings written out.
    delta: what the sweep file said, without names; `init_from` holds the parent's delta.
    overrides: the delta without a parent, as handed to the experiment's overlay.
    experiment: the study's experiment with `overrides` applied.
    parent: run id of the run it starts from.
    """

    run_id: str
    name: str
    delta: Mapping[str, object]
    overrides: Mapping[str, object]
    experiment: object
    parent: str | None


def plan(study: Study, overlay: Overlay, identity: Identity) -> list[PlannedRun]:
    """Every run of the study and every parent, once each, parents before their children.

    overlay: experiment and overrides -> experiment; raises BadInput for an unknown path.
    identity: experiment -> JSON-like dict of everything that changes the run's numbers.
    """
    runs: dict[str, PlannedRun] = {}

    def add(delta: Mapping[str, object]) -> str:
        overrides = {path: value for path, value in delta.items() if path != "name"}
        parent = None
        if isinstance(delta.get("init_from"), Mapping):
            parent = add(overrides.pop("init_from"))  # type: ignore[arg-type]
        experiment = overlay(study.experiment, overrides)
        key = run_id(identity(experiment), parent)
        given = str(delta.get("name", ""))
        if key not in runs:
            name = given or describe(overrides)
            runs[key] = PlannedRun(key, name, _unnamed(delta), overrides, experiment, parent)
        elif given:
            runs[key] = replace(runs[key], name=given)
        return key

    for delta in study.runs:
        add(delta)
    return list(runs.values())


def run_id(identity: Mapping[str, object], parent: str | None = None) -> str:
    """12 hex digits of the SHA-256 of the canonical JSON, with a parent's id as its init_from."""
    resolved = dict(identity) if parent is None else {**identity, "init_from": parent}
    text = json.dumps(_canonical(resolved), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def plain(value: object) -> object:
    """`value` as JSON can hold it; other objects by their repr on one line."""
    return json.loads(json.dumps(value, default=lambda other: " ".join(repr(other).split())))


def _canonical(value: object) -> object:
    """One spelling per number: 8 and 8.0 train the same model."""
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _unnamed(delta: Mapping[str, object]) -> dict[str, object]:
    return {
        path: _unnamed(value) if path == "init_from" and isinstance(value, Mapping) else value
        for path, value in delta.items()
        if path != "name"
    }
