"""What a task is: settings that are also all that a run of its kind does differently.

Training, evaluation, export and studies know this interface and no task by name. A new task is a
folder beside this file (or a module of yours: a run's config.json names its class).
"""

import abc
import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import flax.linen as nn
import jax
import numpy as np

from aqtaudio.data import manifest
from aqtaudio.errors import BadInput
from aqtaudio.program.execute import Executor
from aqtaudio.tasks.setup import Setup

Tree = dict[str, Any]
Batch = tuple[Any, ...]
"""What `Data.training_batch` gives: arrays with a leading axis of examples."""
Scores = dict[str, Any]
"""Figures by name; groups of figures and what is no figure as dicts."""
Beside = Mapping[str, Callable[..., Any]]
"""Companions by name, as functions with the parameters that they have in this step."""


class Data(Protocol):
    """Recordings as a task sees them. Everything drawn is a pure function of what is asked."""

    @property
    def sample_rate_hz(self) -> int:
        """Of all audio."""
        ...

    def training_batch(self, step: int, batch_size: int, seed: int) -> Batch:
        """The examples of a training step."""
        ...

    def evaluation_list(self, split: str) -> list[Any]:
        """What figures of a split are measured on; any prefix is a fair sample."""
        ...

    def evaluation_arrays(self, items: Iterable[Any]) -> tuple[np.ndarray, ...]:
        """The items of a list: int16 [n, N] that the network hears, then what it is scored by."""
        ...

    def holds(self, items: Iterable[Any]) -> bool:
        """Whether every recording of a list is there."""
        ...


class Network(Protocol):
    """A run's network in one of its runtimes. Features are float32, answers real."""

    def whole(self, features: np.ndarray, at_once: int = 128) -> np.ndarray:
        """Answers [n, ...] to clips [n, T, F], each from silence.

        Of a stream in a runtime that takes blocks: [n, blocks, ...], the last block filled up with
        zeros. `at_once`: clips that are computed together, where memory matters.
        """
        ...

    def endless(self, blocks: np.ndarray) -> np.ndarray:
        """Answers [n, ...] to consecutive blocks [n, t, F] of the one stream of this network.

        Every n may be compiled anew; `tasks.stream` asks for one block or `CHUNK_BLOCKS`.
        """
        ...


Networks = Callable[[str], contextlib.AbstractContextManager[Network]]
"""Opens a run's network in the runtime of that name."""


@dataclasses.dataclass(frozen=True)
class Companion:
    """A module that trains beside the model and is never recorded: a discriminator, a generator.

    It has parameters and nothing else (no batch norm).

    Attributes:
      module: the module.
      inputs: arrays to initialize it with.
      opposes: it minimises the task's `opposing_objective` instead of its `objective`.
      learning_rate: peak of its own AdamW; the schedule is the phase's.
      weight_decay: decoupled, kernels only.
    """

    module: nn.Module
    inputs: tuple[Any, ...]
    opposes: bool = False
    learning_rate: float = 1e-3
    weight_decay: float = 0.0


@dataclasses.dataclass(frozen=True)
class Sounds:
    """A clip that can be listened to: float32 [N] each, full scale 1.

    Attributes:
      title: what is heard, for people.
      sample_rate_hz: of all three.
      given: what a run heard.
      made: what it made of it.
      wanted: what it should be.
    """

    title: str
    sample_rate_hz: int
    given: np.ndarray
    made: np.ndarray
    wanted: np.ndarray


@dataclasses.dataclass(frozen=True)
class Headlines:
    """How figures are told. Rows hold it, so that studies need not know where it comes from.

    Attributes:
      fronts: the qualities that studies are ranked by, the main one first.
      together: figures that are only told together: each alone is cheaply had.
      titles: what people call figures; others are called by their name.
    """

    fronts: tuple[str, ...]
    together: tuple[str, ...] = ()
    titles: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def shown(self) -> tuple[str, ...]:
        """The figures that are first asked for."""
        return tuple(dict.fromkeys((*self.together, *self.fronts)))

    def line(self, scores: Mapping[str, Any]) -> str:
        """These figures of `scores`, for people."""
        return "  ".join(f"{name} {scores[name]:.4f}" for name in self.shown if name in scores)


