"""The main job from end to end, offline: recordings, a small sweep, report, export, proof.

Voices are espeak-ng's, so the accuracies say that everything works, not how good a model is with
people. It can be stopped anywhere and goes on when it is started again.
"""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from aqtaudio.data.synth import synth
from aqtaudio.sweep.quickstart_corpus import CORPUS
from aqtaudio.sweep.tour import Tour

# On two cores.
EXPECTED_S = {"recordings": 10.0, "training": 140.0, "report": 8.0, "proof": 13.0}
AGAIN = "the same command goes on from here"
PARITY_CLIPS = 200


def quickstart(out: Path) -> int:
    """Does the main job in `out` (resumable) and prints what came of it.

    Returns 0 when the exported files compute the programs' integers, else 1.
    """
    console = Console(highlight=False)
    with Tour(Console(stderr=True, highlight=False), EXPECTED_S) as tour:
        data = _recordings(out / "data", tour)
        failed = _study(data, out / "study", tour)
        if failed:
            log = out / "study" / "failures.jsonl"
            console.print(f"runs that failed: {', '.join(failed)}; see {log}", soft_wrap=True)
            return 1
        proofs = _proofs(data, out / "study", tour)
    _tell(console, out, proofs, tour.elapsed_s)
    return 1 if any(proof["mismatches"] for proof in proofs.values()) else 0


def _recordings(folder: Path, tour: Tour) -> Path:
    tour.begin("recordings", "espeak-ng starts")
    return synth(
        folder, CORPUS, lambda done, total: tour.tell(done / total, f"{done} of {total} clips")
    )


def _study(data: Path, out: Path, tour: Tour) -> list[str]:
    """Runs the sweep, with its report and artifacts: ids of the runs that failed."""
    tour.begin("training", "JAX starts")
    from aqtaudio.study.engine import Local
    from aqtaudio.sweep.quickstart_study import STUDY
    from aqtaudio.sweep.sweep import sweep

    said: list[str] = []

    def say(text: str) -> None:
        if not said:
            tour.begin("report")
        tour.tell(min(0.2 * len(said), 0.9), text)
        said.append(text)

    # Runs of one program train together; two processes use two cores better than one.
    jobs = Local(min(2, os.cpu_count() or 1))
    runs = tour.runs()
    return sweep(STUDY, [data], out, jobs, batch=2, resume=True, display=runs, say=say, again=AGAIN)


def _proofs(data: Path, study: Path, tour: Tour) -> dict[str, dict[str, Any]]:
    """What `parity` found of every artifact, by run id."""
    from aqtaudio.runs.parity import parity
    from aqtaudio.runs.run import Run

    tour.begin("proof", "TFLite Micro starts")
    artifacts = sorted(path for path in (study / "artifacts").iterdir() if path.is_dir())
    runs = [Run(artifact) for artifact in artifacts]
    recordings = runs[0].data([data], ("train", "val"))
    found = {}
    for number, run in enumerate(runs):
        tour.tell(number / len(runs), f"{run.path.name} in TFLite Micro against JAX")
        found[run.path.name] = parity(run, recordings, n=PARITY_CLIPS)
    return found


def _tell(console: Console, out: Path, proofs: dict[str, dict[str, Any]], seconds: float) -> None:
    """The figures, the proof, where everything is, and what to try next."""
    from aqtaudio.study.store import Store

    rows: list[dict[str, Any]] = [dict(row) for row in Store(out / "study").rows()]
    names = {row["run_id"]: row["name"] for row in rows}
    console.print(_table(rows), "", _measured_on(out, rows[0]["run_id"]), "")
    for name, proof in proofs.items():
        console.print(
            f"{proof['mismatches']} of {proof['outputs']:,} integers differ between TFLite Micro "
            f"and JAX: {names[name]} ({name}), {proof['n']} inputs",
            soft_wrap=True,
        )
    console.print(f"\nReport: {out / 'study' / 'report.html'}", soft_wrap=True)
    console.print("\nTry next:")
    for command in _next(out, rows, list(proofs)):
        console.print(f"  {shlex.join(map(str, command))}", soft_wrap=True, markup=False)
    console.print(f"\nDone in {seconds:.0f} s.")


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    table.add_column("run")
    table.add_column("precision")
    for heading in ("accuracy", "unknown", "file bytes", "arena bytes"):
        table.add_column(heading, justify="right")
    for row in rows:
        scores, costs = row["metrics"].get("integer") or row["metrics"]["float"], row["costs"]
        shares = (f"{share:.1%}" for share in (scores["accuracy"], scores["per_class"]["unknown"]))
        sizes = (f"{costs[name] or 0:,}" for name in ("file_bytes", "arena_bytes"))
        table.add_row(row["name"], row["precision"], *shares, *sizes)
    return table


def _measured_on(out: Path, run_id: str) -> str:
    from aqtaudio.data.labels import UNKNOWN
    from aqtaudio.runs.run import Run

    run = Run(out / "study" / "work" / run_id)
    items = run.evaluation_list()
    unknown = sum(item.label == UNKNOWN for item in items)
    return (
        f"Accuracy on {len(items)} clips of synthetic voices that training never heard;\n"
        f"unknown: {unknown} of them, of words that it never heard either."
    )


def _next(
    out: Path, rows: Sequence[dict[str, Any]], exported: Sequence[str]
) -> list[Sequence[object]]:
    """Commands that work with what was made."""
    study, data = out / "study", out / "data"
    smallest = min(
        (row for row in rows if row["run_id"] in exported),
        key=lambda row: row["costs"]["file_bytes"],
    )
    artifact = study / "artifacts" / smallest["run_id"]
    budget = f"{-(-smallest['costs']['file_bytes'] // 1000)}KB"
    return [
        ("aqtaudio", "evaluate", artifact, "--data", data, "--split", "test"),
        ("aqtaudio", "parity", artifact, "--data", data),
        ("aqtaudio", "cost", artifact),
        ("aqtaudio", "choose", study, "--max-flash", budget, "--out", out / "chosen"),
    ]
