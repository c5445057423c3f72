"""What a run of phones and filters sees: clips with their labels, and phrases to ask for."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from aqtaudio.data import audio, manifest
from aqtaudio.data.labels import SILENCE, class_of
from aqtaudio.data.mixing import Mixing
from aqtaudio.errors import BadInput
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.text_keywords import queries
from aqtaudio.tasks.text_keywords.clips import TOGETHER, Clip, Surroundings, features_of, packed
from aqtaudio.tasks.text_keywords.queries import MOST_PHONES, Queries
from aqtaudio.tasks.text_keywords.utterances import Utterance, load

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class SpokenItem:
    """A clip that is scored.

    Attributes:
      number: among the clips of its split.
      words: what is said in it.
    """

    number: int
    words: str


class PhoneData:
    """Clips in memory, and the features of those that training hears (`tasks.task.Data`).

    Attributes:
      sample_rate_hz: of all audio.
    """

    def __init__(
        self,
        found: dict[str, list[Utterance]],
        around: Surroundings,
        setup: Setup,
        passes: int,
        asked: tuple[int, int],
    ):
        self.sample_rate_hz = setup.frontend.sample_rate_hz
        self._setup, self._around, self._asked = setup, around, asked
        frames = setup.feature_shape[0]
        self._clips = {
            split: [
                clip
                for number in range(passes if split == "train" else 1)
                for clip in packed(
                    some, setup.clip_samples, self.sample_rate_hz, number, number > 0
                )
                if _enough(clip, frames)
            ]
            for split, some in found.items()
        }
        for split, clips in self._clips.items():
            if not clips:
                raise BadInput(f"no clip of {setup.clip_ms} ms in split {split!r}")
        self._most = max(len(clip.labels) for clips in self._clips.values() for clip in clips)
        self._features: np.ndarray | None = None

    @classmethod
    def load(
        cls,
        folders: Sequence[Path],
        setup: Setup,
        splits: Sequence[str],
        held_out: Sequence[str],
        mixing: Mixing | None,
        passes: int,
        asked: tuple[int, int],
    ) -> "PhoneData":
        """Reads utterances and noises. Raises BadInput as `utterances.load`."""
        rate_hz = setup.frontend.sample_rate_hz
        found = load(folders, splits, rate_hz, held_out)
        rows = [
            row
            for row in manifest.read_all(folders)
            if row.split in splits and class_of(row.label, ()) == SILENCE
        ]
        noises = [audio.load_int16(row.file, rate_hz) for row in rows]
        return cls(found, Surroundings(noises, mixing, rate_hz), setup, passes, asked)

    def prepared(self, say: Say) -> "PhoneData":
        """With the features of all clips of training, made once."""
        clips, frames = self._clips["train"], self._setup.feature_shape[0]
        say(f"{len(clips)} clips, {len(clips) * self._setup.clip_ms / 3.6e6:.1f} h")
        self._features = features_of(self._setup.frontend, self._around, clips, frames, say)
        return self

    def deviations(self) -> np.ndarray:
        """The standard deviation of each feature, float32 [F]."""
        assert self._features is not None
        return np.std(self._features[::8].astype(np.float32), (0, 1))

    # Training.

    def training_batch(self, step: int, batch_size: int, seed: int) -> tuple[np.ndarray, ...]:
        """Features, labels and their counts, and the arrays of `contrast.Asked`.

        Half of the phrases that nearly are in the batch are made anew in each step.
        """
        assert self._features is not None
        rng = np.random.default_rng([seed, step])
        clips = self._clips["train"]
        chosen = rng.choice(len(clips), batch_size, replace=len(clips) < batch_size)
        some = [clips[number] for number in chosen]
        labels, counts = self._labels(some)
        return (self._features[chosen], labels, counts, *self._questions(some, rng))

    def _questions(self, clips: Sequence[Clip], rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        said, near = self._asked
        spans = [queries.spans(clip, said, rng) for clip in clips]
        phrases = [
            [clip.labels[first:end] for first, end in some]
            for clip, some in zip(clips, spans, strict=True)
        ]
        every = [one for some in phrases for one in some]
        asked = [
            some + [queries.near(one, every, rng) for _ in range(near) for one in some]
            for some in phrases
        ]
        found = Queries.of([one for some in asked for one in some])
        shape = len(clips), said * (1 + near)
        held = np.asarray(
            [[[queries.contains(c.labels, one) for c in clips] for one in some] for some in asked],
            np.int32,
        )
        places = np.asarray(spans, np.int32)
        return (
            found.phones.reshape(*shape, MOST_PHONES),
            found.counts.reshape(shape),
            places[..., 0],
            places[..., 1] - 1,
            held,
        )

    def _labels(self, clips: Sequence[Clip]) -> tuple[np.ndarray, np.ndarray]:
        labels = np.zeros((len(clips), self._most), np.int32)
        for row, clip in zip(labels, clips, strict=True):
            row[: len(clip.labels)] = clip.labels
        return labels, np.asarray([len(clip.labels) for clip in clips], np.int32)

    # Evaluation.

    def evaluation_list(self, split: str) -> list[SpokenItem]:
        """All clips of a split."""
        clips = self._clips.get(split, ())
        return [SpokenItem(number, " ".join(clip.words)) for number, clip in enumerate(clips)]

    def holds(self, items: Iterable[SpokenItem]) -> bool:
        """Whether validation clips are these."""
        return list(items) == self.evaluation_list("val")[: len(list(items))]

    def clips(self, split: str, items: Iterable[SpokenItem]) -> list[Clip]:
        """The clips of items."""
        return [self._clips[split][item.number] for item in items]

    def evaluation_arrays(self, items: Iterable[SpokenItem]) -> tuple[np.ndarray, ...]:
        """Audio int16 [n, N], features [n, T, F], labels [n, U] and their counts [n]."""
        clips = self.clips("val", items)
        frontend, frames = self._setup.frontend, self._setup.feature_shape[0]
        features = features_of(frontend, self._around, clips, frames, lambda text: None)
        labels, counts = self._labels(clips)
        return self.audio(clips), features.astype(np.float32), labels, counts

    def audio(self, clips: Sequence[Clip]) -> np.ndarray:
        """What is heard of clips, int16 [n, N]."""
        groups = [clips[at : at + TOGETHER] for at in range(0, len(clips), TOGETHER)]
        parts = [self._around.heard(group)[: len(group)] for group in groups]
        return np.concatenate([np.zeros((0, self._setup.clip_samples), np.int16), *parts])

    def recordings(self, items: Sequence[SpokenItem]) -> np.ndarray:
        """Of the list."""
        return self.audio(self.clips("val", items))


def _enough(clip: Clip, frames: int) -> bool:
    """Whether a path of so many frames can hold all labels."""
    repeats = int(np.sum(clip.labels[1:] == clip.labels[:-1]))
    return len(clip.labels) + repeats <= frames
