"""The exact clips and crops behind a figure, as a file: evaluation.tsv."""

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

from aqtaudio.errors import BadInput

COLUMNS = ("path", "label", "start_sample")


@dataclasses.dataclass(frozen=True)
class EvaluationItem:
    """One clip that is scored.

    Attributes:
      path: of the recording, relative to the data folder.
      label: the class it must be recognised as.
      start_sample: first sample of the clip, at the run's sample rate.
    """

    path: str
    label: str
    start_sample: int


def write(file: Path, items: Iterable[EvaluationItem]) -> None:
    """Writes items as tab-separated text with a header, atomically, in their order."""
    file = Path(file)
    rows = [COLUMNS, *((item.path, item.label, str(item.start_sample)) for item in items)]
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    os.replace(temporary, file)


def read(file: Path) -> list[EvaluationItem]:
    """Reads what `write` wrote.

    Raises:
      BadInput: the file is missing or is not such a list; the message names the line.
    """
    try:
        lines = Path(file).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read: {error}") from error
    if tuple(lines[0].split("\t")) != COLUMNS:
        raise BadInput(f"{file}: allowed columns (tab-separated): {', '.join(COLUMNS)}")
    return [_item(line, f"{file} line {number}") for number, line in enumerate(lines[1:], start=2)]


def _item(line: str, where: str) -> EvaluationItem:
    fields = line.split("\t")
    if len(fields) != len(COLUMNS) or not fields[2].isdecimal():
        raise BadInput(f"{where}: {line!r}; allowed: path, label and a sample number")
    return EvaluationItem(fields[0], fields[1], int(fields[2]))
