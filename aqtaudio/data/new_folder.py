"""A folder that appears whole or not at all."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from aqtaudio.errors import BadInput


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yields a folder to fill; it becomes `out` at the end, or is deleted when filling fails.

    Raises:
      BadInput: `out` is there already and is not an empty folder, or cannot be made.
    """
    out = Path(out).resolve()
    if out == Path.cwd():
        raise BadInput(f"{out} is the current folder; allowed: a new or empty folder in it")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise BadInput(f"{out} is there already; allowed: a new or empty folder")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise BadInput(f"{out} cannot be made: {error}") from error
    try:
        yield temporary
        temporary.chmod(0o755)
        os.replace(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
