"""The phases of a run: a float one, then a quantized one."""

import dataclasses
from pathlib import Path

from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.program.compiler import prefers_integer_dots
from aqtaudio.vocabulary.fake import FakeQuantized
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.quantized import Quantized
from aqtaudio.vocabulary.signal import Reading


@dataclasses.dataclass(frozen=True)
class Phase:
    """A stretch of training: the float one or the quantized one.

    Attributes:
      name: "float" or "quantized".
      reading: how the model computes.
      optimizer: its settings.
      mutable: collections that the forward pass updates.
      collections: the ones that the state holds beside the parameters.
      learns_ranges: whether the scales in "ranges" are trained, see `learned_ranges`.
      draws: whether gradients are rounded stochastically.
      distills: whether the float model teaches.
    """

    name: str
    reading: Reading
    optimizer: Optimizer
    mutable: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    learns_ranges: bool = False
    draws: bool = False
    distills: bool = False


def float_phase(experiment: Experiment) -> Phase:
    """Ordinary training with batch norm."""
    collections = ("batch_stats",)
    reading = Floating(trains=experiment.optimizer.trains)
    return Phase("float", reading, experiment.optimizer, collections, collections)


def quantized_phase(experiment: Experiment) -> Phase:
    """Training as the device computes or in the fake-quantized baseline; no range is observed."""
    recipe = experiment.recipe
    return Phase(
        "quantized",
        quantized_reading(experiment),
        experiment.finetune,
        collections=("ranges",),
        learns_ranges=recipe.learn_ranges,
        draws=recipe.stochastic_rounding,
        distills=experiment.distillation > 0,
    )


def quantized_reading(experiment: Experiment) -> Reading:
    """What the quantized phase computes in."""
    recipe = experiment.recipe
    if recipe.mode == "fake":
        return FakeQuantized(recipe)
    integer = {"auto": prefers_integer_dots(), "carrier": False, "integer": True}
    return Quantized(recipe, integer[experiment.engine], recipe.target)


def phase_directory(run: Path, phase: str) -> Path:
    """Where a phase's checkpoints are."""
    return run / "checkpoint" / phase
