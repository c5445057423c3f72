"""detector.json of a run: the settings of every word, and what they were found on."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aqtaudio.detection.detector import DetectorSettings
from aqtaudio.errors import BadInput
from aqtaudio.files import write_json

NAME = "detector.json"
FIELDS = tuple(field.name for field in dataclasses.fields(DetectorSettings))


def write(folder: Path, found: Mapping[str, Any]) -> None:
    """Writes what `read` reads: "words": by word the fields of `DetectorSettings`, and more.

    Raises BadInput where the folder cannot be written to.
    """
    try:
        write_json(folder / NAME, dict(found))
    except OSError as error:
        raise BadInput(
            f"{folder / NAME} can't be written: {error}; --dry-run stores none"
        ) from error


def read(folder: Path) -> dict[str, DetectorSettings] | None:
    """Settings by word; None where the run has none.

    Raises BadInput for a file that holds no such settings.
    """
    file = folder / NAME
    if not file.is_file():
        return None
    try:
        words = json.loads(file.read_text(encoding="utf-8"))["words"]
        return {
            str(word): DetectorSettings(**{name: float(value[name]) for name in FIELDS})
            for word, value in words.items()
        }
    except BadInput as error:
        raise BadInput(f"{file}: {error}") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInput(
            f"{file} does not hold the settings of words ({error}); `aqtaudio detect` writes it"
        ) from error
