"""Short names of the artifacts that a checkout has: `gtcrn`, `english`."""

import json
from pathlib import Path

from aqtaudio.errors import BadInput

FILE = "names.json"
"""Beside a study's rows: {name: folder in the study}, the default first."""


def named(run: Path | None, study: Path) -> Path | None:
    """A run's folder from a path or a short name; without either the study's default, if any.

    Raises BadInput where it is neither.
    """
    names = _names(study)
    if run is None:
        return next(iter(names.values()), None)
    if run.is_dir():
        return run
    if str(run) in names:
        return names[str(run)]
    told = f", {', '.join(names)}" if names else ""
    raise BadInput(f"{run}: no such run directory; allowed: one{told}")


def _names(study: Path) -> dict[str, Path]:
    file = study / FILE
    if not file.exists():
        return {}
    return {name: study / folder for name, folder in json.loads(file.read_text()).items()}
