"""Files of a report: whole or not at all."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Writes UTF-8; what can't be encoded becomes `?`."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(text.encode("utf-8", "replace"))
    os.replace(new, path)


def write_csv(path: Path, lines: Sequence[Mapping[str, object]]) -> None:
    """A line per mapping; the columns of all in order of sight."""
    columns = list(dict.fromkeys(key for line in lines for key in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    write(path, text.getvalue())
