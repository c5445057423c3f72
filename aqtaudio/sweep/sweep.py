"""A study from start to end: its runs, the artifacts of its fronts, its report."""

import shutil
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment, identity
from aqtaudio.runs.export import keep
from aqtaudio.runs.run import Run
from aqtaudio.settings import overlay
from aqtaudio.study.engine import Engine
from aqtaudio.study.headlines import headlines, main_metric
from aqtaudio.study.pareto import front_runs
from aqtaudio.study.plan import PlannedRun, plan
from aqtaudio.study.progress import Display
from aqtaudio.study.report import write_report
from aqtaudio.study.scheduler import How, run_study
from aqtaudio.study.search import one_of_each, run_search
from aqtaudio.study.space import Search, Study
from aqtaudio.study.store import Store
from aqtaudio.sweep.job import command_of
from aqtaudio.training.traced import signature


def sweep(
    study: Study | Search,
    folders: Sequence[Path],
    out: Path,
    engine: Engine | None = None,
    batch: int = 1,
    resume: bool = False,
    display: Callable[..., Display] = Display,
    say: Callable[[str], None] = lambda text: None,
    again: str = How.again,
) -> list[str]:
    """Runs what `study` still needs, then writes artifacts and report into `out`.

    engine: where the jobs run; default this machine. batch: runs of a job at most. display: shows
    the runs. say: is told what follows them. again: what a stopped one tells.

    Returns:
      Ids of the runs that failed or were left out.
    """
    how = How(
        overlay,
        identity,
        command_of,
        engine,
        batch=batch,
        group=_program_of,
        resume=resume,
        display=display,
        again=again,
    )
    if isinstance(study, Search):
        metric = experiment_of(study).task.headlines.fronts[0]
        outcome = run_search(study, folders, out, how, metric)
    else:
        outcome = run_study(study, folders, out, how)
    store = Store(out)
    if store.rows():
        try:
            export_fronts(out, folders, say)
        finally:
            say("report")
            write_report(out)
    return [*outcome.failed, *outcome.blocked]


def require_recordings(study: Study | Search, folders: Sequence[Path]) -> None:
    """Raises BadInput where a run of a study lacks recordings, or has a setting that is none."""
    experiment_of(study)
    planned = plan(study if isinstance(study, Study) else one_of_each(study), overlay, identity)
    experiments = [run.experiment for run in planned]
    tasks = dict.fromkeys(each.task for each in experiments if isinstance(each, Experiment))
    for task in tasks:
        task.require_recordings(folders, ("train", "val"))


def experiment_of(study: Study | Search) -> Experiment:
    """The experiment of a study. BadInput where it is something else."""
    if not isinstance(study.experiment, Experiment):
        raise BadInput(f"study {study.name!r}: its experiment is no Experiment")
    return study.experiment


def _program_of(run: PlannedRun) -> Hashable:
    """Equal for runs that train as one program."""
    assert isinstance(run.experiment, Experiment)
    return signature(run.experiment), run.parent is None


def export_fronts(
    out: Path, folders: Sequence[Path], say: Callable[[str], None] = lambda text: None
) -> None:
    """Makes `artifacts/<run_id>` hold exactly the integer runs that are on a front of the report.

    Folders of other names are left alone; a front run whose directory is gone cannot be exported.
    """
    every = Store(out).rows()
    rows = [row for row in every if row["precision"] != "float"]
    metric = main_metric(every)
    wanted = set(front_runs(rows, metric=metric))
    for other in headlines(every).other_fronts(metric):
        wanted |= set(front_runs(rows, ("file_bytes",), other))
    artifacts = out / "artifacts"
    known = {str(row["run_id"]) for row in every}
    present = {name for name in known if (artifacts / name).is_dir()}
    for name in present - wanted:
        shutil.rmtree(artifacts / name)
    for name in sorted(wanted - present):
        run = out / "work" / name
        if (run / "row.json").exists():
            say(f"artifact {name}")
            keep(Run(run), out, folders)
