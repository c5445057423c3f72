"""Front ends as users name them: a name, a run, a config or a frontend.json."""

from pathlib import Path

from aqtaudio.errors import BadInput
from aqtaudio.experiment import load_config
from aqtaudio.frontends.frontend import Frontend
from aqtaudio.frontends.named import FILE, NAMED, read
from aqtaudio.settings import differences


def frontend_of(text: str) -> Frontend:
    """The front end that a user means.

    Args:
      text: one of `frontends.named.NAMED`, or the path of a run, an artifact, a config file, a
        frontend.json or its folder (features that a device dumped).

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
    return read(path) if path.name == FILE else load_config(path).frontend


def require_same(run: Path, its: Frontend, requested: Frontend) -> None:
    """Raises BadInput, naming every setting that differs from what the run was trained on."""
    if found := differences(its, requested, "in the run", "requested"):
        raise BadInput(
            f"{run}: another front end ({found}); `aqtaudio frontend recalibrate` makes a run of it"
        )
