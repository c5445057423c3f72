"""A folder that is made piece by piece; killed at any moment, the next process goes on with it."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aqtaudio.errors import BadInput
from aqtaudio.files import is_left_behind
from aqtaudio.files import write as write_file

COMPLETE = "complete"


@contextlib.contextmanager
def growing(out: Path, name: str, what: dict[str, Any]) -> Iterator[bool]:
    """Yields whether the folder is complete; one that is not is marked so when the block ends well.

    Args:
      out: the folder; made where it is not there.
      name: of the JSON file in it that says what it holds, and whether it is complete.
      what: that, as JSON. The same `what` has to give the same content.

    Raises:
      BadInput: a folder that holds something else, cannot be made, or that another process makes.
    """
    out = Path(out)
    said = json.loads(json.dumps(what))
    try:
        out.mkdir(parents=True, exist_ok=True)
        handle = os.open(out, os.O_RDONLY)
    except OSError as error:
        raise BadInput(f"{out} cannot be made: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(f"{out} is being made by another process: wait for it") from None
        complete = _state(out, name, said)
        if not complete:
            _write(out / name, said, False)
            _tidy(out)
        yield complete
        if not complete:
            _write(out / name, said, True)
    finally:
        os.close(handle)


def _state(out: Path, name: str, said: dict[str, Any]) -> bool:
    if not (out / name).is_file():
        if any(not is_left_behind(file.name) for file in out.iterdir()):
            raise BadInput(f"{out} is there already; allowed: a new or empty folder")
        return False
    try:
        found = json.loads((out / name).read_text(encoding="utf-8"))
        complete = found.pop(COMPLETE)
    except (ValueError, KeyError, AttributeError):
        found, complete = None, False
    if found != said:
        raise BadInput(f"{out} holds a corpus of other settings, see {name}; allowed: a new folder")
    return bool(complete)


def _write(file: Path, said: dict[str, Any], complete: bool) -> None:
    value = {**said, COMPLETE: complete}
    write_file(file, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def _tidy(out: Path) -> None:
    """Removes what a killed process was writing."""
    for file in out.rglob(".*"):
        if file.is_file() and is_left_behind(file.name):
            file.unlink()
