"""The main job from end to end, offline: recordings, a small sweep, report, export, proof.

Voices are espeak-ng's, so the accuracies say that everything works, not how good a model is.
"""

import time
from pathlib import Path

from rich.console import Console

from aqtaudio.data.synth import SynthSettings, synth
from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.models.ds_cnn import DSCNN
from aqtaudio.program.cost import cost, table
from aqtaudio.recipe import FLOAT, W4A8, W8A8, low_rank
from aqtaudio.runs.parity import parity_on
from aqtaudio.runs.run import Run
from aqtaudio.study.headlines import main_metric
from aqtaudio.study.measures import quality
from aqtaudio.study.space import Study, finetuned
from aqtaudio.study.store import Row, Store
from aqtaudio.sweep.sweep import sweep
from aqtaudio.tasks.keywords.task import Keywords

EXPERIMENT = Experiment(
    model=DSCNN(width=32),
    task=Keywords(SynthSettings().words),
    optimizer=Optimizer(steps=1000),
    finetune=Optimizer(steps=200, learning_rate=5e-4, warmup_steps=20),
    calibration_batches=8,
)
PARENT = {"name": "float", "recipe": FLOAT}
INHERIT = {"optimizer.steps": 0}
LOW_RANK = {
    "name": "low rank",
    "recipe": low_rank("pointwise_.*", 0.03, 0.9),
    "optimizer.steps": 200,
    "optimizer.learning_rate": 1e-3,
}
CHILDREN = [
    {"name": "w8a8", "recipe": W8A8, **INHERIT},
    {"name": "w4a8", "recipe": W4A8, **INHERIT},
    LOW_RANK,
]
STUDY = Study("quickstart", EXPERIMENT, [PARENT, *finetuned([PARENT], CHILDREN)])


def quickstart(out: Path) -> int:
    """Does the main job in `out` (resumable) and prints where everything is. Returns 0 when the
    exported files compute the programs' integers, else 1.
    """
    started = time.monotonic()
    console = Console(highlight=False, soft_wrap=True)
    console.print("[bold]1. Recordings[/]: an offline corpus of synthetic voices")
    data = synth(out / "data")
    console.print("[bold]2. Sweep[/]: float, W8A8, W4A8, low rank; then report and export")
    study = out / "study"
    failed = sweep(STUDY, [data], study, resume=True)
    if failed:
        console.print(f"runs that failed: {', '.join(failed)}; see {study / 'failures.jsonl'}")
        return 1
    rows = Store(study).rows()
    for row in rows:
        console.print(_line(row))
    console.print("[bold]3. Proof[/]: exported files in TFLite Micro against the programs in JAX")
    mismatches = 0
    artifacts = sorted((study / "artifacts").iterdir())
    for artifact in artifacts:
        result = parity_on(Run(artifact), [data], n=500)
        mismatches += result["mismatches"]
        console.print(
            f"   {artifact.name}: {result['mismatches']} of {result['outputs']} integers differ "
            f"on {result['n']} inputs"
        )
    console.print("[bold]4. Cost[/] of one of them, per operation")
    table(cost(Run(artifacts[0]).program))
    console.print(f"[bold]Done[/] in {time.monotonic() - started:.0f} s")
    console.print(f"   report     {study / 'report.html'}")
    console.print(f"   figures    {study / 'figures'}")
    console.print(f"   artifacts  {study / 'artifacts'}  (model.tflite, firmware/, program.json)")
    console.print(f"   recordings {data}")
    return 1 if mismatches else 0


def _line(row: Row) -> str:
    costs = row["costs"]
    assert isinstance(costs, dict)
    size = f"{costs['file_bytes']:,} bytes" if costs["file_bytes"] else ""
    shown = f"{row['name']:>16}  {row['precision']:>14}"
    return f"   {shown}  accuracy {quality(row, main_metric([row])):.4f}  {size}"
