"""The training loop: a float phase, then a quantized one, both resumable to the bit.

Batches and random draws are pure functions of (seed, step), and checkpoints hold everything else,
so a run that is killed and started again ends with the numbers of one that was not.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.compression import low_rank
from aqtaudio.compression.calibrate import calibrate
from aqtaudio.compression.fold import fold
from aqtaudio.data.keywords import KeywordData
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment
from aqtaudio.program.compiler import compiled
from aqtaudio.training import task
from aqtaudio.training.checkpoint import Checkpoints, Measures
from aqtaudio.training.context import heard
from aqtaudio.training.early_stopping import chosen, judged, unjudged
from aqtaudio.training.metrics_log import MetricsLog
from aqtaudio.training.phases import Phase, float_phase, phase_directory, quantized_phase
from aqtaudio.training.predict import predict
from aqtaudio.training.preflight import parent_settings
from aqtaudio.training.restore import fresh, inherited
from aqtaudio.training.step import (
    State,
    initial_state,
    make_features,
    make_step,
    schedule,
)
from aqtaudio.vocabulary.floating import Floating

LOG_EVERY = 25
Variables = dict[str, Any]


@dataclasses.dataclass
class Trainer:
    """What a run is made of; `train` is the whole story. Making one writes nothing.

    Attributes:
      experiment: its settings.
      data: clips.
      directory: the run directory.
      evaluation: (int16 clips [n, N], class numbers [n]) that are scored while training.

    Raises BadInput when the data has no noise. Settings: see `preflight`.
    """

    experiment: Experiment
    data: KeywordData
    directory: Path
    evaluation: tuple[np.ndarray, np.ndarray]

    def __post_init__(self):
        self.model = self.experiment.built_model()
        self.noise = jnp.asarray(self.data.noise_bank())

    def train(self) -> tuple[Variables, Variables | None]:
        """Trains, or goes on training. Returns the variables (float, quantized or None)."""
        experiment = self.experiment
        floating = self._run(float_phase(experiment), self._float_start)
        if experiment.recipe.mode == "float":
            return floating, None
        begin = functools.partial(self._quantized_start, floating)
        quantized = self._run(quantized_phase(experiment), begin)
        return floating, quantized

    def _run(self, phase: Phase, begin: Callable[[], Variables]) -> Variables:
        """One phase, from its newest checkpoint or from `begin()`, to its end."""
        settings = phase.optimizer
        with Checkpoints(phase_directory(self.directory, phase.name)) as checkpoints:
            state = initial_state(begin(), phase)
            first = checkpoints.latest or 0
            if settings.patience and first < settings.steps:
                state["best"] = unjudged(state)
            if checkpoints.latest is not None:
                state = checkpoints.restore(state)
            best = state.pop("best", None)
            if best and not first:
                best = judged(best, state, self._score(phase, state)["val_loss"])
            step_of = make_step(self.experiment, self.model, phase, self.noise)
            rate = schedule(settings)
            with MetricsLog(self.directory, phase.name, first, settings.steps) as log:
                recent = checkpoints.measures
                for step in range(first, settings.steps):
                    if best and best["waited"] >= settings.patience:
                        break
                    clips, classes = self.data.training_batch(
                        step, settings.batch_size, self.experiment.seed
                    )
                    state, measures = step_of(state, np.int32(step), clips, classes)
                    recent.append(measures)
                    done = step + 1
                    if done % LOG_EVERY == 0 or done == settings.steps:
                        means = _mean(recent)
                        _require_finite(phase, done, means)
                        log.write(done, **means, learning_rate=float(rate(step)))
                        recent = []
                    if done % self.experiment.evaluate_every == 0 or done == settings.steps:
                        scores = self._score(phase, state)
                        log.write(done, **scores)
                        if best:
                            best = judged(best, state, scores["val_loss"])
                    if done % self.experiment.checkpoint_every == 0 and done < settings.steps:
                        known = {"best": best} if best else {}
                        checkpoints.save(done, state | known, recent)
            if best:
                state = chosen(best, state)
            checkpoints.save(settings.steps, state)
        return {"params": state["params"], **state["collections"]}

    def _float_start(self) -> Variables:
        """Fresh or inherited parameters, decomposed where the recipe asks for it."""
        experiment = self.experiment
        if experiment.init_from:
            variables = inherited(experiment, parent_settings(experiment))
        else:
            variables = fresh(experiment)
        params = low_rank.decompose(variables["params"], experiment.recipe)
        return {"params": params, "batch_stats": variables["batch_stats"]}

    def _quantized_start(self, floating: Variables) -> Variables:
        """The float model truncated, folded and calibrated on augmented training batches."""
        experiment = self.experiment
        params = low_rank.truncate(floating["params"], experiment.recipe.low_rank)
        params = fold(params, floating["batch_stats"])
        features_of = compiled(make_features(experiment, self.noise))
        size = experiment.finetune.batch_size

        def batches():
            for number in range(experiment.calibration_batches):
                clips, _ = self.data.training_batch(number, size, experiment.seed)
                yield features_of(jax.random.key(number), clips)

        def before(variables: Variables, features: jax.Array) -> Variables:
            clips_before = experiment.stream_context_clips
            return heard(self.model, variables, features, Floating(), clips_before)

        context = before if experiment.streams else None
        ranges = calibrate(self.model, params, batches(), experiment.recipe, context)
        return {"params": params, "ranges": ranges}

    def _score(self, phase: Phase, state: State) -> dict[str, float]:
        """What a line of metrics tells of the validation clips; a loss where one is waited for."""
        clips, classes = self.evaluation
        variables = {"params": state["params"], **state["collections"]}
        logits = predict(self.experiment, variables, phase.reading, clips)
        scores = {"val_accuracy": float(task.accuracy(logits, classes))}
        if phase.optimizer.patience:
            loss = task.loss(jnp.asarray(logits), classes, phase.optimizer.label_smoothing)
            scores["val_loss"] = float(loss)
        return scores


def _require_finite(phase: Phase, step: int, means: dict[str, float]) -> None:
    if not np.isfinite(means["loss"]):
        raise BadInput(
            f"{phase.name} phase, step {step}: the loss is not finite; lower its learning_rate"
        )


def _mean(measures: list[Measures]) -> dict[str, float]:
    return {
        name: float(np.mean([float(m[name]) for m in measures]))
        for name in measures[0]
        if name != "penalty" or any(float(m[name]) for m in measures)
    }
