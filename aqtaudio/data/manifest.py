"""The one dataset interface: a folder of audio files with a MANIFEST.tsv.

Tab-separated, one header line, the columns of `COLUMNS` in any order, paths relative to the folder.
Columns of other names are kept and mean nothing here; a byte-order mark is no part of the text.
Beside it may lie transcripts.tsv: path, tab, what is said there; no header. Likewise folds.tsv and
tags.tsv, and neighbours.tsv of what was spoken as a neighbour of a keyword (`sidecars`).
"""

import csv
import dataclasses
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from aqtaudio.errors import BadInput
from aqtaudio.files import write as write_file

NAME = "MANIFEST.tsv"
SIDECARS = ("transcripts.tsv", "folds.tsv", "tags.tsv", "neighbours.tsv")
TRANSCRIPTS, FOLDS, TAGS, NEIGHBOURS = SIDECARS
COLUMNS = ("path", "label", "speaker", "split", "source", "licence", "seconds", "sample_rate")
SPLITS = ("train", "val", "test")


@dataclasses.dataclass(frozen=True)
class Recording:
    """One row of a manifest.

    Attributes:
      path: relative to the manifest's folder, with forward slashes.
      label: a word, or `_unknown_`, `_silence_`, `silence`, `noise:*`.
      speaker: empty or "-" when nobody speaks.
      split: one of `SPLITS`.
      source: where the recording comes from.
      licence: of the recording.
      seconds: duration.
      sample_rate_hz: of the file (column `sample_rate`).
      folder: that `path` is relative to, where it was read; no column.
      text: what is said, where the folder's transcripts tell; no column.
      more: what further columns say, by their names.
    """

    path: str
    label: str
    speaker: str
    split: str
    source: str
    licence: str
    seconds: float
    sample_rate_hz: int
    folder: Path = dataclasses.field(default=Path(), compare=False)
    text: str = dataclasses.field(default="", compare=False)
    more: Mapping[str, str] = dataclasses.field(default_factory=dict, compare=False)

    @property
    def file(self) -> Path:
        """Where it is."""
        return self.folder / self.path


