"""DNS Challenge (C. K. A. Reddy et al., arXiv:2005.13981): test pairs, manifest folders."""

import re
from collections.abc import Sequence
from pathlib import Path

from aqtaudio.data import import_tree
from aqtaudio.data.counted import Say, silent
from aqtaudio.data.folders import split_of
from aqtaudio.data.import_tree import LeftOut, Listed
from aqtaudio.data.manifest import Recording
from aqtaudio.data.noisy_pairs import Pair, paired
from aqtaudio.errors import BadInput

NO_REVERB = (
    *("", "no_reverb", "synthetic/no_reverb", "test_set/synthetic/no_reverb"),
    "datasets/test_set/synthetic/no_reverb",
)
"""Where a tree may have the folders clean and noisy of the test set."""
TRAINING = (
    *(("datasets/clean", "datasets/noise"), ("clean", "noise")),
    ("datasets_fullband/clean_fullband", "datasets_fullband/noise_fullband"),
    ("clean_fullband", "noise_fullband"),
)
"""Where it may have speech and noise to train on."""
NOISE_LABEL = "noise:dns"
SOURCE = "DNS Challenge (C. K. A. Reddy et al.)"
LICENCE = "several: see the corpus's LICENSE"
_FILE_ID = re.compile(r"fileid_(\d+)$")
_READER = re.compile(r"(reader_\d+)")


def pairs(source: Path) -> list[Pair]:
    """The synthetic test set without reverberation (2020), by the number that ends both names.

    Args:
      source: its folder, with clean/clean_fileid_12.wav and noisy/..._fileid_12.wav, or one above.

    Raises:
      BadInput: no such folder, or a recording lacks its other half.
    """
    source = Path(source)
    folders = (source / place for place in NO_REVERB)
    folder = next((each for each in folders if _has(each, "clean", "noisy")), None)
    if folder is None:
        raise BadInput(
            f"{source} has no {NO_REVERB[-1]} with the folders clean and noisy; allowed: a "
            "DNS Challenge tree, or that folder"
        )
    found = paired(folder / "noisy", folder / "clean", _file_id)
    return [Pair(noisy.stem, noisy, clean) for _, noisy, clean in found]


def import_dns_challenge(
    source: Path, out: Path, link: bool = False, say: Say = silent
) -> list[LeftOut]:
    """Makes a manifest folder of the speech and noise to train on: datasets/clean, datasets/noise.

    A tenth of the speakers (`reader_01234` in a file's name; else of the files) is "val" and a
    tenth "test", and so of the noises, by a hash of their names.

    Args:
      source: the tree, or its folder datasets.
      out: the folder to make.
      link: hard links instead of copies.
      say: told how far it is, where that takes long.

    Returns:
      What is left out.

    Raises:
      BadInput: the source is no such tree, or `out` is there already.
    """
    source = Path(source)
    names = next((names for names in TRAINING if _has(source, *names)), None)
    if names is None:
        raise BadInput(
            f"{source} has no {TRAINING[0][0]} and {TRAINING[0][1]}; allowed: a DNS Challenge tree"
        )
    listed: list[Listed] = []
    reasons: dict[str, str] = {}
    for path in import_tree.walk(source)[0]:
        if import_tree.why_not_audio(source, path):
            continue  # `import_tree` names it
        if path.startswith(f"{names[0]}/"):
            listed.append(_speech(path))
        elif path.startswith(f"{names[1]}/"):
            listed.append(Listed(path, NOISE_LABEL, split_of(path), SOURCE, LICENCE))
        else:
            reasons[path] = f"neither in {names[0]} nor in {names[1]}"
    if {each.label for each in listed} != {"speech", NOISE_LABEL}:
        raise BadInput(f"{source}: {names[0]} or {names[1]} has no recordings")

    def finish(folder: Path, kept: Sequence[Recording]) -> None:
        return

    return import_tree.import_tree(source, out, listed, link, (), finish, reasons, say)


def _has(folder: Path, *names: str) -> bool:
    return all((folder / name).is_dir() for name in names)


def _file_id(stem: str) -> str | None:
    found = _FILE_ID.search(stem)
    return found[1] if found else None


def _speech(path: str) -> Listed:
    found = _READER.search(Path(path).name)
    who = found[1] if found else "-"
    return Listed(path, "speech", split_of(path if who == "-" else who), SOURCE, LICENCE, who)
