"""Keyword spotting: which of some words a clip holds, another word, or silence."""

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.data.audio import to_float
from aqtaudio.data.augmentation import augment_audio, mask_features
from aqtaudio.data.conditions import Change
from aqtaudio.data.labels import UNKNOWN
from aqtaudio.data.manifest import read_all
from aqtaudio.detection import stored
from aqtaudio.detection.detector import DIP, DetectorSettings, by_target
from aqtaudio.detection.posteriors import softmax
from aqtaudio.errors import BadInput
from aqtaudio.program import c_text
from aqtaudio.program.compiler import compiled
from aqtaudio.program.execute import Executor
from aqtaudio.settings import added
from aqtaudio.tasks.keywords import loss as of_logits
from aqtaudio.tasks.keywords import parts
from aqtaudio.tasks.keywords.certainty import in_words, of_accuracies
from aqtaudio.tasks.keywords.data import (
    EvaluationItem,
    KeywordData,
    class_names,
    require_classes,
)
from aqtaudio.tasks.keywords.epochs import UNKNOWN_PER_KEYWORD
from aqtaudio.tasks.keywords.kept_features import KeptFeatures, of_validation
from aqtaudio.tasks.keywords.robustness import markdown, robustness
from aqtaudio.tasks.keywords.teacher import teacher_of
from aqtaudio.tasks.keywords.unheard import Unheard
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.stream import Stream
from aqtaudio.tasks.task import Batch, Beside, Headlines, Network, Networks, Scores, Task

TEMPERATURE = 2.0
"""Of distilled logits: Hinton et al., arXiv:1503.02531."""
TRAINING_CLIPS_PER_CLASS = 100
"""What the accuracy on training clips, as they were recorded, is measured on."""


