"""The local engine: the runs of a study on this machine, one process per run, resumable.

Truth lives on disk. A run is finished when the store has its row; a run whose directory has a
`row.json` (the command writes it last, by rename) only has to be entered; any other is started
again in the same directory, where its command finds its checkpoint. So after any crash a resumed
sweep ends with every run in the store exactly once.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from aqtaudio.errors import BadInput
from aqtaudio.study.attempt import Attempt, stop
from aqtaudio.study.plan import Identity, Overlay, PlannedRun, plain, plan
from aqtaudio.study.progress import Counts, Display
from aqtaudio.study.space import Study
from aqtaudio.study.store import Store

_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class RunSpec:
    """A planned run and its places: what a launch function turns into a command."""

    run: PlannedRun
    run_dir: Path
    parent_dir: Path | None
    data_dir: Path


@dataclass
class Outcome:
    """What a call did: run ids entered now, there before, failed (with the error), not started."""

    entered: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    blocked: list[str] = field(default_factory=list)


def run_study(
    study: Study,
    data_dir: Path,
    out_dir: Path,
    *,
    overlay: Overlay,
    identity: Identity,
    launch: Callable[[RunSpec], Sequence[str]],
    workers: int = 1,
    resume: bool = False,
    work_dir: Path | None = None,
    environment: Mapping[str, str] | None = None,
    console: Console | None = None,
) -> Outcome:
    """Run what the study still needs; rows go to `out_dir`, run directories to `work_dir`.

    overlay, identity: see `plan`. launch: the command of one run. It must write
    `<run_dir>/row.json`, by rename and last, and continue from what it finds in its directory.
    work_dir: default `<out_dir>/work`, which git is told to ignore. environment: for the commands;
    default this process's own. console: where progress goes; default standard error.

    A failed run is recorded and the sweep goes on; runs that start from it are left out. Raises
    BadInput when there are results already and `resume` is False, or another sweep is at work here.
    An interrupt (Ctrl-C) ends the active commands and is raised again.
    """
    if workers < 1:
        raise BadInput(f"workers is {workers}: at least 1 is needed")
    work_dir = Path(work_dir or Path(out_dir) / "work")
    store = Store(Path(out_dir))
    runs = plan(study, overlay, identity)
    specs = {run.run_id: _spec(run, work_dir, Path(data_dir)) for run in runs}
    _refuse_old_results(store, specs, resume)
    with _alone(work_dir):
        sweep = _Sweep(specs, store, launch, dict(environment or os.environ))
        with Display(console or Console(stderr=True), sweep.counts, sweep.in_progress) as display:
            sweep.run(workers, display)
    return sweep.outcome


class _Sweep:
    def __init__(self, specs: dict[str, RunSpec], store: Store, launch, environment):
        self.specs = specs
        self.store = store
        self.launch = launch
        self.environment = environment
        self.entered = {str(row["run_id"]) for row in store.rows()}
        self.waiting = _needed(specs, self.entered)
        self.ready = {key for key in specs if key not in self.waiting}
        self.active: dict[str, Attempt] = {}
        self.outcome = Outcome(skipped=[key for key in specs if key in self.entered])

    def run(self, workers: int, display: Display) -> None:
        try:
            while self.waiting or self.active:
                self._start(workers, display)
                self._collect(display)
                if self.active:
                    time.sleep(_POLL_SECONDS)
        except KeyboardInterrupt:
            display.event("stopped; --resume goes on from here", "yellow")
            raise
        finally:
            stop(self.active.values())

    def counts(self) -> Counts:
        outcome = self.outcome
        finished = len(outcome.skipped) + len(outcome.entered)
        return Counts(len(self.specs), finished, len(outcome.failed), len(outcome.blocked))

    def in_progress(self) -> list[tuple[str, Path, float]]:
        attempts = list(self.active.items())
        return [(self.specs[key].run.name, run.run_dir, run.seconds) for key, run in attempts]

    def _start(self, workers: int, display: Display) -> None:
        for key in list(self.waiting):
            if len(self.active) >= workers:
                return
            spec = self.specs[key]
            parent = spec.run.parent
            if parent in self.outcome.failed or parent in self.outcome.blocked:
                self.waiting.remove(key)
                self.outcome.blocked.append(key)
                display.event(f"left out  {spec.run.name}: the run it starts from failed", "yellow")
            elif parent is None or parent in self.ready:
                self.waiting.remove(key)
                if (spec.run_dir / "row.json").exists():
                    self._finish(key, None, display)
                else:
                    command = [str(part) for part in self.launch(spec)]
                    self.active[key] = Attempt(command, spec.run_dir, self.environment)

    def _collect(self, display: Display) -> None:
        for key, attempt in list(self.active.items()):
            status = attempt.status()
            if status is None:
                continue
            del self.active[key]
            if status == 0:
                self._finish(key, attempt.seconds, display)
            else:
                self._fail(key, attempt.error(status), status, display)

    def _finish(self, key: str, seconds: float | None, display: Display) -> None:
        spec = self.specs[key]
        try:
            row = _row(spec, seconds)
        except BadInput as error:
            (spec.run_dir / "row.json").unlink(missing_ok=True)
            self._fail(key, str(error), 0, display)
            return
        self.ready.add(key)
        if self.store.append(row):
            self.outcome.entered.append(key)
        display.event(f"finished  {spec.run.name}  {key}", "green")

    def _fail(self, key: str, error: str, status: int, display: Display) -> None:
        name = self.specs[key].run.name
        failure = {"run_id": key, "name": name, "status": status, "error": error}
        self.store.append_failure({**failure, **_code_version()})
        self.outcome.failed[key] = error
        display.event(f"failed    {name}  {key}: {error}", "red")


def _needed(specs: Mapping[str, RunSpec], entered: set[str]) -> list[str]:
    """Runs without a row, and finished parents of such whose directory is gone (a fresh clone)."""
    needed = {key for key in specs if key not in entered}
    for key in reversed(list(specs)):
        parent = specs[key].run.parent
        if key in needed and parent and not (specs[parent].run_dir / "row.json").exists():
            needed.add(parent)
    return [key for key in specs if key in needed]


def _spec(run: PlannedRun, work_dir: Path, data_dir: Path) -> RunSpec:
    parent_dir = work_dir / run.parent if run.parent else None
    return RunSpec(run, work_dir / run.run_id, parent_dir, data_dir)


def _row(spec: RunSpec, seconds: float | None) -> dict[str, object]:
    """The row a run wrote, with what the engine knows; figures the run gave itself are kept."""
    path = spec.run_dir / "row.json"
    try:
        written = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise BadInput("the command ended without writing row.json") from None
    except ValueError as error:
        raise BadInput(f"{path} is not JSON: {error}") from error
    if not isinstance(written, dict):
        raise BadInput(f"{path} must hold a JSON object")
    known = {"run_id": spec.run.run_id, "name": spec.run.name, "parent": spec.run.parent}
    row = {**written, **known, "config_delta": plain(spec.run.delta)}
    measured = {"seconds": seconds, "device": platform.machine(), **_code_version()}
    missing = {key: value for key, value in measured.items() if row.get(key) is None}
    return {**row, **missing}


def _code_version() -> dict[str, object]:
    """Commit of the package's own checkout, and whether its code differs from it; null outside."""
    package = Path(__file__).resolve().parents[1]
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return {"commit": None, "dirty": None}
    changes = _git(package, "status", "--porcelain", "--", ".")
    return {"commit": _git(package, "rev-parse", "HEAD"), "dirty": bool(changes)}


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


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
