"""The row of a finished run, with what the engine knows: names, seconds, device, code version."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path

from aqtaudio.errors import BadInput
from aqtaudio.study.plan import PlannedRun, plain


def finished_row(run: PlannedRun, run_dir: Path, seconds: float | None) -> dict[str, object]:
    """The row that a run wrote, completed; figures the run gave itself are kept.

    Raises BadInput when there is none or it is no JSON object.
    """
    path = run_dir / "row.json"
    try:
        written = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise BadInput("the command ended without writing row.json") from None
    except ValueError as error:
        raise BadInput(f"{path} is not JSON: {error}") from error
    if not isinstance(written, dict):
        raise BadInput(f"{path} must hold a JSON object")
    known = {"run_id": run.run_id, "name": run.name, "parent": run.parent}
    row = {**written, **known, "config_delta": plain(run.delta)}
    measured = {"seconds": seconds, "device": platform.machine(), **code_version()}
    missing = {key: value for key, value in measured.items() if row.get(key) is None}
    return {**row, **missing}


def code_version() -> dict[str, object]:
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
