"""aqtaudio quickstart, sweep, choose, report, renew: many runs, and what is made of them."""

import argparse
import signal
from pathlib import Path
from typing import Any

from aqtaudio.commands.answers import answer, say
from aqtaudio.commands.arguments import (
    Verbs,
    add_data,
    add_json,
    add_metric,
    number,
    positive,
    require_there,
    size,
)
from aqtaudio.errors import BadInput


def add(verbs: Verbs) -> None:
    """The verbs of this file."""
    _add_quickstart(verbs)
    _add_sweep(verbs)
    _add_choose(verbs)
    _add_report(verbs)
    _add_renew(verbs)


def _add_quickstart(verbs: Verbs) -> None:
    command = verbs.add("quickstart", quickstart, "the main job, offline, in minutes")
    command.add_argument("--out", type=Path, default=Path("quickstart"))


def quickstart(options: argparse.Namespace) -> int:
    """Synthetic recordings, a small sweep, report, export, parity."""
    from aqtaudio.sweep.quickstart import quickstart

    _end_as_ctrl_c()
    return quickstart(options.out)


def _add_sweep(verbs: Verbs) -> None:
    text = "the runs of a study, its report and its front's artifacts"
    command = verbs.add("sweep", sweep, text)
    command.add_argument("study", type=Path, metavar="STUDY.py")
    add_data(command)
    command.add_argument("--out", type=Path, help="default: results/<study>")
    command.add_argument("--engine", choices=("local", "ray"), default="local")
    command.add_argument("--address", metavar="A", help="of the Ray cluster; default: the one here")
    command.add_argument("--workers", type=positive, metavar="N", help="jobs at once at most")
    command.add_argument(
        "--gpus-per-job", type=float, metavar="F", help="share of an accelerator; default: 1"
    )
    command.add_argument(
        "--batch", type=positive, default=1, metavar="N", help="runs that may share a job"
    )
    command.add_argument("--resume", action="store_true")


def sweep(options: argparse.Namespace) -> int:
    """Runs a study; status 1 when runs failed."""
    if not options.study.is_file():
        raise BadInput(f"no sweep file {options.study}")
    if options.address and options.engine != "ray":
        raise BadInput("--address is of a Ray cluster: allowed with --engine ray")
    for folder in options.data:
        if not folder.is_dir():
            require_there(None, [folder])
    from aqtaudio.study.space import load_study
    from aqtaudio.sweep.sweep import require_recordings, sweep

    study = load_study(options.study)
    require_recordings(study, options.data)
    out = options.out or Path("results") / study.name
    engine = _engine(options)
    _end_as_ctrl_c()
    failed = sweep(study, options.data, out, engine, options.batch, options.resume, say=say)
    print(out / "report.html")
    return 1 if failed else 0


def _end_as_ctrl_c() -> None:
    """So that the jobs end too: clusters ask a launcher to end this way."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _engine(options: argparse.Namespace) -> Any:
    """Where the jobs of a sweep run."""
    if options.engine == "ray":
        try:
            from aqtaudio.study.ray_engine import Ray
        except ImportError as error:
            raise BadInput('--engine ray needs Ray: pip install "aqtaudio[ray]"') from error
        return Ray(options.address, options.workers, options.gpus_per_job)
    from aqtaudio.study.engine import Local

    share = 1.0 if options.gpus_per_job is None else options.gpus_per_job
    return Local(options.workers, share)


def _add_choose(verbs: Verbs) -> None:
    command = verbs.add("choose", choose, "the best run of a study under a budget, exported")
    command.add_argument("folder", type=Path, metavar="results/STUDY")
    for name, text in (("flash", "the TFLite file"), ("arena", "TFLite Micro's tensor arena")):
        command.add_argument(
            f"--max-{name}", type=size, metavar="SIZE", help=f"{text}; 64KB is 65536 bytes"
        )
    for name in ("macs", "bitops", "macs-per-second"):
        command.add_argument(f"--max-{name}", type=number, metavar="N", help="3M is 3000000")
    add_metric(command)
    command.add_argument("--out", type=Path, help="default: its folder in the study's artifacts")
    add_data(command, "recordings for the golden vectors", required=False)
    add_json(command)


def choose(options: argparse.Namespace) -> int:
    """Prints and exports the best run under a budget; status 1 when nothing fits."""
    from aqtaudio.sweep.choose import artifact, chosen, in_words

    asked = {
        "file_bytes": options.max_flash,
        "arena_bytes": options.max_arena,
        "macs": options.max_macs,
        "bitops": options.max_bitops,
        "macs_per_second": options.max_macs_per_second,
    }
    limits = {axis: limit for axis, limit in asked.items() if limit is not None}
    value = chosen(options.folder, limits, options.metric)
    if best := value["best"]:
        value["artifact"] = str(artifact(options.folder, best, options.out, options.data))

    def show(value: dict[str, Any]) -> None:
        print("\n".join([*in_words(value), value["artifact"] or ""]).rstrip())

    answer(value, options.json, show)
    return 0 if best else 1


def _add_report(verbs: Verbs) -> None:
    text = "rows to HTML, PNG and CSV; one study against another"
    command = verbs.add("report", report, text)
    command.add_argument("folder", type=Path, metavar="results/STUDY")
    command.add_argument(
        "--against", type=Path, metavar="results/OTHER", help="a page of both and what differs"
    )
    command.add_argument(
        "--out", type=Path, help="with --against; default: results/STUDY/against_OTHER"
    )
    add_metric(command)
    add_data(command, "recordings that the page plays, through its artifacts", required=False)


def report(options: argparse.Namespace) -> int:
    """Writes a study's report, or that of one study against another."""
    if options.out and not options.against:
        raise BadInput("report --out goes with --against: a study's own report is in its folder")
    if options.data and options.against:
        raise BadInput("report --data is for the page of one study, without --against")
    for folder in filter(None, (options.folder, options.against)):
        _require_study(folder)
    from aqtaudio.data.cache_folder import default_folder
    from aqtaudio.study.comparison import write_comparison
    from aqtaudio.study.pen import Pen
    from aqtaudio.study.report import write_report

    if options.against:
        print(write_comparison(options.folder, options.against, options.out, options.metric))
    else:
        heard = _heard(options.folder, options.data) if options.data else ()
        print(
            write_report(options.folder, options.metric, heard, Pen(default_folder() / "figures"))
        )
    return 0


def _require_study(folder: Path) -> None:
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder; allowed: results/STUDY, which sweep makes")


def _heard(folder: Path, data: list[Path]) -> list[dict[str, Any]]:
    require_there(None, data)
    from aqtaudio.sweep.listening import listening

    return listening(folder, data, say=say)


def _add_renew(verbs: Verbs) -> None:
    text = "a finished study in today's form: programs for all kernels, files, costs; no training"
    command = verbs.add("renew", renew, text)
    command.add_argument("folder", type=Path, metavar="results/STUDY")
    command.add_argument(
        "--sweep",
        type=Path,
        action="append",
        default=[],
        metavar="STUDY.py",
        help="that made it: for the arena of runs that have no artifact",
    )


def renew(options: argparse.Namespace) -> int:
    """Renews artifacts and costs of a study; status 1 where a row's arena is not known any more."""
    _require_study(options.folder)
    from aqtaudio.study.space import load_study
    from aqtaudio.sweep.renew import renew_study

    unknown = renew_study(options.folder, [load_study(file) for file in options.sweep], say)
    if unknown:
        print(f"arena not known, no artifact and in no --sweep: {', '.join(unknown)}")
    return 1 if unknown else 0
