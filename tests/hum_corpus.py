"""Hums of speakers, told apart by their pitch, and noises: a manifest folder for probes.

And a teacher that is no network (how loud a few bands are), and a student of it to share.

A pytest plugin, named in conftest.py.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpus import trains

from aqtaudio.data import manifest, sidecars
from aqtaudio.data.manifest import Recording
from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.frontends.decibels import WindowDecibels
from aqtaudio.models.l3_net import L3Net
from aqtaudio.runs.run import Run
from aqtaudio.tasks.embedding.label_probes import LabelProbe
from aqtaudio.tasks.embedding.probe_training import ProbeSettings
from aqtaudio.tasks.embedding.task import Embedding
from aqtaudio.tasks.embedding.teachers import Teacher

RATE_HZ = 8000
PITCHES_HZ = {"low": 300, "high": 1500, "middle": 700, "shrill": 2600}
SPEAKERS = {"train": 8, "val": 4}
SECONDS = (0.4, 1.0, 1.7)


def write_hum_corpus(folder: Path, tagged: bool = False) -> Path:
    """Train and val: of each speaker a hum of each pitch; noises, low and high."""
    rng = np.random.default_rng(0)
    rows, tags = [], {}

    def add(path: str, label: str, speaker: str, split: str, samples: np.ndarray) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / path, samples, RATE_HZ)
        seconds = len(samples) / RATE_HZ
        rows.append(Recording(path, label, speaker, split, "made", "CC0", seconds, RATE_HZ))
        tags[path] = (label,) if label in PITCHES_HZ else ()

    for split, count in SPEAKERS.items():
        for speaker in range(count):
            name = f"{split}{speaker}"
            for place, (label, pitch_hz) in enumerate(PITCHES_HZ.items()):
                samples = round(SECONDS[(speaker + place) % 3] * RATE_HZ)
                sound = hum(pitch_hz * rng.uniform(0.9, 1.1), samples, rng)
                add(f"hums/{label}/{name}.flac", label, name, split, sound)
            for kind in ("rumble", "hiss"):
                noise = rng.standard_normal(round(1.2 * RATE_HZ))
                if kind == "rumble":
                    noise = np.convolve(noise, np.ones(32) / 6, "same")
                else:
                    noise = np.diff(noise, prepend=0)
                sound = np.clip(0.1 * noise, -0.9, 0.9)
                add(f"noise/{kind}/{name}.flac", f"noise:{kind}", "-", split, sound)
    manifest.write(folder, rows)
    if tagged:
        sidecars.write_tags(folder, tags)
    return folder


def hum(pitch_hz: float, samples: int, rng: np.random.Generator) -> np.ndarray:
    """A tone with its octave, in a little noise."""
    turn = 2 * np.pi * pitch_hz * np.arange(samples) / RATE_HZ
    voice = np.sin(turn) + 0.3 * np.sin(2 * turn + rng.uniform(0, 6))
    return 0.3 * voice + 0.002 * rng.standard_normal(samples)


@dataclasses.dataclass(frozen=True)
class BandTeacher(Teacher):
    """Windows of a second to the logarithmic power of so many bands."""

    bands: int = 8

    @property
    def sample_rate_hz(self) -> int:
        return RATE_HZ

    def files(self) -> tuple[Path, ...]:
        return ()

    def embed(self, clips: np.ndarray) -> np.ndarray:
        windows = clips[:, : clips.shape[1] // RATE_HZ * RATE_HZ].reshape(len(clips), -1, RATE_HZ)
        powers = np.abs(np.fft.rfft(windows / 32768))[..., :-1] ** 2
        bands = powers.reshape(*powers.shape[:2], self.bands, -1).sum(-1)
        return np.log10(bands + 1e-6).astype(np.float32)


SETTINGS = ProbeSettings(strengths=(0.1, 1e-3), iterations=60)
HUMS = LabelProbe(
    "hums", ("low", "high"), ("unknown", "silence"), ("shrill",), settings=SETTINGS,
    few_shot_draws=2,
)  # fmt: skip
NOISES = LabelProbe("noises", ("noise:*",), settings=SETTINGS, few_shot_draws=0)


def hum_experiment(probes: tuple[LabelProbe, ...] = (HUMS, NOISES)) -> Experiment:
    """A student that is hardly trained, and probes of it."""
    steps = Optimizer(steps=3, batch_size=4, warmup_steps=1)
    return Experiment(
        model=L3Net((2, 2, 4, 8)),
        task=Embedding(
            BandTeacher(),
            clip_ms=1000,
            teacher_hears="recordings",
            foreground="any",
            mixing=None,
            skipped=0,
            probes=probes,
        ),
        frontend=WindowDecibels(),
        optimizer=steps,
        finetune=dataclasses.replace(steps, steps=1),
        calibration_batches=1,
    )


@pytest.fixture(scope="session")
def hum_corpus(once) -> Path:
    """The manifest folder. Not to be written to."""
    return once("hums", write_hum_corpus)


@pytest.fixture(scope="session")
def hum_student(once, hum_corpus) -> Run:
    """A finished run. Not to be written to."""

    def write(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AQTAUDIO_CACHE", f"{folder}_cache")
            patch.setattr("aqtaudio.runs.row.ROW_PARITY_INPUTS", 50)
            trains(hum_experiment(), hum_corpus)(folder)

    return Run(once("hum_student", write))
