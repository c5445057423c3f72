"""Whether a recording fills its band, or came through something narrower."""

import numpy as np

BAND_CHECK_HZ = (1000.0, 4000.0), (6000.0, 7500.0)
LEAST_UPPER_DB = -55.0
"""Energy per Hz of the upper of these bands over that of the lower: less is a band that is not
there. Codecs and microphones of narrow bands leave -80 dB and less, speech -20 to -45 dB."""


def has_upper_band(samples: np.ndarray, sample_rate_hz: int) -> bool:
    """Whether a recording int16 [N] has something in the upper half of its band."""
    if not samples.any():
        return False
    size = 1024
    count = max(1, len(samples) // size)
    frames = np.resize(samples, count * size).reshape(count, size).astype(np.float32)
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(size)))).mean(0)
    frequency_hz = np.fft.rfftfreq(size, 1 / sample_rate_hz)
    lower, upper = (
        power[(frequency_hz >= low) & (frequency_hz < high)].mean() for low, high in BAND_CHECK_HZ
    )
    return bool(upper > lower * 10 ** (LEAST_UPPER_DB / 10))
