"""Hashes of a bundle's files, so that one which was edited is not taken for what was exported."""

import hashlib
from pathlib import Path

from aqtaudio.errors import BadInput
from aqtaudio.files import write

SUMS = "SHA256SUMS"


def keep(folder: Path) -> None:
    """Writes the hashes of all files below `folder`, as `sha256sum` does."""
    lines = [f"{digest}  {name}\n" for name, digest in _digests(folder).items()]
    write(folder / SUMS, "".join(lines))


def require(folder: Path) -> None:
    """Raises BadInput where a file is not as it was when they were kept."""
    file = folder / SUMS
    if not file.is_file():
        raise BadInput(f"{folder}: has no {SUMS}: not a bundle of this version; export it again")
    lines = [line.split("  ", 1) for line in file.read_text().splitlines()]
    kept = {name: digest for digest, name in lines}
    found = _digests(folder)
    changed = sorted(name for name, digest in kept.items() if found.get(name) != digest)
    if changed:
        raise BadInput(f"{folder}: {', '.join(changed)} is not as it was exported; export it again")


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