def read(folder: Path) -> list[Recording]:
    """Reads the manifest of a folder, in its order.

    Raises:
      BadInput: missing folder or manifest, wrong columns, a bad split, number or path; the message
        names the line.
    """
    manifest = require(folder)
    try:
        with open(manifest, encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{manifest} cannot be read as UTF-8 text: {error}") from error
    header = rows[0] if rows else []
    _check_columns(header, manifest)
    texts = sidecar(folder, TRANSCRIPTS)
    return [
        _recording(header, row, f"{manifest} line {number}", folder, texts)
        for number, row in enumerate(rows[1:], start=2)
        if row
    ]


def require(folder: Path) -> Path:
    """The manifest of a folder. Raises BadInput where there is none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise BadInput(f"no data folder {folder}; allowed: a folder with a {NAME}")
    if not (folder / NAME).is_file():
        raise BadInput(f"no {NAME} in {folder}; allowed columns: {', '.join(COLUMNS)}")
    return folder / NAME


def sidecar(folder: Path, name: str) -> dict[str, str]:
    """Path to what a list beside the manifest tells of it: lines of path, tab, text.

    Empty where the folder has no such list. Raises BadInput for a line that is none, with its
    number, and for a path that is there twice.
    """
    file, found = Path(folder) / name, {}
    if not file.is_file():
        return found
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read as UTF-8 text: {error}") from error
    for number, line in enumerate(lines, start=1):
        path, tab, text = line.partition("\t")
        if not (path and tab) or "\t" in text:
            raise BadInput(f"{file} line {number}: allowed: path and text, tab-separated")
        if path in found:
            raise BadInput(f"{file} line {number}: {path!r} is there twice")
        found[path] = text.strip()
    return found


def read_all(folders: Sequence[Path]) -> list[Recording]:
    """Reads several folders as one. What is drawn goes by path, so no path may be in two of them.

    Raises BadInput as `read` does, and for a path that two folders have.
    """
    places: dict[Path, Path] = {}  # a folder may have several names
    for folder in folders:
        places.setdefault(Path(folder).resolve(), Path(folder))
    rows = [row for folder in places.values() for row in read(folder)]
    first: dict[str, Path] = {}
    for row in rows:
        if (other := first.setdefault(row.path, row.folder)) != row.folder:
            raise BadInput(
                f"{row.path!r} is in {other} and in {row.folder}; allowed: folders without a path "
                "in common"
            )
    return rows


def fingerprint(folder: Path) -> str:
    """12 hex digits that tell a folder's recordings: of its lists, and the size of every file.

    Raises BadInput where the manifest cannot be read.
    """
    folder, digest = Path(folder), hashlib.sha256()
    for name in (NAME, *SIDECARS):
        file = folder / name
        digest.update(file.read_bytes() if file.is_file() else b"")
    for row in read(folder):
        size = row.file.stat().st_size if row.file.is_file() else -1
        digest.update(f"{row.path}\t{size}\n".encode())
    return digest.hexdigest()[:12]


def write(folder: Path, recordings: Iterable[Recording]) -> None:
    """Writes the manifest of a folder, atomically; makes the folder when it is not there.

    Raises:
      BadInput: a recording that `read` would refuse, or a tab or line break in a field.
    """
    folder, recordings = Path(folder), list(recordings)
    more = list(dict.fromkeys(column for recording in recordings for column in recording.more))
    columns = [*COLUMNS, *(column for column in more if column not in COLUMNS)]
    lines = ["\t".join(columns)]
    for recording in recordings:
        fields = [
            *_fields(recording),
            *(recording.more.get(name, "") for name in columns[len(COLUMNS) :]),
        ]
        if any(character in field for field in fields for character in "\t\r\n"):
            raise BadInput(
                f"{recording.path!r}: tabs and line breaks are not allowed in a manifest"
            )
        _recording(columns, fields, f"recording {recording.path!r}", folder, {})
        lines.append("\t".join(fields))
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / NAME, "\n".join(lines) + "\n")


def _check_columns(header: list[str], manifest: Path) -> None:
    missing = [column for column in COLUMNS if column not in header]
    wrong = [column for column in header if column not in COLUMNS]
    twice = sorted({column for column in header if header.count(column) > 1} - set(wrong))
    found = [
        f"{what} {', '.join(map(repr, columns))}"
        for what, columns in (("missing", missing), ("unknown", wrong), ("repeated", twice))
        if columns
    ]
    if missing or twice:
        raise BadInput(
            f"{manifest}: columns {'; '.join(found)}; allowed (tab-separated): {', '.join(COLUMNS)}"
        )


def _recording(
    header: list[str], row: list[str], where: str, folder: Path, texts: Mapping[str, str]
) -> Recording:
    if len(row) != len(header):
        raise BadInput(f"{where}: {len(row)} fields; allowed: {len(header)}, tab-separated")
    field = dict(zip(header, row, strict=True))
    if field["split"] not in SPLITS:
        raise BadInput(f"{where}: split {field['split']!r}; allowed: {', '.join(SPLITS)}")
    if not field["label"]:
        raise BadInput(f"{where}: empty label; allowed: a word, noise:*, _unknown_, _silence_")
    path = field["path"]  # as text: a Path for every line takes as long as all the rest
    if not path or path.startswith("/") or ".." in path.split("/"):
        raise BadInput(f"{where}: path {field['path']!r}; allowed: a path inside the folder")
    return Recording(
        path=path,
        label=field["label"],
        speaker=field["speaker"],
        split=field["split"],
        source=field["source"],
        licence=field["licence"],
        seconds=_number(field["seconds"], "seconds", where),
        sample_rate_hz=_sample_rate_hz(field["sample_rate"], where),
        more={name: text for name, text in field.items() if name and name not in COLUMNS},
        folder=folder,
        text=texts.get(path, ""),
    )


def _number(text: str, column: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise BadInput(f"{where}: {column} {text!r}; allowed: a number, at least 0")
    return number


def _sample_rate_hz(text: str, where: str) -> int:
    number = _number(text, "sample_rate", where)
    if number < 1 or number != int(number):
        raise BadInput(f"{where}: sample_rate {text!r}; allowed: a whole number of hertz")
    return int(number)


def _fields(recording: Recording) -> list[str]:
    return [
        recording.path,
        recording.label,
        recording.speaker,
        recording.split,
        recording.source,
        recording.licence,
        f"{recording.seconds:.6g}",
        str(recording.sample_rate_hz),
    ]
