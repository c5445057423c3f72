"""Search spaces: a sweep is a list of config deltas, built with a few pure functions.

A delta maps dotted config paths to values, `{"model.width": 48, "seed": 1}`. Two keys are special:
`"init_from"` may hold another delta, the parent run whose result this run starts from, and `"name"`
is a label for people that does not change the run. A sweep file defines

    STUDY = Study("bits", experiment, product(param("model.width", 32, 64), param("seed", 0, 1)))

or a `Search`, whose deltas a sampler proposes (`study.search`).
"""

from __future__ import annotations

import itertools
import re
import runpy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aqtaudio.errors import BadInput

Delta = dict[str, object]
SAMPLERS = ("nsga2", "tpe")


@dataclass(frozen=True)
class Study:
    """A named list of runs, each a delta on one experiment; `name` is a folder in `results/`."""

    name: str
    experiment: object
    runs: Sequence[Mapping[str, object]]

    def __post_init__(self):
        _require_name(self.name)
        if not self.runs:
            raise BadInput(f"study {self.name!r} has no runs: give at least one, {{}} will do")


@dataclass(frozen=True)
class Search:
    """A study whose runs a sampler proposes, for quality up and costs down at once.

    A trial chooses a value for every variable of the space; `runs` makes deltas of the choice.

    space: variable -> the values that it may have, of any type.
    runs: {variable: value} -> the delta of the trial's run, or a list of several (seeds, say),
      whose mean figures are then the trial's.
    metric: of the served model, to bring up; default: the first that the task names.
    costs: one or more of `pareto.COSTS`, to bring down.
    trials: how many. A choice that is proposed again counts again and is not run again.
    generation: trials that are proposed together, so that they can run together; the population
      of NSGA-II.
    first: trials to begin with, as {variable: value}; the ends of the space, say.
    grid: deltas of runs that are wanted in any case; they are made before the search.
    sampler: "nsga2" or "tpe". seed: of its draws.
    label: of this search, where a study has several: they share its rows.
    """

    name: str
    experiment: object
    space: Mapping[str, Sequence[object]]
    runs: Callable[[dict[str, object]], Mapping[str, object] | Sequence[Mapping[str, object]]]
    metric: str | None = None
    costs: Sequence[str] = ("bitops",)
    trials: int = 128
    generation: int = 16
    first: Sequence[Mapping[str, object]] = ()
    grid: Sequence[Mapping[str, object]] = ()
    sampler: str = "nsga2"
    seed: int = 0
    label: str = "search"

    def __post_init__(self):
        _require_name(self.name)
        _require_name(self.label)
        if not self.space or not all(self.space.values()):
            raise BadInput(f"search {self.name!r}: a space needs variables, and each has values")
        if not self.costs:
            raise BadInput(f"search {self.name!r} has no costs: give at least one")
        if self.generation < 2 or self.trials < self.generation:
            raise BadInput(
                f"search {self.name!r}: generation is {self.generation} and trials "
                f"{self.trials}; allowed: 2 <= generation <= trials"
            )
        if self.sampler not in SAMPLERS:
            allowed = ", ".join(SAMPLERS)
            raise BadInput(f"search sampler is {self.sampler!r}; allowed: {allowed}")
        for trial in self.first:
            self._require_in_space(trial)

    def _require_in_space(self, trial: Mapping[str, object]) -> None:
        if set(trial) != set(self.space):
            raise BadInput(
                f"search {self.name!r}: a first trial sets {', '.join(trial)}; the variables are "
                f"{', '.join(self.space)}"
            )
        for variable, value in trial.items():
            if value not in self.space[variable]:
                allowed = ", ".join(map(repr, self.space[variable]))
                raise BadInput(
                    f"search {self.name!r}: {variable} is {value!r} in a first trial; "
                    f"allowed: {allowed}"
                )


def param(path: str, *values: object) -> list[Delta]:
    """One delta per value of the setting at `path`."""
    if not values:
        raise BadInput(f"param {path!r} has no values: give at least one")
    return [{path: value} for value in values]


def product(*spaces: Sequence[Mapping[str, object]]) -> list[Delta]:
    """Every combination, the last space varying fastest; a path may be set by one space only.

    Names are joined: `w32` x `w8a8` is `w32 w8a8`.
    """
    return [_merged(deltas) for deltas in itertools.product(*spaces)]


def zipped(*spaces: Sequence[Mapping[str, object]]) -> list[Delta]:
    """The first deltas together, then the second ones, and so on; all spaces equally long."""
    lengths = [len(space) for space in spaces]
    if len(set(lengths)) > 1:
        raise BadInput(f"zipped spaces have {lengths} deltas: they must have equally many")
    return [_merged(deltas) for deltas in zip(*spaces, strict=True)]


def chain(*spaces: Sequence[Mapping[str, object]]) -> list[Delta]:
    """All deltas of the first space, then all of the second, and so on."""
    return [dict(delta) for space in spaces for delta in space]


def finetuned(
    parents: Sequence[Mapping[str, object]], changes: Sequence[Mapping[str, object]]
) -> list[Delta]:
    """Every change on every parent: the parent's own settings, changed, started from its result.

    Unlike in `product`, a change may set a path that the parent sets too (say fewer steps). Where
    either has a name, the run's name says both.
    """
    return [_child(parent, change) for parent in parents for change in changes]


def describe(delta: Mapping[str, object]) -> str:
    """The settings of a delta in one short line: `width=48 seed=1`."""
    settings = [(path, value) for path, value in delta.items() if path not in ("name", "init_from")]
    parts = [f"{path.rsplit('.', 1)[-1]}={_short(value)}" for path, value in settings]
    return " ".join(parts) or "base"


def load_study(path: Path) -> Study | Search:
    """The `STUDY` that a sweep file defines."""
    if not Path(path).is_file():
        raise BadInput(f"no sweep file {path}")
    try:
        found = runpy.run_path(str(path)).get("STUDY")
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(f"{path}: {type(error).__name__}: {error}") from error
    if not isinstance(found, Study | Search):
        raise BadInput(f"{path} must define STUDY = Study(name, experiment, runs), or a Search")
    return found


def _require_name(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise BadInput(f"study name {name!r}: letters, digits, '_' and '-' are allowed")


def _child(parent: Mapping[str, object], change: Mapping[str, object]) -> Delta:
    child: Delta = {**parent, **change, "init_from": dict(parent)}
    if "name" in child:
        child["name"] = " ".join(str(one.get("name", describe(one))) for one in (parent, change))
    return child


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 32 else f"{text[:31]}…"


def _merged(deltas: Sequence[Mapping[str, object]]) -> Delta:
    merged: Delta = {}
    for delta in deltas:
        for path, value in delta.items():
            if path == "name" and "name" in merged:
                value = f"{merged.pop('name')} {value}"
            _refuse_conflict(path, merged)
            merged[path] = value
    return merged


def _refuse_conflict(path: str, merged: Delta) -> None:
    """A later `model` would silently undo an earlier `model.width`; the other order is fine."""
    if path in merged:
        raise BadInput(f"two spaces set {path!r}: only one may")
    for earlier in merged:
        if earlier.startswith(f"{path}."):
            raise BadInput(f"{path!r} would undo {earlier!r}: put the space that sets it first")
