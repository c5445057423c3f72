"""ESC-50 and ESC-10 (K. J. Piczak, doi:10.1145/2733373.2806390) as a manifest folder."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from aqtaudio.data import import_tree, sidecars
from aqtaudio.data.counted import Say, silent
from aqtaudio.data.import_tree import LeftOut, Listed
from aqtaudio.data.manifest import Recording
from aqtaudio.errors import BadInput

LIST = "meta/esc50.csv"
FOLDS = range(1, 6)
SPLITS = {1: "train", 2: "train", 3: "train", 4: "val", 5: "test"}
LICENCE_50, LICENCE_10 = "CC BY-NC 3.0", "CC BY 3.0"
_COLUMNS = ("filename", "fold", "category", "esc10")
_FOLDER = re.compile(r"\d{3} - (.+)")
_FILE = re.compile(r"([1-5])-.+\.(wav|ogg|flac)")


def import_esc(
    source: Path, out: Path, link: bool = False, only_esc10: bool = False, say: Say = silent
) -> list[LeftOut]:
    """Makes a manifest folder of an ESC tree: labels `noise:<category>`, folds in folds.tsv.

    Folds keep clips of one original recording together: 1 to 3 are for training, 4 is val, 5 test.
    The tree is that of ESC-50 (meta/esc50.csv, audio/) or one with a folder per class, as ESC-10
    comes (`001 - Dog bark/1-100032-A.ogg`).

    Args:
      source: the tree.
      out: the folder to make.
      link: hard links instead of copies.
      only_esc10: of ESC-50 the clips of ESC-10, which are free for commerce too.
      say: told how far it is, where that takes long.

    Returns:
      What is left out.

    Raises:
      BadInput: the source is no such tree, or `out` is there already.
    """
    source = Path(source)
    if not source.is_dir():
        raise BadInput(f"no folder {source}; allowed: an ESC-50 or ESC-10 tree")
    folds: dict[str, int] = {}
    if (source / LIST).is_file():
        listed, others = _of_list(source, folds, only_esc10)
        lists = [LIST]
    else:
        listed, others, lists = list(_of_folders(source, folds)), {}, []

    def finish(folder: Path, kept: Sequence[Recording]) -> None:
        sidecars.write_folds(folder, {row.path: folds[row.path] for row in kept})

    return import_tree.import_tree(source, out, listed, link, lists, finish, others, say)


def _of_list(
    source: Path, folds: dict[str, int], only_esc10: bool
) -> tuple[list[Listed], dict[str, str]]:
    file, listed, others = source / LIST, [], {}
    for row in import_tree.table(file, _COLUMNS):
        path = f"audio/{import_tree.require_name(row['filename'], file)}"
        fold = import_tree.whole_number(row["fold"], FOLDS, f"{file}: {path}: fold")
        if row["esc10"] not in ("True", "False"):
            raise BadInput(f"{file}: {path}: esc10 {row['esc10']!r}; allowed: True, False")
        if not row["filename"].startswith(f"{fold}-"):
            raise BadInput(f"{file}: {path}: fold {fold}; its name says another one")
        in_esc10 = row["esc10"] == "True"
        if only_esc10 and not in_esc10:
            others[path] = "not of ESC-10"
            continue
        folds[path] = fold
        licence = LICENCE_10 if in_esc10 else LICENCE_50
        listed.append(_listed(path, row["category"], fold, "ESC-50", licence))
    return listed, others


def _of_folders(source: Path, folds: dict[str, int]) -> Iterator[Listed]:
    names = {f.name: m[1] for f in sorted(source.iterdir()) if (m := _FOLDER.fullmatch(f.name))}
    if not names:
        raise BadInput(f"{source} has neither {LIST} nor folders such as '001 - Dog bark'")
    name, licence = ("ESC-10", LICENCE_10) if len(names) <= 10 else ("ESC-50", LICENCE_50)
    for folder, category in names.items():
        for file in sorted((source / folder).iterdir()):
            if match := _FILE.fullmatch(file.name):
                path, fold = f"{folder}/{file.name}", int(match[1])
                folds[path] = fold
                yield _listed(path, category, fold, name, licence)


def _listed(path: str, category: str, fold: int, name: str, licence: str) -> Listed:
    source = f"{name} (K. J. Piczak), fold {fold}"
    return Listed(path, f"noise:{category}", SPLITS[fold], source, licence)
