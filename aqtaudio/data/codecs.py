"""Telephone codecs, there and back, as libsndfile has them.

G.721 (ADPCM of 32 kbit/s, of which G.726 at that rate is the successor) and GSM 06.10 (full rate,
13 kbit/s). Neither delays.
"""

import io

import numpy as np
import soundfile

from aqtaudio.errors import BadInput

CODECS = {"g721": ("AU", "G721_32"), "gsm": ("W64", "GSM610")}
"""Kinds of files and of samples, by name."""


def coded(samples: np.ndarray, codec: str, sample_rate_hz: int = 8000) -> np.ndarray:
    """int16 samples [N] as they come out of a codec: int16 [N]."""
    if codec not in CODECS:
        raise BadInput(f"codec is {codec!r}; allowed: {', '.join(CODECS)}")
    kind, subtype = CODECS[codec]
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate_hz, subtype, format=kind)
    file.seek(0)
    heard, _ = soundfile.read(file, dtype="int16")
    return np.pad(heard, (0, max(0, len(samples) - len(heard))))[: len(samples)]
