"""The features of Google's speech embedding (`models.speech_embedding`), as settings."""

import numpy as np

from aqtaudio.frontends.spectral import LogMel

QUIETEST = -0.4
_INT16_ENERGY = 2 * np.log(32767.0)
SPEECH_ENERGIES = LogMel(
    window_ms=25.0,
    hop_ms=10.0,
    fft_length=512,
    mel_bands=32,
    lower_hz=60.0,
    upper_hz=3800.0,
    mel_triangles="hz",
    mel_scale="slaney",
    mel_norm="area",
    spectrum="power",
    log_floor="max",
    log_floor_value=float(10.0 ** (QUIETEST - 2) * np.exp(-_INT16_ENERGY)),
    mean=(float(-_INT16_ENERGY - 2 * np.log(10.0)),),
    scale=(float(np.log(10.0)),),
)
"""log10 of energies of 16-bit samples, plus 2. The published transform is 512 samples long with
the window in its middle, so its frames begin 56 samples before these. It cuts off what is 80 dB
below the loudest value of the whole input, which no stream knows; here the floor is fixed, where
the rounding of samples is."""
PUBLISHED_FRAME_LEAD_SAMPLES = 56
