"""One training at a time in a run's folder."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from aqtaudio.errors import BadInput

NAME = "lock"
"""The file that jobs of a sweep hold too (`study.process`)."""


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Holds the folder's lock; the system drops it however this process ends.

    The file goes with it, where it was not there before.

    Raises BadInput where somebody else trains there.
    """
    file = folder / NAME
    was_there = file.exists()
    lock = _locked(file)
    try:
        yield
    finally:
        if not was_there:
            file.unlink(missing_ok=True)
        os.close(lock)


def _locked(file: Path) -> int:
    while True:
        lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock), os.stat(file)):
                return lock
        except FileNotFoundError:
            pass  # whoever had it took the file away in between
        except OSError as error:
            os.close(lock)
            raise BadInput(
                f"{file.parent} is being trained by another command; wait for it, or name another "
                "folder"
            ) from error
        os.close(lock)
