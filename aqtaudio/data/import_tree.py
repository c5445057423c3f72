"""Trees of public corpora as manifest folders: what importers share."""

import collections
import csv
import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import soundfile

from aqtaudio.data import audio, manifest
from aqtaudio.data.counted import Say, side_by_side, silent
from aqtaudio.data.manifest import Recording
from aqtaudio.errors import BadInput
from aqtaudio.files import new_folder
from aqtaudio.files import write as write_file

LEFT_OUT = "left_out.tsv"
AUDIO = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")
LEAST_S = 0.02
"""What is shorter holds no frame of any front end."""
_NAMED = 5  # files of a reason in its line
SPLIT_FOLDERS = {"train": "train", "training": "train"}
SPLIT_FOLDERS |= dict.fromkeys(("val", "valid", "validation", "validate", "dev"), "val")
SPLIT_FOLDERS |= dict.fromkeys(("test", "testing", "eval"), "test")
"""Names of folders, in lower case, that are splits."""


@dataclasses.dataclass(frozen=True)
class Listed:
    """A recording that a corpus's list names: its path in the tree, and columns of the manifest."""

    path: str
    label: str
    split: str
    source: str
    licence: str
    speaker: str = "-"


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """A file of the tree, or of its list, that is not imported, and why."""

    path: str
    reason: str


def import_tree(
    source: Path,
    out: Path,
    listed: Sequence[Listed],
    link: bool,
    lists: Sequence[str],
    finish: Callable[[Path, Sequence[Recording]], None],
    reasons: dict[str, str] | None = None,
    say: Say = silent,
) -> list[LeftOut]:
    """Makes a manifest folder of the listed recordings, under the paths that they have in the tree.

    Every sample is read. What is missing, empty, tiny or damaged, and what the list does not name,
    is left out; left_out.tsv in the folder (path, reason) names it.

    Args:
      source: the tree.
      out: the folder to make.
      listed: what to import, each path once.
      link: hard links instead of copies.
      lists: paths of files that were read to make `listed`.
      finish: writes what else the folder holds, given the folder and its recordings.
      reasons: why further files of the tree are not imported, by path.
      say: told how far it is, where that takes long.

    Raises:
      BadInput: no listed recording is there, a path twice, or `out` is there already.
    """
    twice = [p for p, n in collections.Counter(each.path for each in listed).items() if n > 1]
    if twice:
        raise BadInput(f"{source}: its list names {twice[0]} twice")
    with new_folder(out) as folder:
        kept, left = placed(source, folder, listed, link, say)
        if not kept:
            raise BadInput(f"{source}: none of the {len(listed)} recordings of its list is there")
        named = {each.path for each in listed} | set(lists)
        left += others(source, named, reasons or {})
        manifest.write(folder, kept)
        finish(folder, kept)
        write_left_out(folder, left)
    return left


def placed(
    source: Path, folder: Path, listed: Sequence[Listed], link: bool, say: Say = silent
) -> tuple[list[Recording], list[LeftOut]]:
    """Reads the listed recordings whole and copies or links what is sound; and what is not."""
    kept, left = [], []
    with side_by_side(lambda each: _examined(source, each), listed, say) as found:
        for each, result in zip(listed, found, strict=True):
            if isinstance(result, LeftOut):
                left.append(result)
                continue
            place(source / each.path, folder / each.path, link)
            kept.append(result)
    return kept, left


def others(source: Path, named: set[str], reasons: dict[str, str]) -> list[LeftOut]:
    """What a tree has beside the files that are named, and why it is not imported."""
    files, left = walk(source)
    for path in files:
        if path not in named:
            usual = why_not_audio(source, path) or "audio that the list does not name"
            left.append(LeftOut(path, reasons.get(path, usual)))
    return left


def write_left_out(folder: Path, left: Sequence[LeftOut]) -> None:
    """Writes what was not imported, if anything."""
    if left:
        lines = "".join(f"{_shown(each.path)}\t{each.reason}\n" for each in left)
        write_file(folder / LEFT_OUT, lines)


def read_left_out(folder: Path) -> list[LeftOut]:
    """What an import left out of a folder."""
    file = folder / LEFT_OUT
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return [LeftOut(*line.split("\t", 1)) for line in lines]


def walk(source: Path) -> tuple[list[str], list[LeftOut]]:
    """Paths of all files of a tree, sorted, and what of it cannot be looked into.

    Links are followed, each folder once.
    """
    files: list[str] = []
    left: list[LeftOut] = []
    seen = {os.path.realpath(source)}
    for here, folders, names in os.walk(source, followlinks=True):
        at = Path(here).relative_to(source)
        for name in sorted(folders):
            path, real = (at / name).as_posix(), os.path.realpath(os.path.join(here, name))
            if name.startswith("."):
                left.append(LeftOut(path + "/", "a hidden folder"))
            elif real in seen:
                left.append(LeftOut(path + "/", "a link to a folder that was read already"))
            else:
                seen.add(real)
                continue
            folders.remove(name)
        folders.sort()
        files += [(at / name).as_posix() for name in names]
    return sorted(files), left


