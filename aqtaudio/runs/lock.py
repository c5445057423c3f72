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

    Raises BadInput where somebody else trains there.
    """
    lock = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise BadInput(
            f"{folder} is being trained by another command; wait for it, or name another folder"
        ) from error
    try:
        yield
    finally:
        os.close(lock)
