"""Samples that tell front ends apart, for the proofs in bundles."""

import numpy as np

from aqtaudio.frontends.frontend import Frontend

GOLDEN_MS = 500


def golden_samples(frontend: Frontend) -> np.ndarray:
    """int16 noise and a rising tone, quiet, loud, middling."""
    count = max(GOLDEN_MS * frontend.sample_rate_hz // 1000, frontend.window_samples)
    time = np.arange(count) / count
    noise = np.random.default_rng(0).integers(-128, 128, count)
    level = np.select([time < 0.3, time < 0.7], [0.02, 1.0], 0.2)
    tone = 12000 * level * np.sin(2 * np.pi * count * (0.01 * time + 0.1 * time**2))
    return (noise + np.rint(tone)).astype(np.int16)