def why_not_audio(source: Path, path: str) -> str:
    """Why a file cannot be a recording of a manifest, by its name; empty where it can."""
    if Path(path).name.startswith("."):
        return "a hidden file"
    if any(ord(character) < 32 or "\ud800" <= character <= "\udfff" for character in path):
        return "its name has a tab, a line break or bytes that are not UTF-8"
    if Path(path).suffix.lower() not in AUDIO:
        return "not audio"
    return "" if (source / path).exists() else "a link to nothing"


def split_folder(path: str) -> tuple[str | None, str]:
    """Of `training/yes/a.wav`: ("train", "yes/a.wav"); without such a folder (None, path)."""
    first, _, rest = path.partition("/")
    split = SPLIT_FOLDERS.get(first.lower())
    return (split, rest) if split and "/" in rest else (None, path)


def summary(left: Sequence[LeftOut]) -> Iterator[str]:
    """A line per reason: how many files, and the first of them."""
    groups: dict[str, list[str]] = {}
    for each in left:
        groups.setdefault(each.reason, []).append(_shown(each.path))
    for reason, paths in groups.items():
        more = f", and {len(paths) - _NAMED} more in {LEFT_OUT}" if len(paths) > _NAMED else ""
        yield f"left out, {reason}: {len(paths)} ({', '.join(paths[:_NAMED])}{more})"


def _shown(path: str) -> str:
    """In one line, and in any encoding."""
    return path if path.isprintable() else repr(path)[1:-1]


def table(file: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a comma-separated list with a header.

    Raises BadInput where it cannot be read, lacks a column, or a row has too few or many fields.
    """
    try:
        with open(file, encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.reader(lines, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{file} cannot be read: {error}") from error
    header = rows[0] if rows else []
    missing = [column for column in columns if column not in header]
    if missing:
        raise BadInput(f"{file} has no column {missing[0]!r}; needed: {', '.join(columns)}")
    found = []
    for number, row in enumerate(rows[1:], start=2):
        if row and len(row) != len(header):
            raise BadInput(f"{file} line {number}: {len(row)} fields; allowed: {len(header)}")
        if row:
            found.append(dict(zip(header, row, strict=True)))
    return found


def whole_number(text: str, allowed: range, what: str) -> int:
    """A number of a list; raises BadInput, which names `what`, where it is not allowed."""
    if not text.isdecimal() or int(text) not in allowed:
        raise BadInput(f"{what} {text!r}; allowed: {allowed[0]} to {allowed[-1]}")
    return int(text)


def require_name(name: str, file: Path) -> str:
    """A file's name in a list, which is not to lead elsewhere; raises BadInput."""
    if not name or name in (".", "..") or "/" in name or "\\" in name:
        raise BadInput(f"{file}: file {name!r}; allowed: a name without folders")
    return name


def place(file: Path, target: Path, link: bool) -> None:
    """Copies a file, or links it; raises BadInput where that cannot be."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if link:
            os.link(os.path.realpath(file), target)  # of a link, what it leads to
        else:
            shutil.copyfile(file, target)
    except OSError as error:
        need = "the same file system, or copies" if link else "a readable file, enough space"
        raise BadInput(f"{file} cannot be placed: {error.strerror}; needed: {need}") from error


def length(file: Path) -> tuple[int, int]:
    """Samples and rate in hertz; raises BadInput for what is not audio."""
    try:
        info = soundfile.info(os.fsencode(file))
    except (soundfile.SoundFileError, OSError) as error:
        raise BadInput(
            f"{file} is not audio that libsndfile reads: {audio.reason(error)}"
        ) from error
    if info.frames >= audio.NO_LENGTH:
        raise BadInput(f"{file}: {audio.NO_LENGTH_TOLD}")
    return info.frames, info.samplerate


def _examined(source: Path, each: Listed) -> Recording | LeftOut:
    file = source / each.path
    if not file.is_file():
        return LeftOut(each.path, "listed, but no such file")
    if not file.stat().st_size:
        return LeftOut(each.path, "empty")
    try:
        frames, rate_hz = length(file)
        if not frames:
            return LeftOut(each.path, "empty")
        for _ in audio.chunks(file, rate_hz):
            pass
    except BadInput:
        return LeftOut(each.path, "damaged")
    if frames < LEAST_S * rate_hz:
        return LeftOut(each.path, f"shorter than {1000 * LEAST_S:g} ms")
    return Recording(
        path=each.path,
        label=each.label,
        speaker=each.speaker,
        split=each.split,
        source=each.source,
        licence=each.licence,
        seconds=frames / rate_hz,
        sample_rate_hz=rate_hz,
    )
