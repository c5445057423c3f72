"""Training steps become GPU programs on a machine without a GPU: exact, in int8."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import (
    RECIPES,
    SMALL,
    SMALL_EMBEDDINGS,
    SMALL_ENHANCERS,
    SMALL_GENERATORS,
    SMALL_KEYWORDS,
    SMALL_MASKERS,
    SMALL_STREAMED_EMBEDDINGS,
    Case,
    denoising_recipe,
    extending_recipe,
)
from corpus import EXPERIMENT as KEYWORDS
from corpus import STREAM
from lowered import largest_double, like, lowered, products, require_of_gpus, rounded
from tone_task import EXPERIMENT as TONES

from aqtaudio.compression.fold import fold
from aqtaudio.experiment import Experiment
from aqtaudio.recipe import Recipe
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.task import Batch, Headlines, Task
from aqtaudio.training.companions import companions_of
from aqtaudio.training.phases import Phase, float_phase, quantized_phase
from aqtaudio.training.step import initial_state, make_joint_step, make_step
from aqtaudio.training.traced import traced_bits, traced_values
from aqtaudio.vocabulary.fake import Calibrating
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.signal import start

pytestmark = [pytest.mark.optimized(False), pytest.mark.usefixtures("on_gpu")]

CLIPS, RUNS = 3, 2
TABLE = 256
"""Values of a table over codes."""


@dataclasses.dataclass(frozen=True)
class OfFeatures(Task):
    """Batches are features; any answers will do."""

    headlines: ClassVar[Headlines] = Headlines(())
    clip_ms: int = 1000

    def load(self, folders: Sequence[Path], setup: Setup, splits: Sequence[str]) -> Any:
        raise NotImplementedError

    def examples(self, key: jax.Array, batch: Batch, given: Any, setup: Setup) -> Any:
        return batch[0], None

    def objective(self, answers, targets, setup, beside, label_smoothing):  # noqa: ANN001
        return jnp.mean(jnp.square(answers - 1)), {}

    def validation(self, network, arrays, setup, label_smoothing):  # noqa: ANN001
        raise NotImplementedError

    def scores(self, network, data, items, setup):  # noqa: ANN001
        raise NotImplementedError


def recipe_of(case: Case) -> Recipe:
    if case in SMALL_ENHANCERS:
        return denoising_recipe()
    return extending_recipe() if case in SMALL_GENERATORS else RECIPES["w8a8"]


def state_of(experiment: Experiment, phase: Phase, features: Any) -> tuple[Any, Any]:
    """State and traced values of a phase: arrays that are not there."""
    model, companions = experiment.built_model(), companions_of(experiment, phase.optimizer)

    def variables(features: jax.Array) -> Any:
        found = model.init(jax.random.key(0), start(features[:1], Floating()))
        if phase.name == "float":
            return found | companions.fresh(0)
        params = fold(found["params"], found.get("batch_stats", {}))
        signal = start(features, Calibrating(experiment.recipe))
        ranges = model.apply({"params": params}, signal, mutable=["ranges"])[1]
        return {"params": params, **ranges, **companions.fresh(0)}

    made = jax.eval_shape(variables, features)
    state = jax.eval_shape(lambda made: initial_state(made, phase, companions), made)
    traced = traced_values(experiment, phase, made)
    if phase.name == "quantized":
        traced |= {"bits": traced_bits(made, experiment.recipe)}
    return state, traced


def step_of(experiment: Experiment, phase: Phase, features: Any, given: Any, *batch: Any) -> list:
    """What a step becomes: bits are the recipe's."""
    state, traced = state_of(experiment, phase, features)
    traced.pop("bits", None)
    step = make_step(experiment, experiment.built_model(), phase)
    return lowered(step, state, traced, given, np.int32(1), *batch)


def require_step(operations: list, most_channels: int) -> None:
    """Exact products in int8; float64 of scales and tables alone."""
    require_of_gpus(operations)
    assert largest_double(operations) <= max(TABLE, most_channels)
    dots = products(operations, "i8")
    assert dots
    assert all(op.results[0].dtype == "i32" for op in dots)


