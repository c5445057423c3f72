"""The runs of a study, each exactly once, as jobs of one or several runs on an engine.

Truth lives on disk. A run is finished when the store has its row; a run whose directory has a
`row.json` (its job writes it last, by rename) only has to be entered; any other is started again in
the same directory, where its job finds its checkpoint. So after any crash a resumed sweep ends with
every run in the store exactly once.
"""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from aqtaudio.errors import BadInput
from aqtaudio.study.engine import Attempt, Engine, Local
from aqtaudio.study.plan import Identity, Overlay, PlannedRun, plan
from aqtaudio.study.process import InUse
from aqtaudio.study.progress import Active, Counts, Display
from aqtaudio.study.provenance import code_version, finished_row
from aqtaudio.study.space import Study
from aqtaudio.study.store import Store

_POLL_SECONDS = 0.05
# A run whose machines go away so often takes them with it.
_STARTS_OF_LOST_RUNS = 5


@dataclass(frozen=True)
class RunSpec:
    """A planned run and its places: what a launch function turns into a command."""

    run: PlannedRun
    run_dir: Path
    parent_dir: Path | None
    data: tuple[Path, ...]


@dataclass
class Outcome:
    """What a call did: run ids entered now, there before, failed (with the error), not started."""

    entered: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    blocked: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Job:
    keys: list[str]
    attempt: Attempt


@dataclass(frozen=True)
class How:
    """How the runs of a study are planned, and their jobs run.

    overlay, identity: see `plan`. launch: the command of one job. For each of its runs it must
    write `<run_dir>/row.json`, by rename and last, or why it could not into `error.txt`, and
    continue from what it finds there. engine: where jobs run; default this machine. batch: runs of
    a job at most. group: runs of equal key may share a job; default: none may. resume: go on where
    there are results already. work_dir: where run directories are; default `<out_dir>/work`, which
    git is told to ignore. environment: variables for the commands, beside those of the machine that
    they run on. console: where progress goes; default standard error. display: shows it; made like
    a `Display`. again: is told when it is stopped: how to go on.
    """

    overlay: Overlay
    identity: Identity
    launch: Callable[[Sequence[RunSpec]], Sequence[str]]
    engine: Engine | None = None
    batch: int = 1
    group: Callable[[PlannedRun], Hashable] | None = None
    resume: bool = False
    work_dir: Path | None = None
    environment: Mapping[str, str] | None = None
    console: Console | None = None
    display: Callable[..., Display] = Display
    again: str = "--resume goes on from here"

    def __post_init__(self):
        if self.batch < 1:
            raise BadInput(f"batch is {self.batch}: at least 1 is needed")


def run_study(study: Study, data: Sequence[Path], out_dir: Path, how: How) -> Outcome:
    """Run what the study still needs; rows go to `out_dir`.

    A failed run is recorded and the sweep goes on; runs that start from it are left out. A job
    whose machine went away is started again. Raises BadInput when there are results already and
    `resume` is False, or another sweep is at work here. An interrupt (Ctrl-C) ends the active jobs
    and is raised again.
    """
    work_dir = Path(how.work_dir or Path(out_dir) / "work")
    store = Store(Path(out_dir))
    runs = plan(study, how.overlay, how.identity)
    specs = {run.run_id: _spec(run, work_dir, tuple(data)) for run in runs}
    _refuse_old_results(store, specs, how.resume)
    with _alone(work_dir):
        variables = dict(how.environment or {})
        sweep = _Sweep(specs, store, how.launch, how.engine or Local(), variables)
        keys = {key: how.group(spec.run) if how.group else key for key, spec in specs.items()}
        console = how.console or Console(stderr=True)
        hint = f"figures of every run: tensorboard --logdir {work_dir}"
        with how.display(console, sweep.counts, sweep.active, hint) as shown:
            sweep.run(_Batches(keys, how.batch), shown, how.again)
    return sweep.outcome


@dataclass(frozen=True)
class _Batches:
    """Which runs may share a job."""

    groups: Mapping[str, Hashable]
    size: int

    def first(self, ready: Sequence[str]) -> list[str]:
        """The first ready run and those that may go with it."""
        mates = [key for key in ready if self.groups[key] == self.groups[ready[0]]]
        return mates[: self.size]


