"""A search: generations of trials that Optuna proposes, made as ordinary runs of a study.

The rows are the only memory. The sampler is seeded and hears the figures in the order in which it
proposed, so a search that is begun again proposes what it proposed before, finds the rows of these
runs in the store, and goes on where it stopped: no trial is lost, none is run twice, and there are
no unfinished ones to clear away.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from aqtaudio.errors import BadInput
from aqtaudio.files import write_json
from aqtaudio.study import pareto
from aqtaudio.study.measures import quality, require_more_is_better
from aqtaudio.study.plan import plain, plan
from aqtaudio.study.scheduler import How, Outcome, run_study
from aqtaudio.study.space import Delta, Search, Study
from aqtaudio.study.store import Store


@dataclass(frozen=True)
class Trial:
    """A choice, the runs made of it, and (quality, *costs), or None where a run failed."""

    choice: Mapping[str, object]
    run_ids: tuple[str, ...]
    figures: tuple[float, ...] | None


def run_search(
    search: Search, data: Sequence[Path], out_dir: Path, how: How, metric: str
) -> Outcome:
    """Run what the search still needs, and write its trials and front to `<label>.json`.

    Rows and errors are those of `run_study`. A trial of a failed run counts, and one more is
    proposed in its place; a generation in which all fail is the last. `metric`: the quality, where
    the search names none.
    """
    if search.metric is None:
        search = replace(search, metric=metric)
    _require_fit(search, how)
    store, outcome, trials = Store(Path(out_dir)), Outcome(), []

    def make(deltas: Sequence[Delta]) -> None:
        nonlocal outcome, how
        study = Study(search.name, search.experiment, deltas)
        outcome = _both(outcome, run_study(study, data, out_dir, how))
        how = replace(how, resume=True)

    if search.grid:
        make([dict(delta) for delta in search.grid])
    sampler = _Sampler(search)
    size = search.generation
    while len(trials) < search.trials:
        asked = sampler.ask(min(size, search.trials - len(trials)))
        runs = [_runs(search, choice) for choice in asked]
        ids = [_run_ids(search, deltas, how) for deltas in runs]
        made = {str(row["run_id"]) for row in store.rows()}
        wanted = [key for keys in ids for key in keys]
        if trials and made.issuperset(wanted):
            outcome = _both(outcome, Outcome(skipped=wanted))
        else:
            make([delta for deltas in runs for delta in deltas])
        rows = {str(row["run_id"]): row for row in store.rows()}
        figures = [_figures(search, [rows.get(key) for key in keys]) for keys in ids]
        sampler.tell(figures)
        trials += [Trial(*parts) for parts in zip(asked, ids, figures, strict=True)]
        _write(search, trials, Path(out_dir) / f"{search.label}.json")
        failed = figures.count(None)
        if failed == len(asked):
            _require_figures(search, wanted, rows)
            break
        size = failed or search.generation
    return outcome


def front(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that no other beats in quality and costs; of equal figures the first."""
    first: dict[tuple[float, ...], Trial] = {}
    for trial in trials:
        if trial.figures is not None:
            first.setdefault(trial.figures, trial)
    return [trial for key, trial in first.items() if not any(_beats(one, key) for one in first)]


class _Sampler:
    """Optuna, asked and told a generation at a time."""

    def __init__(self, search: Search):
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space = {name: list(values) for name, values in search.space.items()}
        # Indices: Optuna's categories are numbers or strings.
        self.distributions = {
            name: CategoricalDistribution(range(len(values))) for name, values in self.space.items()
        }
        directions = ["maximize", *("minimize" for _ in search.costs)]
        self.study = optuna.create_study(directions=directions, sampler=_sampler(search))
        for trial in search.first:
            self.study.enqueue_trial({k: self.space[k].index(v) for k, v in trial.items()})
        self.asked: list[optuna.Trial] = []

    def ask(self, count: int) -> list[dict[str, object]]:
        """As many choices."""
        self.asked = [self.study.ask(self.distributions) for _ in range(count)]
        return [
            {name: values[trial.params[name]] for name, values in self.space.items()}
            for trial in self.asked
        ]

    def tell(self, figures: Sequence[tuple[float, ...] | None]) -> None:
        """The figures of the choices, in their order."""
        for trial, values in zip(self.asked, figures, strict=True):
            if values is None:
                self.study.tell(trial, state=TrialState.FAIL)
            else:
                self.study.tell(trial, values)


