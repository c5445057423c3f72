"""Files and folders that are there whole or not at all."""

import contextlib
import csv
import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio.errors import BadInput


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a name beside `path` to write to; it becomes `path` at the end, or is deleted when
    writing fails. It ends as `path` does: writers that go by a file's ending know it.
    """
    path = Path(path)
    new = path.with_name(f".{path.stem}.{os.getpid()}.new{path.suffix}")
    try:
        with naming(path, new):
            yield new
            os.replace(new, path)
    finally:
        with contextlib.suppress(OSError):  # what kept it from being written is told
            new.unlink(missing_ok=True)


@contextlib.contextmanager
def naming(path: Path, new: Path | None = None) -> Iterator[None]:
    """An OSError that names no file (a full disk, while writing), or `new`, names `path`."""
    try:
        yield
    except OSError as error:
        named = None if error.filename is None else str(error.filename)
        if error.errno is not None and named in (None, str(new)):
            error.filename, error.filename2 = str(path), None
        raise


def is_left_behind(name: str) -> bool:
    """Whether a file of this name is what `replacing` leaves where a process is killed."""
    return name.startswith(".") and ".new" in name


def write(path: Path, content: str | bytes) -> None:
    """Writes a file; of text UTF-8, where what can't be encoded becomes `?`."""
    with replacing(path) as new:
        new.write_bytes(content.encode("utf-8", "replace") if isinstance(content, str) else content)


def require_place(path: Path) -> None:
    """Raises BadInput where no file of this name can be: before anything is computed for it."""
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise BadInput(f"{path} cannot be written: name a file in a folder that may be written to")


def write_json(path: Path, value: Any) -> None:
    """Writes readable JSON, a line break at its end."""
    write(path, json.dumps(value, indent=1) + "\n")


def write_csv(path: Path, lines: Sequence[Mapping[str, object]]) -> None:
    """A line per mapping; the columns of all in order of sight."""
    columns = list(dict.fromkeys(key for line in lines for key in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    write(path, text.getvalue())


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a compressed .npz."""
    with replacing(path) as new, zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as file:
        # NumPy's own writer takes names for its arguments, so none may be called "file".
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as part:
                np.lib.format.write_array(part, np.asanyarray(array))


def require_new(out: Path) -> None:
    """Raises BadInput where `out` is no folder to make: before anything is computed for it."""
    out = Path(out).resolve()
    if out == Path.cwd():
        raise BadInput(f"{out} is the current folder; allowed: a new or empty folder in it")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise BadInput(f"{out} is there already; allowed: a new or empty folder")
    above = next(folder for folder in out.parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise BadInput(f"{out} cannot be made: {above} is no folder that may be written to")


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yields a folder to fill; it becomes `out` at the end, or is deleted when filling fails.

    Raises:
      BadInput: `out` is there already and is not an empty folder, or cannot be made.
    """
    out = Path(out).resolve()
    require_new(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise BadInput(f"{out} cannot be made: {error.strerror}") from error
    try:
        with naming(out, temporary):
            yield temporary
            temporary.chmod(0o755)
            os.replace(temporary, out)
    except OSError as error:
        for name in filter(None, (error.filename, error.filename2)):
            if Path(os.fsdecode(name)).is_relative_to(temporary):  # where it would have been
                error.filename = str(out / Path(os.fsdecode(name)).relative_to(temporary))
                error.filename2 = None
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
