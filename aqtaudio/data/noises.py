"""Synthetic background noise, float32 [samples] in [-1, 1], at random but speech-like levels."""

from collections.abc import Callable, Sequence

import numpy as np

RMS_DB = (-38.0, -20.0)


def coloured(exponent: float) -> Callable[[int, int, np.random.Generator], np.ndarray]:
    """Noise whose power falls with frequency to this exponent: 0 white, 1 pink, 2 brown."""

    def noise(samples: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
        spectrum = np.fft.rfft(rng.standard_normal(samples))
        frequency_hz = np.maximum(np.fft.rfftfreq(samples, 1 / rate_hz), 20.0)
        return levelled(np.fft.irfft(spectrum * frequency_hz ** (-exponent / 2), samples), rng)

    return noise


def hum(samples: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Mains hum: 50 or 60 Hz and its harmonics over a little white noise."""
    seconds = np.arange(samples) / rate_hz
    mains_hz = rng.choice([50.0, 60.0])
    tones = [
        rng.uniform(0.2, 1.0) / order * np.sin(2 * np.pi * (mains_hz * order * seconds + phase))
        for order, phase in enumerate(rng.random(12), start=1)
    ]
    return levelled(np.sum(tones, axis=0) + 0.02 * rng.standard_normal(samples), rng)


def fan(samples: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """A fan: noise in a band, its loudness going round."""
    centre_hz, width = np.exp(rng.uniform(np.log(200), np.log(3000))), rng.uniform(0.3, 1.0)
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(samples, 1 / rate_hz), 1.0) / centre_hz)
    band = np.fft.irfft(spectrum * np.exp(-0.5 * (octaves / width) ** 2), samples)
    turns = rng.uniform(1.0, 20.0) * np.arange(samples) / rate_hz
    return levelled(band * (1 + rng.uniform(0.1, 0.8) * np.sin(2 * np.pi * turns)), rng)


def clicks(samples: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Keys and dishes: short ringing strokes at random times."""
    noise = 0.002 * rng.standard_normal(samples)
    seconds = np.arange(int(0.08 * rate_hz)) / rate_hz
    for at in rng.integers(0, samples - len(seconds), rng.integers(3, 8) * samples // rate_hz):
        ring_hz, decay_s = rng.uniform(500, 5000), rng.uniform(0.002, 0.02)
        stroke = np.sin(2 * np.pi * ring_hz * seconds) * np.exp(-seconds / decay_s)
        noise[at : at + len(seconds)] += rng.uniform(0.1, 1.0) * stroke
    return levelled(noise, rng)


def babble(voices: Sequence[np.ndarray], samples: int, rng: np.random.Generator) -> np.ndarray:
    """Many voices at once, each from a random place of what it says, round and round."""
    turned = [np.resize(np.roll(voice, rng.integers(len(voice))), samples) for voice in voices]
    weights = rng.uniform(0.4, 1.0, len(voices))
    return levelled(np.tensordot(weights, np.stack(turned), axes=1), rng)


def levelled(noise: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Scales to a random level, with peaks inside full scale."""
    rms = 10 ** (rng.uniform(*RMS_DB) / 20)
    noise = noise * (rms / max(float(np.sqrt(np.mean(noise**2))), 1e-9))
    return (noise / max(1.0, float(np.abs(noise).max()) / 0.95)).astype(np.float32)


KINDS: dict[str, Callable[[int, int, np.random.Generator], np.ndarray]] = {
    "white": coloured(0),
    "pink": coloured(1),
    "brown": coloured(2),
    "hum": hum,
    "fan": fan,
    "clicks": clicks,
}
