"""Front ends as users name them: a name, a run, a config or a frontend.json."""

import json
from pathlib import Path

from aqtaudio.errors import BadInput
from aqtaudio.experiment import load_config
from aqtaudio.frontends.frontend import Frontend
from aqtaudio.frontends.micro import MicroFrontend
from aqtaudio.frontends.spectral import LogMel, Mfcc
from aqtaudio.frontends.vendor import VendorFrontend
from aqtaudio.settings import differences, from_json, to_json

FILE = "frontend.json"
NAMED = {
    "log-mel": LogMel(),
    "mfcc": Mfcc(),
    "micro-c": MicroFrontend(),
    "micro-tflm": MicroFrontend(variant="tflm"),
    "vendor": VendorFrontend(),
}


def frontend_of(text: str) -> Frontend:
    """The front end that a user means.

    Args:
      text: one of NAMED, or the path of a run, an artifact, a config file, a frontend.json or its
        folder (features that a device dumped).

    Raises:
      BadInput: none of these.
    """
    if text in NAMED:
        return NAMED[text]
    path = Path(text)
    if path.is_dir():
        path /= "config.json" if (path / "config.json").is_file() else FILE
    if not path.is_file():
        raise BadInput(
            f"front end {text!r}: allowed: {', '.join(NAMED)}, a run, a config file, a {FILE} or "
            "its folder"
        )
    return _read(path) if path.name == FILE else load_config(path).frontend


def write(frontend: Frontend, folder: Path) -> Path:
    """Writes a front end's settings as frontend.json."""
    path = folder / FILE
    path.write_text(json.dumps(to_json(frontend), indent=1) + "\n")
    return path


def _read(path: Path) -> Frontend:
    try:
        frontend = from_json(json.loads(path.read_text()))
    except ValueError as error:
        raise BadInput(f"{path}: not readable JSON ({error})") from error
    if not isinstance(frontend, Frontend):
        raise BadInput(f"{path}: not a front end")
    return frontend


def require_same(run: Path, its: Frontend, requested: Frontend) -> None:
    """Raises BadInput, naming every setting that differs from what the run was trained on."""
    if found := differences(its, requested, "in the run", "requested"):
        raise BadInput(
            f"{run}: another front end ({found}); `aqtaudio frontend recalibrate` makes a run of it"
        )
