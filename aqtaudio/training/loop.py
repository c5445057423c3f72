"""The training loop: a float phase, then a quantized one, both resumable to the bit.

Batches and random draws are pure functions of (seed, step), and checkpoints hold everything else,
so a run that is killed and started again ends with the numbers of one that was not.

Runs that differ in traced values only (`training.traced.signature`) train side by side in one
compiled program. Each keeps its own checkpoints and log: whatever becomes of the others, it can go
on alone or in another company, where float32 sums may be of another order.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.compression import low_rank
from aqtaudio.compression.calibrate import calibrate
from aqtaudio.compression.fold import fold
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment
from aqtaudio.models.published import is_published
from aqtaudio.tasks.model_network import ModelNetwork
from aqtaudio.training.companions import COMPANIONS, companions_of
from aqtaudio.training.context import after_clips
from aqtaudio.training.course import Course
from aqtaudio.training.phases import Phase, float_phase, quantized_phase
from aqtaudio.training.preflight import parent_settings
from aqtaudio.training.restore import fresh, inherited, published
from aqtaudio.training.step import State, make_features, make_joint_step, make_step
from aqtaudio.training.traced import Tree, bits_are_traced, shapes, traced_bits
from aqtaudio.vocabulary.floating import Floating

Trained = tuple[Tree, Tree | None]
"""Variables of the float model and of the quantized one, if the run has one."""


@dataclasses.dataclass
class Trainer:
    """What a run is made of. Making one writes nothing.

    Attributes:
      experiment: its settings.
      data: of its task.
      directory: the run directory.
      evaluation: what is scored while training: of `evaluation_arrays`.
      say: is told how far it is, where no terminal shows it.
      given: arrays that every step takes: of `Task.given`.

    Raises BadInput when the data has no noise. Settings: see `preflight`.
    """

    experiment: Experiment
    data: Any
    directory: Path
    evaluation: tuple[np.ndarray, ...]
    say: Callable[[str], None] = lambda text: None

    def __post_init__(self):
        self.model = self.experiment.built_model()
        given = self.experiment.task.given(self.data)
        self.given = jax.tree.map(jnp.asarray, given)

    def train(self) -> Trained:
        """Trains, or goes on training, alone. Raises BadInput when the loss is not finite."""
        (result,) = train_together([self])
        if isinstance(result, BadInput):
            raise result
        return result

    def float_course(self) -> Course:
        """The run in its float phase."""
        phase = float_phase(self.experiment)
        return self._course(phase, self._float_start)

    def quantized_course(self, floating: Tree) -> Course:
        """The run in its quantized phase, after the float one."""
        phase = quantized_phase(self.experiment)
        begin = functools.partial(self._quantized_start, floating)
        teacher = {name: floating[name] for name in ("params", "batch_stats")}
        return self._course(phase, begin, teacher if phase.distills else None)

    def _course(
        self, phase: Phase, begin: Callable[[], Tree], teacher: Tree | None = None
    ) -> Course:
        score = functools.partial(self._score, phase)
        return Course(self.experiment, phase, self.directory, begin, score, teacher, self.say)

    def _float_start(self) -> Tree:
        """Fresh or inherited parameters, decomposed where the recipe asks for it."""
        experiment = self.experiment
        if is_published(experiment.init_from):
            variables = published(experiment)
        elif experiment.init_from:
            variables = inherited(experiment, parent_settings(experiment))
        else:
            variables = fresh(experiment)
        params = low_rank.decompose(variables["params"], experiment.recipe)
        companions = companions_of(experiment, experiment.optimizer).fresh(experiment.seed)
        return companions | variables | {"params": params}

    def _quantized_start(self, floating: Tree) -> Tree:
        """The float model truncated, folded and calibrated on augmented training batches."""
        experiment = self.experiment
        params = low_rank.truncate(floating["params"], experiment.recipe.low_rank)
        params = fold(params, floating["batch_stats"])
        features_of = make_features(experiment.task, experiment.setup)
        size = experiment.finetune.batch_size

        def batches() -> Iterator[jax.Array]:
            for number in range(experiment.calibration_batches):
                batch = self.data.training_batch(number, size, experiment.seed)
                yield features_of(jax.random.key(number), batch, self.given)

        def before(variables: Tree, features: jax.Array) -> Tree:
            clips_before = experiment.setup.clips_before
            return after_clips(self.model, variables, features, Floating(), clips_before)

        context = before if experiment.setup.clips_before else None
        scale = experiment.frontend.features_scale
        ranges = calibrate(self.model, params, batches(), experiment.recipe, context, scale)
        companions = {name: floating[name] for name in (COMPANIONS,) if name in floating}
        return companions | {"params": params, "ranges": ranges}

    def _score(self, phase: Phase, state: State) -> dict[str, float]:
        """What a line of metrics tells of the validation clips; a loss where one is waited for."""
        settings, setup = phase.optimizer, self.experiment.setup
        variables = {"params": state["params"], **state["collections"]}
        smoothing = settings.label_smoothing if settings.patience else None
        network = ModelNetwork(self.model, variables, phase.reading, setup)
        return self.experiment.task.validation(network, self.evaluation, setup, smoothing)


def train_together(trainers: Sequence[Trainer]) -> list[Trained | BadInput]:
    """Trains runs of one signature and the same data; what became of each, in their order."""
    floats = _through([(trainer, trainer.float_course) for trainer in trainers])
    results: list[Any] = [one if isinstance(one, BadInput) else (one, None) for one in floats]
    going = [
        (index, floating)
        for index, floating in enumerate(floats)
        if not isinstance(floating, BadInput) and trainers[index].experiment.recipe.mode != "float"
    ]
    quantized = _through(
        [
            (trainers[index], functools.partial(trainers[index].quantized_course, floating))
            for index, floating in going
        ]
    )
    for (index, floating), result in zip(going, quantized, strict=True):
        results[index] = result if isinstance(result, BadInput) else (floating, result)
    return results


def _through(entries: list[tuple[Trainer, Callable[[], Course]]]) -> list[Tree | BadInput]:
    """Takes runs through a phase: variables at its end, or what went wrong."""
    results: list[Any] = [None] * len(entries)
    groups: dict[Any, list[tuple[int, Course]]] = {}
    with contextlib.ExitStack() as stack:
        for index, (_, begin) in enumerate(entries):
            try:
                course = stack.enter_context(begin())
            except BadInput as error:
                results[index] = error
                continue
            key = course.first, shapes((course.state, course.traced))
            groups.setdefault(key, []).append((index, course))
        for members in groups.values():
            _advance(entries[members[0][0]][0], [course for _, course in members])
            for index, course in members:
                results[index] = course.failure or course.variables
    return results


def _advance(trainer: Trainer, courses: list[Course]) -> None:
    """Takes courses that have reached the same step to their ends. `trainer`: of any of them."""
    settings = courses[0].phase.optimizer
    steps = _Alone(trainer, courses[0]) if len(courses) == 1 else _Together(trainer, courses)
    for number in range(courses[0].first, settings.steps):
        if all(course.is_over for course in courses):
            return
        measures = steps.take(number)
        for index, course in enumerate(courses):
            if not course.is_over:
                course.took(number + 1, measures[index], functools.partial(steps.state, index))
    for index, course in enumerate(courses):
        if not course.is_over:
            course.end(steps.state(index))


class _Alone:
    """The steps of one run."""

    def __init__(self, trainer: Trainer, course: Course):
        self._data, self._course, self._state = trainer.data, course, course.state
        self._given = trainer.given
        self._step = make_step(trainer.experiment, trainer.model, course.phase)

    def take(self, number: int) -> list[Any]:
        """Takes a step: its measures."""
        size, seed = self._course.phase.optimizer.batch_size, self._course.experiment.seed
        batch = self._data.training_batch(number, size, seed)
        self._state, measures = self._step(
            self._state, self._course.traced, self._given, np.int32(number), *batch
        )
        return [measures]

    def state(self, index: int) -> State:
        """After the latest step."""
        return self._state


class _Together:
    """The steps of several runs, one program."""

    def __init__(self, trainer: Trainer, courses: Sequence[Course]):
        self._data, self._given = trainer.data, trainer.given
        self._size = courses[0].phase.optimizer.batch_size
        self._runs = len(courses)
        seeds = [course.experiment.seed for course in courses]
        self._seeds = sorted(set(seeds))
        self._places = np.asarray([self._seeds.index(seed) for seed in seeds], np.int32)
        self._state = _stacked([course.state for course in courses])
        self._traced = _stacked(_with_bits(courses))
        self._step = make_joint_step(trainer.experiment, trainer.model, courses[0].phase)

    def take(self, number: int) -> list[Any]:
        """Takes a step: the measures of every run."""
        seeds = np.asarray(self._seeds, np.int32)
        batches = [self._data.training_batch(number, self._size, seed) for seed in self._seeds]
        batch = (np.stack(parts) for parts in zip(*batches, strict=True))
        self._state, measures = self._step(
            *(self._state, self._traced, self._given, np.int32(number)),
            *(seeds, self._places, *batch),
        )
        return [_OfOne(measures, index) for index in range(self._runs)]

    def state(self, index: int) -> State:
        """A run's, after the latest step."""
        return jax.tree.map(lambda leaf: leaf[index], self._state)


class _OfOne(Mapping):
    """Measures of one run among several, taken out when they are read: steps do not wait."""

    def __init__(self, measures: dict[str, jax.Array], index: int):
        self._measures, self._index = measures, index

    def __getitem__(self, name: str) -> Any:
        return np.asarray(self._measures[name])[self._index]

    def __iter__(self) -> Iterator[str]:
        return iter(self._measures)

    def __len__(self) -> int:
        return len(self._measures)


def _with_bits(courses: Sequence[Course]) -> list[Tree]:
    """Traced values of runs, with their bits where those differ."""
    recipes = [course.experiment.recipe for course in courses]
    quantized = courses[0].phase.name == "quantized"
    if not quantized or not bits_are_traced(recipes[0]) or len(set(recipes)) == 1:
        return [course.traced for course in courses]
    return [
        course.traced | {"bits": traced_bits(course.variables, course.experiment.recipe)}
        for course in courses
    ]


def _stacked(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
