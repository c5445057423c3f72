"""Ready-made test sets: recordings of speech in noise, each beside the speech alone."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from aqtaudio.data.import_tree import AUDIO, length
from aqtaudio.errors import BadInput

LEAST_HZ = 16000
"""What is scored; below it half of the band would be missing."""
LEAST_S = 0.25
"""Below it nothing has a PESQ."""
_NAMED = 3  # files of a kind in a message


@dataclasses.dataclass(frozen=True)
class Pair:
    """A recording with and without its noise.

    Attributes:
      name: of the noisy file.
      noisy: where it is.
      clean: where the speech alone is: as long, aligned with it.
      speaker: "-" where no name tells.
    """

    name: str
    noisy: Path
    clean: Path
    speaker: str = "-"


def paired(
    noisy: Path, clean: Path, key: Callable[[str], str | None]
) -> list[tuple[str, Path, Path]]:
    """Key, noisy file and clean file of all recordings of two folders, sorted by key.

    Args:
      noisy: a folder.
      clean: another one.
      key: of a file's name without its ending, what both files of a pair share; None of others.

    Raises:
      BadInput: a folder without such recordings, one without its other half, or two of one key.
    """
    files = [_by_key(folder, key) for folder in (noisy, clean)]
    for one, other, folder in ((*files, clean), (*files[::-1], noisy)):
        if alone := sorted(path.name for at, path in one.items() if at not in other):
            where = next(iter(one.values())).parent
            more = ", ..." if len(alone) > _NAMED else ""
            raise BadInput(
                f"{where}: without their other half in {folder}: {len(alone)} "
                f"({', '.join(alone[:_NAMED])}{more})"
            )
    return [(at, files[0][at], files[1][at]) for at in sorted(files[0])]


def require_scorable(pairs: Iterable[Pair]) -> None:
    """Raises BadInput for a pair that cannot be scored at 16 kHz: lower rates, other lengths."""
    for pair in pairs:
        seconds = []
        for file in (pair.noisy, pair.clean):
            samples, rate_hz = length(file)
            if rate_hz < LEAST_HZ:
                raise BadInput(f"{file}: {rate_hz} Hz; allowed: {LEAST_HZ} and more")
            seconds.append(samples / rate_hz)
        if min(seconds) < LEAST_S:
            raise BadInput(f"{pair.noisy}: {min(seconds):.3f} s; allowed: {LEAST_S:g} and more")
        if abs(seconds[0] - seconds[1]) > 1 / LEAST_HZ:
            raise BadInput(
                f"{pair.noisy}: {seconds[0]:.4f} s, and {seconds[1]:.4f} s without noise "
                f"({pair.clean}); allowed: the same length"
            )


def fingerprint(pairs: Sequence[Pair]) -> str:
    """Tells test sets apart: of all names, and of the size of every file."""
    digest = hashlib.sha256()
    for pair in pairs:
        sizes = (file.stat().st_size for file in (pair.noisy, pair.clean))
        digest.update("\t".join(map(str, (pair.name, *sizes))).encode())
    return digest.hexdigest()[:12]


def _by_key(folder: Path, key: Callable[[str], str | None]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        at = key(file.stem) if file.suffix.lower() in AUDIO else None
        if at is None:
            continue
        if at in found:
            raise BadInput(f"{folder}: {found[at].name} and {file.name} are of one pair")
        found[at] = file
    if not found:
        raise BadInput(f"{folder} has no recordings with the corpus's names")
    return found
