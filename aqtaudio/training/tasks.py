"""What training asks of a task: examples, losses, scores while it goes on."""

import dataclasses
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.data.audio import to_float
from aqtaudio.data.augmentation import augment_audio, mask_features
from aqtaudio.enhancement import metrics, whole
from aqtaudio.enhancement.loss import local_snr_db
from aqtaudio.enhancement.mixing import mix
from aqtaudio.enhancement.task import Enhancement
from aqtaudio.experiment import Experiment
from aqtaudio.training import keyword_loss
from aqtaudio.training.predict import predict
from aqtaudio.vocabulary.signal import Reading

Tree = dict[str, Any]
Batch = tuple[Any, ...]
"""What `training_batch` of the data gives, int16 audio first."""
TEMPERATURE = 2.0
"""Of distilled logits: Hinton et al., arXiv:1503.02531."""
SCORED_CLIPS = 15
SCORED_AT_ONCE = 5
"""Mixtures that are scored while training."""


class Task(Protocol):
    """Pure functions of a run's settings; arrays are a training step's."""

    def background(self, data: Any) -> np.ndarray:
        """Noise that every example may use."""
        ...

    def examples(self, key: jax.Array, batch: Batch, noise: jax.Array) -> tuple[jax.Array, Any]:
        """Features [B, T, F] of a batch as a model sees it in training, and its targets."""
        ...

    def loss(
        self, outputs: jax.Array, targets: Any, label_smoothing: Any
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The loss of real outputs [B, ...], and what else a line of metrics tells."""
        ...

    def divergence(self, outputs: jax.Array, taught: jax.Array, targets: Any) -> jax.Array:
        """How far outputs are from a teacher's."""
        ...

    def scores(
        self, variables: Tree, reading: Reading, evaluation: Batch, label_smoothing: float | None
    ) -> dict[str, float]:
        """What a line of metrics tells of the validation clips.

        With a label smoothing also "val_loss".
        """
        ...


def task_of(experiment: Experiment) -> Task:
    """The task of a run."""
    if isinstance(experiment.task, Enhancement):
        return EnhancementTask(experiment)
    return KeywordTask(experiment)


class KeywordTask:
    """Clips and their classes."""

    def __init__(self, experiment: Experiment):
        self._experiment = experiment

    def background(self, data: Any) -> np.ndarray:
        """Raises BadInput when the data has no noise."""
        return data.noise_bank()

    def examples(  # noqa: D102
        self, key: jax.Array, batch: Batch, noise: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        clips, classes = batch
        experiment = self._experiment
        settings, rate_hz = experiment.augmentation, experiment.frontend.sample_rate_hz
        clips_before = experiment.stream_context_clips if experiment.streams else 0
        audio_key, mask_key = jax.random.split(key)
        audio = to_float(clips)
        audio = augment_audio(audio_key, audio, noise, settings, rate_hz)
        features = experiment.features(audio, clips_before)
        return mask_features(mask_key, features, settings), classes

    def loss(  # noqa: D102
        self, outputs: jax.Array, targets: jax.Array, label_smoothing: Any
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        fit = keyword_loss.loss(outputs, targets, label_smoothing)
        return fit, {"accuracy": keyword_loss.accuracy(outputs, targets)}

    def divergence(self, outputs: jax.Array, taught: jax.Array, targets: Any) -> jax.Array:  # noqa: D102
        return keyword_loss.divergence(outputs, taught, TEMPERATURE)

    def scores(  # noqa: D102
        self, variables: Tree, reading: Reading, evaluation: Batch, label_smoothing: float | None
    ) -> dict[str, float]:
        clips, classes = evaluation
        logits = predict(self._experiment, variables, reading, clips)
        scores = {"val_accuracy": float(keyword_loss.accuracy(logits, classes))}
        if label_smoothing is not None:
            loss = keyword_loss.loss(jnp.asarray(logits), classes, label_smoothing)
            scores["val_loss"] = float(loss)
        return scores


class EnhancementTask:
    """Speech and noises."""

    def __init__(self, experiment: Experiment):
        self._experiment = experiment
        self._settings, self._frontend = experiment.suppression
        # What only listeners want is not trained against.
        plain = {"post_filter": 0.0, "attenuation_limit_db": None}
        self._filtering = dataclasses.replace(self._settings.filtering, **plain)
        self._rate_hz = self._frontend.sample_rate_hz

    def background(self, data: Any) -> np.ndarray:
        """Nothing, as zeros [1, 1]: noises come with every clip."""
        return np.zeros((1, 1), np.float32)

    def examples(  # noqa: D102
        self, key: jax.Array, batch: Batch, noise: jax.Array
    ) -> tuple[jax.Array, Tree]:
        speech, noises = (to_float(x) for x in batch)
        mixture = mix(key, speech, noises, self._settings.mixing, self._rate_hz)
        features, spectrum = whole.heard(mixture.noisy, self._frontend)
        parts = (whole.heard(x, self._frontend)[1] for x in (mixture.clean, mixture.noise))
        snr_db = local_snr_db(*parts)[:, : features.shape[1]]
        targets = {"clean": mixture.clean, "gain": mixture.gain, "snr_db": snr_db}
        return features, targets | {"spectrum": spectrum}

    def loss(  # noqa: D102
        self, outputs: jax.Array, targets: Tree, label_smoothing: Any
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        enhanced, results = self._enhanced(outputs, targets)
        clean = (targets["clean"] / targets["gain"])[:, : enhanced.shape[1]]
        spectral = self._settings.loss(enhanced, clean, self._rate_hz)
        error = jnp.mean(jnp.square(results.snr_db - targets["snr_db"]))
        fit = spectral + self._settings.snr_weight * error
        return fit, {"snr_error_db": jnp.sqrt(error)}

    def divergence(self, outputs: jax.Array, taught: jax.Array, targets: Tree) -> jax.Array:
        """The spectral loss against the teacher's sound, and the error of all outputs."""
        ours, theirs = (self._enhanced(x, targets)[0] for x in (outputs, taught))
        spectral = self._settings.loss(ours, theirs, self._rate_hz)
        return spectral + jnp.mean(jnp.square(outputs - taught))

    def _enhanced(self, outputs: jax.Array, targets: Tree) -> tuple[jax.Array, Any]:
        """Enhanced clips at the nominal level, and the results behind them."""
        spectrum = targets["spectrum"]
        enhanced = whole.synthesised(outputs, spectrum, self._filtering, self._frontend)
        gain = targets["gain"][:, : enhanced.shape[1]]
        return enhanced / gain, self._filtering.results(outputs, self._frontend)

    def scores(  # noqa: D102
        self, variables: Tree, reading: Reading, evaluation: Batch, label_smoothing: float | None
    ) -> dict[str, float]:
        model, settings = self._experiment.built_model(), self._settings
        enhance = whole.enhancer(model, reading, self._filtering, self._frontend)
        noisy, clean = (to_float(x[:SCORED_CLIPS]) for x in evaluation)
        parts = range(0, len(noisy), SCORED_AT_ONCE)
        sounds = [np.asarray(enhance(variables, noisy[i : i + SCORED_AT_ONCE])) for i in parts]
        sounds = np.concatenate(sounds)
        better = [
            metrics.si_sdr(c, y) - metrics.si_sdr(c, x)
            for c, x, y in zip(clean, noisy, sounds, strict=True)
        ]
        scores = {"val_si_sdr_improvement_db": float(np.mean(better))}
        if label_smoothing is not None:
            scores["val_loss"] = float(settings.loss(sounds, clean, self._rate_hz))
        return scores