class Task(abc.ABC):
    """What a run is trained to do. Subclasses are frozen dataclasses.

    Attributes:
      clip_ms: length of a clip of training; a setting.
      item: a frozen dataclass, a line of evaluation.tsv: what is scored.
      headlines: how its figures are told.
      unused: settings of the experiment, as dotted paths, that it has no use for: they must be left
        as they are by default.
      rivals: whether its classes exclude each other, where it has `words`.
    """

    item: ClassVar[type]
    headlines: ClassVar[Headlines]
    unused: ClassVar[tuple[str, ...]] = ()
    rivals: ClassVar[bool] = True
    clip_ms: int

    @classmethod
    def of(cls, task: "Task", where: object = "") -> Self:
        """`task`, which must be one of this kind. Raises BadInput where it is another; `where`:
        the folder of its run.
        """
        if not isinstance(task, cls):
            found, allowed = (kind.__name__.lower() for kind in (type(task), cls))
            place = f"{where}: " if where else ""
            raise BadInput(f"{place}a run of {found}; allowed: a run of {allowed}")
        return task

    # What fits.

    def require_fit(self, setup: Setup) -> None:
        """Raises BadInput where front end, blocks or settings do not fit each other."""
        return  # most tasks fit any

    def require_answers(self, shape: tuple[int, ...], setup: Setup) -> None:
        """Raises BadInput where a model's answers to one clip, of this shape, cannot be read."""
        return  # most tasks read any

    def fitted(self, model: nn.Module, more: int = 0) -> nn.Module:
        """The model with the outputs that the task needs, and `more`: what depends on their number
        starts fresh in a run that inherits from a run of other outputs.
        """
        return model

    def answers_like(self, other: "Task") -> bool:
        """Whether a run may keep the output layers of a run of `other`."""
        return True

    @property
    def words(self) -> Mapping[str, int]:
        """Words that a device may listen for, each with its place among the model's logits."""
        return {}

    def notice(self) -> str:
        """What to say before training: packages that are missing, say. "" for nothing."""
        return ""

    # Data.

    def require_recordings(self, folders: Sequence[Path], splits: Sequence[str]) -> None:
        """Raises BadInput for what the manifests of folders show to be missing; quick, so asked
        before anything is loaded.
        """
        manifest.read_all(folders)

    @abc.abstractmethod
    def load(self, folders: Sequence[Path], setup: Setup, splits: Sequence[str]) -> Any:
        """`Data` of the splits of manifest folders. Raises BadInput where something is missing."""

    def prepared(self, data: Any, setup: Setup) -> Any:
        """The data as it is trained on: cleaned, say. Once, before training."""
        return data

    def given(self, data: Any) -> Any:
        """Arrays that every training step takes beside its batch: noise, a frozen teacher's.

        Raises BadInput where the data has none.
        """
        return ()

    def recordings(self, data: Any, items: Sequence[Any], n: int) -> np.ndarray:
        """int16 [up to n, N]: real sound for golden vectors and parity, `items` first."""
        return data.evaluation_arrays(items[:n])[0]

    # Training. Pure functions of arrays, compiled into the step.

    @abc.abstractmethod
    def examples(self, key: jax.Array, batch: Batch, given: Any, setup: Setup) -> tuple[Any, Any]:
        """Features [B, T, F] of a batch as a model sees it in training, and its targets."""

    @abc.abstractmethod
    def objective(
        self, answers: jax.Array, targets: Any, setup: Setup, beside: Beside, label_smoothing: Any
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The loss of real answers [B, ...], and what else a line of metrics tells."""

    def divergence(
        self, answers: jax.Array, taught: jax.Array, targets: Any, setup: Setup
    ) -> jax.Array:
        """How far answers are from a teacher's."""
        raise BadInput(f"distillation: a run of {type(self).__name__} does not distill")

    def companions(self, setup: Setup) -> Mapping[str, Companion]:
        """Modules that train beside the model, by name."""
        return {}

    def opposing_objective(
        self, answers: jax.Array, targets: Any, setup: Setup, beside: Beside
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """What opposing companions minimise, and what else a line of metrics tells."""
        raise TypeError(f"{type(self).__name__} has opposing companions and no opposing_objective")

    def kept(self, companions: Mapping[str, Tree]) -> Mapping[str, np.ndarray]:
        """Arrays that the run and its artifact keep (companions.npz), of companions' parameters."""
        return {}

    # Figures.

    @abc.abstractmethod
    def validation(
        self,
        network: Network,
        arrays: tuple[np.ndarray, ...],
        setup: Setup,
        label_smoothing: float | None,
    ) -> dict[str, float]:
        """What a line of metrics tells of the evaluation arrays while a run trains.

        With a label smoothing also "val_loss": the phase stops early by it.
        """

    @abc.abstractmethod
    def scores(self, network: Network, data: Any, items: Sequence[Any], setup: Setup) -> Scores:
        """What `evaluate` tells of the items of a list."""

    def certainty(self, scores: Scores) -> dict[str, Any]:
        """What `evaluate` tells of how sure `scores` are: how many clips, and intervals."""
        return {}

    def speed(
        self, network: Network, data: Any, items: Sequence[Any], setup: Setup
    ) -> dict[str, float]:
        """What `evaluate` tells of time, beside the figures."""
        return {}

    def sounds(
        self, network: Network, data: Any, items: Sequence[Any], setup: Setup
    ) -> list[Sounds]:
        """What can be listened to, of items; nothing of tasks that make no sound."""
        return []

    def robustness(
        self,
        network: Network,
        data: Any,
        items: Sequence[Any],
        setup: Setup,
        split: str,
        say: Callable[[str], None],
    ) -> Scores:
        """What becomes of figures in conditions that training may not have had; "n" items.

        Raises BadInput where a task does not tell it.
        """
        raise BadInput(f"robustness: a run of {type(self).__name__.lower()} does not tell it")

    def show_robustness(self, told: Scores) -> list[str]:
        """Lines that tell people what `robustness` returned."""
        raise TypeError(f"{type(self).__name__} tells no robustness")

    def row(
        self,
        networks: Networks,
        runtimes: Sequence[str],
        data: Any,
        items: Sequence[Any],
        setup: Setup,
    ) -> dict[str, Any]:
        """What a study keeps: {"metrics": {runtime: scores}}, and "stream" where there is more.

        `runtimes`: of float, quantized and integer, those that the run has.
        """
        found = {}
        for runtime in runtimes:
            with networks(runtime) as network:
                found[runtime] = self.scores(network, data, items, setup)
        return {"metrics": found}

    def show(self, scores: Scores) -> list[str]:
        """Lines that tell `scores` to people."""
        return [f"{name} {value:.4f}" for name, value in scores.items() if _is_number(value)]

    # The device.

    def golden_frames(self, setup: Setup) -> int:
        """Frames of a stream's golden vectors: so many that every state is full."""
        return 2 * setup.feature_shape[0]

    def device_files(self, setup: Setup, executor: Executor) -> Mapping[str, str]:
        """Texts beside the network, by their path in an artifact: what a device computes around it.

        A README.md that is there already gets the text at its end.
        """
        edge = executor.program.edges[executor.program.inputs[0]]
        return setup.frontend.device_files(executor.quantize, edge)

    def stored_files(self, folder: Path) -> Mapping[str, str]:
        """Texts as of `device_files`, of what commands stored in a run's folder after training."""
        return {}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