@dataclasses.dataclass(frozen=True)
class Keywords(Task):
    """The keyword-spotting task: `keywords`, "unknown" and "silence" in clips of `clip_ms`.

    Attributes:
      keywords: the words to tell apart.
      clip_ms: length of a clip.
      unknown_per_keyword: unknown clips that training hears per clip of a typical keyword. More of
        them: fewer other words are taken for a keyword, and more keywords are missed.
      unknown_weight: of an unknown clip in the loss, over one of another class: the same by other
        means, on the very clips.
      unheard: other words, labels, that are kept out of training whole: all their recordings of
        split "train" are of "val". Figures then have parts (`tasks.keywords.parts`), and with
        `Optimizer.patience` the state is kept that is best by the mean of "accuracy_open" and
        "accuracy_unheard".
      unheard_share: of all other words, chosen by a hash of each, that are kept out too.
      cut_share: of the unknown clips out of longer recordings, of which only a stretch is left as
        loud as it was: running speech has no end of words, and they come alone.
      spliced: clips per unknown clip that begin as a keyword and end as another word, or the other
        way round: unknown words in the voices that say the keywords.
      kept_epochs: epochs whose clips, with their augmentation, are made to features once and come
        again: for front ends that cost more than the model. They are the same for all seeds. 0: new
        ones at every step.
      teacher: directory of another detector of the same words, which streams: a head joined with
        its encoder. What it says of every clip, as training changed it, is learned beside the
        truth; it takes `kept_epochs`. "": of none.
      teacher_weight: of the divergence from its answers.
    """

    item: ClassVar[type] = EvaluationItem
    posterior_name: ClassVar[str] = "softmax"
    detector: ClassVar[DetectorSettings] = DetectorSettings()

    keywords: tuple[str, ...] = ("yes", "up", "down", "on", "off", "stop")
    clip_ms: int = 1000
    unknown_per_keyword: float = added(UNKNOWN_PER_KEYWORD)
    unknown_weight: float = added(1.0)
    unheard: tuple[str, ...] = added(())
    unheard_share: float = added(0.0)
    cut_share: float = added(0.0)
    spliced: float = added(0.0)
    kept_epochs: int = added(0)
    teacher: str = added("")
    teacher_weight: float = added(1.0)

    def __post_init__(self):
        self.never_heard  # noqa: B018 - refuses what cannot be kept out
        class_names(self.keywords)
        if self.clip_ms < 100:
            raise BadInput(f"task.clip_ms is {self.clip_ms}; at least 100 is needed")
        if not 0 < self.unknown_per_keyword < math.inf:
            raise BadInput(
                f"task.unknown_per_keyword is {self.unknown_per_keyword}; allowed: above 0"
            )
        if not 0 <= self.kept_epochs <= 1000:
            raise BadInput(f"task.kept_epochs is {self.kept_epochs}; allowed: 0 to 1000")
        if not 0 <= self.cut_share <= 1:
            raise BadInput(f"task.cut_share is {self.cut_share}; allowed: 0 to 1")
        if not 0 <= self.spliced <= 10:
            raise BadInput(f"task.spliced is {self.spliced}; allowed: 0 to 10")
        if not 0 < self.unknown_weight <= 100:
            raise BadInput(f"task.unknown_weight is {self.unknown_weight}; allowed: up to 100")
        if not 0 <= self.teacher_weight <= 100:
            raise BadInput(f"task.teacher_weight is {self.teacher_weight}; allowed: 0 to 100")
        self._require_kept_clips()

    def _require_kept_clips(self) -> None:
        if self.teacher and not self.kept_epochs:
            raise BadInput(
                "task.teacher hears clips that are kept; allowed: kept_epochs of 1 or more"
            )

    @property
    def headlines(self) -> Headlines:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Accuracy, or that of the parts."""
        return parts.HEADLINES if self.never_heard else Headlines(("accuracy",))

    @property
    def never_heard(self) -> Unheard:
        """The words that are kept out of training."""
        return Unheard(self.keywords, self.unheard, self.unheard_share)

    def for_words(self, words: tuple[str, ...]) -> Self:
        """The same task for other keywords, which are heard of everything else."""
        open_world = dataclasses.replace(self, teacher="", unheard=(), unheard_share=0.0)
        return dataclasses.replace(open_world, keywords=words)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in the order of the logits."""
        return class_names(self.keywords)

    def posteriors(self, logits: np.ndarray) -> np.ndarray:
        """Of logits [N, C]: float64 [N, C]."""
        return softmax(logits)

    @property
    def words(self) -> Mapping[str, int]:
        """The keywords."""
        return {word: self.classes.index(word) for word in self.keywords}

    # What fits.

    def fitted(self, model: nn.Module, more: int = 0) -> nn.Module:
        """The model with a logit per class."""
        return model.clone(classes=len(self.classes) + more)  # type: ignore[call-arg]

    def answers_like(self, other: Task) -> bool:
        """Whether the classes are the same."""
        return isinstance(other, Keywords) and other.classes == self.classes

    # Data.

    def require_recordings(self, folders: Sequence[Path], splits: Sequence[str]) -> None:
        """Raises BadInput where a class lacks clips in a split."""
        if self.item is EvaluationItem:  # others have classes of their own
            recordings = [row for row in read_all(folders) if row.split in splits]
            require_classes(folders, recordings, self.keywords, splits)
        else:
            super().require_recordings(folders, splits)

    def load(self, folders: Sequence[Path], setup: Setup, splits: Sequence[str]) -> Any:
        """Clips of every class."""
        return self.clips(folders, setup, splits)

    def clips(self, folders: Sequence[Path], setup: Setup, splits: Sequence[str]) -> KeywordData:
        """Clips of every class, as `detect` hides them in other sound."""
        frontend = setup.frontend
        bands = None if frontend.takes_audio else frontend.features
        rate_hz, samples = frontend.sample_rate_hz, setup.clip_samples
        how = rate_hz, samples, splits, bands, self.unknown_per_keyword, self.never_heard
        return KeywordData.load(folders, self.keywords, *how, self.cut_share, self.spliced)

    def prepared(self, data: Any, setup: Setup) -> Any:
        """With the features of some epochs, made once, where they are kept, and with what a teacher
        says of the same clips, changed by the same draws.
        """
        if not self.kept_epochs:
            return data
        noise = self.given(data)
        hearing = [setup]
        if self.teacher:
            teacher = teacher_of(self.teacher, self.keywords)
            alone = dataclasses.replace(setup, frontend=teacher, block_frames=1, clips_before=0)
            hearing.append(alone)
        return data.keeping(
            lambda length: [self._kept(data, each, noise, length) for each in hearing]
        )

    def _kept(
        self, data: KeywordData, setup: Setup, noise: np.ndarray, length: int
    ) -> KeptFeatures:
        """Features of a front end, of epochs of `length` clips."""
        told = f"{setup.frontend.fingerprint()}\n{setup.augmentation}\n{setup.clips_before}\n"
        told += f"{setup.feature_shape} {hashlib.sha256(noise.tobytes()).hexdigest()}"

        def make(key: jax.Array, clips: np.ndarray) -> jax.Array:
            return _made(setup)(key, clips, noise)

        return KeptFeatures(data.training_clips, make, told, length, self.kept_epochs)

    def given(self, data: KeywordData) -> np.ndarray:
        """Background noise, int16 [pieces, N]."""
        return data.noise_bank()

    def recordings(self, data: KeywordData, items: Sequence[EvaluationItem], n: int) -> np.ndarray:
        """Clips of the list, filled up with training clips."""
        clips, *_ = data.evaluation_arrays(items[:n])
        if len(clips) < n and data.trains:
            more, _ = data.training_clips(np.arange(n - len(clips)), 0)
            clips = np.concatenate([clips, more])
        return clips

    # Training.

    def examples(
        self, key: jax.Array, batch: Batch, given: jax.Array, setup: Setup
    ) -> tuple[jax.Array, Any]:
        """Features of augmented clips, or such as were kept, and their classes [B]; a teacher's
        logits [B, C] at their ends beside them.
        """
        clips, classes, *taught = batch
        audio_key, mask_key = jax.random.split(key)
        is_kept = jnp.issubdtype(clips.dtype, jnp.floating)
        features = clips if is_kept else augmented_features(audio_key, clips, given, setup)
        targets = (classes, taught[0][:, -1]) if taught else classes
        return mask_features(mask_key, features, setup.augmentation), targets

    def objective(
        self,
        answers: jax.Array,
        targets: Any,
        setup: Setup,
        beside: Beside,
        label_smoothing: Any,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """What `truth` says of answers [B, C], and the divergence from a teacher's."""
        if not self.teacher:
            return self.truth(answers, targets, label_smoothing)
        targets, taught = targets
        apart = self.divergence(answers, taught, targets, setup)
        loss, told = self.truth(answers, targets, label_smoothing)
        return loss + self.teacher_weight * apart, told | {"apart": apart}

    def truth(
        self, answers: jax.Array, targets: jax.Array, label_smoothing: Any
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Cross-entropy of logits [B, C] and classes [B]."""
        fit = of_logits.loss(answers, targets, label_smoothing, self._weights)
        return fit, {"accuracy": of_logits.accuracy(answers, targets)}

    @property
    def _weights(self) -> tuple[float, ...] | None:
        """Of the classes in the loss."""
        if self.unknown_weight == 1.0:
            return None
        return tuple(self.unknown_weight if name == UNKNOWN else 1.0 for name in self.classes)

    def divergence(
        self, answers: jax.Array, taught: jax.Array, targets: Any, setup: Setup
    ) -> jax.Array:
        """Of softened logits."""
        return of_logits.divergence(answers, taught, TEMPERATURE)

    # Figures.

    def validation(
        self,
        network: Network,
        arrays: tuple[np.ndarray, ...],
        setup: Setup,
        label_smoothing: float | None,
    ) -> dict[str, float]:
        """Accuracy on whole clips, each from silence.

        The phase stops early by the loss; where words are kept out of training, by what is wrong.
        """
        clips, classes, *words = arrays
        made = of_validation if self.kept_epochs else Setup.features_of
        logits = network.whole(made(setup, clips))
        scores = {"val_accuracy": float(of_logits.accuracy(logits, classes))}
        loss = 0.0
        if label_smoothing is not None:
            loss = float(of_logits.loss(jnp.asarray(logits), classes, label_smoothing))
            scores["val_loss"] = loss
        if words:
            right = np.argmax(logits, -1) == classes
            found = parts.parts(right, classes, self.classes, words[0])
            scores |= {f"val_{name}": found[name] for name in parts.HEADLINES.fronts}
            if label_smoothing is not None:
                scores["val_loss"] = parts.wrong(found) + 0.01 * math.tanh(loss)
        return scores

    def scores(
        self,
        network: Network,
        data: KeywordData,
        items: Sequence[EvaluationItem],
        setup: Setup,
    ) -> Scores:
        """Accuracy over all, per class, and the confusion matrix."""
        return self.scores_of(network, data.evaluation_arrays(items), setup)

    def scores_of(self, network: Network, arrays: tuple[np.ndarray, ...], setup: Setup) -> Scores:
        """The same of clips, int16 [n, N], and class numbers [n]; with the words that training
        never heard, [n], also of the list's parts.

        A stream hears the clips one after the other without a break. It is asked at the last whole
        block of each, which lies up to a block before the clip's end.
        """
        clips, classes, *words = arrays
        logits = _logits(network, clips, setup)
        found = of_logits.metrics(logits, classes, self.classes)
        if words:
            right = np.argmax(logits, -1) == classes
            found |= parts.parts(right, classes, self.classes, words[0])
        return found

    def under(
        self,
        network: Network,
        data: Any,
        items: Sequence[Any],
        setup: Setup,
        change: Change,
    ) -> dict[str, Any]:
        """What becomes of the items' clips when all are changed.

        Returns:
          "figures" by what people call them: shares of the clips that are recognised, of all and of
          each part, and of the clips without a keyword that are taken for one; "counts" of the
          latter two, [how many, of].
        """
        clips, classes, *words = data.evaluation_arrays(items)
        predicted = np.argmax(_logits(network, change(clips), setup), -1)
        words = words[0] if words else np.full(len(classes), "")
        found = parts.parts(predicted == classes, classes, self.classes, words)
        without = classes >= len(self.keywords)
        wrong = int(np.sum(predicted[without] < len(self.keywords)))
        counts = {parts.TOLD[name]: of for name, of in found["details"]["counts"].items()}
        figures = {"all": float(np.mean(predicted == classes))}
        figures |= {name: right / n for name, (right, n) in counts.items()}
        counts["taken for a keyword"] = [wrong, int(np.sum(without))]
        figures["taken for a keyword"] = wrong / max(1, int(np.sum(without)))
        return {"figures": figures, "counts": counts}

    def robustness(
        self,
        network: Network,
        data: Any,
        items: Sequence[Any],
        setup: Setup,
        split: str,
        say: Callable[[str], None],
    ) -> Scores:
        """Figures of `under` in every condition; noise is that of the data's split.

        Returns:
          {"n", "conditions": as of `robustness.robustness`}.
        """
        setup.require_audio()
        under = functools.partial(self.under, network, data, items, setup)
        return {"n": len(items), "conditions": robustness(under, data.noises(split), say)}

    def show_robustness(self, told: Scores) -> list[str]:
        """A Markdown table."""
        return ["in per cent:", "", *markdown(told["conditions"])]

    def certainty(self, scores: Scores) -> dict[str, Any]:
        """Clips by class, and 95 % intervals of the accuracies."""
        return of_accuracies(scores)

    def row(
        self,
        networks: Networks,
        runtimes: Sequence[str],
        data: KeywordData,
        items: Sequence[EvaluationItem],
        setup: Setup,
    ) -> dict[str, Any]:
        """By runtime; of the served model on clips that it was trained on; of a stream's model on
        clips from silence: one that does much better there has only learned states that follow
        silence.
        """
        found = super().row(networks, runtimes, data, items, setup)
        metrics = found["metrics"]
        for scores in metrics.values():
            scores.pop("confusion")  # `evaluate` makes it again
        known = data.evaluation_list("train", TRAINING_CLIPS_PER_CLASS)
        with networks(runtimes[-1]) as network:
            metrics["train"] = {"accuracy": self.scores(network, data, known, setup)["accuracy"]}
        if not setup.streams:
            return found
        clips, classes, *_ = data.evaluation_arrays(items)
        with networks("quantized" if "quantized" in runtimes else "float") as network:
            logits = network.whole(setup.features_of(clips))
        from_silence = of_logits.metrics(logits, classes, self.classes)["accuracy"]
        return found | {"stream": {"accuracy_from_silence": from_silence}}

    def device_files(self, setup: Setup, executor: Executor) -> Mapping[str, str]:
        """And the classes, in the order of the outputs."""
        labels = {"firmware/model_labels.h": self._labels()}
        return {**super().device_files(setup, executor), **labels}

    def stored_files(self, folder: Path) -> Mapping[str, str]:
        """The classes with the thresholds that were found for them."""
        found = stored.read(folder)
        if found is None:
            return {}
        settings = by_target(found, self.keywords)
        return {"firmware/model_labels.h": self._labels(settings)}

    def _labels(self, found: Mapping[str, DetectorSettings] | None = None) -> str:
        settings = by_target(self.detector, self.keywords) if found is None else found
        return labels_header(self.classes, settings, found is None, self.posterior_name)

    def show(self, scores: Mapping[str, Any]) -> list[str]:
        """Accuracy over all, per class and of parts, with their intervals and clips."""
        return [*in_words(scores), *(parts.lines(scores) if "details" in scores else ())]


def augmented_features(
    key: jax.Array, clips: jax.Array, noise: jax.Array, setup: Setup
) -> jax.Array:
    """Features [B, T, F] of clips int16 [B, N] after changes to their sound."""
    rate_hz = setup.frontend.sample_rate_hz
    audio = augment_audio(key, to_float(clips), noise, setup.augmentation, rate_hz)
    return setup.features(audio, setup.clips_before)


@functools.cache
def _made(setup: Setup) -> Callable:
    return compiled(lambda key, clips, noise: augmented_features(key, clips, noise, setup))


def labels_header(
    classes: Sequence[str],
    settings: Mapping[str, DetectorSettings],
    guessed: bool,
    posteriors: str,
) -> str:
    """C and C++ text: names of the classes, and the settings of a detector for each keyword.

    `posteriors`: what they are of the outputs. A class that is not to be detected has a threshold
    over 1.
    """
    names = ", ".join(json.dumps(name, ensure_ascii=False) for name in classes)
    each = [settings.get(name, DetectorSettings(threshold=1)) for name in classes]
    highest = max(at.threshold for at in settings.values())
    thresholds = [
        at.threshold if name in settings else 2.0 for name, at in zip(classes, each, strict=True)
    ]
    origin = (
        "a guess: `aqtaudio detect` finds better" if guessed else "`aqtaudio detect` found them"
    )

    def array(kind: str, name: str, values: Sequence[str]) -> str:
        return f"static const {kind} {name}[{len(classes)}] = {{{', '.join(values)}}};"

    return f"""\
// The classes, in the order of the outputs. A detection: the {posteriors} of the outputs, its
// mean over the smoothing time, rises to the threshold of its class. A class is heard again when
// its mean has fallen below the threshold or to {DIP:g} of its peak, and its refractory time is
// over; classes don't wait for one another.
#pragma once

{array("char* const", "kModelLabels", [names])}
// Thresholds and times: {origin}. Over 1: not to be detected.
{array("float", "kModelThresholds", [c_text.literal(value) for value in thresholds])}
{array("int", "kModelSmoothingMs", [str(round(at.smoothing_ms)) for at in each])}
{array("int", "kModelRefractoryMs", [str(round(at.refractory_ms)) for at in each])}
// The highest of them, for all classes alike.
static const float kModelThreshold = {c_text.literal(highest)};
"""


def _logits(network: Network, clips: np.ndarray, setup: Setup) -> np.ndarray:
    """Real logits [n, C] of int16 clips [n, N]."""
    if not setup.streams:
        return network.whole(setup.features_of(clips))
    stream = Stream(network, setup)
    answers = stream.push(clips.reshape(-1))
    ends = [stream.blocks_in(n * clips.shape[1]) - 1 for n in range(1, len(clips) + 1)]
    return answers[ends]
