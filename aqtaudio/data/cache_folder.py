"""Where is kept what can be made again: $AQTAUDIO_CACHE, or .cache/aqtaudio at home."""

import os
from pathlib import Path

VARIABLE = "AQTAUDIO_CACHE"


def default_folder() -> Path:
    """The folder; it need not be there."""
    told = os.environ.get(VARIABLE)
    return Path(told) if told else Path.home() / ".cache/aqtaudio"
