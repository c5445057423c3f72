"""Codecs of telephones: how much they lose, and that they keep their time."""

import numpy as np
import pytest

from aqtaudio.data.codecs import CODECS, coded
from aqtaudio.errors import BadInput

HZ = 8000


def voice(samples: int) -> np.ndarray:
    """A hum with harmonics, as speech coders expect: int16."""
    time_s = np.arange(samples) / HZ
    pitch_hz = 140 + 20 * np.sin(2 * np.pi * 3 * time_s)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / HZ
    tones = sum(np.cos(n * phase) / n for n in range(1, 12))
    return (3000 * tones * (0.6 + 0.4 * np.sin(2 * np.pi * 2 * time_s))).astype(np.int16)


@pytest.mark.parametrize(("codec", "least_db"), [("g721", 18.0), ("gsm", 8.0)])
def test_what_is_lost(codec: str, least_db: float):
    given = voice(HZ + 77)
    found = coded(given, codec)
    assert found.dtype == np.int16 and len(found) == len(given)
    ratio_db = {}
    for lag in range(-3, 4):
        ours, theirs = (x[10 : HZ - 10].astype(float) for x in (np.roll(found, lag), given))
        ratio_db[lag] = 10 * np.log10(np.sum(theirs**2) / np.sum((ours - theirs) ** 2))
    assert max(ratio_db, key=lambda lag: ratio_db[lag]) == 0
    assert least_db < ratio_db[0] < 60


def test_bad_codec():
    assert len(CODECS) == 2
    with pytest.raises(BadInput, match="codec is 'opus'; allowed: g721, gsm"):
        coded(voice(HZ), "opus")
