"""SONYC-UST v2 (M. Cartwright et al., arXiv:2009.05188) as a manifest folder."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from aqtaudio.data import import_tree, sidecars
from aqtaudio.data.counted import Say, silent
from aqtaudio.data.import_tree import LeftOut, Listed
from aqtaudio.data.manifest import Recording
from aqtaudio.errors import BadInput

LIST = "annotations.csv"
LABEL = "noise:urban"
LICENCE = "CC BY 4.0"
VERIFIED = "0"  # the annotator who stands for what the corpus's own team agreed on
SPLITS = {"train": "train", "validate": "val", "test": "test"}
_COLUMNS = ("split", "sensor_id", "audio_filename", "annotator_id")
_COARSE = re.compile(r"\d+_(.+)_presence")  # fine ones have a second number: 1-1_..._presence
_PRESENCE = ("-1", "0", "1")


def import_sonyc_ust(
    source: Path, out: Path, link: bool = False, say: Say = silent
) -> list[LeftOut]:
    """Makes a manifest folder of a SONYC-UST tree: label `noise:urban`, coarse tags in tags.tsv.

    Splits are the corpus's own, which share no sensor between train and val.

    Args:
      source: the tree, with annotations.csv and the recordings in audio/ or any other folder.
      out: the folder to make.
      link: hard links instead of copies.
      say: told how far it is, where that takes long.

    Returns:
      What is left out.

    Raises:
      BadInput: the source is no such tree, or `out` is there already.
    """
    source = Path(source)
    file = source / LIST
    rows = import_tree.table(file, _COLUMNS)
    coarse = {c: m[1] for c in (rows[0] if rows else ()) if (m := _COARSE.fullmatch(c))}
    if not coarse:
        raise BadInput(f"{file} has no columns such as 1_engine_presence, or no rows")
    places = _places(source)
    groups: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        _check(row, coarse, file)
        groups.setdefault(row["audio_filename"], []).append(row)
    listed, found = [], {}
    for name, annotations in groups.items():
        splits = {row["split"] for row in annotations}
        if len(splits) > 1:
            raise BadInput(f"{file}: {name} is in {' and '.join(sorted(splits))}")
        path = places.get(name, f"audio/{name}")
        origin = f"SONYC-UST v2 (M. Cartwright et al.), sensor {annotations[0]['sensor_id']}"
        listed.append(Listed(path, LABEL, SPLITS[splits.pop()], origin, LICENCE))
        found[path] = [tag for column, tag in coarse.items() if present(annotations, column)]

    def finish(folder: Path, kept: Sequence[Recording]) -> None:
        sidecars.write_tags(folder, {row.path: found[row.path] for row in kept})

    return import_tree.import_tree(source, out, listed, link, [LIST], finish, say=say)


def present(annotations: Iterable[Mapping[str, str]], column: str) -> bool:
    """Whether a recording has a tag: as the verified annotation says, where there is one that says
    anything (1 or 0, not -1); else if any annotator marked it.

    The rule of the corpus's baseline (DCASE 2019 and 2020, task 5).
    """
    said = [(row["annotator_id"], row[column]) for row in annotations]
    verified = [value for annotator, value in said if annotator == VERIFIED and value != "-1"]
    return "1" in (verified or [value for _, value in said])


def _check(row: Mapping[str, str], coarse: Iterable[str], file: Path) -> None:
    name = import_tree.require_name(row["audio_filename"], file)
    if row["split"] not in SPLITS:
        raise BadInput(f"{file}: {name}: split {row['split']!r}; allowed: {', '.join(SPLITS)}")
    if not re.fullmatch(r"-?\d+", row["annotator_id"]):
        raise BadInput(f"{file}: {name}: annotator_id {row['annotator_id']!r}; allowed: a number")
    for column in coarse:
        if row[column] not in _PRESENCE:
            raise BadInput(
                f"{file}: {name}: {column} {row[column]!r}; allowed: {', '.join(_PRESENCE)}"
            )


def _places(source: Path) -> dict[str, str]:
    """Name of every recording of the tree, which is unique in it, to its path."""
    places: dict[str, str] = {}
    for file in sorted(source.rglob("*.wav")):
        path = file.relative_to(source).as_posix()
        if any(part.startswith(".") for part in path.split("/")):
            continue
        if file.name in places:
            raise BadInput(f"{source}: {file.name} is there twice: {places[file.name]}, {path}")
        places[file.name] = path
    return places
