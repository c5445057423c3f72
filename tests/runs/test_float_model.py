"""The float32 file that quantized ones are compared with."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from initial import initial

from aqtaudio.compression import low_rank
from aqtaudio.experiment import Experiment
from aqtaudio.models.ds_cnn import DSCNN
from aqtaudio.models.gru import KeywordGRU
from aqtaudio.models.mhatt_rnn import MHAttRNN
from aqtaudio.models.streaming_attention import StreamingAttention
from aqtaudio.program.check import check
from aqtaudio.program.cost import cost
from aqtaudio.program.litert import LiteRT
from aqtaudio.program.tflite import to_float_tflite
from aqtaudio.recipe import Recipe, Rule
from aqtaudio.runs import float_model
from aqtaudio.tasks.keywords.task import Keywords
from aqtaudio.training.restore import fresh
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.signal import start

pytestmark = pytest.mark.optimized(False)

EXPERIMENT = Experiment(model=DSCNN(width=8, blocks=2), recipe=Recipe("float"))


@pytest.fixture(scope="module")
def trained():
    """Variables whose batch statistics are not those of initialization."""
    model = EXPERIMENT.built_model()
    features = jax.random.normal(jax.random.key(0), (32, *EXPERIMENT.setup.feature_shape)) * 2 + 0.5
    variables = initial(model, features, 1)
    heard = jax.jit(lambda v: model.apply(v, start(features, Floating()), mutable=["batch_stats"]))
    for _ in range(3):
        variables = {**variables, **heard(variables)[1]}
    return model, variables, features


@pytest.mark.parametrize("decomposed", [False, True])
def test_the_file_computes_the_float_model(trained, decomposed):
    model, variables, features = trained
    if decomposed:
        rules = (Rule("pointwise_.*", svd_penalty=0.0), Rule())
        params = low_rank.decompose(variables["params"], Recipe("float", rules))
        variables = {**variables, "params": params}
    blob = to_float_tflite(*float_model.recorded(EXPERIMENT, variables))
    with LiteRT(blob) as interpreter:
        codes = np.asarray(features)[..., None]
        found = interpreter.invoke(codes)[0]
    wanted = jax.jit(model.apply)(variables, start(features, Floating())).real()
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(KeywordGRU(units=3, hidden=(3, 4)), marks=pytest.mark.slow),
        StreamingAttention(width=8, blocks=1, heads=2, window=3),
    ],
)
def test_models_of_frames_and_constants(model):
    """Weights shared by frames, trained constants, no batch norm."""
    experiment = Experiment(model=model, task=Keywords(clip_ms=240), recipe=Recipe("float"))
    rng = np.random.default_rng(0)
    variables = fresh(experiment)
    moved = jax.tree.map(lambda p: p + 0.1 * rng.normal(size=p.shape), variables["params"])
    variables = {**variables, "params": jax.tree.map(jnp.float32, moved)}
    features = rng.normal(size=(5, *experiment.setup.feature_shape)).astype(np.float32)
    with LiteRT(to_float_tflite(*float_model.recorded(experiment, variables))) as interpreter:
        shape = interpreter.input_details[0].shape[1:]
        found = interpreter.invoke(features.reshape(-1, *shape))[0]
    apply = jax.jit(experiment.built_model().apply)
    wanted = apply(variables, start(features, Floating())).real()
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_it_is_refused_unless_float_is_allowed_and_counts_four_bytes_a_parameter(trained):
    _, variables, _ = trained
    structure = float_model.structure(EXPERIMENT)
    blob = to_float_tflite(*float_model.recorded(EXPERIMENT, variables))
    assert not check(blob).micro_compatible
    allowed = check(blob, allow_float=True)
    assert allowed.micro_compatible and (allowed.arena_bytes or 0) > 0
    totals = cost(structure).to_json()
    assert float_model.in_float32(totals)["weight_bytes"] == 4 * totals["params"]
    assert float_model.in_float32(totals)["bitops"] == totals["macs"] * 1024
    assert float_model.in_float32(totals)["linear_cost"] == totals["macs"] * 32


@pytest.mark.slow
def test_attention_over_what_silence_leaves():
    """A softmax of nothing but zeros is refused: the structure must not be recorded on silence."""
    experiment = dataclasses.replace(
        EXPERIMENT,
        model=MHAttRNN(units=4, heads=1),
        task=Keywords(("low",), clip_ms=140),
    )
    assert "softmax" in {
        operation.kind for operation in float_model.structure(experiment).operations
    }