class _Sweep:
    def __init__(self, specs: dict[str, RunSpec], store: Store, launch, engine: Engine, variables):
        self.specs = specs
        self.store = store
        self.launch = launch
        self.engine = engine
        self.variables = variables
        self.entered = {str(row["run_id"]) for row in store.rows()}
        self.waiting = _needed(specs, self.entered)
        self.ready = {key for key in specs if key not in self.waiting}
        self.jobs: list[_Job] = []
        self.lost: Counter[str] = Counter()
        self.outcome = Outcome(skipped=[key for key in specs if key in self.entered])

    def run(self, batches: _Batches, display: Display, again: str) -> None:
        try:
            while self.waiting or self.jobs:
                self._start(batches, display)
                self._collect(display)
                if self.jobs:
                    time.sleep(_POLL_SECONDS)
        except KeyboardInterrupt:
            display.event(f"stopped; {again}", "yellow")
            raise
        finally:
            self.engine.stop(job.attempt for job in self.jobs)

    def counts(self) -> Counts:
        outcome = self.outcome
        return Counts(
            total=len(self.specs),
            before=len(outcome.skipped),
            entered=len(outcome.entered),
            failed=len(outcome.failed),
            blocked=len(outcome.blocked),
            waiting=len(self.waiting),
        )

    def active(self) -> list[Active]:
        """What the jobs are at, for the display."""
        jobs = [(job.keys, job.attempt.seconds) for job in list(self.jobs)]
        return [
            Active(tuple((self.specs[key].run.name, self.specs[key].run_dir) for key in keys), time)
            for keys, time in jobs
        ]

    def _start(self, batches: _Batches, display: Display) -> None:
        if len(self.jobs) >= self.engine.slots:
            return
        self._leave_out(display)
        self._enter_finished(display)
        while (ready := self._startable()) and len(self.jobs) < self.engine.slots:
            keys = batches.first(ready)
            specs = [self.specs[key] for key in keys]
            for spec in specs:
                (spec.run_dir / "error.txt").unlink(missing_ok=True)
            command = [str(part) for part in self.launch(specs)]
            self.waiting = [key for key in self.waiting if key not in keys]
            try:
                attempt = self.engine.start(
                    command, [spec.run_dir for spec in specs], self.variables
                )
            except InUse as error:
                for key in keys:
                    self._fail(key, str(error), None, display)
                continue
            self.jobs.append(_Job(keys, attempt))

    def _startable(self) -> list[str]:
        return [key for key in self.waiting if self._can_start(key)]

    def _can_start(self, key: str) -> bool:
        parent = self.specs[key].run.parent
        return parent is None or parent in self.ready

    def _leave_out(self, display: Display) -> None:
        """Runs whose parent failed; parents come first, so one pass sees all of them."""
        for key in list(self.waiting):
            spec = self.specs[key]
            if spec.run.parent in self.outcome.failed or spec.run.parent in self.outcome.blocked:
                self.waiting.remove(key)
                self.outcome.blocked.append(key)
                display.event(f"left out  {spec.run.name}: the run it starts from failed", "yellow")

    def _enter_finished(self, display: Display) -> None:
        """Runs that an earlier launcher did not live to enter, parents before their children."""
        for key in list(self.waiting):
            path = self.specs[key].run_dir / "row.json"
            if not self._can_start(key) or not path.exists():
                continue
            try:
                row = finished_row(self.specs[key].run, path.parent, None)
            except BadInput:  # torn by a power cut: the run ends once more, from its checkpoint
                path.unlink()
                continue
            self.waiting.remove(key)
            self._enter(key, row, display)

    def _collect(self, display: Display) -> None:
        for job in list(self.jobs):
            status = job.attempt.status()
            if status is None:
                continue
            self.jobs.remove(job)
            unfinished = []
            for key in job.keys:
                if status == 0 or (self.specs[key].run_dir / "row.json").exists():
                    self._finish(key, job.attempt.seconds, display)
                else:
                    unfinished.append(key)
            if unfinished:
                self._give_up(unfinished, job.attempt, status, display)

    def _give_up(
        self, keys: Sequence[str], attempt: Attempt, status: int, display: Display
    ) -> None:
        """Runs without a row: again, when their machine went away, else failures."""
        error = attempt.error(status)
        for key in keys:
            self.lost[key] += attempt.lost
            if attempt.lost and self.lost[key] < _STARTS_OF_LOST_RUNS:
                self.waiting = [k for k in self.specs if k == key or k in self.waiting]
                name = self.specs[key].run.name
                display.event(f"lost      {name}  {key}: {error}; it starts again", "yellow")
            else:
                self._fail(key, _own_error(self.specs[key]) or error, status, display)

    def _finish(self, key: str, seconds: float, display: Display) -> None:
        spec = self.specs[key]
        try:
            row = finished_row(spec.run, spec.run_dir, seconds)
        except BadInput as error:
            (spec.run_dir / "row.json").unlink(missing_ok=True)
            self._fail(key, _own_error(spec) or str(error), 0, display)
            return
        self._enter(key, row, display)

    def _enter(self, key: str, row: Mapping[str, object], display: Display) -> None:
        self.ready.add(key)
        if self.store.append(row):
            self.outcome.entered.append(key)
        display.event(f"finished  {self.specs[key].run.name}  {key}", "green")

    def _fail(self, key: str, error: str, status: int | None, display: Display) -> None:
        name = self.specs[key].run.name
        failure = {"run_id": key, "name": name, "status": status, "error": error}
        self.store.append_failure({**failure, **code_version()})
        self.outcome.failed[key] = error
        display.event(f"failed    {name}  {key}: {error}", "red")


def _own_error(spec: RunSpec) -> str:
    """What a job said about one of its runs."""
    try:
        text = (spec.run_dir / "error.txt").read_text(errors="replace")
    except FileNotFoundError:
        return ""
    return " ".join(text.split())[:500]


def _needed(specs: Mapping[str, RunSpec], entered: set[str]) -> list[str]:
    """Runs without a row, and finished parents of such whose directory is gone (a fresh clone)."""
    needed = {key for key in specs if key not in entered}
    for key in reversed(list(specs)):
        parent = specs[key].run.parent
        if key in needed and parent and not (specs[parent].run_dir / "row.json").exists():
            needed.add(parent)
    return [key for key in specs if key in needed]


def _spec(run: PlannedRun, work_dir: Path, data: tuple[Path, ...]) -> RunSpec:
    parent_dir = work_dir / run.parent if run.parent else None
    return RunSpec(run, work_dir / run.run_id, parent_dir, data)


def _refuse_old_results(store: Store, specs: Mapping[str, RunSpec], resume: bool) -> None:
    begun = any(spec.run_dir.exists() for spec in specs.values())
    if not resume and (begun or store.rows()):
        raise BadInput(f"{store.folder} has results already: pass --resume or name another folder")


@contextlib.contextmanager
def _alone(work_dir: Path) -> Iterator[None]:
    """Hold the sweep's lock; the system drops it when this process ends, however it ends."""
    work_dir.mkdir(parents=True, exist_ok=True)
    (work_dir / ".gitignore").write_text("*\n")
    with (work_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(f"another sweep is at work in {work_dir}: wait for it") from None
        yield
