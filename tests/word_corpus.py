"""A manifest folder that a test fills, with hiss for words: fixtures for conftest files."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from aqtaudio.data import manifest
from aqtaudio.data.manifest import Recording

RATE_HZ = 16000


class Corpus:
    """A manifest folder that a test fills."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.recordings: list[Recording] = []
        self._rng = np.random.default_rng(0)

    def add(self, path, label, split, seconds=1.0, speaker="-", rate_hz=RATE_HZ, samples=None):
        if samples is None:
            samples = self._rng.uniform(-0.5, 0.5, round(seconds * rate_hz))
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, samples, rate_hz)
        seconds = len(samples) / rate_hz
        row = Recording(path, label, speaker, split, "made", "CC0", seconds, rate_hz)
        self.recordings.append(row)
        return row

    def save(self) -> Path:
        manifest.write(self.folder, self.recordings)
        return self.folder


@pytest.fixture
def corpus(tmp_path) -> Corpus:
    return Corpus(tmp_path / "corpus")


@pytest.fixture
def words(corpus) -> Corpus:
    """Two keywords, three kinds of other speech, noise; train and val."""
    for split, count in (("train", 12), ("val", 5)):
        for word in ("yes", "no"):
            for index in range(count + (word == "no")):
                corpus.add(f"words/{split}/{word}/{index}.flac", word, split, 0.8)
        for index in range(count):
            corpus.add(f"words/{split}/bed/{index}.flac", "bed", split)
            corpus.add(f"wake/{split}/{index}.flac", "alexa", split, 2.3)
        corpus.add(f"speech/{split}.flac", "speech", split, 6.0)
        corpus.add(f"noise/{split}/rain.flac", "noise:rain", split, 4.0)
        corpus.add(f"noise/{split}/hum.flac", "noise:hum", split, 2.5)
    corpus.save()
    return corpus
