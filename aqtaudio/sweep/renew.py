"""A finished study in today's form: artifacts, costs in rows, report. Nothing is trained."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment, identity
from aqtaudio.runs.renew import measured, renew, shape_key
from aqtaudio.runs.run import Run
from aqtaudio.settings import overlay
from aqtaudio.study.plan import plan
from aqtaudio.study.report import write_report
from aqtaudio.study.search import made
from aqtaudio.study.space import Search, Study
from aqtaudio.study.store import Store

SIZES = ("arena_bytes", "arena_used_bytes")
Costs = dict[str, Any]


def renew_study(
    folder: Path, studies: Sequence[Study | Search], say: Callable[[str], None]
) -> list[str]:
    """Renews the artifacts of a study (`runs.renew`), and what its rows say that they cost.

    Args:
      folder: of the study.
      studies: that made it: a row without an artifact is measured on an untrained model.
      say: is told of every run.

    Returns:
      Ids of the rows whose arena is not known any more: no artifact, and in none of `studies`.

    Raises:
      BadInput: no such study, or an integer of an artifact would change; the rows are as before.
    """
    store = Store(folder)
    rows: list[dict[str, Any]] = [dict(row) for row in store.rows()]
    if not rows:
        raise BadInput(f"{store.rows_path} has no rows: name the folder of a study")
    experiments = _experiments(studies, folder)
    sizes: dict[str, Costs] = {}
    artifacts = {path.name: path for path in sorted((folder / "artifacts").glob("*/"))}
    unknown = []
    for row in rows:
        name = str(row["run_id"])
        if name in artifacts:
            say(f"{name} {row['name']}: artifact")
            kept = renew(Run(artifacts[name]))
            row |= {key: kept[key] for key in ("costs", "bits") if key in row}
        elif name in experiments:
            experiment, ranks = experiments[name], row.get("ranks", {})
            key = shape_key(experiment, ranks)
            if key not in sizes:
                say(f"{name} {row['name']}: measured untrained")
                sizes[key] = measured(experiment, ranks)
            row["costs"] = row["costs"] | sizes[key]
        else:
            row["costs"] = row["costs"] | dict.fromkeys(SIZES)
            unknown.append(name)
    store.replace(rows)
    write_report(folder)
    return unknown


def _experiments(studies: Sequence[Study | Search], folder: Path) -> Mapping[str, Experiment]:
    """What the runs of these studies are, by id."""
    found = {}
    for study in studies:
        if isinstance(study, Search):
            deltas = made(study, folder)
            study = Study(study.name, study.experiment, deltas or [{}])
        for run in plan(study, overlay, identity):
            assert isinstance(run.experiment, Experiment)
            found[run.run_id] = run.experiment
    return found
