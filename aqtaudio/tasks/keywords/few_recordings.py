"""A few recordings per word, as a manifest folder of their own that copies nothing."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

from aqtaudio.data import crops, manifest
from aqtaudio.data.labels import SILENCE, UNKNOWN, class_of
from aqtaudio.data.manifest import Recording
from aqtaudio.errors import BadInput
from aqtaudio.files import new_folder
from aqtaudio.tasks.keywords.data import class_names

LEAST = 3
HELD_OUT_SHARE = 0.2
OTHERS = 500  # recordings of unknown, and of silence: what a short training hears of them


def held_out(count: int) -> int:
    """How many of `count` recordings are held out."""
    return max(1, int(HELD_OUT_SHARE * count))


def draw(
    recordings: Iterable[Recording], words: Sequence[str], count: int, seed: int, number: int
) -> list[Recording]:
    """A draw of `count` recordings per word: a pure function of its arguments, in any order.

    They come from split "train"; `held_out` of them are in split "val", as far as can be of the
    same speakers for every word. Up to OTHERS recordings each of the classes unknown and silence
    come with them, held out alike. Split "val" becomes "test", whole.

    Args:
      recordings: of a manifest.
      words: labels.
      count: of each word, at least LEAST.
      seed: of all draws.
      number: of this draw.

    Returns:
      Recordings with their new splits, sorted by path.

    Raises:
      BadInput: too few recordings.
    """
    if count < LEAST:
        raise BadInput(f"{count} recordings per word; at least {LEAST} are needed: one is held out")
    rows = sorted(recordings, key=lambda row: row.path)
    class_names(words)
    drawn: list[Recording] = []
    for name in (*words, UNKNOWN, SILENCE):
        train, test = (
            [row for row in rows if row.split == split and class_of(row.label, words) == name]
            for split in ("train", "val")
        )
        needed = count if name in words else 2
        if len(train) < needed or not test:
            raise BadInput(
                f"{name!r} has {len(train)} recordings in split 'train' and {len(test)} in 'val'; "
                f"needed: {needed} to train and 1 to evaluate"
            )
        if name in words:
            few = _first(train, count, seed, number)
            held = sorted(few, key=lambda row: crops.hash_order(seed, number, row.speaker))
            held = held[: held_out(count)]
        else:
            few = _spread(train, seed, number)
            held = few[: held_out(len(few))]
        drawn += [_moved(row, "val" if row in held else "train") for row in few]
        drawn += [_moved(row, "test") for row in test]
    return sorted(drawn, key=lambda row: row.path)


def write(recordings: Sequence[Recording], out: Path) -> None:
    """Makes `out` a manifest folder of `recordings`, whose files stay where they are.

    What stands in their folder itself is linked symbolically, under its name: paths stay the same.
    Where `out` is there already, it must be of the same recordings.
    """
    if (out / manifest.NAME).exists():
        if manifest.read(out) != list(recordings):
            raise BadInput(f"{out} holds other recordings; name another folder")
        return
    with new_folder(out) as made:
        _link(recordings, made)
        manifest.write(made, recordings)


def _link(recordings: Sequence[Recording], out: Path) -> None:
    """Whole folders where one data folder has their name, else file by file."""
    homes: dict[str, set[Path]] = {}
    for row in recordings:
        homes.setdefault(row.path.split("/")[0], set()).add(row.folder)
    for name, folders in homes.items():
        if len(folders) == 1:
            (out / name).symlink_to((next(iter(folders)) / name).resolve())
    for row in recordings:
        if len(homes[row.path.split("/")[0]]) > 1:
            (out / row.path).parent.mkdir(parents=True, exist_ok=True)
            (out / row.path).symlink_to(row.file.resolve())


def _first(rows: Iterable[Recording], count: int, seed: int, number: int) -> list[Recording]:
    return sorted(rows, key=lambda row: crops.hash_order(seed, number, row.path))[:count]


def _spread(rows: list[Recording], seed: int, number: int) -> list[Recording]:
    """Up to OTHERS, in hash order, of all kinds alike: the first folder of a path is its kind."""
    kinds = [[rows[i] for i in kind] for kind in crops.grouped(r.path.split("/")[0] for r in rows)]
    shares = crops.in_turns([len(kind) for kind in kinds], OTHERS)
    chosen = [
        row
        for kind, share in zip(kinds, shares, strict=True)
        for row in _first(kind, share, seed, number)
    ]
    return _first(chosen, OTHERS, seed, number)


def _moved(row: Recording, split: str) -> Recording:
    return dataclasses.replace(row, split=split)
