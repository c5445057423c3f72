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

from aqtaudio.data.synth import SynthSettings, synth
from aqtaudio.tour import Tour

# Everyday words, none of them in `SynthSettings.unknown_words`, which are held out.
_HEARD = (
    "air angle animal apple arm autumn baby back ball bank barn basket beach bean bear bell bench "
    "bicycle blue board boat body bone book bottle bowl boy branch bread bridge bright brother "
    "brown brush bucket bus butter button cake camera candle cap car castle chair cheese cherry "
    "chicken child circle city clean clock cloud coat coffee cold colour corn corner cotton cow "
    "cup curtain dance dark daughter day deep desk dinner doctor door dozen dream dress drink dry "
    "duck ear early east egg empty engine evening eye face family farm father feather field "
    "finger fire fish five flag floor flower food foot forest four friend fruit game garden glass "
    "gold goose grandma grass green ground guitar hair hammer hand hat heart heavy hill honey "
    "horse hot hour ice iron island jacket jump kettle key king kitchen knee knife lady lake lamp "
    "large leaf letter light lion long loud machine market meadow milk minute money moon morning "
    "mother mountain mouth music name narrow needle never night nine north nose number ocean old "
    "onion open orange oven paint paper park peach pen pepper picture pig pillow pink plane plate "
    "pocket pony potato purple quarter queen question quick rabbit radio rain river road rock "
    "roof room root rope round salad salt school sea second seven shallow ship shirt shoe shop "
    "short silver sister six sky sleep slow small smoke snow soap soft song south spoon spring "
    "square station stone storm story street sugar summer sun sweet table tail tea teacher ten "
    "tent thunder ticket tiger time tooth town train tree triangle tulip turtle two under uncle "
    "valley village voice wagon wall warm water week west wheel white wide wind window winter "
    "wire wood yellow young zebra zero"
).split()
# Few clips of many words: what is not a keyword is learned from variety.
CORPUS = SynthSettings(
    unknown_words=tuple(_HEARD),
    held_out_words=SynthSettings().unknown_words,
    clips_per_speaker=5,
    unknown_per_speaker=60,
)
# On two cores.
EXPECTED_S = {"recordings": 8.0, "training": 95.0, "report": 15.0, "proof": 12.0}
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
    from aqtaudio.quickstart_study import STUDY
    from aqtaudio.study.engine import Local
    from aqtaudio.sweep import sweep

    said: list[str] = []

    def say(text: str) -> None:
        if not said:
            tour.begin("report")
        tour.tell(min(0.2 * len(said), 0.9), text)
        said.append(text)

    # Runs of one program train together; two processes use two cores better than one.
    jobs = Local(min(2, os.cpu_count() or 1))
    return sweep(STUDY, data, out, jobs, batch=2, resume=True, display=tour.runs(), say=say)


def _proofs(data: Path, study: Path, tour: Tour) -> dict[str, dict[str, Any]]:
    """What `parity` found of every artifact, by run id."""
    from aqtaudio.evaluate import parity
    from aqtaudio.run_directory import Run

    tour.begin("proof", "TFLite Micro starts")
    artifacts = sorted(path for path in (study / "artifacts").iterdir() if path.is_dir())
    runs = [Run(artifact) for artifact in artifacts]
    recordings = runs[0].data(data, ("train", "val"))
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
    from aqtaudio.data import evaluation_list
    from aqtaudio.data.keywords import UNKNOWN

    items = evaluation_list.read(out / "study" / "work" / run_id / "evaluation.tsv")
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
