"""The exact mixtures behind a figure, as a file: evaluation.tsv of an enhancement run."""

import dataclasses
import math
import os
from collections.abc import Iterable
from pathlib import Path

from aqtaudio.errors import BadInput


@dataclasses.dataclass(frozen=True)
class MixtureItem:
    """One mixture that is scored. Its fields are the columns of the file.

    Attributes:
      path: of the speech recording, relative to the data folder.
      start_sample: first sample of the speech, at the run's sample rate.
      noise_path: of the noise recording.
      noise_start_sample: its first sample.
      snr_db: energy of the speech over that of the noise, over the whole clip.
      level_dbfs: RMS of the mixture.
    """

    path: str
    start_sample: int
    noise_path: str
    noise_start_sample: int
    snr_db: float
    level_dbfs: float = -25.0


COLUMNS = tuple(field.name for field in dataclasses.fields(MixtureItem))


def write(file: Path, items: Iterable[MixtureItem]) -> None:
    """Writes items as tab-separated text with a header, atomically, in their order."""
    file = Path(file)
    rows = [COLUMNS, *(tuple(map(str, dataclasses.astuple(item))) for item in items)]
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    os.replace(temporary, file)


def read(file: Path) -> list[MixtureItem]:
    """Reads what `write` wrote.

    Raises:
      BadInput: the file is missing or is not such a list; the message names the line.
    """
    try:
        lines = Path(file).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read: {error}") from error
    if tuple(lines[0].split("\t")) != COLUMNS:
        raise BadInput(f"{file}: allowed columns (tab-separated): {', '.join(COLUMNS)}")
    return [_item(line, f"{file} line {number}") for number, line in enumerate(lines[1:], start=2)]


def _item(line: str, where: str) -> MixtureItem:
    try:
        path, start, noise_path, noise_start, *decibels = line.split("\t")
        if not (start.isdecimal() and noise_start.isdecimal()):
            raise ValueError
        snr_db, level_dbfs = map(float, decibels)
        if not (math.isfinite(snr_db) and math.isfinite(level_dbfs)):
            raise ValueError
    except ValueError:
        raise BadInput(
            f"{where}: {line!r}; allowed: speech path, sample number, noise path, sample number, "
            "SNR and level in decibels"
        ) from None
    return MixtureItem(path, int(start), noise_path, int(noise_start), snr_db, level_dbfs)
