"""The run store: `rows.jsonl`, one line per finished run, and `failures.jsonl`, one per failure.

A line counts once its newline is on disk. Every append is one write with O_APPEND, then fsync,
under a lock on the file; a torn last line, left by a crash, is ignored when reading and cut off by
the next append. `rows.jsonl` holds each run id exactly once.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aqtaudio.errors import BadInput
from aqtaudio.files import write

Row = dict[str, object]


@dataclass(frozen=True)
class Store:
    """The rows and failures of one study, in `folder` (`results/<study>`)."""

    folder: Path

    @property
    def rows_path(self) -> Path:
        """`rows.jsonl`."""
        return self.folder / "rows.jsonl"

    @property
    def failures_path(self) -> Path:
        """`failures.jsonl`."""
        return self.folder / "failures.jsonl"

    def rows(self) -> list[Row]:
        """All rows in the order they were appended; BadInput names a line that is broken."""
        rows = _read(self.rows_path)
        seen: set[object] = set()
        for number, row in enumerate(rows, 1):
            key = row.get("run_id")
            if not isinstance(key, str):
                raise BadInput(f"{self.rows_path}:{number}: a row needs a run_id")
            if key in seen:
                raise BadInput(f"{self.rows_path}:{number}: run {key} is there twice")
            seen.add(key)
        return rows

    def append(self, row: Mapping[str, object]) -> bool:
        """Add a row; False, and nothing written, when its run is there already."""
        return _append(self.rows_path, row, lambda other: other.get("run_id") == row["run_id"])

    def replace(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Write all rows anew. No run may be going on in the study."""
        lines = (json.dumps(_finite(row), allow_nan=False) + "\n" for row in rows)
        write(self.rows_path, "".join(lines))

    def failures(self) -> list[Row]:
        """All failures, oldest first; a run may have failed more than once."""
        return _read(self.failures_path)

    def append_failure(self, failure: Mapping[str, object]) -> None:
        """Record a failed attempt."""
        _append(self.failures_path, failure, lambda other: False)


def _read(path: Path) -> list[Row]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    return _parsed(path, content)


def _parsed(path: Path, content: bytes) -> list[Row]:
    rows = []
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise BadInput(f"{path}:{number}: not a JSON object: mend or delete the line")
        rows.append(_finite(row))
    return rows


def _append(path: Path, row: Mapping[str, object], is_same: Callable[[Row], bool]) -> bool:
    line = json.dumps(_finite(row), allow_nan=False).encode() + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        content = _contents(file)
        end = content.rfind(b"\n") + 1
        if any(is_same(other) for other in _parsed(path, content)):
            return False
        if end < len(content):
            os.ftruncate(file, end)
        _write_whole(file, line, end, path)
    finally:
        os.close(file)
    if is_new:
        _sync_folder(path.parent)
    return True


def _contents(file: int) -> bytes:
    os.lseek(file, 0, os.SEEK_SET)
    chunks = []
    while chunk := os.read(file, 1 << 20):
        chunks.append(chunk)
    return b"".join(chunks)


def _write_whole(file: int, line: bytes, end: int, path: Path) -> None:
    """Write the line or nothing: a full disk may take only part of it."""
    try:
        if os.write(file, line) != len(line):
            raise OSError(f"{path}: could not write a whole row (disk full?)")
        os.fsync(file)
    except OSError:
        os.ftruncate(file, end)
        raise


def _sync_folder(folder: Path) -> None:
    """A new file survives a power cut only once its folder is on disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _finite(value: Mapping[str, object]) -> Row:
    """NaN and infinity are no JSON: a diverged run's figures become null."""
    return {str(key): _finite_item(item) for key, item in value.items()}


def _finite_item(value: object) -> object:
    if isinstance(value, Mapping):
        return _finite(value)
    if isinstance(value, list | tuple):
        return [_finite_item(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
