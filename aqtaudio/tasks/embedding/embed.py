"""Vectors of sound files by a run, or by its teacher, for who goes on with them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from aqtaudio.data import audio
from aqtaudio.errors import BadInput
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.stream import Stream
from aqtaudio.tasks.task import Network


def of_recording(network: Network, samples: np.ndarray, setup: Setup) -> np.ndarray:
    """Vectors [m, D] of a recording, int16 [N]; a fresh network for every one of a stream.

    A stream's are those of its blocks, the first of which have heard silence before it. Else they
    are those of clips, one after the other; the last one is filled up with silence.
    """
    if not setup.streams:
        missing = -len(samples) % setup.clip_samples
        clips = np.pad(samples, (0, missing)).reshape(-1, setup.clip_samples)
        answers = network.whole(setup.features_of(clips))
    else:
        answers = Stream(network, setup).push(samples)
    return answers.reshape(-1, answers.shape[-1])


def ends_ms(count: int, setup: Setup) -> np.ndarray:
    """When each of so many vectors is known, in ms from a recording's beginning."""
    if not setup.streams:
        return np.arange(1, count + 1, dtype=np.float64) * setup.clip_ms
    frontend = setup.frontend
    more_ms = (frontend.window_samples - frontend.hop_samples) * 1e3 / frontend.sample_rate_hz
    return np.arange(1, count + 1) * setup.block_ms + more_ms


def names_of(files: Sequence[Path]) -> list[str]:
    """What the vectors of each file are called: its name. BadInput where two are alike."""
    names = [file.name for file in files]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInput(f"two files are called {twice[0]}; allowed: files of different names")
    return names


def sounds_in(inputs: Sequence[Path]) -> list[Path]:
    """Sound files, and those in folders. BadInput where there are none."""
    endings = {".wav", ".flac", ".ogg", ".mp3", ".aiff", ".opus"}
    found: list[Path] = []
    for path in inputs:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in endings)
            if not inside:
                raise BadInput(f"{path} holds no sound; allowed: {', '.join(sorted(endings))}")
            found += inside
        else:
            found.append(path)
    return found


def load(file: Path, setup: Setup) -> np.ndarray:
    """int16 samples at the run's rate. BadInput where there are too few for a vector."""
    samples = audio.load_int16(file, setup.frontend.sample_rate_hz)
    least = setup.block_frames * setup.frontend.hop_samples + setup.frontend.window_samples
    if setup.streams and len(samples) < least:
        raise BadInput(f"{file} is {len(samples)} samples long; a vector needs {least}")
    return samples


def written(vectors: Mapping[str, np.ndarray], setup: Setup) -> dict[str, np.ndarray]:
    """Arrays of the file that is written: of each name its vectors and "name/ends_ms"."""
    ends = {f"{name}/ends_ms": ends_ms(len(found), setup) for name, found in vectors.items()}
    return dict(vectors) | ends
