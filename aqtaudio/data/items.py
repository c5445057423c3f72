"""The exact list behind a figure, as a file: evaluation.tsv, a line per item that is scored.

An item is a frozen dataclass of a task's own: its fields, of type str, int (0 and more) or float,
are the columns.
"""

import dataclasses
import math
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from aqtaudio.errors import BadInput
from aqtaudio.files import write as write_file

Item = TypeVar("Item")
_ALLOWED = {str: "text", int: "a whole number", float: "a number"}


def write(file: Path, kind: type, items: Iterable[Any]) -> None:
    """Writes items of `kind` as tab-separated text with a header, atomically, in their order."""
    rows = [tuple(_columns(kind)), *(tuple(map(str, dataclasses.astuple(x))) for x in items)]
    write_file(Path(file), "".join("\t".join(row) + "\n" for row in rows))


def read(file: Path, kind: type[Item]) -> list[Item]:
    """Reads what `write` wrote.

    Raises:
      BadInput: the file is missing or is not such a list; the message names the line.
    """
    columns = _columns(kind)
    try:
        lines = Path(file).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read: {error}") from error
    if lines[0].split("\t") != list(columns):
        raise BadInput(f"{file}: allowed columns (tab-separated): {', '.join(columns)}")
    items = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            fields = zip(columns.values(), line.split("\t"), strict=True)
            items.append(kind(*(_value(of, text) for of, text in fields)))
        except ValueError:
            allowed = ", ".join(f"{name} ({_ALLOWED[of]})" for name, of in columns.items())
            raise BadInput(f"{file} line {number}: {line!r}; allowed: {allowed}") from None
    return items


def _columns(kind: type) -> dict[str, type]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _value(kind: type, text: str) -> Any:
    if kind is int and not text.isdecimal():
        raise ValueError
    value = kind(text)
    if kind is float and not math.isfinite(value):
        raise ValueError
    return value
