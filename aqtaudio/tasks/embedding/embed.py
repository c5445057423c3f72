"""Vectors of sound files by a run, or by its teacher, for who goes on with them."""

import dataclasses
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from aqtaudio.data import audio
from aqtaudio.data.pipes import Raw
from aqtaudio.errors import BadInput
from aqtaudio.tasks import sound_source
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.stream import Stream
from aqtaudio.tasks.task import Network

STANDARD_INPUT = "standard input"


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


def probed_samples(probe: str, clip_ms: int, setup: Setup) -> int:
    """Length of a probe's clips. BadInput where the network cannot hear such."""
    if setup.streams:
        heard = dataclasses.replace(setup, clip_ms=clip_ms)
        if heard.feature_shape[0] < setup.block_frames:
            raise BadInput(f"probe {probe!r}: its clips of {clip_ms} ms are shorter than a block")
        return heard.clip_samples
    if clip_ms % setup.clip_ms:
        raise BadInput(
            f"probe {probe!r}: its clips have {clip_ms} ms; allowed: multiples of {setup.clip_ms}, "
            "the clips of the run"
        )
    return clip_ms // setup.clip_ms * setup.clip_samples


def of_clips(
    network: Network, clips: np.ndarray, setup: Setup, skipped: int, batch: int = 256
) -> np.ndarray:
    """Vectors [n, m, D] of clips int16 [n, N], each from silence, as long as `probed_samples` says.

    Of a network that takes whole clips, of as many clips as are in one of N samples. The first
    vectors that a network answers with, `skipped` many, are left out.
    """
    heard, windows = setup, clips[:, None]
    if setup.streams:
        ms = round(clips.shape[1] * 1000 / setup.frontend.sample_rate_hz)
        heard = dataclasses.replace(setup, clip_ms=ms)
    else:
        windows = clips.reshape(len(clips), -1, setup.clip_samples)
    found = []
    for first in range(0, len(windows), batch):
        some = windows[first : first + batch]
        features = heard.features_of(some.reshape(-1, some.shape[-1]))
        answers = network.whole(features, at_once=16)
        answers = answers.reshape(len(features), -1, answers.shape[-1])[:, skipped:]
        found.append(answers.reshape(len(some), -1, answers.shape[-1]))
    return np.concatenate(found)


def ends_ms(count: int, setup: Setup) -> np.ndarray:
    """When each of so many vectors is known, in ms from a recording's beginning."""
    if not setup.streams:
        return np.arange(1, count + 1, dtype=np.float64) * setup.clip_ms
    frontend = setup.frontend
    more_ms = (frontend.window_samples - frontend.hop_samples) * 1e3 / frontend.sample_rate_hz
    return np.arange(1, count + 1) * setup.block_ms + more_ms


def names_of(files: Sequence[Path]) -> list[str]:
    """What the vectors of each file are called: its name. BadInput where two are alike."""
    given = [os.fsencode(file.name).decode(errors="replace") for file in files]
    names = [STANDARD_INPUT if name == "-" else name for name in given]
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
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


def load(file: Path, setup: Setup, raw: Raw | None = None) -> np.ndarray:
    """int16 samples at the run's rate, of a file or of standard input, "-", to its end.

    `raw`: what samples without a header are. BadInput where there are too few for a vector.
    """
    rate_hz = setup.frontend.sample_rate_hz
    if str(file) != "-" and raw is None:
        samples = audio.load_int16(file, rate_hz)
    else:
        with sound_source.opened(str(file), raw) as source:
            parts = np.concatenate([part for part, _ in source.chunks(source.rate_hz)])
            samples = audio.to_int16(audio.at_rate(parts, source.name, source.rate_hz, rate_hz))
    least = setup.block_frames * setup.frontend.hop_samples + setup.frontend.window_samples
    if setup.streams and len(samples) < least:
        name = STANDARD_INPUT if str(file) == "-" else file
        raise BadInput(f"{name} is {len(samples)} samples long; a vector needs {least}")
    return samples


def written(vectors: Mapping[str, np.ndarray], setup: Setup) -> dict[str, np.ndarray]:
    """Arrays of the file that is written: of each name its vectors and "name/ends_ms"."""
    ends = {f"{name}/ends_ms": ends_ms(len(found), setup) for name, found in vectors.items()}
    return dict(vectors) | ends
