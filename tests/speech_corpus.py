"""Voices that hum in syllables, and noises: a manifest folder for enhancement tests."""

from pathlib import Path

import numpy as np
import soundfile

from aqtaudio.data import manifest
from aqtaudio.data.manifest import Recording

RATE_HZ = 8000
SECONDS = {"train": (3.0, 2.2, 0.4), "val": (2.6, 1.3)}  # of each speaker's recordings
SPEAKERS = {"train": 3, "val": 4}
NOISES = ("rain", "fan", "clicks")


def write_speech_corpus(folder: Path, rate_hz: int = RATE_HZ) -> Path:
    """Train and val: speakers with some recordings each, two noises of each kind; and one word."""
    rng = np.random.default_rng(0)
    recordings = []

    def add(path: str, label: str, speaker: str, split: str, samples: np.ndarray) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / path, samples, rate_hz)
        length_s = len(samples) / rate_hz
        recordings.append(Recording(path, label, speaker, split, "made", "CC0", length_s, rate_hz))

    for split, count in SPEAKERS.items():
        for speaker in range(count):
            name = f"{split}_{speaker}"
            for number, seconds in enumerate(SECONDS[split]):
                voice = speech(round(seconds * rate_hz), rate_hz, rng)
                add(f"speech/{name}/{number}.flac", "speech", name, split, voice)
        for kind in NOISES:
            for number in range(2):
                sound = noise(kind, round((1 + number) * rate_hz), rng)
                add(f"noise/{split}/{kind}_{number}.flac", f"noise:{kind}", "-", split, sound)
        add(f"words/{split}/yes.flac", "yes", "x", split, speech(rate_hz, rate_hz, rng))
    manifest.write(folder, recordings)
    return folder


def speech(samples: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """A voice: harmonics of a pitch of its own, in syllables, with a pause in each second."""
    seconds = np.arange(samples) / rate_hz
    pitch_hz = rng.uniform(90, 240)
    phase = 2 * np.pi * (pitch_hz * seconds + 0.5 * np.sin(2 * np.pi * 1.5 * seconds))
    voice = sum(np.sin(order * phase + rng.uniform(0, 6)) / order for order in range(1, 12))
    syllables = np.maximum(np.sin(2 * np.pi * 2.0 * seconds + rng.uniform(0, 6)), 0.0)
    pauses = (seconds + rng.uniform()) % 1.0 > 0.25
    return 0.2 * voice * syllables * pauses + 1e-4 * rng.standard_normal(samples)


def noise(kind: str, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of one of NOISES: even, low, or rare."""
    hiss = rng.standard_normal(samples)
    if kind == "fan":
        return 0.1 * np.clip(np.convolve(hiss, np.ones(16) / 4, "same"), -5, 5)
    rare = rng.random(samples) < 0.01 if kind == "clicks" else 1.0
    return np.clip(0.1 * hiss * rare, -0.9, 0.9)
