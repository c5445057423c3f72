"""Spotting: which of some words has just been said, in sound that never ends.

A logistic output per word, trained on windows that end with the word against windows of hours
without it: an open world has no list of other words. What rings wrongly teaches most, so of the
negatives of a batch only the hardest count.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.data.augmentation import mask_features
from aqtaudio.data.conditions import Change
from aqtaudio.data.mixing import Mixing
from aqtaudio.detection.detector import DetectorSettings
from aqtaudio.detection.intervals import wilson_interval
from aqtaudio.detection.posteriors import logistic
from aqtaudio.errors import BadInput
from aqtaudio.settings import added
from aqtaudio.tasks.keywords.robustness import robustness
from aqtaudio.tasks.keywords.scenes import SCENE_MS
from aqtaudio.tasks.keywords.spotting_data import (
    LATE_MS,
    SceneItem,
    SpottingData,
    ends_of,
    is_word_label,
)
from aqtaudio.tasks.keywords.task import Keywords
from aqtaudio.tasks.keywords.teacher import teacher_of
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.task import Batch, Headlines, Network, Networks, Scores, Task

SCORED_EVERY_MS = 80
"""Windows of sound without words that figures are made on."""
RINGS_SHOWN = 10
"""Words that a keyword is taken for, at most."""
AT_ONCE = 32
"""Scenes whose windows are scored together."""
HEARD = Mixing(
    snr_db=(-5.0, 25.0),
    noise_only_probability=0.0,
    speech_only_probability=0.25,
    reverb_probability=0.4,
    level_dbfs=(-55.0, -12.0),
    level_step_probability=0.05,
)
"""Of scenes of five seconds: a word alone is about 7 dB more over the noise."""


@dataclasses.dataclass(frozen=True)
class Spotting(Keywords):
    """Words found in continuous sound. `clip_ms` is what the network sees of it.

    Attributes:
      keywords: labels of the recordings to be found; they may be phrases.
      mixing: how scenes are made.
      scenes_per_clip: of each recording of a keyword, each in another room and noise.
      negative_weight: of a window without the word, over one with it.
      hardest: share of the negatives of a batch that count: those with the largest loss.
      feature_noise: standard deviation of noise on features, in units of each feature's own; voices
        are few.
      alarms_per_hour: at this rate recall is told, and the best state of a training is chosen.
      speed_change: scenes of a keyword's clip, but the first, play it faster or slower by this
        share at most.
      masked: features of windows are masked as `augmentation.spec_*` say; voices are few.
    """

    item: ClassVar[type] = SceneItem
    rivals: ClassVar[bool] = False
    posterior_name: ClassVar[str] = "logistic function"
    detector: ClassVar[DetectorSettings] = DetectorSettings(smoothing_ms=80.0)
    headlines: ClassVar[Headlines] = Headlines(  # pyright: ignore[reportIncompatibleVariableOverride]
        ("recall",), titles={"recall": "recall at the rate of false alarms"}
    )

    keywords: tuple[str, ...] = ("computer",)
    clip_ms: int = 1295
    mixing: Mixing = HEARD
    scenes_per_clip: int = 3
    negative_weight: float = 2.0
    hardest: float = 0.25
    feature_noise: float = 0.2
    alarms_per_hour: float = 1.0
    speed_change: float = added(0.0)
    masked: bool = added(False)

    def _require_kept_clips(self) -> None:
        """Scenes are kept in any case."""

    def __post_init__(self):
        super().__post_init__()
        if self.kept_epochs:
            raise BadInput("task.kept_epochs: features of scenes are kept in any case; allowed: 0")
        for name, least, most in (
            ("scenes_per_clip", 1, 100),
            ("negative_weight", 0.01, 100),
            ("hardest", 0.01, 1),
            ("feature_noise", 0, 10),
            ("alarms_per_hour", 0.001, 100),
            ("speed_change", 0, 0.5),
        ):
            if not least <= getattr(self, name) <= most:
                raise BadInput(
                    f"task.{name} is {getattr(self, name)}; allowed: {least:g} to {most:g}"
                )

    @property
    def classes(self) -> tuple[str, ...]:
        """The words, in the order of the logits."""
        return self.keywords

    def posteriors(self, logits: np.ndarray) -> np.ndarray:
        """Of each word by itself."""
        return logistic(logits)

    # What fits.

    def require_fit(self, setup: Setup) -> None:
        """Raises BadInput for clips longer than a scene, and for a run of whole clips."""
        longest_ms = SCENE_MS - 2 * LATE_MS
        if self.clip_ms > longest_ms:
            raise BadInput(f"task.clip_ms is {self.clip_ms}; allowed: up to {longest_ms}")
        if not setup.streams:
            raise BadInput("a run that spots words streams; set stream_block_frames")

    def fitted(self, model: nn.Module, more: int = 0) -> nn.Module:
        """The model with a logit per word."""
        return model.clone(classes=len(self.keywords) + more)  # type: ignore[call-arg]

    # Data.

    def load(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, folders: Sequence[Path], setup: Setup, splits: Sequence[str]
    ) -> SpottingData:
        """Recordings of the words and of anything else."""
        how = setup, splits, self.mixing, self.scenes_per_clip, self.never_heard, self.speed_change
        return SpottingData.load(folders, self.keywords, *how)

    def prepared(self, data: SpottingData, setup: Setup) -> SpottingData:
        """With the features of all scenes, made once."""

        def say(text: str) -> None:
            print(text, flush=True)

        found = data.prepared(say)
        return found.taught(teacher_of(self.teacher, self.keywords), say) if self.teacher else found

    def given(self, data: SpottingData) -> np.ndarray:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The standard deviation of each feature, float32 [F]."""
        return data.deviations()

    def recordings(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, data: SpottingData, items: Sequence[SceneItem], n: int
    ) -> np.ndarray:
        """Scenes of the list."""
        return data.recordings(items[:n])

    # Training.

    def examples(
        self, key: jax.Array, batch: Batch, given: jax.Array, setup: Setup
    ) -> tuple[jax.Array, Any]:
        """Features of windows in noise, and numbers of their keywords, -1 for none; a teacher's
        logits beside them.
        """
        features, numbers, *taught = batch
        noise = jax.random.normal(key, features.shape)
        targets = (numbers, taught[0]) if taught else numbers
        noisy = features + self.feature_noise * given * noise
        if self.masked:
            noisy = mask_features(jax.random.fold_in(key, 1), noisy, setup.augmentation)
        return noisy, targets

    def truth(
        self, answers: jax.Array, targets: jax.Array, label_smoothing: Any
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Logistic loss of logits [B, W]; of the negatives of each word, that of the hardest."""
        import optax  # heavy, and only training asks

        held = targets[:, None] == jnp.arange(answers.shape[-1])
        wanted = optax.smooth_labels(jnp.stack([1.0 * held, 1.0 * ~held], -1), label_smoothing)
        each = optax.sigmoid_binary_cross_entropy(answers, wanted[..., 0])
        found = jnp.sum(jnp.where(held, each, 0.0), 0) / jnp.maximum(jnp.sum(held, 0), 1)
        count = max(1, math.ceil(self.hardest * len(answers)))
        hard = jnp.mean(-jnp.sort(-jnp.where(held, 0.0, each), 0)[:count], 0)
        loss = jnp.mean(found + self.negative_weight * hard)
        rang = jnp.sum((answers > 0) & ~held) / jnp.maximum(jnp.sum(~held), 1)
        hit = jnp.sum((answers > 0) & held) / jnp.maximum(jnp.sum(held), 1)
        return loss, {"found": hit, "rang": rang}

    def divergence(
        self, answers: jax.Array, taught: jax.Array, targets: Any, setup: Setup
    ) -> jax.Array:
        """Of the two outcomes of each word."""
        import optax

        theirs = jax.nn.sigmoid(taught)
        entropy = optax.sigmoid_binary_cross_entropy(taught, theirs)
        return jnp.mean(optax.sigmoid_binary_cross_entropy(answers, theirs) - entropy)

    # Figures.

    def validation(
        self,
        network: Network,
        arrays: tuple[np.ndarray, ...],
        setup: Setup,
        label_smoothing: float | None,
    ) -> dict[str, float]:
        """Recall at the rate; what training is stopped by is what is missed there."""
        scores = self.scores_of(network, arrays, setup)
        found = {"val_recall": scores["recall"], "val_margin": scores["margin"]}
        if label_smoothing is not None:
            found["val_loss"] = 1.0 - scores["recall"] - 0.01 * math.tanh(scores["margin"] / 10)
        return found

    def scores(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, network: Network, data: SpottingData, items: Sequence[SceneItem], setup: Setup
    ) -> Scores:
        """Recall of every word at the rate of false alarms, with intervals."""
        return self.scores_of(network, data.evaluation_arrays(items), setup)

    def scores_of(self, network: Network, arrays: tuple[np.ndarray, ...], setup: Setup) -> Scores:
        """The same of arrays as `SpottingData.evaluation_arrays` gives them.

        A scene is as loud as its loudest window. The threshold of a word is the lowest at which
        scenes without it ring no more often than the rate; it is chosen on the same scenes, so the
        figures flatter: `detect` chooses on one half and reports on the other.
        """
        _, features, numbers, ends_ms, labels, near = arrays
        is_word = np.asarray([is_word_label(label) for label in labels])
        unheard = np.asarray([self.never_heard.holds(label) for label in labels])
        peaks, hours = self._peaks(network, features, numbers, ends_ms, setup)
        words: dict[str, Any] = {}
        for number, word in enumerate(self.keywords):
            held, apart = peaks[numbers == number, number], numbers != number
            rings = peaks[apart & ~is_word, number]
            allowed = math.floor(self.alarms_per_hour * hours * len(rings))
            threshold = np.sort(rings)[::-1][min(allowed, len(rings) - 1)] if len(rings) else 0.0
            hits = int(np.sum(held > threshold))
            others = apart & is_word
            ring = peaks[:, number] > threshold
            words[word] = {
                "recall": hits / max(1, len(held)),
                "interval": wilson_interval(hits, len(held)),
                "n": len(held),
                "threshold": float(threshold),
                "margin": float(np.mean(held) - threshold) if len(held) else 0.0,
                "hours": hours * len(rings),
                "other_words": _share(ring[others & (near != word)]),
                "neighbours": _share(ring[others & (near == word)]),
                "rings_on": _worst(labels[others], ring[others]),
            }
            if self.never_heard:
                words[word]["unheard_words"] = _share(ring[others & unheard])
        return {
            "recall": float(np.mean([word["recall"] for word in words.values()])),
            "margin": float(np.mean([word["margin"] for word in words.values()])),
            "words": words,
        }

    def found(
        self,
        network: Network,
        data: SpottingData,
        items: Sequence[SceneItem],
        setup: Setup,
        thresholds: Mapping[str, float],
    ) -> dict[str, float]:
        """Share of each word's scenes that pass its threshold, a posterior."""
        _, features, numbers, ends_ms, *_ = data.evaluation_arrays(items)
        peaks, _ = self._peaks(network, features, numbers, ends_ms, setup)
        loudest = self.posteriors(peaks)
        return {
            word: float(np.mean(loudest[numbers == number, number] >= thresholds[word]))
            for number, word in enumerate(self.keywords)
        }

    def under(
        self,
        network: Network,
        data: SpottingData,
        items: Sequence[SceneItem],
        setup: Setup,
        change: Change,
    ) -> dict[str, Any]:
        """What becomes of scenes that are mixed with nothing and changed.

        The thresholds are those of the rate in the scenes as training makes them.

        Returns:
          "figures" by what people call them: shares of the scenes in which each word is found, of
          those with another word that ring, and false alarms of all words per hour of other sound;
          "counts" [how many, of].
        """
        return self._under(
            self._usual(network, data, items, setup), network, data, items, setup, change
        )

    def robustness(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        network: Network,
        data: SpottingData,
        items: Sequence[SceneItem],
        setup: Setup,
        split: str,
        say: Callable[[str], None],
    ) -> Scores:
        """As of any keyword run; the thresholds are found once."""
        setup.require_audio()
        usual = self._usual(network, data, items, setup)
        under = functools.partial(self._under, usual, network, data, items, setup)
        return {"n": len(items), "conditions": robustness(under, data.noises(split), say)}

    def _usual(
        self, network: Network, data: SpottingData, items: Sequence[SceneItem], setup: Setup
    ) -> np.ndarray:
        """The threshold of each word in scenes as training makes them, a logit: [W]."""
        words = self.scores(network, data, items, setup)["words"]
        return np.asarray([words[word]["threshold"] for word in self.keywords])

    def _under(
        self,
        thresholds: np.ndarray,
        network: Network,
        data: SpottingData,
        items: Sequence[SceneItem],
        setup: Setup,
        change: Change,
    ) -> dict[str, Any]:
        features, numbers, ends_ms, labels = data.changed(items, change)
        peaks, hours = self._peaks(network, features, numbers, ends_ms, setup)
        rings, is_word = peaks > thresholds, np.asarray([is_word_label(label) for label in labels])
        counts = {
            word: [int(np.sum(rings[numbers == n, n])), int(np.sum(numbers == n))]
            for n, word in enumerate(self.keywords)
        }
        others = is_word & (numbers < 0)
        counts["other words ring"] = [int(np.sum(rings[others].any(-1))), int(np.sum(others))]
        figures = {name: count / max(1, n) for name, (count, n) in counts.items()}
        alarms, scenes = int(np.sum(rings[~is_word])), int(np.sum(~is_word))
        if scenes:
            figures["false alarms per hour"] = alarms / (hours * scenes)
        return {"figures": figures, "counts": counts}

    def _peaks(
        self,
        network: Network,
        features: np.ndarray,
        numbers: np.ndarray,
        ends_ms: np.ndarray,
        setup: Setup,
    ) -> tuple[np.ndarray, float]:
        """The largest logits [n, W] of windows of each scene, and the hours of one scene's windows.

        Of a scene with a keyword those that end with it; of others all, `SCORED_EVERY_MS` apart.
        """
        frames, total = setup.feature_shape[0], features.shape[1]
        known_ms = ends_of(setup, total)
        step = max(1, round(SCORED_EVERY_MS / setup.hop_ms))
        all_ends = np.arange(frames, total + 1)
        sparse = all_ends[::-step][::-1]
        peaks = np.full((len(features), len(self.keywords)), -np.inf)
        for first in range(0, len(features), AT_ONCE):
            rows, ends = [], []
            for row in range(first, min(first + AT_ONCE, len(features))):
                late_ms = known_ms[all_ends - 1] - ends_ms[row]
                held = all_ends[(late_ms >= 0) & (late_ms <= LATE_MS)]
                chosen = held if numbers[row] >= 0 else sparse
                rows += [row] * len(chosen)
                ends += list(chosen)
            cut = [features[row, end - frames : end] for row, end in zip(rows, ends, strict=True)]
            answers = network.whole(np.stack(cut).astype(np.float32))
            np.maximum.at(
                peaks, np.asarray(rows), answers.reshape(len(rows), -1, answers.shape[-1])[:, -1]
            )
        return peaks, len(sparse) * step * setup.hop_ms / 3.6e6

    def row(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        networks: Networks,
        runtimes: Sequence[str],
        data: SpottingData,
        items: Sequence[SceneItem],
        setup: Setup,
    ) -> dict[str, Any]:
        """By runtime."""
        return Task.row(self, networks, runtimes, data, items, setup)

    def show(self, scores: Mapping[str, Any]) -> list[str]:
        """Recall over all and per word."""
        lines = [f"recall {scores['recall']:.4f} at {self.alarms_per_hour:g} false alarms per hour"]
        for word, told in scores["words"].items():
            low, high = told["interval"]
            lines.append(
                f"{word:>20} {told['recall']:.4f} ({low:.3f} to {high:.3f}, {told['n']} clips, "
                f"{told['hours']:.2f} h)"
            )
            for kind in ("neighbours", "other_words", "unheard_words"):
                if kind in told and told[kind]["n"]:
                    of = f"{told[kind]['ring']} of {told[kind]['n']}"
                    lines.append(f"{'':>20} rings on {of} {kind.replace('_', ' ')}")
            if told["rings_on"]:
                lines.append(f"{'':>20} most: {', '.join(told['rings_on'])}")
        return lines


def _share(rings: np.ndarray) -> dict[str, Any]:
    """How many of so many scenes ring."""
    count = int(rings.sum())
    return {"ring": count, "n": len(rings), "interval": wilson_interval(count, len(rings))}


def _worst(labels: np.ndarray, rings: np.ndarray) -> dict[str, int]:
    """Other words on which it rings most, and how often."""
    found, counts = np.unique(labels[rings], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:RINGS_SHOWN]
    return {str(found[n]): int(counts[n]) for n in order}
