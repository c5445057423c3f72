"""Files and folders that are there whole or not at all."""

import contextlib
import csv
import io
import json
import os
import shutil
import tempfile
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
        with naming(path):
            yield new
            os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """An OSError that names no file (a full disk, while writing) names `path`."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise


def is_left_behind(name: str) -> bool:
    """Whether a file of this name is what `replacing` leaves where a process is killed."""
    return name.startswith(".") and ".new" in name


def write(path: Path, content: str | bytes) -> None:
    """Writes a file; of text UTF-8, where what can't be encoded becomes `?`."""
    with replacing(path) as new:
        new.write_bytes(content.encode("utf-8", "replace") if isinstance(content, str) else content)


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
    with replacing(path) as new:
        np.savez_compressed(new, **arrays)  # type: ignore[arg-type]


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
        with naming(out):
            yield temporary
        temporary.chmod(0o755)
        os.replace(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
