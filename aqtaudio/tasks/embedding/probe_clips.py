"""What probes are trained and scored on: of each recording its loudest place, and what it is."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from aqtaudio.data import crops, sidecars
from aqtaudio.data.manifest import Recording
from aqtaudio.errors import BadInput
from aqtaudio.tasks.embedding.label_probes import LabelProbe


class Recordings(Protocol):
    """Manifest folders (`data.EmbeddingData`)."""

    def listed(self, split: str) -> list[Recording]:
        """All recordings of a split."""
        ...

    def samples(self, recordings: Sequence[Recording]) -> list[np.ndarray]:
        """int16 [N] of each."""
        ...


@dataclasses.dataclass(frozen=True)
class ProbeClips:
    """Clips of a probe, in an order that paths alone decide.

    Attributes:
      clips: int16 [n, N].
      truths: int [n], places in `classes`; or [n, tags], 0 or 1.
      classes: names.
      groups: the speaker of each, or its path where nobody speaks.
    """

    clips: np.ndarray
    truths: np.ndarray
    classes: tuple[str, ...]
    groups: tuple[str, ...]


def training_clips(data: Recordings, probe: LabelProbe, clip_samples: int) -> ProbeClips:
    """Of split "train". Raises BadInput where it has no two classes."""
    return _clips(data, probe, clip_samples, "train", training=True)


def scored_clips(
    data: Recordings,
    probe: LabelProbe,
    clip_samples: int,
    split: str,
    classes: Sequence[str] = (),
) -> ProbeClips:
    """Of a split, of these classes or of those of "train".

    Raises BadInput where it has none of them.
    """
    return _clips(data, probe, clip_samples, split, training=False, classes=classes)


def require_clips(data: Recordings, probe: LabelProbe, split: str) -> None:
    """Raises BadInput where a split has nothing to train or to score the probe on."""
    for training in (True, False):
        _rows(data, probe, "train" if training else split, training)


def _rows(
    data: Recordings, probe: LabelProbe, split: str, training: bool, classes: Sequence[str] = ()
) -> tuple[list[tuple[Recording, int | np.ndarray]], tuple[str, ...]]:
    """Recordings and what they are; and the classes."""
    rows = {name: data.listed(name) for name in dict.fromkeys(("train", split))}
    folders = {row.folder for some in rows.values() for row in some}
    tags = {}
    for folder in sorted(folders) if probe.settings.multi_label else ():
        tags |= sidecars.tags(folder)
    classes = tuple(classes) or probe.classes(rows["train"], tags)
    order = sorted(rows[split], key=lambda row: crops.hash_order("probe", row.path))
    truths = ((row, probe.truth(row, classes, tags, training)) for row in order)
    found = [(row, truth) for row, truth in truths if truth is not None]
    if not found:
        raise BadInput(f"probe {probe.name!r}: split {split!r} has no recordings of its classes")
    return found, classes


def _clips(
    data: Recordings,
    probe: LabelProbe,
    clip_samples: int,
    split: str,
    training: bool,
    classes: Sequence[str] = (),
) -> ProbeClips:
    found, classes = _rows(data, probe, split, training, classes)
    if training:
        found = _at_most(found, probe.most_per_class, len(classes))
    recordings = [row for row, _ in found]
    samples = data.samples(recordings)
    pairs = zip(samples, recordings, strict=True)
    clips = np.stack([loudest(sound, clip_samples, row.path) for sound, row in pairs])
    truths = np.stack([truth for _, truth in found])
    groups = tuple(row.path if row.speaker in ("", "-") else row.speaker for row in recordings)
    return ProbeClips(clips, truths, classes, groups)


def _at_most(found: list, most: int, classes: int) -> list:
    """The first of each class; of recordings with tags as many as that would be."""
    counts: dict[object, int] = {}
    kept = []
    for row, truth in found:
        key, share = (truth, most) if np.ndim(truth) == 0 else ("tags", most * classes)
        counts[key] = counts.get(key, 0) + 1
        if counts[key] <= share:
            kept.append((row, truth))
    return kept


def loudest(samples: np.ndarray, clip_samples: int, path: str) -> np.ndarray:
    """The loudest clip of a recording, int16 [clip_samples].

    A shorter one has before it what a converter gives in silence, a last bit that flickers: digital
    zeros are what no device hears.
    """
    missing = clip_samples - len(samples)
    if missing > 0:
        rng = np.random.default_rng(crops.hash_order("silence", path))
        return np.concatenate([rng.integers(-1, 2, missing).astype(np.int16), samples])
    first = crops.starts(samples, clip_samples, 1.0)[0]
    return samples[first : first + clip_samples]


Embed = Callable[[np.ndarray], np.ndarray]
"""Clips int16 [n, N] to vectors [n, m, D]."""