CASES = (
    SMALL,
    *SMALL_KEYWORDS,
    *SMALL_ENHANCERS,
    *SMALL_MASKERS[-1:],
    *SMALL_STREAMED_EMBEDDINGS,
    *SMALL_EMBEDDINGS,
    *SMALL_GENERATORS,
)
# Of the others it takes seconds to trace the step.
QUICK = ("ds_cnn_small", "tc_resnet_small_causal", "phone_encoder_small")
FAMILIES = pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=() if case.name in QUICK else pytest.mark.slow, id=case.name)
        for case in CASES
    ],
)


@FAMILIES
def test_a_gpu_can_take_the_step_of_every_family(case):
    experiment = Experiment(model=case.model, task=OfFeatures(), recipe=recipe_of(case))
    features = like((CLIPS, *case.features))
    operations = step_of(experiment, quantized_phase(experiment), features, (), features)
    require_step(operations, case.params)
    # Its forward pass alone: no product of codes is left to floats that a GPU rounds.
    state, _ = state_of(experiment, quantized_phase(experiment), features)

    def answers(params, ranges, features):
        reading = quantized_phase(experiment).reading
        variables = {"params": params, "ranges": ranges}
        return case.model.apply(variables, start(features, reading)).real()

    ahead = lowered(answers, state["params"], state["collections"]["ranges"], features)
    assert len(products(ahead, "i8")) == len(products(operations, "i8"))
    wide = sum(rule.activation_bits == 16 for rule in experiment.recipe.rules)
    assert wide or not rounded(ahead)


def test_carriers_of_codes_are_not_rounded():
    experiment = Experiment(model=SMALL.model, task=OfFeatures(), engine="carrier")
    features = like((CLIPS, *SMALL.features))
    operations = step_of(experiment, quantized_phase(experiment), features, (), features)
    assert not products(operations, "i8")
    # Four layers of matrices ahead; their gradients are rounded as a GPU does by default.
    exact = set(map(id, products(operations, "f32"))) - set(map(id, rounded(operations)))
    sums = [op for op in products(operations, "f32") if len(op.operands[0].shape) == 1]
    assert len(exact) - len(sums) == 4


def audio(experiment: Experiment, *leading: int) -> Any:
    return like((*leading, experiment.setup.clip_samples), jnp.int16)


NOISE = like((2, 9000), jnp.int16)


def test_a_gpu_can_take_runs_side_by_side():
    phase = quantized_phase(KEYWORDS)
    features = like((CLIPS, *KEYWORDS.setup.feature_shape))
    state, traced = state_of(KEYWORDS, phase, features)
    assert "bits" in traced
    together = jax.tree.map(lambda x: like((RUNS, *x.shape), x.dtype), (state, traced))
    step = make_joint_step(KEYWORDS, KEYWORDS.built_model(), phase)
    seeds, places = np.arange(RUNS, dtype=np.int32), np.arange(RUNS, dtype=np.int32)
    batch = audio(KEYWORDS, RUNS, CLIPS), like((RUNS, CLIPS), jnp.int32)
    operations = lowered(step, *together, NOISE, np.int32(1), seeds, places, *batch)
    require_step(operations, RUNS * 64)


def test_a_gpu_can_take_runs_side_by_side_with_companions():
    phase = quantized_phase(TONES)
    features = like((CLIPS, *TONES.setup.feature_shape))
    state, traced = state_of(TONES, phase, features)
    together = jax.tree.map(lambda x: like((RUNS, *np.shape(x)), x.dtype), (state, traced))
    step = make_joint_step(TONES, TONES.built_model(), phase)
    seeds, places = np.zeros(1, np.int32), np.zeros(RUNS, np.int32)
    given = like((TONES.setup.clip_samples,))
    batch = audio(TONES, 1, CLIPS), like((1, CLIPS))
    operations = lowered(step, *together, given, np.int32(1), seeds, places, *batch)
    require_step(operations, RUNS * 64)


@pytest.mark.parametrize("phase_of", [float_phase, quantized_phase])
@pytest.mark.parametrize(
    "experiment", [KEYWORDS, pytest.param(STREAM, marks=pytest.mark.slow)], ids=["clips", "stream"]
)
def test_a_gpu_can_take_both_phases_from_sound_on(experiment, phase_of):
    phase = phase_of(experiment)
    features = like((CLIPS, *experiment.setup.feature_shape))
    batch = audio(experiment, CLIPS), like((CLIPS,), jnp.int32)
    operations = step_of(experiment, phase, features, NOISE, *batch)
    if phase.name == "float":
        require_of_gpus(operations)
        assert largest_double(operations) == 0
    else:
        require_step(operations, 64)
