"""A run in one of its phases: where it stands, and what it writes while it trains."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.training.checkpoint import Checkpoints, Measures
from aqtaudio.training.companions import companions_of
from aqtaudio.training.early_stopping import chosen, judged, unjudged
from aqtaudio.training.metrics_log import MetricsLog
from aqtaudio.training.optimizer import schedule
from aqtaudio.training.phases import Phase, phase_directory
from aqtaudio.training.step import State, initial_state, variables_of
from aqtaudio.training.traced import Tree, traced_values

LOG_EVERY = 25


class Course(contextlib.AbstractContextManager):
    """One run in one phase, from its newest checkpoint to its end.

    Attributes:
      experiment: settings of the run.
      phase: the one.
      first: steps done when it (again) starts.
      state: of then; of the end once `is_over`.
      traced: what the compiled step takes of the run.
      failure: why it ended before its end, if it did.
    """

    def __init__(
        self,
        experiment: Any,
        phase: Phase,
        directory: Path,
        begin: Callable[[], Tree],
        score: Callable[[State], dict[str, float]],
        teacher: Tree | None = None,
        say: Callable[[str], None] = lambda text: None,
    ):
        """`begin` gives the variables that the phase starts from, `score` measures a state, `say`
        is told now and then.
        """
        self.experiment, self.phase = experiment, phase
        self.failure: BadInput | None = None
        self.is_over = False
        self._score = score
        settings = phase.optimizer
        variables = begin()
        with contextlib.ExitStack() as opened:
            kept = Checkpoints(phase_directory(directory, phase.name))
            self._checkpoints = opened.enter_context(kept)
            companions = companions_of(experiment, settings)
            state = initial_state(variables, phase, companions)
            self.first = self._checkpoints.latest or 0
            if settings.patience and self.first < settings.steps:
                state["best"] = unjudged(state)
            if self._checkpoints.latest is not None:
                state = self._checkpoints.restore(state)
            self._recent: list[Measures] = list(self._checkpoints.measures)
            self._opened = opened.pop_all()
        self._best = state.pop("best", None)
        if self._best and not self.first:
            self._best = judged(self._best, state, score(state)["val_loss"])
        self.state = state
        self.traced = traced_values(experiment, phase, variables, teacher)
        self._rate = schedule(settings)
        self._log = MetricsLog(directory, phase.name, self.first, settings.steps, say)
        self._end_when_patience_does()

    def __enter__(self) -> "Course":
        self._log.__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        self._log.__exit__(*details)
        self._opened.close()

    @property
    def variables(self) -> Tree:
        """Of the model and its companions, as the state has them."""
        return variables_of(self.state)

    def took(self, done: int, measures: Measures, state: Callable[[], State]) -> None:
        """A step was taken: `done` in all. `state()` gives the state after it."""
        self._recent.append(measures)
        settings, experiment = self.phase.optimizer, self.experiment
        is_last = done == settings.steps
        if done % LOG_EVERY == 0 or is_last:
            means = _mean(self._recent)
            if not np.isfinite(means["loss"]):
                self.fail(_not_finite(self.phase, done))
                return
            rate = settings.learning_rate * float(self._rate(done - 1))
            self._log.write(done, **means, learning_rate=rate)
            self._recent = []
        if done % experiment.evaluate_every == 0 or is_last:
            scores = self._score(state())
            self._log.write(done, **scores)
            if self._best:
                self._best = judged(self._best, state(), scores["val_loss"])
        if done % experiment.checkpoint_every == 0 and not is_last:
            known = {"best": self._best} if self._best else {}
            self._checkpoints.save(done, state() | known, self._recent)
        self._log.passed(done)
        self._end_when_patience_does(state)

    def _end_when_patience_does(self, state: Callable[[], State] | None = None) -> None:
        if self._best and self._best["waited"] >= self.phase.optimizer.patience:
            self.end(state() if state else self.state)

    def end(self, state: State) -> None:
        """The last step was taken: keeps `state`, or the best one."""
        self.state = chosen(self._best, state) if self._best else state
        self._checkpoints.save(self.phase.optimizer.steps, self.state)
        self.is_over = True

    def fail(self, error: BadInput) -> None:
        """The run cannot go on."""
        self.failure, self.is_over = error, True


def _not_finite(phase: Phase, step: int) -> BadInput:
    return BadInput(
        f"{phase.name} phase, step {step}: the loss is not finite; lower its learning_rate"
    )


def _mean(measures: list[Measures]) -> Mapping[str, float]:
    return {
        name: float(np.mean([float(m[name]) for m in measures]))
        for name in measures[0]
        if name != "penalty" or any(float(m[name]) for m in measures)
    }