def made(search: Search, out_dir: Path) -> list[Delta]:
    """The deltas of all runs that a search has made, by its `<label>.json`."""
    try:
        record = json.loads((Path(out_dir) / f"{search.label}.json").read_text())
    except FileNotFoundError:
        return [dict(delta) for delta in search.grid]
    choices: list[dict[str, object]] = [
        {name: tuple(x) if isinstance(x, list) else x for name, x in trial["choice"].items()}
        for trial in record["trials"]
    ]
    return [*map(dict, search.grid), *(run for choice in choices for run in _runs(search, choice))]


def _sampler(search: Search) -> optuna.samplers.BaseSampler:
    if search.sampler == "tpe":
        # Constant liar: choices of one generation are not all alike.
        return optuna.samplers.TPESampler(
            seed=search.seed, n_startup_trials=search.generation, constant_liar=True
        )
    return optuna.samplers.NSGAIISampler(seed=search.seed, population_size=search.generation)


def _runs(search: Search, choice: dict[str, object]) -> list[Delta]:
    made = search.runs(dict(choice))
    return [dict(delta) for delta in ([made] if isinstance(made, Mapping) else made)]


def _run_ids(search: Search, deltas: Sequence[Delta], how: How) -> tuple[str, ...]:
    """A delta's own run is the last that it needs."""
    studies = [Study(search.name, search.experiment, [delta]) for delta in deltas]
    return tuple(plan(study, how.overlay, how.identity)[-1].run_id for study in studies)


def _metric(search: Search) -> str:
    assert search.metric is not None
    return search.metric


def _require_fit(search: Search, how: How) -> None:
    """Plan every value of every variable once: what is wrong with one is known before any run."""
    require_more_is_better(_metric(search))
    for axis in search.costs:
        if axis not in pareto.COSTS:
            raise BadInput(f"search cost {axis!r} is unknown; allowed: {', '.join(pareto.COSTS)}")
    plan(one_of_each(search), how.overlay, how.identity)


def one_of_each(search: Search) -> Study:
    """Runs of every value of every variable. BadInput where a choice gives none."""
    base = {name: values[0] for name, values in search.space.items()}
    choices = [
        {**base, name: value} for name, values in search.space.items() for value in values[1:]
    ]
    deltas = [delta for choice in (base, *choices) for delta in _runs(search, choice)]
    if not deltas:
        raise BadInput(f"search {search.name!r}: runs gives no delta for {base}")
    return Study(search.name, search.experiment, [*search.grid, *deltas])


def _figures(
    search: Search, rows: Sequence[Mapping[str, object] | None]
) -> tuple[float, ...] | None:
    """(quality, *costs), means over a trial's runs; None where a run has no such figure."""
    found = []
    for row in rows:
        if row is None:
            return None
        values = [quality(row, _metric(search))]
        values += [pareto.cost(row, axis) for axis in search.costs]
        found.append(values)
    columns = list(zip(*found, strict=True))
    if any(value is None for column in columns for value in column):
        return None
    return tuple(statistics.fmean(column) for column in columns)


def _require_figures(
    search: Search, run_ids: Sequence[str], rows: Mapping[str, Mapping[str, object]]
) -> None:
    """Raises BadInput when finished runs have no figures: all to come would have none."""
    finished = next((rows[key] for key in run_ids if key in rows), None)
    if finished is not None:
        wanted = ", ".join([f"metrics {search.metric!r}", *search.costs])
        raise BadInput(f"search {search.name!r}: run {finished['run_id']} does not have {wanted}")


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    no_worse = one[0] >= other[0] and all(a <= b for a, b in zip(one[1:], other[1:], strict=True))
    return no_worse and one != other


def _both(one: Outcome, other: Outcome) -> Outcome:
    """Of two calls; a run that one of them entered is neither skipped nor failed nor left out."""
    entered = [*one.entered, *other.entered]

    def rest(keys: Iterable[str]) -> list[str]:
        return [key for key in dict.fromkeys(keys) if key not in entered]

    failed = {**one.failed, **other.failed}
    return Outcome(
        entered,
        rest([*one.skipped, *other.skipped]),
        {key: failed[key] for key in rest(failed)},
        rest([*one.blocked, *other.blocked]),
    )


def _write(search: Search, trials: Sequence[Trial], path: Path) -> None:
    """A record for people and figures; nothing reads it to go on."""
    numbers = {id(trial): number for number, trial in enumerate(trials)}
    record = {
        "sampler": search.sampler,
        "seed": search.seed,
        "metric": search.metric,
        "costs": list(search.costs),
        "front": [numbers[id(trial)] for trial in front(trials)],
        "trials": [
            {"choice": plain(trial.choice), "run_ids": trial.run_ids, "figures": trial.figures}
            for trial in trials
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, record)
