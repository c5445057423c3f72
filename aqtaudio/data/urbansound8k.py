"""UrbanSound8K (J. Salamon, C. Jacoby, J. P. Bello, doi:10.1145/2647868.2655045) as a manifest."""

from collections.abc import Sequence
from pathlib import Path

from aqtaudio.data import import_tree, sidecars
from aqtaudio.data.counted import Say, silent
from aqtaudio.data.import_tree import LeftOut, Listed
from aqtaudio.data.manifest import Recording

LIST = "metadata/UrbanSound8K.csv"
FOLDS = range(1, 11)
LICENCE = "CC BY-NC 3.0"
_COLUMNS = ("slice_file_name", "fold", "class")


def import_urbansound8k(
    source: Path, out: Path, link: bool = False, say: Say = silent
) -> list[LeftOut]:
    """Makes a manifest folder of an UrbanSound8K tree: labels `noise:<class>`, folds in folds.tsv.

    Folds keep slices of one original recording together: 1 to 8 are for training, 9 is val, 10
    test. Published figures are means over all ten folds, each tested once.

    Args:
      source: the tree, with metadata/UrbanSound8K.csv and audio/fold1 to fold10.
      out: the folder to make.
      link: hard links instead of copies.
      say: told how far it is, where that takes long.

    Returns:
      What is left out.

    Raises:
      BadInput: the source is no such tree, or `out` is there already.
    """
    source, listed, folds = Path(source), [], {}
    file = source / LIST
    for row in import_tree.table(file, _COLUMNS):
        name = import_tree.require_name(row["slice_file_name"], file)
        fold = import_tree.whole_number(row["fold"], FOLDS, f"{file}: {name}: fold")
        path = f"audio/fold{fold}/{name}"
        folds[path] = fold
        split = "train" if fold <= 8 else "val" if fold == 9 else "test"
        origin = f"UrbanSound8K (J. Salamon et al.), fold {fold}"
        listed.append(Listed(path, f"noise:{row['class']}", split, origin, LICENCE))

    def finish(folder: Path, kept: Sequence[Recording]) -> None:
        sidecars.write_folds(folder, {row.path: folds[row.path] for row in kept})

    return import_tree.import_tree(source, out, listed, link, [LIST], finish, say=say)
