"""Front ends by name, and as a file."""

import json
from pathlib import Path

from aqtaudio.errors import BadInput
from aqtaudio.files import write_json
from aqtaudio.frontends.decibels import WindowDecibels
from aqtaudio.frontends.frontend import Frontend
from aqtaudio.frontends.micro import MicroFrontend
from aqtaudio.frontends.spectral import LogMel, Mfcc
from aqtaudio.frontends.vendor import VendorFrontend
from aqtaudio.settings import from_json, to_json

FILE = "frontend.json"
NAMED = {
    "log-mel": LogMel(),
    "mfcc": Mfcc(),
    "micro-c": MicroFrontend(),
    "micro-tflm": MicroFrontend(variant="tflm"),
    "micro-esphome": MicroFrontend(hop_ms=10.0, window_cosine="float32", codes="esphome"),
    "vendor": VendorFrontend(),
    "decibels": WindowDecibels(),
}


def write(frontend: Frontend, folder: Path) -> Path:
    """Writes a front end's settings as frontend.json."""
    write_json(folder / FILE, to_json(frontend))
    return folder / FILE


def read(path: Path) -> Frontend:
    """Reads what `write` wrote. Raises BadInput where it is something else."""
    try:
        frontend = from_json(json.loads(path.read_text()))
    except ValueError as error:
        raise BadInput(f"{path}: not readable JSON ({error})") from error
    if not isinstance(frontend, Frontend):
        raise BadInput(f"{path}: not a front end")
    return frontend
